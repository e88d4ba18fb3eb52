"""Grids along lattice vectors: the compiled op and its gradients, and the dense form, on flat atoms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pg_tf import _library, cells
from pg_tf._atoms import AtomLayout
from pg_tf.dense import boxes as dense_boxes
from pg_tf.dense import cells as dense_cells

_ops = _library.load()

# Rows and columns of the six components of a symmetric tensor: xx, yy, zz, yz, xz, xy.
_FULL = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]


def by_op(
    coords: tf.Tensor,
    channels: tf.Tensor,
    weights: tf.Tensor,
    sigma: tf.Tensor,
    layout: AtomLayout,
    cell: tf.Tensor,
    **attributes: Any,
) -> tf.Tensor:
    """`[B, C, nx, ny, nz]` or `[B, nx, ny, nz, C]`; `attributes` are those of PgTf>VoxelizeCell."""
    return _ops.pg_tf_voxelize_cell(coords, channels, weights, sigma, layout.row_splits, cell, **attributes)


def by_dense(
    coords: tf.Tensor,
    channels: tf.Tensor,
    weights: tf.Tensor,
    sigma: tf.Tensor,
    layout: AtomLayout,
    cell: tf.Tensor,
    num_channels: int,
    grid_shape: tuple[int, int, int],
    data_format: str,
    periodic: Sequence[bool],
    strain: tf.Tensor | None = None,
    orders: Sequence[int] | None = None,
) -> tf.Tensor:
    """The same, of the dtype of `coords`. `strain` `[N, 6]` and `orders` are those of `dense_cells.voxelize`."""
    coords, features, sigma = dense_boxes.sound_atoms(coords, channels, weights, sigma, num_channels)
    # The sums are made for the narrowest and the widest atom, and padding is neither.
    present = channels >= 0
    widest = tf.reduce_max(tf.where(present, sigma, tf.zeros_like(sigma)))
    sigma = tf.where(present, sigma, tf.where(widest > 0, tf.stop_gradient(widest), tf.ones_like(widest)))
    padded = layout.padded(coords)
    return dense_cells.voxelize(
        padded,
        layout.padded(features),
        layout.padded(sigma, 1.0),
        tf.broadcast_to(cell, [tf.shape(padded)[0], 3, 3]),
        grid_shape,
        data_format,
        periodic,
        None if strain is None else layout.padded(strain),
        orders,
    )


@tf.RegisterGradient("PgTf>VoxelizeCell")
def _gradient(op: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    coords, channels, weights, sigma, row_splits, cell = op.inputs
    upstream = tf.cast(upstream, coords.dtype)
    # In eager mode TensorFlow tells which inputs nobody asks for; in a graph, what nobody asks for is pruned.
    skipped = getattr(op, "skip_input_indices", None) or ()

    def gradient(with_virial: bool) -> Any:
        return _ops.pg_tf_voxelize_cell_grad(
            *op.inputs,
            upstream,
            data_format=op.get_attr("data_format"),
            periodic=op.get_attr("periodic"),
            with_virial=with_virial,
        )

    need_virial = any(i not in skipped for i in (3, 5))
    to_coords, to_weights, virial = gradient(with_virial=need_virial and tf.executing_eagerly())
    to_sigma = to_cell = None
    if need_virial:
        if not tf.executing_eagerly():
            virial = gradient(with_virial=True).virial
        to_sigma, to_cell = _from_virial(coords, channels, sigma, row_splits, cell, to_coords, virial)
    return [
        to_coords,
        None,
        tf.reduce_sum(to_weights) if weights.shape.rank == 0 else to_weights,
        to_sigma,
        None,
        to_cell,
    ]


def _from_virial(
    coords: tf.Tensor,
    channels: tf.Tensor,
    sigma: tf.Tensor,
    row_splits: tf.Tensor,
    cell: tf.Tensor,
    to_coords: tf.Tensor,
    virial: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The derivatives to sigma and, at fixed Cartesian coordinates, to the cell.

    A change dM of the lattice M strains it by M^-1 dM. The virial is the derivative to a strain of lattice and atoms;
    atoms at r that keep their place are moved back by r M^-1 dM. So the derivative is M^-T sum (virial - r f) over the
    atoms, f the derivative to r. Nothing changes if lattice, atoms and sigma grow together: the derivative to the
    logarithm of sigma is minus the trace of the virial.
    """
    present = channels >= 0
    to_log_sigma = -tf.reduce_sum(virial[:, :3], axis=1)
    if sigma.shape.rank == 0:
        to_sigma = tf.reduce_sum(to_log_sigma) / sigma
    else:
        to_sigma = to_log_sigma / tf.where(present, sigma, 1)
    position = tf.where(present[:, tf.newaxis], coords, 0)
    batch_size = tf.shape(row_splits)[0] - 1
    molecule = tf.repeat(tf.range(batch_size), row_splits[1:] - row_splits[:-1])
    at_fixed_coords = tf.gather(virial, _FULL, axis=1) - position[:, :, tf.newaxis] * to_coords[:, tf.newaxis]
    of_molecule = tf.math.unsorted_segment_sum(at_fixed_coords, molecule, batch_size)
    to_cell = tf.linalg.matmul(cells.inverse(cell), of_molecule, transpose_a=True)
    one_for_all = tf.shape(cell)[0] != tf.shape(to_cell)[0]
    return to_sigma, tf.cond(one_for_all, lambda: tf.reduce_sum(to_cell, axis=0, keepdims=True), lambda: to_cell)


