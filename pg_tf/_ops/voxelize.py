"""PgTf>Voxelize: grids of boxes."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pg_tf import _library
from pg_tf._atoms import AtomLayout, FlatAtoms, summed_like
from pg_tf._ops import _second_order
from pg_tf.dense import boxes as dense_boxes

_ops = _library.load()


def by_op(atoms: FlatAtoms, origin: tf.Tensor, lengths: tf.Tensor, **attributes: Any) -> tf.Tensor:
    """Grids `[B, C, nx, ny, nz]` or `[B, nx, ny, nz, C]`.

    Args:
      atoms: of all molecules.
      origin: `[1 or B, 3]`, float64, Å.
      lengths: `[1 or B, 3]`, float64, Å.
      **attributes: of PgTf>Voxelize: num_channels, grid_shape, data_format, periodic, dtype.
    """
    row_splits = atoms.layout.row_splits
    return _ops.pg_tf_voxelize(
        atoms.coords, atoms.channels, atoms.weights, atoms.sigma, row_splits, origin, lengths, **attributes
    )


def by_dense(
    atoms: FlatAtoms,
    origin: tf.Tensor,
    lengths: tf.Tensor,
    *,
    num_channels: int,
    grid_shape: tuple[int, int, int],
    data_format: str,
    periodic: Sequence[bool],
    dtype: tf.DType,
) -> tf.Tensor:
    """The same without the op. `atoms.sigma` may also be `[N, 3]`, one for each axis."""
    coords, features, sigma = dense_boxes.sound_atoms(atoms, num_channels)
    lengths = tf.where(lengths > 0, lengths, math.nan)
    padded = atoms.layout.padded(coords)
    batch = tf.shape(padded)[0]
    grid = dense_boxes.voxelize(
        padded,
        atoms.layout.padded(features),
        atoms.layout.padded(sigma, 1.0),
        tf.broadcast_to(origin, [batch, 3]),
        tf.broadcast_to(lengths, [batch, 3]),
        grid_shape,
        data_format,
        periodic,
    )
    return tf.cast(grid, dtype)


@tf.RegisterGradient("PgTf>Voxelize")
def _gradient(op: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    _, channels, weights, sigma, *_ = op.inputs
    # In eager mode TensorFlow tells which inputs nobody asks for. In a graph it does not, and the sums for sigma come
    # along at little cost.
    skipped = getattr(op, "skip_input_indices", None) or ()
    need_sigma = any(i not in skipped for i in (3, 5, 6))
    to_coords, to_weights, to_log_sigma = _ops.pg_tf_voxelize_grad(
        *op.inputs,
        upstream,
        data_format=op.get_attr("data_format"),
        periodic=op.get_attr("periodic"),
        with_sigma=need_sigma,
    )
    if weights.shape.rank == 0:
        to_weights = tf.reduce_sum(to_weights)
    to_sigma = to_origin = to_lengths = None
    if need_sigma:
        to_sigma = tf.reduce_sum(to_log_sigma, axis=1)
        # The sigma of padding may be anything.
        to_sigma = (
            tf.reduce_sum(to_sigma) / sigma if sigma.shape.rank == 0 else to_sigma / tf.where(channels >= 0, sigma, 1)
        )
        to_origin, to_lengths = _box_gradient(op, to_coords, to_log_sigma)
    return [to_coords, None, to_weights, to_sigma, None, to_origin, to_lengths]


def _box_gradient(op: tf.Operation, to_coords: tf.Tensor, to_log_sigma: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The derivatives to origin and lengths of the box, from those to the atoms.

    On each axis P depends on mu - origin, length and sigma only through their ratios. Euler's theorem for homogeneous
    functions then gives the derivative to the length from those to mu and sigma.
    """
    coords, channels, _, _, row_splits, origin, lengths = op.inputs
    layout = AtomLayout.of_splits(row_splits)
    relative = tf.where((channels >= 0)[:, tf.newaxis], coords - layout.per_atom(origin), 0)
    to_origin = -layout.total(to_coords)
    to_lengths = -layout.total(relative * to_coords + tf.cast(to_log_sigma, coords.dtype)) / lengths
    return summed_like(to_origin, origin), summed_like(to_lengths, lengths)


@tf.RegisterGradient("PgTf>VoxelizeGrad")
def _second_gradient(op: tf.Operation, *to_outputs: tf.Tensor) -> list[tf.Tensor | None]:
    """The derivative of the gradient, through the dense form."""
    coords, channels, weights, sigma, row_splits, origin, lengths, upstream = op.inputs
    layout = AtomLayout.of_splits(row_splits)

    def first_gradient() -> list[tf.Tensor]:
        weight, width = _second_order.for_each_atom(weights, channels), _second_order.sigma_of_atoms(sigma, channels)
        log_scale = tf.zeros_like(coords, dtype=weights.dtype)
        with tf.GradientTape() as tape:
            tape.watch([coords, weight, log_scale])
            atoms = FlatAtoms(coords, channels, weight, width[:, tf.newaxis] * tf.exp(log_scale), layout)
            grid = by_dense(atoms, origin, lengths, **_second_order.grid_of(op), dtype=weights.dtype)
            value = tf.reduce_sum(grid * tf.cast(upstream, weights.dtype))
        return tape.gradient(value, [coords, weight, log_scale][: 3 if op.get_attr("with_sigma") else 2])

    inputs = [coords, weights, sigma, origin, lengths, upstream]
    to_coords, to_weights, to_sigma, *to_rest = _second_order.derivative(first_gradient, inputs, to_outputs)
    return [to_coords, None, to_weights, to_sigma, None, *to_rest]
