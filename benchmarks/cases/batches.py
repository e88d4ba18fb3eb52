"""What the size of a batch does: above 32 MiB the C library takes each output fresh from the system, and the page
faults cost more than the grids. pg_tf keeps such memory; TensorFlow's own ops show what it would cost."""

import functools
from collections.abc import Callable

import tensorflow as tf

from benchmarks import op
from benchmarks.measure import timed
from benchmarks.settings import Settings, Table

_LARGEST_BYTES = 1 << 29


def run(settings: Settings) -> dict[str, Table]:
    rows = []
    python = 0.0
    for extent in settings.scale.extents[:2]:
        for size in settings.scale.batches:
            if 4 * size * extent**3 > _LARGEST_BYTES:
                continue
            batch = settings.workload.repeat(size)
            shape = tf.constant([size, 1, extent, extent, extent])
            works: dict[str, Callable[[], object]] = {
                "pg_tf.voxelize": op.eager(batch, extent),
                "op alone": op.raw(batch, extent),
                "zeros": functools.partial(tf.raw_ops.Empty, shape=shape, dtype=tf.float32, init=True),
                "empty": functools.partial(tf.raw_ops.Empty, shape=shape, dtype=tf.float32, init=False),
            }
            times = settings.measure(
                f"batches, {extent}^3, {size}", {name: timed(work) for name, work in works.items()}
            )
            if size == settings.scale.batches[0] and extent == settings.scale.extents[0]:
                python = times["pg_tf.voxelize"].best - times["op alone"].best
            rows.append(
                {
                    "grid": extent,
                    "batch": size,
                    "output, MiB": 4 * size * extent**3 / 2**20,
                    **{f"{name}, µs": timing.best / size * 1e6 for name, timing in times.items()},
                    "first call, µs": times["pg_tf.voxelize"].first / size * 1e6,
                    "op, molecules/s": size / times["op alone"].best,
                }
            )
    notes = ["zeros, empty: TensorFlow's Empty op with and without writing zeros: allocation, and page faults"]
    notes.append(f"the Python of pg_tf.voxelize takes {python * 1e6:,.0f} µs a call, outside tf.function")
    return {"batches": Table("Molecules in a call, time a molecule, one thread", rows, notes)}
