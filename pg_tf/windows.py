"""Windows: orthogonal boxes that look into a crystal, and the images of its atoms that they see."""

import dataclasses
import math
from collections.abc import Sequence

import tensorflow as tf

from pg_tf import cells
from pg_tf._atoms import AtomLayout, FlatAtoms
from pg_tf.boxes import Box, rotate

# Images of all atoms of a batch in a window: two gigabytes.
_MOST_IMAGES = 10**7


def seen_through(box: Box, atoms: FlatAtoms, cell: tf.Tensor, periodic: Sequence[bool], reach: float) -> FlatAtoms:
    """The atoms of a crystal that a window sees, every image as an atom of its own.

    An image of an atom at r stands at r + n @ cell for whole numbers n. The window and what is within reach of it lie
    between two planes of each family of lattice planes, which bounds n for each atom by itself. The few of those images
    that are beyond a face of the window are left out.

    Args:
      box: `[1 or B, ...]`, the window.
      atoms: of the cell. Padding has no images.
      cell: `[1 or B, 3, 3]`.
      periodic: the lattice vectors along which the structure repeats.
      reach: how far an atom reaches, in sigma.

    Returns:
      The images, in the order of their atoms. Differentiable with respect to the atoms and `cell`.

    Raises:
      tf.errors.InvalidArgumentError: if a cell has no volume or there are more images than memory.
    """
    layout, sigma = atoms.layout, atoms.sigma
    if sigma.shape.rank == 0:
        sigma = tf.fill(tf.shape(atoms.channels), sigma)
    if all(periodic):  # from this width on the grid is even; wider atoms would only need more images for the same grid
        even = tf.minimum(sigma, tf.cast(layout.per_atom(_widest(cell, reach)), sigma.dtype))
        sigma = tf.where(tf.math.is_finite(sigma), even, sigma)
    coords, image_of, row_splits = _images(dataclasses.replace(atoms, sigma=sigma), cell, periodic, box, reach)
    return FlatAtoms(
        coords,
        tf.gather(atoms.channels, image_of),
        atoms.weights if atoms.weights.shape.rank == 0 else _rows(atoms.weights, image_of),
        _rows(sigma, image_of),
        AtomLayout("ragged", row_splits, None, layout.batch_size),
    )


def _widest(cell: tf.Tensor, reach: float) -> tf.Tensor:
    """The sigma from which on a structure that repeats along all vectors is even, Å, `[B]` for cells `[B, 3, 3]`.

    Its Fourier components fall off as exp(-sigma^2 K^2 / 2), below what counts at sigma K = reach, and no K is shorter
    than 2 pi over the norm of the cell.
    """
    return reach * tf.norm(cell, axis=(-2, -1)) / (2 * math.pi)


def _images(
    atoms: FlatAtoms, cell: tf.Tensor, periodic: Sequence[bool], box: Box, reach: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Coordinates `[M, 3]` of the images, the index `[M]` of the atom behind each, ascending, and their row splits
    `[B + 1]`."""
    cells.check_volume(cell)
    coords, sigma, layout = atoms.coords, atoms.sigma, atoms.layout
    lattice, to_units = layout.per_atom(cell), layout.per_atom(cells.inverse(cell))
    axes = tf.eye(3, batch_shape=[1], dtype=coords.dtype) if box.rotation is None else box.rotation
    axes, lengths, origin = layout.per_atom(axes), layout.per_atom(box.lengths), layout.per_atom(box.origin)
    margin = reach * tf.cast(sigma, coords.dtype)
    # If the op would refuse a value, every atom is handed on once and where it is, so that the op finds and names it.
    present = atoms.channels >= 0
    finite = tf.reduce_all(tf.math.is_finite(coords), axis=1) & tf.math.is_finite(sigma) & (sigma > 0)
    sound = tf.reduce_all(finite | ~present) & tf.reduce_all(tf.math.is_finite(lengths) & tf.math.is_finite(origin))

    centre = origin + rotate(axes, lengths / 2, transpose=True)
    half = tf.reduce_sum(tf.abs(tf.linalg.matmul(axes * lengths[..., tf.newaxis] / 2, to_units)), axis=1)
    half += margin[:, tf.newaxis] * tf.norm(to_units, axis=1)
    away = cells.rowwise_matmul(centre - coords, to_units)
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

    atom = tf.repeat(tf.range(tf.shape(coords, tf.int64)[0]), totals)
    number = tf.range(tf.reduce_sum(totals)) - tf.gather(tf.cumsum(totals, exclusive=True), atom)
    _, count_y, count_z = tf.unstack(tf.gather(counts, atom), axis=1)
    steps = tf.stack([number // (count_z * count_y), number // count_z % count_y, number % count_z], axis=1)
    shift = cells.rowwise_matmul(tf.gather(first, atom) + tf.cast(steps, coords.dtype), tf.gather(lattice, atom))
    images = _rows(coords, atom) + tf.where(sound, shift, tf.zeros_like(shift))

    inside = rotate(tf.gather(axes, atom), images - tf.gather(origin, atom))
    beyond = tf.maximum(-inside, inside - tf.gather(lengths, atom))
    kept = tf.reduce_all(beyond <= tf.gather(margin, atom)[:, tf.newaxis], axis=1) | ~sound
    images, atom = tf.boolean_mask(images, kept), tf.boolean_mask(atom, kept)
    return images, atom, tf.searchsorted(atom, layout.row_splits, out_type=tf.int64)


def _rows(values: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """`values[indices]`. Along an axis that is not the first, the gradient is a tensor and not `tf.IndexedSlices`."""
    return tf.gather(values[tf.newaxis], indices, axis=1)[0]
