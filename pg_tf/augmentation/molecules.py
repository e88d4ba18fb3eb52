"""Random rotations and translations of molecules, as a step of a tf.data pipeline."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from pg_tf._arguments import as_tensor, describe
from pg_tf._atom_dicts import split
from pg_tf._atoms import AtomLayout, flat_atoms
from pg_tf._autograph import plain

# Of a dictionary, what moves and what tells atoms from padding. The rest of what describes atoms does not turn.
_KEYS = ("points", "coords", "channels", "atomic_numbers", "weights", "features", "sigma", "box", "center")


def random_motion(
    points: Any,
    seed: Any,
    *,
    rotation: bool = True,
    translation: float = 0.5,
    center: Any = None,
    center_channels: Sequence[int] | None = None,
) -> Any:
    """Moves each molecule as a rigid body, each in its own way.

    The rotation is uniform over all orientations and about a centre, the translation uniform in a cube.

    Args:
      points: one molecule `[A, 4]`, a padded batch `[B, A, 4]` or a ragged batch `[B, (A), 4]`; columns channel, x, y,
        z in Å. Atoms with a negative channel are padding.
      seed: two integers; the same seed gives the same motion (as for `tf.random.stateless_uniform`).
      rotation: whether to rotate.
      translation: the largest shift along each axis, Å.
      center: what stays where it is when the rest turns: `[3]` for all molecules or `[B, 3]`, Å. None is the centroid
        of the atoms. Of a protein and its ligand take the middle of the box, or the ligand leaves it.
      center_channels: the centroid of the atoms of these channels only, such as those of the ligand.

    Returns:
      Points of the same layout and dtype.

    Raises:
      ValueError: if the shape of `points` or `center` does not fit, the translation is negative, or both centres are
        given.
      tf.errors.InvalidArgumentError: if a molecule has no atom of `center_channels`.
    """
    layout, flat = flat_atoms("points", points, 4)
    motion = {"rotation": rotation, "translation": translation, "center": center, "center_channels": center_channels}
    coords = _moved(flat[:, 1:], flat[:, 0], layout, seed, **motion)
    return layout.unflatten(tf.concat([flat[:, :1], coords], axis=1))


def augment(
    seed: int = 0,
    *,
    rotation: bool = True,
    translation: float = 0.5,
    center: Any = None,
    center_channels: Sequence[int] | None = None,
    start: int | None = None,
    passthrough: Sequence[str] = (),
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """A step for `dataset.apply` that moves every molecule anew in every epoch.

    The motions of a batch follow from the seed and the number of the batch in the stream, whatever runs in parallel.

    Example:

        dataset.ragged_batch(256).apply(pg_tf.augment(seed=1)).map(to_grid, num_parallel_calls=tf.data.AUTOTUNE)

    Args:
      seed: of the whole sequence of motions.
      rotation: as in `random_motion`.
      translation: as in `random_motion`, Å.
      center: as in `random_motion`. A dictionary with the key "center" has its own, which comes first.
      center_channels: as in `random_motion`.
      start: number of the dataset's first element in an endless stream: one that begins at `start` gets the motions
        that the whole stream has from there on. None is for finite datasets: every pass over them goes on where the
        one before ended, so that no epoch repeats the motions of another.
      passthrough: keys of dictionaries that are handed on, though they look like those of atoms.

    Returns:
      A function from a dataset to a dataset. Elements are points, dicts of atoms as `pg_tf.Voxelizer` takes them, with
      "points" or with "coords", or tuples that begin with either; everything else in them is handed on.
    """
    options: dict[str, Any] = {"rotation": rotation, "translation": translation}

    def apply(dataset: tf.data.Dataset) -> tf.data.Dataset:
        if start is None:
            seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2, drop_remainder=True)
        else:
            seeds = tf.data.Dataset.range(start, tf.int64.max).map(lambda number: tf.stack([seed, number]))
        return tf.data.Dataset.zip(dataset, seeds).map(move, num_parallel_calls=tf.data.AUTOTUNE)

    @plain
    def move(element: Any, element_seed: tf.Tensor) -> Any:
        if isinstance(element, tuple):
            return (moved(element[0], element_seed), *element[1:])
        return moved(element, element_seed)

    def moved(atoms: Any, element_seed: tf.Tensor) -> Any:
        about: dict[str, Any] = {"center": center, "center_channels": center_channels}
        if not isinstance(atoms, dict):
            return random_motion(atoms, element_seed, **options, **about)
        if atoms.get("cell") is not None and "cell" not in passthrough:
            raise ValueError("keys: a crystal, with 'cell', turns by pg_tf.augment_crystals")
        found, _ = split({key: atoms[key] for key in atoms if key != "cell"}, _KEYS, passthrough=passthrough)
        if "center" in found:
            about = {"center": found["center"], "center_channels": None}
        if "points" in found:
            return {**atoms, "points": random_motion(found["points"], element_seed, **options, **about)}
        layout, flat = flat_atoms("coords", found["coords"], 3)
        if "channels" in found:
            channels = layout.flat("channels", as_tensor("channels", found["channels"], tf.int32), ())
        elif "atomic_numbers" in found:
            numbers = layout.flat("atomic_numbers", as_tensor("atomic_numbers", found["atomic_numbers"], tf.int32), ())
            channels = tf.where(numbers > 0, 0, -1)
        else:
            channels = tf.zeros(tf.shape(flat)[:1], tf.int32)
        if about["center_channels"] is not None and "channels" not in found:
            raise ValueError("center_channels: the dictionary has no channels; give 'center', or 'channels'")
        coords = _moved(flat, tf.cast(channels, flat.dtype), layout, element_seed, **options, **about)
        return {**atoms, "coords": layout.unflatten(coords)}

    return apply


def _moved(
    coords: tf.Tensor,
    channels: tf.Tensor,
    layout: AtomLayout,
    seed: Any,
    *,
    rotation: bool,
    translation: float,
    center: Any,
    center_channels: Sequence[int] | None,
) -> tf.Tensor:
    """`random_motion` of flat coordinates `[N, 3]`, with channels `[N]` of the same dtype."""
    if not translation >= 0:
        raise ValueError(f"translation must be at least 0 Å, got {translation}")
    if center is not None and center_channels is not None:
        raise ValueError("center, center_channels: give one of them")
    dtype, batch_size = coords.dtype, layout.num_molecules
    rotation_seed, translation_seed = tf.unstack(tf.random.split(seed, 2))
    if rotation:
        if center is None:
            center = _centroid(coords, channels, layout, center_channels)
        else:
            center = as_tensor("center", center, dtype)
            if center.shape.rank not in (1, 2) or center.shape[-1] not in (3, None):
                raise ValueError(f"center must have shape [3] or [molecules, 3], got {describe(center)}")
            center = tf.reshape(center, [-1, 3])
        center = layout.per_atom(center)
        matrices = layout.per_atom(_random_rotations(batch_size, rotation_seed, dtype))
        coords = tf.linalg.matvec(matrices, coords - center) + center
    shift = tf.random.stateless_uniform([batch_size, 3], translation_seed, -translation, translation, dtype)
    return coords + layout.per_atom(shift)


def _centroid(coords: tf.Tensor, channels: tf.Tensor, layout: AtomLayout, only: Sequence[int] | None) -> tf.Tensor:
    """Of the atoms of each molecule that are no padding, or of those of some channels: `[B, 3]`."""
    counted = channels >= 0
    if only is not None:
        listed = tf.constant([*only], channels.dtype)
        counted = tf.reduce_any(channels[:, tf.newaxis] == listed, axis=1)
    present = tf.cast(counted, coords.dtype)[:, tf.newaxis]
    count = layout.total(present)
    if only is not None:
        rule = f"center_channels: a molecule has no atom of the channels {list(only)}"
        with tf.control_dependencies([tf.debugging.assert_positive(count, rule)] if not tf.executing_eagerly() else []):
            count = tf.identity(count)
        if tf.executing_eagerly():
            tf.debugging.assert_positive(count, rule)
    return tf.math.divide_no_nan(layout.total(tf.math.multiply_no_nan(coords, present)), count)


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
