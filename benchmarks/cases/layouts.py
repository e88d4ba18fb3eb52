"""Channels first and last, and the types of the grid."""

from benchmarks import op
from benchmarks.baselines.floor import Floor
from benchmarks.measure import timed
from benchmarks.settings import Settings, Table
from benchmarks.workload import ELEMENTS

DTYPES = ("float32", "float16", "bfloat16", "float64")
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8}


def run(settings: Settings) -> dict[str, Table]:
    floor = Floor(settings.build)
    return {"layouts": _layouts(settings, floor), "dtypes": _dtypes(settings, floor)}


def _layouts(settings: Settings, floor: Floor) -> Table:
    rows = []
    for extent in settings.scale.extents:
        size = 4 * len(ELEMENTS) * extent**3
        batch = settings.workload.repeat(op.batch_size(extent, 4 * len(ELEMENTS)))
        stream, number = floor.fill(size, stream=True, rotate=True)
        works = {
            layout: op.raw(batch, extent, by_element=True, data_format=layout)
            for layout in ("channels_first", "channels_last")
        }
        label = f"layouts, {extent}^3"
        times = settings.measure(label, {name: timed(work) for name, work in {**works, "floor": stream}.items()})
        least = times["floor"].best / number
        for name in works:
            each = times[name].best / len(batch)
            rows.append(
                {
                    "grid": extent,
                    "layout": name,
                    "molecules/s": 1 / each,
                    "time, µs": each * 1e6,
                    "floor, µs": least * 1e6,
                    "time / floor": each / least,
                }
            )
    return Table(f"{len(ELEMENTS)} element channels, the op alone, one thread", rows)


def _dtypes(settings: Settings, floor: Floor) -> Table:
    rows = []
    for extent in settings.scale.extents:
        # As many molecules for all types, so that the memory is no more than OUTPUT_BYTES for any.
        batch = settings.workload.repeat(op.batch_size(extent, 8))
        runs = {name: timed(op.raw(batch, extent, dtype=name)) for name in DTYPES}
        fills = {name: floor.fill(_BYTES[name] * extent**3, stream=True, rotate=True) for name in DTYPES}
        runs |= {f"floor of {name}": timed(fill) for name, (fill, _) in fills.items()}
        times = settings.measure(f"dtypes, {extent}^3", runs)
        for name in DTYPES:
            each = times[name].best / len(batch)
            least = times[f"floor of {name}"].best / fills[name][1]
            rows.append(
                {
                    "grid": extent,
                    "dtype": name,
                    "molecules/s": 1 / each,
                    "time, µs": each * 1e6,
                    "time / float32": times[name].best / times["float32"].best,
                    "time / floor": each / least,
                }
            )
    return Table("Types of the grid, 1 channel, the op alone, one thread", rows)
