"""PgTf>LennardJones: energy grids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pg_tf import _library
from pg_tf._atoms import AtomLayout, summed_like
from pg_tf.dense import energies as dense_energies

_ops = _library.load()


def by_op(
    coords: tf.Tensor,
    sigma: tf.Tensor,
    epsilon: tf.Tensor,
    layout: AtomLayout,
    origin: tf.Tensor,
    edges: tf.Tensor,
    cell: tf.Tensor,
    cutoff: tf.Tensor,
    max_energy: tf.Tensor,
    *,
    dtype: tf.DType,
    grid_shape: tuple[int, int, int],
    periodic: tuple[bool, bool, bool],
    shift: bool,
    with_gradient: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Clamped energies `[B, nx, ny, nz]` and, if wanted, gradients to the probe; arguments as PgTf>LennardJones."""
    energy, slope = _ops.pg_tf_lennard_jones(
        coords,
        sigma,
        epsilon,
        layout.row_splits,
        origin,
        edges,
        cell,
        cutoff,
        max_energy,
        T=dtype,
        grid_shape=grid_shape,
        periodic=list(periodic),
        shift=shift,
        with_gradient=with_gradient,
    )

    def dense_slope(x: tf.Tensor, s: tf.Tensor, e: tf.Tensor, *geometry: tf.Tensor) -> tf.Tensor:
        at, vectors, lattice = geometry
        attributes = {"dtype": dtype, "grid_shape": grid_shape, "periodic": periodic, "shift": shift}
        return by_dense(x, s, e, layout, at, vectors, lattice, cutoff, max_energy, **attributes, with_gradient=True)[1]

    if not with_gradient:
        return energy, slope
    # The registered gradient of the op is that of the energy alone. For an output that nobody used, TensorFlow passes
    # zeros to a registered gradient, which would then compute the costly second derivatives in vain. So those of the
    # slope are attached here.
    slope = _with_derivatives_of(dense_slope, [slope], [coords, sigma, epsilon, origin, edges, cell])[0]
    return energy, slope


def by_dense(
    coords: tf.Tensor,
    sigma: tf.Tensor,
    epsilon: tf.Tensor,
    layout: AtomLayout,
    origin: tf.Tensor,
    edges: tf.Tensor,
    cell: tf.Tensor,
    cutoff: tf.Tensor,
    max_energy: tf.Tensor,
    *,
    dtype: tf.DType,
    grid_shape: tuple[int, int, int],
    periodic: tuple[bool, bool, bool],
    shift: bool,
    with_gradient: bool,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """The same, NaN for structures that the op refuses."""
    padded = layout.padded(coords)
    batch = tf.shape(padded)[0]
    energy, slope = dense_energies.lennard_jones(
        padded,
        layout.padded(sigma),
        layout.padded(epsilon),
        tf.broadcast_to(origin, [batch, 3]),
        tf.broadcast_to(edges, [batch, 3, 3]),
        tf.broadcast_to(cell, [batch, 3, 3]),
        cutoff,
        grid_shape,
        periodic,
        shift,
        with_gradient,
    )
    energy, inside = dense_energies.clamped(energy, max_energy)
    if slope is not None:
        slope = tf.cast(tf.where(inside[..., tf.newaxis] | tf.math.is_nan(slope), slope, 0), dtype)
    return tf.cast(energy, dtype), slope


def _with_derivatives_of(
    function: Callable[..., Any], values: list[tf.Tensor], inputs: list[tf.Tensor]
) -> list[tf.Tensor]:
    """`values`, which are what `function(*inputs)` returns, with the derivatives of that function."""

    @tf.custom_gradient
    def replaced(*inputs: tf.Tensor) -> Any:
        def gradient(*upstream: tf.Tensor) -> list[tf.Tensor]:
            return dense_energies.pulled_back(function, inputs, upstream)

        return [tf.identity(value) for value in values], gradient

    return tf.nest.flatten(replaced(*inputs))


@tf.RegisterGradient("PgTf>LennardJones")
def _gradient(op: tf.Operation, upstream: tf.Tensor, _: tf.Tensor) -> list[tf.Tensor | None]:
    coords, sigma, epsilon, row_splits, origin, edges, cell, cutoff, max_energy = op.inputs
    periodic, shift = tuple(op.get_attr("periodic")), op.get_attr("shift")
    grid_shape = tuple(op.get_attr("grid_shape"))
    inside = tf.abs(op.outputs[0]) < tf.cast(max_energy, upstream.dtype)
    upstream = tf.where(inside, upstream, 0)
    to_coords, to_sigma, to_epsilon, edges_parts, cell_parts = _ops.pg_tf_lennard_jones_grad(
        coords, sigma, epsilon, row_splits, origin, edges, cell, cutoff, upstream, periodic=periodic, shift=shift
    )
    layout = AtomLayout.of_splits(row_splits)

    first = [
        to_coords,
        to_sigma,
        to_epsilon,
        summed_like(layout.total(-to_coords), origin),
        summed_like(layout.total(edges_parts), edges),
        summed_like(layout.total(cell_parts), cell),
    ]

    def dense_gradient(*inputs: tf.Tensor) -> list[tf.Tensor]:
        upstream = inputs[-1]

        def dense_energy(x: tf.Tensor, s: tf.Tensor, e: tf.Tensor, *geometry: tf.Tensor) -> tf.Tensor:
            at, vectors, lattice = geometry
            attributes = {"dtype": upstream.dtype, "grid_shape": grid_shape, "periodic": periodic, "shift": shift}
            return by_dense(
                x, s, e, layout, at, vectors, lattice, cutoff, max_energy, **attributes, with_gradient=False
            )[0]

        return dense_energies.pulled_back(dense_energy, inputs[:-1], [upstream])

    to_inputs = _with_derivatives_of(dense_gradient, first, [coords, sigma, epsilon, origin, edges, cell, upstream])
    return [*to_inputs[:3], None, *to_inputs[3:], None, None]


@tf.RegisterGradient("PgTf>LennardJonesGrad")
def _no_second_gradient(op: tf.Operation, *_: tf.Tensor) -> Any:
    raise NotImplementedError("PgTf>LennardJonesGrad: take second derivatives of PgTf>LennardJones instead")
