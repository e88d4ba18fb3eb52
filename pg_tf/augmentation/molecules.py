"""Random rotations and translations of molecules, as a step of a tf.data pipeline."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pg_tf._atoms import flat_atoms
from pg_tf._autograph import plain


def random_motion(points: Any, seed: Any, *, rotation: bool = True, translation: float = 0.5) -> Any:
    """Moves each molecule as a rigid body, each in its own way.

    The rotation is uniform over all orientations and about the centroid of the atoms, the translation uniform in a
    cube.

    Args:
      points: one molecule `[A, 4]`, a padded batch `[B, A, 4]` or a ragged batch `[B, (A), 4]`; columns channel, x, y,
        z in Å. Atoms with a negative channel are padding.
      seed: two integers; the same seed gives the same motion (as for `tf.random.stateless_uniform`).
      rotation: whether to rotate.
      translation: the largest shift along each axis, Å.

    Returns:
      Points of the same layout and dtype.

    Raises:
      ValueError: if the shape of `points` does not fit, or the translation is negative.
    """
    if not translation >= 0:
        raise ValueError(f"translation must be at least 0 Å, got {translation}")
    layout, flat = flat_atoms("points", points, 4)
    dtype = flat.dtype
    coords = flat[:, 1:]
    batch_size = layout.num_molecules
    rotation_seed, translation_seed = tf.unstack(tf.random.split(seed, 2))
    if rotation:
        present = tf.cast(flat[:, :1] >= 0, dtype)
        total = layout.total(tf.math.multiply_no_nan(coords, present))
        centroid = layout.per_atom(tf.math.divide_no_nan(total, layout.total(present)))
        matrices = layout.per_atom(_random_rotations(batch_size, rotation_seed, dtype))
        coords = tf.linalg.matvec(matrices, coords - centroid) + centroid
    shift = tf.random.stateless_uniform([batch_size, 3], translation_seed, -translation, translation, dtype)
    coords += layout.per_atom(shift)
    return layout.unflatten(tf.concat([flat[:, :1], coords], axis=1))


def augment(
    seed: int = 0, *, rotation: bool = True, translation: float = 0.5, start: int | None = None
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """A step for `dataset.apply` that moves every molecule anew in every epoch.

    The motions of a batch follow from the seed and the number of the batch in the stream, whatever runs in parallel.

    Example:

        dataset.ragged_batch(256).apply(pg_tf.augment(seed=1)).map(to_grid, num_parallel_calls=tf.data.AUTOTUNE)

    Args:
      seed: of the whole sequence of motions.
      rotation: as in `random_motion`.
      translation: as in `random_motion`, Å.
      start: number of the dataset's first element in an endless stream: one that begins at `start` gets the motions
        that the whole stream has from there on. None is for finite datasets: every pass over them goes on where the
        one before ended, so that no epoch repeats the motions of another.

    Returns:
      A function from a dataset to a dataset. Elements are points, tuples that begin with points, or dicts with the key
      "points"; everything else in them is handed on.
    """

    def apply(dataset: tf.data.Dataset) -> tf.data.Dataset:
        if start is None:
            seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2, drop_remainder=True)
        else:
            seeds = tf.data.Dataset.range(start, tf.int64.max).map(lambda number: tf.stack([seed, number]))
        return tf.data.Dataset.zip(dataset, seeds).map(move, num_parallel_calls=tf.data.AUTOTUNE)

    @plain
    def move(element: Any, element_seed: tf.Tensor) -> Any:
        def moved(points: Any) -> Any:
            return random_motion(points, element_seed, rotation=rotation, translation=translation)

        if isinstance(element, dict):
            return {**element, "points": moved(element["points"])}
        if isinstance(element, tuple):
            return (moved(element[0]), *element[1:])
        return moved(element)

    return apply


def _random_rotations(count: tf.Tensor, seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Uniform rotation matrices `[count, 3, 3]`, from normal quaternions (Shoemake, Graphics Gems III, 1992)."""
    normal = tf.random.stateless_normal([count, 4], seed, dtype=dtype)
    w, x, y, z = tf.unstack(tf.math.l2_normalize(normal, axis=1), axis=1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)
