"""PgTf>VoxelizeCell: grids along lattice vectors."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pg_tf import _library, cells
from pg_tf._atoms import AtomLayout, FlatAtoms, summed_like
from pg_tf._ops import _second_order
from pg_tf.dense import boxes as dense_boxes
from pg_tf.dense import cells as dense_cells

_ops = _library.load()

# Rows and columns of the six components of a symmetric tensor: xx, yy, zz, yz, xz, xy.
_FULL = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]


def by_op(atoms: FlatAtoms, cell: tf.Tensor, **attributes: Any) -> tf.Tensor:
    """Grids `[B, C, nx, ny, nz]` or `[B, nx, ny, nz, C]`.

    Args:
      atoms: of all structures.
      cell: `[1 or B, 3, 3]`, float64, rows are lattice vectors, Å.
      **attributes: of PgTf>VoxelizeCell: num_channels, grid_shape, data_format, periodic, dtype.
    """
    return _ops.pg_tf_voxelize_cell(
        atoms.coords, atoms.channels, atoms.weights, atoms.sigma, atoms.layout.row_splits, cell, **attributes
    )


def by_dense(
    atoms: FlatAtoms,
    cell: tf.Tensor,
    *,
    num_channels: int,
    grid_shape: tuple[int, int, int],
    data_format: str,
    periodic: Sequence[bool],
    dtype: tf.DType,
    strain: tf.Tensor | None = None,
    orders: Sequence[int] | None = None,
) -> tf.Tensor:
    """The same without the op. `strain` `[N, 6]` and `orders` are those of `dense_cells.voxelize`."""
    coords, features, sigma = dense_boxes.sound_atoms(atoms, num_channels)
    # The narrowest and the widest sigma decide how many waves are summed. So padding gets the widest sigma of an atom.
    present = atoms.channels >= 0
    widest = tf.reduce_max(tf.where(present, sigma, tf.zeros_like(sigma)))
    sigma = tf.where(present, sigma, tf.where(widest > 0, tf.stop_gradient(widest), tf.ones_like(widest)))
    padded = atoms.layout.padded(coords)
    grid = dense_cells.voxelize(
        padded,
        atoms.layout.padded(features),
        atoms.layout.padded(sigma, 1.0),
        tf.broadcast_to(cell, [tf.shape(padded)[0], 3, 3]),
        grid_shape,
        data_format,
        periodic,
        None if strain is None else atoms.layout.padded(strain),
        orders,
    )
    return tf.cast(grid, dtype)


@tf.RegisterGradient("PgTf>VoxelizeCell")
def _gradient(op: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    weights = op.inputs[2]
    upstream = tf.cast(upstream, weights.dtype)
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
    if weights.shape.rank == 0:
        to_weights = tf.reduce_sum(to_weights)
    to_sigma = to_cell = None
    if need_virial:
        if not tf.executing_eagerly():
            virial = gradient(with_virial=True).virial
        to_sigma, to_cell = _from_virial(op, to_coords, virial)
    return [to_coords, None, to_weights, to_sigma, None, to_cell]


def _from_virial(op: tf.Operation, to_coords: tf.Tensor, virial: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The derivatives to sigma and, at fixed Cartesian coordinates, to the cell.

    A change dM of the lattice M strains it by M^-1 dM. The virial is the derivative to a strain of lattice and atoms
    together; atoms at r that keep their place are moved back by r M^-1 dM. So the derivative to M is the sum over the
    atoms of M^-T (virial - r f), where f is the derivative to r. The grid does not change if lattice, atoms and sigma
    grow together: so the derivative to the logarithm of sigma is minus the trace of the virial.
    """
    coords, channels, _, sigma, row_splits, cell = op.inputs
    present = channels >= 0
    to_log_sigma = -tf.reduce_sum(virial[:, :3], axis=1)
    if sigma.shape.rank == 0:
        to_sigma = tf.reduce_sum(to_log_sigma) / sigma
    else:
        to_sigma = to_log_sigma / tf.where(present, sigma, 1)
    position = tf.where(present[:, tf.newaxis], coords, 0)
    strained = tf.cast(tf.gather(virial, _FULL, axis=1), coords.dtype)
    at_fixed_coords = strained - position[:, :, tf.newaxis] * to_coords[:, tf.newaxis]
    of_molecule = AtomLayout.of_splits(row_splits).total(at_fixed_coords)
    return to_sigma, summed_like(tf.linalg.matmul(cells.inverse(cell), of_molecule, transpose_a=True), cell)


@tf.RegisterGradient("PgTf>VoxelizeCellGrad")
def _second_gradient(op: tf.Operation, *to_outputs: tf.Tensor) -> list[tf.Tensor | None]:
    """The derivative of the gradient, through the dense form."""
    coords, channels, weights, sigma, row_splits, cell, upstream = op.inputs
    layout = AtomLayout.of_splits(row_splits)

    def first_gradient() -> list[tf.Tensor]:
        weight, width = _second_order.for_each_atom(weights, channels), _second_order.sigma_of_atoms(sigma, channels)
        strain = tf.zeros([tf.shape(channels)[0], 6], weights.dtype)
        with tf.GradientTape() as tape:
            tape.watch([coords, weight, strain])
            atoms = FlatAtoms(coords, channels, weight, width, layout)
            grid = by_dense(atoms, cell, **_second_order.grid_of(op), dtype=weights.dtype, strain=strain)
            value = tf.reduce_sum(grid * upstream)
        return tape.gradient(value, [coords, weight, strain][: 3 if op.get_attr("with_virial") else 2])

    inputs = [coords, weights, sigma, cell, upstream]
    to_coords, to_weights, to_sigma, *to_rest = _second_order.derivative(first_gradient, inputs, to_outputs)
    return [to_coords, None, to_weights, to_sigma, None, *to_rest]
