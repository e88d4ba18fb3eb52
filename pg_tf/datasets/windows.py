"""The stream of a folder of shards: windows of several shards, read together, shuffled together and cut into batches.

Here with three shards a window and batches of four molecules; each digit is a molecule, named by its shard:

    ticket         0                   1                   2           3               ...
    epoch, window  0, 0                0, 1                0, 2        1, 0            ...
    shards         4 0 6               2 5 1               3           5 3 2           ...
    read           444400006666        222255551111        3333        555533332222    ...
    shuffled       604640046064        152512251215        3333        352235523532    ...
    batches        6046 4004 6064      1525 1225 1215      3333        3522 3552 3532  ...

 * A ticket counts the windows of an endless stream. With the number of windows in an epoch it gives the epoch and the
   window in it, and with the seed these give the order of the shards and of the molecules: there is no other state. So
   a stream can start at any batch, and the workers of a data service divide it by dividing the tickets among them.
 * A window is the shards that are in memory together, WINDOW_SHARDS of them. As shards come in a random order, each
   batch has molecules from that many random places of the data set.
 * Windows seldom hold a whole number of batches. What is left over of one goes in front of the molecules of the next
   (rebatching). At the end of an epoch it makes a smaller batch, or is left out with `drop_remainder`:

    windows        aaaaaaaaaa bbbbbbbbbbb cccccc
    batches        aaaa aaaa aabb bbbb bbbb bccc ccc

 * A stream that starts in the middle of an epoch begins with the window that holds the first molecule of its first
   batch, and skips the molecules of the window before that.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.datasets.manifest import ShardEntry
from pg_tf.datasets.shards import read_columns
from pg_tf.datasets.source import endless, shuffled
from pg_tf.datasets.splits import Part
from pg_tf.elements import ElementChannels

WINDOW_SHARDS = 16
"""Shards that are shuffled together."""


class WindowPlan:
    """The windows of a stream: (epoch, window, its shards, molecules to skip, whether it is the last of the epoch).

    Called with an epoch and the number of its batches that are left out, it gives the windows of one epoch.

    Args:
      counts: int64, molecules to read of each shard.
      batch_size: molecules in a batch.
      seed: of the order of the shards; None leaves them in theirs.
    """

    def __init__(self, counts: npt.NDArray[np.int64], batch_size: int, seed: tf.Tensor | None) -> None:
        self.counts, self.batch_size, self.seed = tf.constant(counts), batch_size, seed

    def __call__(self, epoch: tf.Tensor, left_out: tf.Tensor) -> tf.data.Dataset:
        position = left_out * self.batch_size
        files, before = self._order(epoch)
        first, last = self._window_at(before, position), tf.size(before, tf.int64) - 1
        return tf.data.Dataset.range(first, last + 1).map(
            lambda w: (epoch, w, self._files(files, w), tf.maximum(position - before[w], 0), w == last)
        )

    def endless(self, start: int, batches: int) -> tf.data.Dataset:
        """The windows of all epochs from batch `start` on, where an epoch has so many batches."""
        epoch, left_out = divmod(start, batches)
        position = tf.constant(left_out * self.batch_size, tf.int64)
        _, before = self._order(tf.constant(epoch, tf.int64))
        windows = int(before.shape[0])
        start_window = self._window_at(before, position)
        start_epoch, start_skip = tf.constant(epoch, tf.int64), position - before[start_window]

        def window(epoch: tf.Tensor, w: tf.Tensor) -> Any:
            files, _ = self._order(epoch)
            begins = tf.logical_and(epoch == start_epoch, w == start_window)
            skip = tf.where(begins, start_skip, tf.constant(0, tf.int64))
            return epoch, w, self._files(files, w), skip, w == windows - 1

        return endless(windows, epoch * windows + int(start_window)).map(window)

    def _order(self, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The files in the order of an epoch, and how many molecules there are before each window."""
        number = tf.size(self.counts, tf.int64)
        files = tf.range(number)
        if self.seed is not None:
            files = shuffled(files, number, (self.seed, epoch, 1))
        return files, tf.cumsum(tf.gather(self.counts, files), exclusive=True)[::WINDOW_SHARDS]

    @staticmethod
    def _window_at(before: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(before <= position, tf.int64)) - 1

    @staticmethod
    def _files(files: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
        return files[window * WINDOW_SHARDS : (window + 1) * WINDOW_SHARDS]


class WindowReader:
    """Reads the shards of a window: points, sizes and labels of its molecules, in the order of the stream.

    Args:
      folder: where the shards are.
      files: the shards that `WindowPlan` numbers.
      first: int64, the ordinal of the first molecule of each of them.
      part: which molecules; None for all.
      channels: the channel of each element.
      seed: of the order of the molecules in a window; None leaves them in theirs.
    """

    def __init__(
        self,
        folder: str,
        files: Sequence[ShardEntry],
        first: npt.NDArray[np.int64],
        part: Part | None,
        channels: ElementChannels,
        seed: tf.Tensor | None,
    ) -> None:
        self.paths = tf.constant([os.path.join(folder, file.file) for file in files], tf.string)
        self.molecules = tf.constant([file.molecules for file in files], tf.int64)
        self.atoms = tf.constant([file.atoms for file in files], tf.int64)
        self.fingerprints = tf.constant([file.fingerprint for file in files], tf.int64)
        self.first = tf.constant(first)
        self.part, self.seed = part, seed
        self.table = tf.constant(channels.lookup_table, tf.float32)

    def __call__(self, epoch: tf.Tensor, window: tf.Tensor, files: tf.Tensor, skip: tf.Tensor, last: tf.Tensor) -> Any:
        molecules = tf.gather(self.molecules, files)
        labels, sizes, coords, numbers = read_columns(
            tf.gather(self.paths, files), molecules, tf.gather(self.atoms, files), tf.gather(self.fingerprints, files)
        )
        points = tf.concat([tf.gather(self.table, numbers)[:, None], coords], axis=1)
        ragged = tf.RaggedTensor.from_row_lengths(points, sizes, validate=False)
        order = tf.range(tf.size(labels, tf.int64))
        if self.part is not None:
            ordinals = tf.ragged.range(tf.gather(self.first, files), tf.gather(self.first, files) + molecules)
            order = tf.boolean_mask(order, self.part.contains(ordinals.flat_values))
        if self.seed is not None:
            count = tf.size(order, tf.int64)
            order = tf.gather(order, shuffled(tf.range(count), count, (self.seed, epoch, 2 + window)))
        order = order[skip:]
        chosen = tf.gather(ragged, order)
        return chosen.flat_values, chosen.row_lengths(), tf.gather(labels, order), last


def nothing_left() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What `rebatched` begins with: points, sizes and labels of no molecule."""
    return tf.zeros([0, 4]), tf.zeros([0], tf.int64), tf.zeros([0])


def rebatched(batch_size: int, drop_remainder: bool) -> Any:
    """A step of `tf.data.Dataset.scan`: from what is left over and a window to whole batches and what is left over now.

    The last window of an epoch leaves nothing over: it ends with the smaller batch, or drops it.
    """

    def step(left: Any, window: Any) -> Any:
        *arrays, last = window
        points, sizes, labels = (tf.concat(pair, axis=0) for pair in zip(left, arrays, strict=True))
        count = tf.size(labels, tf.int64)
        whole = count // batch_size * batch_size
        end = whole if drop_remainder else tf.where(last, count, whole)
        atoms = tf.reduce_sum(sizes[:end])
        done = points[:atoms], sizes[:end], labels[:end]
        rest = tf.where(last, count, end)
        rest_atoms = tf.where(last, tf.size(points, tf.int64) // 4, atoms)
        return (points[rest_atoms:], sizes[rest:], labels[rest:]), done

    return step


def sliced(batch_size: int) -> Any:
    """A function for `flat_map`, from the molecules of several batches to the batches: (ragged points, labels)."""

    def batches(points: tf.Tensor, sizes: tf.Tensor, labels: tf.Tensor) -> tf.data.Dataset:
        splits = tf.concat([tf.zeros([1], tf.int64), tf.cumsum(sizes)], axis=0)
        count = tf.size(labels, tf.int64)

        def batch(start: tf.Tensor) -> Any:
            # By hand: a slice of a ragged tensor is some thirty ops.
            end = tf.minimum(start + batch_size, count)
            mine = splits[start : end + 1]
            first = mine[0]
            atoms = points[first : mine[-1]]
            return tf.RaggedTensor.from_row_splits(atoms, mine - first, validate=False), labels[start:end]

        return tf.data.Dataset.range(0, count, batch_size).map(batch)

    return batches
