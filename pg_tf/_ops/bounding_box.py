"""PgTf>BoundingBox: boxes around molecules."""

from typing import Any

import tensorflow as tf

from pg_tf import _library
from pg_tf._atoms import AtomLayout

_ops = _library.load()


def by_op(
    coords: tf.Tensor, channels: tf.Tensor, layout: AtomLayout, margin: Any, cubic: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Origin and lengths `[B, 3]` of the boxes around the atoms, a margin on every side, Å.

    Args:
      coords: `[N, 3]`, Å.
      channels: `[N]`; negative for padding, which is left out.
      layout: of the atoms.
      margin: Å.
      cubic: makes all edges as long as the longest.
    """
    return _ops.pg_tf_bounding_box(coords, channels, layout.row_splits, margin, cubic=cubic)


def by_dense(
    coords: tf.Tensor, channels: tf.Tensor, layout: AtomLayout, margin: Any, cubic: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """The same without the op: differentiable to any order, and for accelerators."""
    # Padding gets a negative segment, which is dropped.
    molecule = tf.where(channels >= 0, layout.molecule_of(coords), -1)
    batch_size = layout.num_molecules
    counts = tf.math.unsorted_segment_sum(tf.ones_like(molecule), molecule, batch_size)
    occupied = (counts > 0)[:, tf.newaxis]
    low = tf.where(occupied, tf.math.unsorted_segment_min(coords, molecule, batch_size), 0)
    high = tf.where(occupied, tf.math.unsorted_segment_max(coords, molecule, batch_size), 0)
    lengths = high - low + 2 * margin
    if cubic:
        lengths = tf.reduce_max(lengths, axis=1, keepdims=True) * tf.ones([1, 3], coords.dtype)
    return (low + high - lengths) / 2, lengths


@tf.RegisterGradient("PgTf>BoundingBox")
def _gradient(op: tf.Operation, to_origin: tf.Tensor, to_lengths: tf.Tensor) -> list[Any]:
    coords, channels, row_splits, margin = op.inputs
    with tf.GradientTape() as tape:
        tape.watch([coords, margin])
        box = by_dense(coords, channels, AtomLayout.of_splits(row_splits), margin, op.get_attr("cubic"))
    to_coords, to_margin = tape.gradient(box, [coords, margin], [to_origin, to_lengths])
    return [to_coords, None, None, to_margin]
