"""What the size of a batch does: above 32 MiB the C library takes each output fresh from the system, and the page faults
cost more than the grids."""

from __future__ import annotations

import tensorflow as tf

from benchmarks import op
from benchmarks.measure import timed
from benchmarks.settings import Settings, Table

_LARGEST_BYTES = 1 << 29


def run(settings: Settings) -> dict[str, Table]:
    rows = []
    for extent in settings.scale.extents[:2]:
        for size in settings.scale.batches:
            if 4 * size * extent**3 > _LARGEST_BYTES:
                continue
            batch = settings.workload.repeat(size)
            shape = tf.constant([size, 1, extent, extent, extent])
            works = {
                "pg_tf.voxelize": op.eager(batch, extent),
                "op alone": op.raw(batch, extent),
                "zeros": lambda shape=shape: tf.raw_ops.Empty(shape=shape, dtype=tf.float32, init=True),
                "empty": lambda shape=shape: tf.raw_ops.Empty(shape=shape, dtype=tf.float32, init=False),
            }
            times = settings.measure(
                f"batches, {extent}^3, {size}", {name: timed(work) for name, work in works.items()}
            )
            rows.append(
                {
                    "grid": extent,
                    "batch": size,
                    "output, MiB": 4 * size * extent**3 / 2**20,
                    **{f"{name}, µs": timing.best / size * 1e6 for name, timing in times.items()},
                    "first call, µs": times["pg_tf.voxelize"].first / size * 1e6,
                    "molecules/s": size / times["pg_tf.voxelize"].best,
                }
            )
    notes = ["zeros, empty: TensorFlow's Empty op with and without writing zeros: allocation, and page faults"]
    return {"batches": Table("Molecules in a call, time a molecule, one thread", rows, notes)}
