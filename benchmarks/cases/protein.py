"""A system as large as a protein: the time should grow with atoms plus voxels."""

from collections.abc import Callable

import numpy as np

import pg_tf
from benchmarks import op
from benchmarks.baselines.floor import Floor
from benchmarks.measure import timed
from benchmarks.settings import Settings, Table
from benchmarks.workload import Workload, globule

VOXEL = 0.75  # Å


def run(settings: Settings) -> dict[str, Table]:
    floor = Floor(settings.build)
    atoms, extent = settings.scale.protein
    edge = VOXEL * extent
    # Small molecules in their own boxes, and in voxels of the same size, where an atom reaches as many of them.
    own_extent, same_extent = 32, max(8, round(float(np.median(settings.workload.boxes()[1])) / VOXEL))
    own = settings.workload.repeat(op.batch_size(own_extent))
    same = settings.workload.repeat(op.batch_size(same_extent))
    systems: dict[str, tuple[Workload, int, float | None]] = {
        "small molecules": (own, own_extent, None),
        f"small molecules, {VOXEL} Å": (same, same_extent, VOXEL * same_extent),
    }
    for share in (4, 2, 1):
        systems[f"{atoms // share} atoms"] = (globule(settings.workload, atoms // share, edge), extent, edge)
    runs = {name: timed(_in_box(system, n, length)) for name, (system, n, length) in systems.items()}
    fills = {name: floor.fill(4 * n**3, stream=True, rotate=True) for name, (_, n, _) in systems.items()}
    runs |= {f"floor of {name}": timed(fill) for name, (fill, _) in fills.items()}
    times = settings.measure("protein", runs)
    rows = []
    for name, (system, n, _) in systems.items():
        total = times[name].best
        writing = times[f"floor of {name}"].best / fills[name][1] * len(system)
        rows.append(
            {
                "system": name,
                "grid": n,
                "molecules": len(system),
                "atoms": len(system.coords),
                "time, ms": total * 1e3,
                "floor, ms": writing * 1e3,
                "time / atom, ns": total / len(system.coords) * 1e9,
                "(time - floor) / atom, ns": (total - writing) / len(system.coords) * 1e9,
            }
        )
    notes = [
        f"the large systems: voxels of {VOXEL} Å, a ball of 0.1 atoms/Å^3 in the middle of the box; one thread",
        "floor: non-temporal stores to the same memory",
    ]
    return {"protein": Table("A large system, 1 channel, the op alone", rows, notes)}


def _in_box(system: Workload, extent: int, edge: float | None) -> Callable[[], object]:
    if edge is None:
        return op.raw(system, extent)
    box = pg_tf.Box(np.zeros(3, np.float32), np.full(3, edge, np.float32))
    if len(system) > 1:
        origin, edges = system.boxes()
        box = pg_tf.Box(origin + (edges[:, None] - edge) / 2, np.full((len(system), 3), edge, np.float32))
    return op.raw(system, extent, box=box)
