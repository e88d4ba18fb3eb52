"""What a denoiser learns from: clean grids, and the same with noise of random levels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pg_tf._autograph import plain
from pg_tf.models import denoising_weight


@dataclasses.dataclass(frozen=True)
class NoiseLevels:
    """The levels of noise that a denoiser is trained for.

    Args:
      rms: root mean square of the voxels of clean grids; the levels are given in units of it.
      median: of the levels, in units of `rms`.
      spread: standard deviation of their logarithm: 0 trains for one level, which is all that `walk_jump` needs;
        `descend` needs all of them. The defaults are those of Karras et al. 2022 (arXiv:2206.00364, table 1) for
        images, whose rms they take as 0.5.
    """

    rms: float
    median: float = 0.6
    spread: float = 1.2

    def draw(self, count: Any, seed: Any) -> tf.Tensor:
        """Random levels `[count, 1]`."""
        return self.rms * self.median * tf.exp(self.spread * tf.random.stateless_normal([count, 1], seed))


def denoising_pairs(
    levels: NoiseLevels, seed: int = 0, *, start: int = 0, left_out: float = 0.1
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """A step for `dataset.apply` that makes of clean grids what `model.fit` trains a denoiser with.

    The noise of a batch follows from the seed and the number of the batch in the stream.

    Args:
      levels: of the noise.
      seed: of all of it.
      start: number of the dataset's first batch in an endless stream.
      left_out: share of the grids whose conditions are left out, for `conditional`.

    Returns:
      A function from a dataset to a dataset. Elements are grids `[B, nx, ny, nz, C]`, or tuples of grids and
      standardised conditions `[B, k]`; they become `((noisy, level), clean, weight)` or
      `((noisy, level, conditions), clean, weight)` with weights `[B, 1, 1, 1]` and conditions `[B, 2 k]`: values, and 1
      where they are known.
    """

    def apply(dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset.enumerate(start).map(pair, num_parallel_calls=tf.data.AUTOTUNE)

    @plain
    def pair(number: tf.Tensor, element: Any) -> Any:
        clean, *conditions = element if isinstance(element, tuple) else (element,)
        count = tf.shape(clean)[0]
        seeds = tf.unstack(tf.random.split(tf.stack([tf.constant(seed, tf.int64), number]), 3))
        level = levels.draw(count, seeds[0])
        white = tf.random.stateless_normal(tf.shape(clean), seeds[1], dtype=clean.dtype)
        noisy = clean + level[:, tf.newaxis, tf.newaxis, tf.newaxis, :] * white
        # Of the shape of the voxels: Keras would lay a vector along their last axis.
        weight = denoising_weight(level, levels.rms)[:, :, tf.newaxis, tf.newaxis]
        if not conditions:
            return (noisy, level), clean, weight
        values = tf.cast(conditions[0], tf.float32)
        known = tf.cast(tf.random.stateless_uniform([count, 1], seeds[2]) >= left_out, tf.float32)
        told = tf.concat([values * known, tf.broadcast_to(known, tf.shape(values))], axis=-1)
        return (noisy, level, told), clean, weight

    return apply


def root_mean_square(grids: tf.data.Dataset, batches: int = 32) -> float:
    """The root mean square of the voxels of the first batches of clean grids."""
    means = [float(tf.reduce_mean(grid**2)) for grid in grids.take(batches)]
    return (sum(means) / len(means)) ** 0.5
