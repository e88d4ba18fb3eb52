"""Keras losses."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.metrics import pair_atoms


@keras.saving.register_keras_serializable(package="pg_tf")
class CoordinateLoss(keras.losses.Loss):
    """Mean squared distance between true and found atoms of the same channel, Å^2, paired by the Hungarian algorithm.

    Takes padded points `[B, A, 4]` (channel -1) for both. The pairing counts as constant. An atom without a partner has
    no distance, and adds nothing: keep a loss on the voxels beside this one, which sees such atoms.
    """

    def __init__(self, name: str | None = "coordinate_loss", **options: Any) -> None:
        super().__init__(name=name, **options)

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        partner = tf.numpy_function(_partners, [tf.stop_gradient(y_true), tf.stop_gradient(y_pred)], tf.int32)
        partner = tf.ensure_shape(partner, y_true.shape[:2])
        paired = tf.cast(partner >= 0, y_pred.dtype)
        # Row 0 is an extra one, for where there is no partner or no atom at all.
        found = tf.gather(tf.pad(y_pred, [[0, 0], [1, 0], [0, 0]]), partner + 1, batch_dims=1)
        squares = tf.reduce_sum((found - tf.cast(y_true, y_pred.dtype))[..., 1:] ** 2, axis=-1)
        squares = tf.where(partner >= 0, squares, 0)
        return tf.reduce_sum(squares, axis=1) / tf.maximum(tf.reduce_sum(paired, axis=1), 1)


def _partners(true: npt.NDArray[Any], found: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """For each true atom the row of its found atom, -1 where it has none: `[B, A]`."""
    partner = np.full(true.shape[:2], -1, np.int32)
    for molecule, (ours, theirs) in enumerate(zip(true, found, strict=True)):
        for channel in np.unique(ours[ours[:, 0] >= 0, 0]):
            mine, others = (np.flatnonzero(points[:, 0] == channel) for points in (ours, theirs))
            rows, columns, _ = pair_atoms(ours[mine, 1:], theirs[others, 1:])
            partner[molecule, mine[rows]] = others[columns]
    return partner
