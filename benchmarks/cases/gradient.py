"""The gradient as a multiple of the forward pass."""

from __future__ import annotations

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
    return {"gradient": Table("Gradients, time a molecule", rows, notes)}


def upstream_gradient(batch: Workload, extent: int) -> Callable[[], object]:
    """The gradient to the coordinates, the forward pass done and the upstream gradient given."""
    inputs = op.Inputs(batch)
    coords = inputs.coords.flat_values
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(coords)
        ragged = tf.RaggedTensor.from_row_splits(coords, inputs.coords.row_splits, validate=False)
        grid = pg_tf.voxelize(ragged, grid_shape=extent, sigma=SIGMA, box=inputs.box)
    upstream = tf.random.stateless_normal(grid.shape, seed=(0, 0))
    return lambda: tape.gradient(grid, coords, upstream)


def _works(batch: Workload, extent: int, columns: int) -> dict[str, Callable[[], object]]:
    inputs = op.Inputs(batch)
    rng = np.random.default_rng(0)
    atoms = len(batch.coords)
    sigma = tf.constant(np.full(atoms, SIGMA, np.float32))
    strength = tf.constant(rng.uniform(0.5, 1.5, (atoms, columns) if columns else atoms).astype(np.float32))
    kind = "features" if columns else "weights"
    splits = inputs.coords.row_splits

    def ragged(values: tf.Tensor) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_row_splits(values, splits, validate=False)

    def grid(coords: tf.Tensor) -> tf.Tensor:
        arguments: dict[str, Any] = {"sigma": ragged(sigma), kind: ragged(strength)}
        return pg_tf.voxelize(
            ragged(coords), grid_shape=extent, box=inputs.box, num_channels=max(1, columns), **arguments
        )

    coords = inputs.coords.flat_values
    upstream = tf.random.stateless_normal(grid(coords).shape, seed=(0, 0))

    def gradient(to: list[tf.Tensor]) -> Callable[[], object]:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(to)
            result = grid(coords)
        return lambda: tape.gradient(result, to, upstream)

    return {
        "forward": lambda: grid(coords),
        "coords": gradient([coords]),
        f"coords, {kind}, sigma": gradient([coords, strength, sigma]),
    }