@tf.RegisterGradient("PgTf>VoxelizeCellGrad")
def _second_gradient(op: tf.Operation, *to_outputs: tf.Tensor) -> list[tf.Tensor | None]:
    """The derivative of the gradient, through the dense form."""
    coords, channels, weights, sigma, row_splits, cell, upstream = op.inputs
    layout = AtomLayout("ragged", row_splits, None, None)
    data_format, with_virial = op.get_attr("data_format").decode(), op.get_attr("with_virial")
    x, y, z = upstream.shape[2:] if data_format == "channels_first" else upstream.shape[1:4]
    num_channels = upstream.shape[1 if data_format == "channels_first" else 4]
    inputs = [coords, weights, sigma, cell, upstream]
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        weight = tf.fill(tf.shape(channels), weights) if weights.shape.rank == 0 else weights
        width = tf.fill(tf.shape(channels), sigma) if sigma.shape.rank == 0 else tf.where(channels >= 0, sigma, 1)
        strain = tf.zeros([tf.shape(channels)[0], 6], coords.dtype)
        with tf.GradientTape() as inner:
            inner.watch([coords, weight, strain])
            grid = by_dense(
                coords,
                channels,
                weight,
                width,
                layout,
                cell,
                num_channels,
                (x, y, z),
                data_format,
                op.get_attr("periodic"),
                strain,
            )
            value = tf.reduce_sum(grid * upstream)
        first = inner.gradient(value, [coords, weight, strain] if with_virial else [coords, weight])
        first = [tf.convert_to_tensor(part) for part in first]  # padding rows makes tf.IndexedSlices of its gradient
    coords_2, weights_2, sigma_2, cell_2, upstream_2 = outer.gradient(first, inputs, list(to_outputs[: len(first)]))
    return [coords_2, None, weights_2, sigma_2, None, cell_2, upstream_2]


def static_orders(
    cell: Any, sigma: Any, grid_shape: tuple[int, int, int], periodic: Sequence[bool], dtype: tf.DType
) -> list[int]:
    """The Fourier orders for a program whose shapes are fixed before its values are known: from a caller's cell and
    sigma where they are constants."""

    def constant(value: Any) -> np.ndarray | None:
        return tf.get_static_value(value) if tf.is_tensor(value) else np.asarray(value)

    return dense_cells.static_orders(constant(cell), constant(sigma), grid_shape, periodic, dtype)
