"""Lattices: which vectors repeat, coordinates in units of them, and the images of atoms that a window sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pg_tf._atoms import AtomLayout, as_tensor, describe, flat_atoms
from pg_tf.boxes import Box, rotate

# The volume of a cell over the product of its edges: below this its vectors lie in one plane but for rounding.
LEAST_SPREAD = 1e-3

# Images of all atoms of a batch in a window: two gigabytes.
_MOST_IMAGES = 10**7


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
    return layout.unflatten(_times(flat, layout.per_atom(inverse(lattice))))


def to_cartesian(fractional: Any, cell: Any) -> Any:
    """The inverse of `to_fractional`. With it under a `tf.GradientTape` the derivative to the cell is that at fixed
    fractional coordinates."""
    layout, flat = flat_atoms("fractional", fractional, 3)
    return layout.unflatten(_times(flat, layout.per_atom(batched(cell, layout, flat.dtype))))


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
    repeats = check_periodic(periodic, default=True)
    layout, flat = flat_atoms("coords", coords, 3)
    lattice = batched(cell, layout, flat.dtype)
    check_volume(lattice)
    cells = tf.floor(_times(flat, layout.per_atom(inverse(lattice)))) * tf.cast(repeats, flat.dtype)
    return layout.unflatten(flat - _times(cells, layout.per_atom(lattice)))


def check_periodic(periodic: Any, default: bool) -> tuple[bool, bool, bool]:
    """Three flags from a caller's `periodic`: None is `default`, one flag stands for three.

    Raises:
      ValueError: if it is neither a flag nor three.
    """
    if periodic is None:
        return default, default, default
    flags = np.asarray(periodic)
    if flags.dtype != bool or flags.shape not in ((), (3,)):
        raise ValueError(f"periodic must be a flag or three flags, got {periodic!r}")
    x, y, z = np.broadcast_to(flags, 3).tolist()
    return x, y, z


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


def spread(cell: tf.Tensor) -> tf.Tensor:
    """Volume over the product of the edges, `[...]` for cells `[..., 3, 3]`: 1 for right angles."""
    a, b, c = tf.unstack(cell, axis=-2)
    volume = tf.abs(tf.reduce_sum(a * tf.linalg.cross(b, c), axis=-1))
    return volume / tf.reduce_prod(tf.norm(cell, axis=-1), axis=-1)


def check_volume(cell: tf.Tensor) -> None:
    """Raises `tf.errors.InvalidArgumentError` unless all cells `[B, 3, 3]` are finite and have a volume."""
    values = spread(cell)
    valid = values >= tf.constant(LEAST_SPREAD, values.dtype)
    first = tf.argmin(tf.cast(valid, tf.int32), output_type=tf.int32)
    rule = f"cell: must be finite, and its volume at least {LEAST_SPREAD} of the product of its edges; molecule"
    if not tf.executing_eagerly():
        data = [rule, first, "has", values[first], "and the cell", cell[first]]
        tf.debugging.Assert(tf.reduce_all(valid), data, summarize=9)
    elif not tf.reduce_all(valid):
        of_first = f"{rule} {first} has {values[first]:.3g} and the cell {cell[first].numpy().tolist()}"
        raise tf.errors.InvalidArgumentError(None, None, of_first)


def widest(cell: tf.Tensor, reach: float) -> tf.Tensor:
    """The sigma from which on a structure that repeats along all vectors is even, Å, `[B]` for cells `[B, 3, 3]`.

    Its Fourier components fall off as exp(-sigma^2 K^2 / 2), below what counts at sigma K = reach, and no K is shorter
    than 2 pi over the norm of the cell.
    """
    return reach * tf.norm(cell, axis=(-2, -1)) / (2 * math.pi)


def window_images(
    coords: tf.Tensor,
    channels: tf.Tensor,
    sigma: tf.Tensor,
    layout: AtomLayout,
    cell: tf.Tensor,
    periodic: Sequence[bool],
    box: Box,
    reach: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """All images of periodic atoms that reach into an orthogonal window.

    An image of an atom at r stands at r + n @ cell for whole numbers n. The window and what is within reach of it lie
    between two planes of each family of lattice planes, which bounds n for each atom by itself; the few of those images
    that are beyond a face of the window are left out.

    Args:
      coords: `[N, 3]`, Å.
      channels: `[N]`; negative for padding, which has no images.
      sigma: `[N]`, Å.
      layout: of the atoms.
      cell: `[1 or B, 3, 3]`.
      periodic: the lattice vectors along which the structure repeats.
      box: `[1 or B, ...]`, the window.
      reach: how far an atom reaches, in sigma.

    Returns:
      Coordinates `[M, 3]` (differentiable with respect to `coords` and `cell`), the index `[M]` of the atom behind each
      image, ascending, and the row splits `[B + 1]` of the images.

    Raises:
      tf.errors.InvalidArgumentError: if a cell has no volume or there are more images than memory.
    """
    check_volume(cell)
    atoms = tf.shape(coords, tf.int64)[0]
    lattice, to_units = layout.per_atom(cell), layout.per_atom(inverse(cell))
    axes = tf.eye(3, batch_shape=[1], dtype=coords.dtype) if box.rotation is None else box.rotation
    axes, lengths, origin = layout.per_atom(axes), layout.per_atom(box.lengths), layout.per_atom(box.origin)
    margin = reach * sigma
    # What the op will refuse must get there, each atom once.
    present = channels >= 0
    finite = tf.reduce_all(tf.math.is_finite(coords), axis=1) & tf.math.is_finite(sigma) & (sigma > 0)
    sound = tf.reduce_all(finite | ~present) & tf.reduce_all(tf.math.is_finite(lengths) & tf.math.is_finite(origin))

    centre = origin + rotate(axes, lengths / 2, transpose=True)
    half = tf.reduce_sum(tf.abs(tf.linalg.matmul(axes * lengths[..., tf.newaxis] / 2, to_units)), axis=1)
    half += margin[:, tf.newaxis] * tf.norm(to_units, axis=1)
    away = _times(centre - coords, to_units)
    repeats = tf.constant(periodic)
    first = tf.where(repeats, tf.math.ceil(away - half), tf.zeros_like(away))
    counts = tf.where(repeats, tf.maximum(tf.floor(away + half) - first + 1, 0), tf.ones_like(away))
    totals = tf.where(present, tf.reduce_prod(tf.cast(counts, tf.float64), axis=1), 0)
    totals = tf.where(sound, totals, tf.ones_like(totals))
    tf.debugging.assert_less_equal(
        tf.reduce_sum(totals),
        tf.constant(float(_MOST_IMAGES), tf.float64),
        "box: the window holds more images of the atoms than memory does",
    )
    first = tf.stop_gradient(tf.where(sound, first, tf.zeros_like(first)))
    counts = tf.stop_gradient(tf.cast(tf.where(sound, counts, tf.ones_like(counts)), tf.int64))
    totals = tf.cast(totals, tf.int64)

    atom = tf.repeat(tf.range(atoms), totals)
    number = tf.range(tf.reduce_sum(totals)) - tf.gather(tf.cumsum(totals, exclusive=True), atom)
    _, count_y, count_z = tf.unstack(tf.gather(counts, atom), axis=1)
    steps = tf.stack([number // (count_z * count_y), number // count_z % count_y, number % count_z], axis=1)
    shift = _times(tf.gather(first, atom) + tf.cast(steps, coords.dtype), tf.gather(lattice, atom))
    images = rows(coords, atom) + tf.where(sound, shift, tf.zeros_like(shift))

    inside = rotate(tf.gather(axes, atom), images - tf.gather(origin, atom))
    beyond = tf.maximum(-inside, inside - tf.gather(lengths, atom))
    kept = tf.reduce_all(beyond <= tf.gather(margin, atom)[:, tf.newaxis], axis=1) | ~sound
    images, atom = tf.boolean_mask(images, kept), tf.boolean_mask(atom, kept)
    return images, atom, tf.searchsorted(atom, layout.row_splits, out_type=tf.int64)


def rows(values: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """`values[indices]`. Along an axis that is not the first, the gradient is a tensor and not `tf.IndexedSlices`."""
    return tf.gather(values[tf.newaxis], indices, axis=1)[0]


def _times(vectors: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """`vectors[n] @ matrices[n]`."""
    return tf.linalg.matvec(matrices, vectors, transpose_a=True)
