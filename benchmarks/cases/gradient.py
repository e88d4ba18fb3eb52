"""The gradient as a multiple of the forward pass."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

import pg_tf
from benchmarks import op
from benchmarks.measure import timed
from benchmarks.settings import Settings, Table
from benchmarks.workload import ELEMENTS, SIGMA, Workload


def run(settings: Settings) -> dict[str, Table]:
    rows = []
    for extent in settings.scale.extents[:2]:
        for columns in (0, len(ELEMENTS)):
            batch = settings.workload.repeat(op.batch_size(extent, 4 * max(1, columns)))
            works = _works(batch, extent, columns)
            kind = f"features of {columns} channels" if columns else "weights"
            times = settings.measure(
                f"gradient, {extent}^3, {kind}", {name: timed(work) for name, work in works.items()}
            )
            forward = times.pop("forward").best
            for name, timing in times.items():
                rows.append(
                    {
                        "grid": extent,
                        "atoms carry": kind,
                        "gradient to": name,
                        "forward, µs": forward / len(batch) * 1e6,
                        "gradient, µs": timing.best / len(batch) * 1e6,
                        "gradient / forward": timing.best / forward,
                    }
                )
    notes = ["the upstream gradient is given; one weight or feature vector and one sigma for each atom; one thread"]
    notes.append("forward and gradient as tf.function compiles them, each without the other")
    return {"gradient": Table("Gradients, time a molecule", rows, notes)}


def _works(batch: Workload, extent: int, columns: int) -> dict[str, Callable[[], object]]:
    inputs = op.Inputs(batch)
    rng = np.random.default_rng(0)
    atoms = len(batch.coords)
    coords = inputs.coords.flat_values
    sigma = tf.constant(np.full(atoms, SIGMA, np.float32))
    strength = tf.constant(rng.uniform(0.5, 1.5, (atoms, columns) if columns else atoms).astype(np.float32))
    upstream = tf.random.stateless_normal([len(batch), max(1, columns), extent, extent, extent], seed=(0, 0))
    kind = "features" if columns else "weights"
    ragged = functools.partial(tf.RaggedTensor.from_row_splits, row_splits=inputs.coords.row_splits, validate=False)

    def grid(coords: tf.Tensor, strength: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
        arguments: dict[str, Any] = {"sigma": ragged(sigma), kind: ragged(strength)}
        return pg_tf.voxelize(
            ragged(coords), grid_shape=extent, box=inputs.box, num_channels=max(1, columns), **arguments
        )

    def gradient(count: int) -> Callable[[], object]:
        def to_first(upstream: tf.Tensor, *atoms: tf.Tensor) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(atoms[:count])
                result = grid(*atoms)
            return tape.gradient(result, atoms[:count], upstream)

        return op.in_graph(to_first, upstream, coords, strength, sigma)

    return {
        "forward": op.in_graph(grid, coords, strength, sigma),
        "coords": gradient(1),
        f"coords, {kind}, sigma": gradient(3),
    }
