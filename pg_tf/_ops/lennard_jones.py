"""PgTf>LennardJones: energy grids."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from pg_tf import _library
from pg_tf._atoms import AtomLayout, summed_like
from pg_tf.dense import energies as dense_energies
from pg_tf.dense.energies import Structures

_ops = _library.load()


def by_op(
    structures: Structures,
    layout: AtomLayout,
    cutoff: tf.Tensor,
    max_energy: tf.Tensor,
    *,
    dtype: tf.DType,
    with_gradient: bool,
    **attributes: Any,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Clamped energies `[B, nx, ny, nz]` and, if wanted, gradients to the probe.

    Args:
      structures: their atoms flat, `[N, ...]`; origin, edges and cell may also be one for all, `[1, ...]`.
      layout: of the atoms.
      cutoff: scalar, Å.
      max_energy: scalar, K.
      dtype: of the results.
      with_gradient: whether gradients are wanted.
      **attributes: of PgTf>LennardJones: grid_shape, periodic, shift.
    """
    *atoms, origin, edges, cell = structures
    options = {"T": dtype, "with_gradient": with_gradient, **attributes}
    energy, slope = _ops.pg_tf_lennard_jones(
        *atoms, layout.row_splits, origin, edges, cell, cutoff, max_energy, **options
    )

    def dense_slope(*inputs: tf.Tensor) -> tf.Tensor:
        same = Structures(*inputs)
        return by_dense(same, layout, cutoff, max_energy, dtype=dtype, with_gradient=True, **attributes)[1]

    if not with_gradient:
        return energy, slope
    # The registered gradient of the op is that of the energy alone. For an output that nobody used, TensorFlow passes
    # zeros to a registered gradient, which would then compute the costly second derivatives in vain. So those of the
    # slope are attached here.
    return energy, _with_derivatives_of(dense_slope, [slope], structures)[0]


def by_dense(
    structures: Structures,
    layout: AtomLayout,
    cutoff: tf.Tensor,
    max_energy: tf.Tensor,
    *,
    dtype: tf.DType,
    with_gradient: bool,
    **attributes: Any,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """The same, NaN for structures that the op refuses."""
    coords, sigma, epsilon = (layout.padded(values) for values in structures[:3])
    batch = tf.shape(coords)[0]
    origin = tf.broadcast_to(structures.origin, [batch, 3])
    edges, cell = (tf.broadcast_to(vectors, [batch, 3, 3]) for vectors in structures[4:])
    padded = Structures(coords, sigma, epsilon, origin, edges, cell)
    energy, slope = dense_energies.lennard_jones(padded, cutoff, with_gradient=with_gradient, **attributes)
    energy, inside = dense_energies.clamped(energy, max_energy)
    if slope is not None:
        slope = tf.cast(tf.where(inside[..., tf.newaxis] | tf.math.is_nan(slope), slope, 0), dtype)
    return tf.cast(energy, dtype), slope


def _with_derivatives_of(
    function: Callable[..., Any], values: Sequence[tf.Tensor], inputs: Sequence[tf.Tensor]
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
    attributes = {"periodic": tuple(op.get_attr("periodic")), "shift": op.get_attr("shift")}
    inside = tf.abs(op.outputs[0]) < tf.cast(max_energy, upstream.dtype)
    upstream = tf.where(inside, upstream, 0)
    to_coords, to_sigma, to_epsilon, edges_parts, cell_parts = _ops.pg_tf_lennard_jones_grad(
        coords, sigma, epsilon, row_splits, origin, edges, cell, cutoff, upstream, **attributes
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

    attributes["grid_shape"] = tuple(op.get_attr("grid_shape"))

    def dense_gradient(*inputs: tf.Tensor) -> list[tf.Tensor]:
        *values, upstream = inputs

        def dense_energy(*inputs: tf.Tensor) -> tf.Tensor:
            options = {"dtype": upstream.dtype, "with_gradient": False, **attributes}
            return by_dense(Structures(*inputs), layout, cutoff, max_energy, **options)[0]

        return dense_energies.pulled_back(dense_energy, values, [upstream])

    to_inputs = _with_derivatives_of(dense_gradient, first, [coords, sigma, epsilon, origin, edges, cell, upstream])
    return [*to_inputs[:3], None, *to_inputs[3:], None, None]


@tf.RegisterGradient("PgTf>LennardJonesGrad")
def _no_second_gradient(op: tf.Operation, *_: tf.Tensor) -> Any:
    raise NotImplementedError("PgTf>LennardJonesGrad: take second derivatives of PgTf>LennardJones instead")
