"""Molecules along their principal axes: one orientation for all, so that a network need not learn every one."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pg_tf._atoms import flat_atoms
from pg_tf._autograph import plain


def align(points: Any, seed: Any = None) -> Any:
    """Turns each molecule about the centroid of its atoms, which goes to the origin, until its principal axes are x, y
    and z.

    The principal axes are those of the atoms' second moments, in the order of the largest spread. They have no sides:
    without a seed the third moment along each of them is positive (where it is not zero by symmetry), with one the
    sides are random, the molecule never becomes its mirror image, and the orientation of the input leaves no trace in
    the distribution of the output.

    Args:
      points: one molecule `[A, 4]`, a padded batch `[B, A, 4]` or a ragged batch `[B, (A), 4]`; columns channel, x, y,
        z in Å. Atoms with a negative channel are padding.
      seed: two integers, as for `tf.random.stateless_uniform`, or None.

    Returns:
      Points of the same layout and dtype.

    Raises:
      ValueError: if the shape of `points` does not fit.
    """
    layout, flat = flat_atoms("points", points, 4)
    dtype = flat.dtype
    present = tf.cast(flat[:, :1] >= 0, dtype)
    count = layout.total(present)
    centroid = tf.math.divide_no_nan(layout.total(tf.math.multiply_no_nan(flat[:, 1:], present)), count)
    coords = tf.math.multiply_no_nan(flat[:, 1:] - layout.per_atom(centroid), present)
    moments = layout.total(tf.reshape(coords[:, :, tf.newaxis] * coords[:, tf.newaxis, :], [-1, 9]))
    _, vectors = tf.linalg.eigh(tf.reshape(moments, [-1, 3, 3]))
    axes = tf.transpose(vectors, [0, 2, 1])[:, ::-1]  # rows; the largest spread first
    if seed is None:
        third = layout.total(tf.linalg.matvec(layout.per_atom(axes), coords) ** 3)
        signs = tf.where(third < 0, -tf.ones_like(third), tf.ones_like(third))
    else:
        signs = tf.cast(2 * tf.random.stateless_uniform(tf.shape(centroid), seed, 0, 2, tf.int32) - 1, dtype)
    handedness = tf.sign(tf.linalg.det(axes)) * tf.reduce_prod(signs, axis=1)
    signs = tf.concat([signs[:, :2], signs[:, 2:] * handedness[:, tf.newaxis]], axis=1)
    coords = tf.linalg.matvec(layout.per_atom(axes * signs[:, :, tf.newaxis]), coords)
    return layout.unflatten(tf.concat([flat[:, :1], coords], axis=1))


def align_dataset(seed: int = 0, *, start: int = 0) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """A step for `dataset.apply` that turns every molecule onto its principal axes, with new random sides each time.

    Args:
      seed: of the whole sequence.
      start: number of the dataset's first element in an endless stream.

    Returns:
      A function from a dataset to a dataset, whose elements are points, or tuples that begin with points.
    """

    def apply(dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset.enumerate(start).map(aligned, num_parallel_calls=tf.data.AUTOTUNE)

    @plain
    def aligned(number: tf.Tensor, element: Any) -> Any:
        element_seed = tf.stack([tf.constant(seed, tf.int64), number])
        if isinstance(element, tuple):
            return (align(element[0], element_seed), *element[1:])
        return align(element, element_seed)

    return apply
