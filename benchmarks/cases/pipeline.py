"""tf.data around the op, on all cores: in batches beside calling the op in a loop, molecule by molecule beside an op
that does nothing."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.remote import Prepared, Worker
from benchmarks.settings import Settings, Table
from benchmarks.workload import Workload, load

_EXTENT = 32

LOOP = "calling pg_tf.coord_to_grid in a loop"
BATCHES = "batches, map, prefetch"
MOLECULES = "molecules, ragged_batch, map, prefetch"
BATCHES_ZEROS = "batches, map of zeros, prefetch"
EACH = "map, a molecule at a time"
EACH_ZEROS = "map of zeros, a molecule at a time"
EACH_EMPTY = "map of an uninitialised grid, a molecule at a time"


def run(settings: Settings) -> dict[str, Table]:
    cores = len(os.sched_getaffinity(0))
    total, size = settings.scale.pipeline_molecules, min(256, settings.scale.thread_batch)
    path = settings.output / "workload.npz"
    settings.workload.save(path)
    task = {"workload": str(path), "threads": cores, "molecules": total, "batch": size, "extent": _EXTENT}
    with Worker("cases.pipeline", task) as worker:
        times = settings.measure("pipeline", {name: worker.timed(name) for name in worker.names})
        done = worker.about
    rows = []
    for name, timing in times.items():
        beside = LOOP if name in (LOOP, BATCHES, MOLECULES, BATCHES_ZEROS) else EACH_ZEROS
        rate = {other: done[other] / times[other].best for other in (name, beside)}
        rows.append(
            {
                "pipeline": name,
                "molecules/s": rate[name],
                "µs a molecule": 1e6 / rate[name],
                "first pass, µs": timing.first / done[name] * 1e6,
                "times": rate[name] / rate[beside],
                "as fast as": beside,
            }
        )
    notes = [f"{total} molecules a pass, batches of {size}, {_EXTENT}^3, 1 channel, AUTOTUNE, {cores} threads"]
    notes.append("the figures are of the second and later passes over a new iterator each")
    return {"pipeline": Table("tf.data", rows, notes)}


def prepare(task: dict[str, Any]) -> Prepared:
    """Passes over datasets."""
    import tensorflow as tf

    import pg_tf
    from benchmarks import op

    op.use_threads(task["threads"])
    size, extent = task["batch"], task["extent"]
    workload = load(Path(task["workload"])).repeat(task["molecules"])
    few = workload.take(np.arange(max(1, len(workload) // 4)))
    points = _points(workload)

    def to_grid(element: Any) -> Any:
        return pg_tf.coord_to_grid(element, grid_size=extent)

    def blank(init: bool) -> Any:
        """An op that only allocates the grids, and zeros them where `init`."""

        def make(element: Any) -> Any:
            leading = [element.nrows(out_type=tf.int32)] if isinstance(element, tf.RaggedTensor) else []
            shape = tf.stack([*leading, 1, extent, extent, extent])
            return tf.raw_ops.Empty(shape=shape, dtype=tf.float32, init=init)

        return make

    def loop() -> None:
        for batch in batched:
            to_grid(batch)

    def mapped(dataset: tf.data.Dataset, function: Any) -> Any:
        result = dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        elements = int(dataset.cardinality())
        # TensorFlow's own way to time a dataset: all but the last element never leave it.
        last = result.skip(elements - 1)
        return lambda: next(iter(last))

    single = tf.data.Dataset.from_tensor_slices(points)
    each = tf.data.Dataset.from_tensor_slices(_points(few))
    batched = [points[start : start + size] for start in range(0, len(workload), size)]
    # A cache that is full: its batches come ready.
    ready = single.ragged_batch(size).cache()
    ready = ready.apply(tf.data.experimental.assert_cardinality(len(batched)))
    for _ in ready:
        pass
    runs = {
        LOOP: loop,
        BATCHES: mapped(ready, to_grid),
        MOLECULES: mapped(single.ragged_batch(size), to_grid),
        BATCHES_ZEROS: mapped(ready, blank(init=True)),
        EACH: mapped(each, to_grid),
        EACH_ZEROS: mapped(each, blank(init=True)),
        EACH_EMPTY: mapped(each, blank(init=False)),
    }
    done = {name: len(few) if name in (EACH, EACH_ZEROS, EACH_EMPTY) else len(workload) for name in runs}
    return runs, done


def _points(workload: Workload) -> Any:
    import tensorflow as tf

    values = np.column_stack([np.zeros(len(workload.coords), np.float32), workload.coords])
    return tf.RaggedTensor.from_row_splits(values, workload.row_splits)
