"""pg_tf as the benchmarks call it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

import pg_tf
from benchmarks.workload import ELEMENTS, SIGMA, Workload
from pg_tf import _library

# Twice the last-level cache of a small server: grids of that much leave the caches, as in a pipeline.
OUTPUT_BYTES = 64 << 20


def batch_size(extent: int, voxel_bytes: int = 4) -> int:
    """Molecules in a batch of about OUTPUT_BYTES, at most 256."""
    return int(np.clip(OUTPUT_BYTES // (voxel_bytes * extent**3), 1, 256))


def use_threads(threads: int) -> None:
    """Before the first op runs: threads within an op."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)


class Inputs:
    """A workload as tensors.

    Attributes:
      coords: ragged `[B, (A), 3]`.
      channels: ragged `[B, (A)]`.
      box: of each molecule.
    """

    def __init__(self, workload: Workload, dtype: Any = np.float32) -> None:
        self.coords = tf.RaggedTensor.from_row_splits(workload.coords.astype(dtype), workload.row_splits)
        self.channels = self.coords.with_flat_values(tf.constant(workload.channels))
        origin, edges = workload.boxes()
        self.box = pg_tf.Box(
            tf.constant(origin.astype(dtype)), tf.constant(np.repeat(edges[:, None], 3, 1).astype(dtype))
        )

    def voxelize(self, extent: int, *, by_element: bool = False, **options: Any) -> tf.Tensor:
        """`pg_tf.voxelize`, with one channel or one for each element."""
        options = {"sigma": SIGMA, "box": self.box, **options}
        if by_element:
            options.update(channels=self.channels, num_channels=len(ELEMENTS))
        return pg_tf.voxelize(self.coords, grid_shape=extent, **options)


def eager(workload: Workload, extent: int, **options: Any) -> Callable[[], object]:
    """A call of `pg_tf.voxelize` from Python: what a user pays outside of tf.function."""
    inputs = Inputs(workload)
    return lambda: inputs.voxelize(extent, **options)


def raw(
    workload: Workload,
    extent: int,
    *,
    sigma: float = SIGMA,
    by_element: bool = False,
    box: pg_tf.Box | None = None,
    data_format: str = "channels_first",
    dtype: str = "float32",
) -> Callable[[], object]:
    """A call of the op alone, its inputs ready: without the Python of `pg_tf.voxelize`."""
    compute = np.float64 if dtype == "float64" else np.float32
    inputs = Inputs(workload, compute)
    flat = inputs.coords.flat_values
    channels = inputs.channels.flat_values if by_element else tf.zeros(tf.shape(flat)[:1], tf.int32)
    origin, lengths = (inputs.box if box is None else box)[:2]
    arguments = [
        tf.cast(flat, tf.float64),
        channels,
        tf.constant(1, compute),
        tf.constant(sigma, compute),
        inputs.coords.row_splits,
    ]
    arguments += [tf.reshape(tf.cast(value, tf.float64), [-1, 3]) for value in (origin, lengths)]
    attributes = {
        "dtype": dtype,
        "num_channels": len(ELEMENTS) if by_element else 1,
        "grid_shape": [extent] * 3,
        "data_format": data_format,
    }
    op = _library.load().pg_tf_voxelize
    return lambda: op(*arguments, **attributes)


def in_graph(function: Callable[..., Any], *arguments: tf.Tensor) -> Callable[[], object]:
    """A call of a function as TensorFlow compiles it, as in training: with little Python around, and of its ops only
    those that its result needs."""
    compiled = tf.function(function).get_concrete_function(*arguments)
    return lambda: compiled(*arguments)


def gradient(workload: Workload, extent: int) -> Callable[[], object]:
    """The gradient to the coordinates, the upstream gradient given; without a forward pass."""
    inputs = Inputs(workload)
    splits = inputs.coords.row_splits

    def to_coords(coords: tf.Tensor, upstream: tf.Tensor) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(coords)
            ragged = tf.RaggedTensor.from_row_splits(coords, splits, validate=False)
            grid = pg_tf.voxelize(ragged, grid_shape=extent, sigma=SIGMA, box=inputs.box)
        return tape.gradient(grid, coords, upstream)

    shape = [len(workload), 1, extent, extent, extent]
    return in_graph(to_coords, inputs.coords.flat_values, tf.random.stateless_normal(shape, seed=(0, 0)))
