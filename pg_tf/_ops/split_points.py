"""PgTf>SplitPoints: points with the columns channel, x, y, z into coordinates and channels."""

import math
from typing import Any

import tensorflow as tf

from pg_tf import _library
from pg_tf._atoms import AtomLayout

_ops = _library.load()


def by_op(points: tf.Tensor, layout: AtomLayout) -> tuple[tf.Tensor, tf.Tensor]:
    """Coordinates `[N, 3]` and channels int32 `[N]` of points `[N, 4]`."""
    return _ops.pg_tf_split_points(points, layout.row_splits)


def by_dense(points: tf.Tensor, layout: AtomLayout) -> tuple[tf.Tensor, tf.Tensor]:
    """The same without the op. It cannot raise errors: an atom whose channel is not a whole number gets coordinates of
    NaN, and so does the grid."""
    valid = (points[:, 0] == tf.round(points[:, 0])) & (tf.abs(points[:, 0]) < 2.0**31)
    channels = tf.cast(tf.where(valid, points[:, 0], 0), tf.int32)
    return tf.where(valid[:, tf.newaxis], points[:, 1:], math.nan), channels


@tf.RegisterGradient("PgTf>SplitPoints")
def _gradient(op: tf.Operation, to_coords: tf.Tensor, _: Any) -> list[Any]:
    return [tf.pad(to_coords, [[0, 0], [1, 0]]), None]
