"""A source on disk: shards read while training, shuffled in windows of many shards."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.datasets.manifest import Manifest, ShardEntry
from pg_tf.datasets.molecules import Molecules
from pg_tf.datasets.shards import Shard, read_columns, read_elements, read_labels
from pg_tf.datasets.source import check_stream, endless, epochs, shuffled
from pg_tf.datasets.splits import Part
from pg_tf.datasets.statistics import mean_and_std
from pg_tf.elements import ElementChannels, atomic_number

WINDOW_SHARDS = 16
"""Shards that are shuffled together."""
_READERS = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Shards:
    """The molecules of a folder of shards, or one part of them: see `pg_tf.datasets.Source`.

    With `shuffle` the shards come in a random order, and all molecules of each WINDOW_SHARDS successive ones are
    permuted together: each batch is drawn from 16 random places of the whole. With `shard`, each worker reads files of
    its own.

    Args:
      folder: where the shards are, on any of TensorFlow's file systems.
      manifest: its table of contents.
      files: the shards to read.
      first: int64, the ordinal of the first molecule of each of them, among those that `part` is a part of.
      counts: int64, molecules of each that are in the part.
      part: which molecules; None for all of `files`.
    """

    folder: str
    manifest: Manifest
    files: tuple[ShardEntry, ...]
    first: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    part: Part | None = None

    @property
    def label_mean(self) -> float:
        """Mean of the labels, in `unit`; NaN without labels. The first call reads all labels."""
        return self._label_statistics[0]

    @property
    def label_std(self) -> float:
        """Their standard deviation."""
        return self._label_statistics[1]

    @functools.cached_property
    def _label_statistics(self) -> tuple[float, float]:
        if self.manifest.label is None:
            return math.nan, math.nan
        with ThreadPoolExecutor(_READERS) as pool:
            pieces = list(pool.map(self._labels, self.files, self.first))
        return mean_and_std(lambda: pieces)

    def _labels(self, file: ShardEntry, first: int) -> npt.NDArray[np.float32]:
        return read_labels(self._path(file), file.molecules)[self._chosen(first, file.molecules)]

    @property
    def unit(self) -> str:
        """Of the labels."""
        return self.manifest.unit

    @functools.cached_property
    def symbols(self) -> tuple[str, ...]:
        """Elements that occur, by atomic number. For a part of the folder the first call reads all atomic numbers."""
        if self.part is None and self.files == tuple(self.manifest.shards):
            return tuple(self.manifest.elements)
        with ThreadPoolExecutor(_READERS) as pool:
            found = set().union(*pool.map(self._elements, self.files, self.first))
        return tuple(symbol for symbol in self.manifest.elements if atomic_number(symbol) in found)

    def _elements(self, file: ShardEntry, first: int) -> set[int]:
        sizes, numbers = read_elements(self._path(file), file.molecules, file.atoms)
        return set(np.unique(numbers[np.repeat(self._chosen(first, file.molecules), sizes)]).tolist())

    def __len__(self) -> int:
        return int(self.counts.sum())

    def __repr__(self) -> str:
        return f"<{len(self)} molecules in {len(self.files)} shards of {self.folder}>"

    def fingerprint(self) -> str:
        """Hexadecimal digits that tell these molecules from others, from the checksums in the manifest."""
        part = None if self.part is None else dataclasses.astuple(self.part)
        facts = [self.unit, self.manifest.label, part, [file.fingerprint for file in self.files]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def count_larger_than(self, box: float) -> int:
        """How many molecules do not fit into a cube of this edge (Å) in every orientation. Reads all shards."""
        return sum(molecules.count_larger_than(box) for molecules in self.molecules())

    def molecules(self) -> Iterator[Molecules]:
        """The molecules of one shard after the other, named by their numbers in the source.

        Raises:
          ValueError: if a shard is damaged.
        """
        for file, first in zip(self.files, self.first, strict=True):
            path = self._path(file)
            with tf.io.gfile.GFile(path, "rb") as opened:
                molecules = Shard.from_bytes(opened.read(), path).molecules(self.unit)
            molecules = molecules[self._chosen(first, len(molecules))]
            if len(molecules):
                yield molecules

    def _path(self, file: ShardEntry) -> str:
        return os.path.join(self.folder, file.file)

    def _chosen(self, first: int, count: int) -> npt.NDArray[np.bool_]:
        """Which of the molecules of a shard are in the part."""
        if self.part is None:
            return np.ones(count, bool)
        return self.part.contains(tf.range(first, first + count, dtype=tf.int64)).numpy()

    def dataset(
        self,
        channels: ElementChannels,
        *,
        batch_size: int = 256,
        shuffle: bool = False,
        seed: int | None = None,
        repeat: bool = False,
        start: int = 0,
        shard: tuple[int, int] = (0, 1),
        drop_remainder: bool = False,
    ) -> tf.data.Dataset:
        """A `tf.data.Dataset` of ragged batches: see `pg_tf.datasets.Source.dataset`.

        Raises:
          ValueError: if an argument is out of its range, an element of the folder has no channel, or there are fewer
            files than workers.
        """
        check_stream(batch_size, start, shard)
        channels.channels([atomic_number(symbol) for symbol in self.manifest.elements])
        worker, workers = shard
        if workers > 1 and len(self.files) < workers:
            raise ValueError(f"shard: {workers} workers need as many files, and there are {len(self.files)} of them")
        mine = slice(worker, None, workers)
        counts = self.counts[mine]
        total = int(counts.sum())
        batches = total // batch_size if drop_remainder else -(-total // batch_size)
        stream = epochs(batches, shuffle=shuffle, seed=seed, repeat=repeat, start=start)
        plan = _Plan(counts, batch_size, stream[2] if shuffle else None)
        windows = plan.endless(start, batches) if repeat and batches else stream[0].flat_map(plan)
        read = _Window(self, mine, channels, stream[2] if shuffle else None)
        loaded = windows.map(read, num_parallel_calls=2, deterministic=True).prefetch(1)
        batched = loaded.scan(_nothing_left(), _rebatched(batch_size, drop_remainder)).flat_map(_sliced(batch_size))
        batched = batched.apply(tf.data.experimental.assert_cardinality(stream[1]))
        if self.manifest.label is None:
            batched = batched.map(lambda points, labels: points)
        return batched


class _Plan:
    """Which files make up the windows of an epoch, and where in them it starts."""

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


class _Window:
    """Reads the files of a window and puts their molecules into the order of the stream."""

    def __init__(self, source: Shards, mine: slice, channels: ElementChannels, seed: tf.Tensor | None) -> None:
        files = source.files[mine]
        self.paths = tf.constant([os.path.join(source.folder, file.file) for file in files], tf.string)
        self.molecules = tf.constant([file.molecules for file in files], tf.int64)
        self.atoms = tf.constant([file.atoms for file in files], tf.int64)
        self.fingerprints = tf.constant([file.fingerprint for file in files], tf.int64)
        self.first = tf.constant(source.first[mine])
        self.part, self.seed = source.part, seed
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


def _nothing_left() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    return tf.zeros([0, 4]), tf.zeros([0], tf.int64), tf.zeros([0])


def _rebatched(batch_size: int, drop_remainder: bool) -> Any:
    """Cuts windows into whole batches; what is left over goes before the next window, or, at the end of an epoch, makes
    the smaller batch."""

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


def _sliced(batch_size: int) -> Any:
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
