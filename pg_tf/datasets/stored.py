"""A source on disk: a folder of shards, read while training. `pg_tf.datasets.windows` shows how its stream is made."""

import dataclasses
import functools
import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.datasets.manifest import Manifest, ShardEntry
from pg_tf.datasets.molecules import Molecules
from pg_tf.datasets.shards import Shard, read_elements, read_labels
from pg_tf.datasets.source import check_stream, epochs
from pg_tf.datasets.splits import Part
from pg_tf.datasets.statistics import mean_and_std
from pg_tf.datasets.windows import WindowPlan, WindowReader, nothing_left, rebatched, sliced
from pg_tf.elements import ElementChannels, atomic_number

_READERS = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Shards:
    """The molecules of a folder of shards, or one part of them: see `pg_tf.datasets.Source`.

    With `shuffle`, shards come in a random order, and the molecules of 16 successive ones are shuffled together. With
    `shard`, each worker reads files of its own.

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

    def diameters(self) -> npt.NDArray[np.float32]:
        """The largest distance between two atoms of each molecule, Å. Reads all shards."""
        return np.concatenate([np.zeros(0, np.float32), *(molecules.diameters() for molecules in self.molecules())])

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
        channels: ElementChannels | Sequence[str],
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
        channels = ElementChannels.of(channels)
        channels.channels([atomic_number(symbol) for symbol in self.manifest.elements])
        worker, workers = shard
        if workers > 1 and len(self.files) < workers:
            raise ValueError(f"shard: {workers} workers need as many files, and there are {len(self.files)} of them")
        mine = slice(worker, None, workers)
        counts = self.counts[mine]
        total = int(counts.sum())
        batches = total // batch_size if drop_remainder else -(-total // batch_size)
        stream = epochs(batches, shuffle=shuffle, seed=seed, repeat=repeat, start=start)
        seed_if_shuffled = stream[2] if shuffle else None
        plan = WindowPlan(counts, batch_size, seed_if_shuffled)
        windows = plan.endless(start, batches) if repeat and batches else stream[0].flat_map(plan)
        read = WindowReader(self.folder, self.files[mine], self.first[mine], self.part, channels, seed_if_shuffled)
        loaded = windows.map(read, num_parallel_calls=2, deterministic=True).prefetch(1)
        batched = loaded.scan(nothing_left(), rebatched(batch_size, drop_remainder)).flat_map(sliced(batch_size))
        batched = batched.apply(tf.data.experimental.assert_cardinality(stream[1]))
        if self.manifest.label is None:
            batched = batched.map(lambda points, labels: points)
        return batched
