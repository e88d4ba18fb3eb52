"""The op beside writing its output once, which nothing can beat."""

from benchmarks import op
from benchmarks.baselines.floor import Floor
from benchmarks.measure import timed
from benchmarks.settings import Settings, Table
from benchmarks.workload import ELEMENTS


def run(settings: Settings) -> dict[str, Table]:
    floor = Floor(settings.build)
    rows = []
    for extent in settings.scale.extents:
        for by_element in (False, True):
            channels = len(ELEMENTS) if by_element else 1
            size = 4 * channels * extent**3
            batch = settings.workload.repeat(op.batch_size(extent, 4 * channels))
            stream, streams = floor.fill(size, stream=True, rotate=True)
            zeros, _ = floor.fill(size, stream=True, rotate=True, value=0.0)
            memset, memsets = floor.fill(size, stream=False, rotate=True)
            cached, caches = floor.fill(size, stream=False, rotate=False)
            eager = op.eager(batch, extent, by_element=by_element)
            raw = op.raw(batch, extent, by_element=by_element)
            works = {
                "floor": (stream, streams),
                "floor of zeros": (zeros, streams),
                "memset": (memset, memsets),
                "memset, same place": (cached, caches),
                "pg_tf.voxelize": (eager, len(batch)),
                "op alone": (raw, len(batch)),
            }
            label = f"floor, {extent}^3, {channels} channels"
            times = settings.measure(label, {name: timed(work) for name, (work, _) in works.items()})
            micros = {name: times[name].best / number * 1e6 for name, (_, number) in works.items()}
            rows.append(
                {
                    "grid": extent,
                    "channels": channels,
                    **{f"{name}, µs": value for name, value in micros.items()},
                    "op / floor": micros["op alone"] / micros["floor"],
                    "op / floor of zeros": micros["op alone"] / micros["floor of zeros"],
                    "pg_tf.voxelize / floor": micros["pg_tf.voxelize"] / micros["floor"],
                    "op, molecules/s": 1e6 / micros["op alone"],
                }
            )
    notes = [
        "floor: non-temporal stores to the memory of the grids, in buffers that together exceed all caches; some "
        "machines write zeros, and so the empty parts of a grid, faster than other values",
        "pg_tf.voxelize: the op with the Python around it, which costs the same for any size of a call",
        "channels: 1, or one for each of " + ", ".join(ELEMENTS),
        f"calls of as many molecules as make {op.OUTPUT_BYTES >> 20} MiB of grids; one thread",
    ]
    return {"floor": Table("The op and the floor, time a molecule", rows, notes)}
