"""Lattice cells: fractional and Cartesian coordinates, wrapping, and what other modules share for cells."""

from typing import Any

import tensorflow as tf

from pg_tf._arguments import as_tensor, checked_periodic, describe
from pg_tf._atoms import AtomLayout, flat_atoms
from pg_tf._limits import LEAST_VOLUME


def to_fractional(coords: Any, cell: Any) -> Any:
    """Coordinates in units of the lattice vectors.

    Args:
      coords: `[A, 3]`, `[B, A, 3]` or ragged `[B, (A), 3]`, Cartesian, Å.
      cell: `[3, 3]` or `[B, 3, 3]`, rows are lattice vectors, Å.

    Returns:
      Tensor of the shape of `coords`; from 0 to 1 inside of the cell. Differentiable.

    Raises:
      ValueError: if a shape does not fit.
      tf.errors.InvalidArgumentError: if the vectors of a cell lie in one plane.
    """
    layout, flat = flat_atoms("coords", coords, 3)
    lattice = batched(cell, layout, flat.dtype)
    check_volume(lattice)
    return layout.unflatten(rowwise_matmul(flat, layout.per_atom(inverse(lattice))))


def to_cartesian(fractional: Any, cell: Any) -> Any:
    """The inverse of `to_fractional`. With it under a `tf.GradientTape` the derivative to the cell is that at fixed
    fractional coordinates."""
    layout, flat = flat_atoms("fractional", fractional, 3)
    return layout.unflatten(rowwise_matmul(flat, layout.per_atom(batched(cell, layout, flat.dtype))))


def wrap(coords: Any, cell: Any, periodic: Any = None) -> Any:
    """Moves atoms by whole lattice vectors into the cell.

    Args:
      coords: as in `to_fractional`.
      cell: as in `to_fractional`.
      periodic: the vectors to move along: a flag or three, None for all.

    Returns:
      Tensor of the shape of `coords`, Cartesian, Å. Differentiable.

    Raises:
      As `to_fractional`.
    """
    repeats = checked_periodic(periodic, default=True)
    layout, flat = flat_atoms("coords", coords, 3)
    lattice = batched(cell, layout, flat.dtype)
    check_volume(lattice)
    cells = tf.floor(rowwise_matmul(flat, layout.per_atom(inverse(lattice)))) * tf.cast(repeats, flat.dtype)
    return layout.unflatten(flat - rowwise_matmul(cells, layout.per_atom(lattice)))


def batched(cell: Any, layout: AtomLayout, dtype: tf.DType) -> tf.Tensor:
    """A caller's cell as `[1 or B, 3, 3]`.

    Raises:
      ValueError: if the shape does not fit.
    """
    cell = as_tensor("cell", cell, dtype)
    if cell.shape.rank not in (2, 3) or not cell.shape[-2:].is_compatible_with([3, 3]):
        raise ValueError(f"cell must have shape [3, 3] or [molecules, 3, 3], got {describe(cell)}")
    if cell.shape.rank == 3 and layout.batch_size is not None and cell.shape[0] not in (1, layout.batch_size, None):
        raise ValueError(
            f"cell must be one for all or one for each of the {layout.batch_size} molecules, got {describe(cell)}"
        )
    return tf.reshape(cell, [-1, 3, 3])


def inverse(cell: tf.Tensor) -> tf.Tensor:
    """Of cells `[..., 3, 3]`, by cross products; not finite where the vectors lie in one plane."""
    a, b, c = tf.unstack(cell, axis=-2)
    normals = tf.stack([tf.linalg.cross(b, c), tf.linalg.cross(c, a), tf.linalg.cross(a, b)], axis=-1)
    return normals / tf.reduce_sum(a * normals[..., 0], axis=-1)[..., tf.newaxis, tf.newaxis]


def volume_ratio(cell: tf.Tensor) -> tf.Tensor:
    """Volume over the product of the edges, `[...]` for cells `[..., 3, 3]`: 1 for right angles."""
    a, b, c = tf.unstack(cell, axis=-2)
    volume = tf.abs(tf.reduce_sum(a * tf.linalg.cross(b, c), axis=-1))
    return volume / tf.reduce_prod(tf.norm(cell, axis=-1), axis=-1)


def check_volume(cell: tf.Tensor) -> None:
    """Raises `tf.errors.InvalidArgumentError` unless all cells `[B, 3, 3]` are finite and have a volume."""
    values = volume_ratio(cell)
    valid = values >= tf.constant(LEAST_VOLUME, values.dtype)
    first = tf.argmin(tf.cast(valid, tf.int32), output_type=tf.int32)
    rule = f"cell: must be finite, and its volume at least {LEAST_VOLUME} of the product of its edges; molecule"
    if not tf.executing_eagerly():
        data = [rule, first, "has", values[first], "and the cell", cell[first]]
        tf.debugging.Assert(tf.reduce_all(valid), data, summarize=9)
    elif not tf.reduce_all(valid):
        of_first = f"{rule} {first} has {values[first]:.3g} and the cell {cell[first].numpy().tolist()}"
        raise tf.errors.InvalidArgumentError(None, None, of_first)


def rowwise_matmul(vectors: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """`vectors[n] @ matrices[n]`."""
    return tf.linalg.matvec(matrices, vectors, transpose_a=True)
