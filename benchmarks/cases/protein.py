"""A system as large as a protein: the time should grow with atoms plus voxels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import pg_tf
from benchmarks import op
from benchmarks.measure import timed
from benchmarks.native import Floor
from benchmarks.settings import Settings, Table
from benchmarks.workload import Workload, protein_like

VOXEL = 0.75  # Å


def run(settings: Settings) -> dict[str, Table]:
    floor = Floor(settings.build)
    atoms, extent = settings.scale.protein
    edge = VOXEL * extent
    # Small molecules in voxels of the same size, where an atom touches as many of them.
    small_extent = max(8, round(float(np.median(settings.workload.boxes()[1])) / VOXEL))
    small = settings.workload.repeat(op.batch_size(small_extent))
    systems: dict[str, tuple[Workload, int, float]] = {
        f"{len(small)} small molecules": (small, small_extent, VOXEL * small_extent)
    }
    for share in (4, 2, 1):
        count = atoms // share
        systems[f"{count} atoms"] = (protein_like(settings.workload, count, edge), extent, edge)
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
                "atoms": len(system.coords),
                "time, ms": total * 1e3,
                "floor, ms": writing * 1e3,
                "time / atom, ns": total / len(system.coords) * 1e9,
                "(time - floor) / atom, ns": (total - writing) / len(system.coords) * 1e9,
            }
        )
    notes = [
        f"voxels of {VOXEL} Å; atoms spread evenly, {atoms / edge**3:.3f} atoms/Å^3 in the largest system; one thread",
        "the small molecules have about as many voxels to an atom; floor: non-temporal stores to the same memory",
    ]
    return {"protein": Table("A large system, 1 channel", rows, notes)}


def _in_box(system: Workload, extent: int, edge: float) -> Callable[[], object]:
    inputs = op.Inputs(system)
    if len(system) == 1:
        box = pg_tf.Box(np.zeros(3, np.float32), np.full(3, edge, np.float32))
    else:
        origin, edges = system.boxes()
        box = pg_tf.Box(origin + (edges[:, None] - edge) / 2, np.full((len(system), 3), edge, np.float32))
    return lambda: inputs.voxelize(extent, box=box)
