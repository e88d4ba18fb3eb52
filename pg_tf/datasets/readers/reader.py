"""A reader: the files of a source, and how they become molecules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pg_tf.datasets.readers.record import Outcome
from pg_tf.datasets.units import unit_named
from pg_tf.formats.sources import Source, name_of, size_of
from pg_tf.formats.streams import DAMAGE, damage_of


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Successive raw records of a source: one process parses them, and they become one shard.

    Attributes:
      place: begins the place of each record in messages: the name of the file.
      first: number of the first record in the source.
      records: raw records, as the reader's `parse` takes them.
      size: bytes of the source that they take up.
      split: part of the source that they belong to.
      damage: what is wrong with the source after them, if anything.
      numbers: number of each record in the source, where they are not `first`, `first` + 1, ...
    """

    place: str
    first: int
    records: Sequence[Any]
    size: int
    split: str = "all"
    damage: str | None = None
    numbers: Sequence[int] | None = None

    @property
    def damage_place(self) -> str:
        """Where the damage is."""
        read = self.first + len(self.records)
        return f"after record {read - 1}" if read else "at the start"

    @property
    def indices(self) -> Sequence[int]:
        """Number of each record in its source."""
        return self.numbers if self.numbers is not None else range(self.first, self.first + len(self.records))


@dataclasses.dataclass(frozen=True)
class Reader:
    """Files, how to cut them into chunks of records, and how a chunk becomes molecules.

    Attributes:
      kind: name of the format.
      files: what is read.
      options: what else the molecules depend on, besides the files.
      chunks: yields the chunks, given the number of records in each; the same ones in every call.
      parse: yields an outcome for each record of a chunk; must be picklable, as other processes call it.
      records_per_shard: unless the user says otherwise.
      label: name of the label, or None.
      unit: of the label as the source has it, in any spelling that `unit_named` knows.

    Raises:
      ValueError: if the unit is not known.
    """

    kind: str
    files: Sequence[Source]
    options: Mapping[str, Any]
    chunks: Callable[[int], Iterator[Chunk]]
    parse: Callable[[Chunk], Iterator[Outcome]]
    records_per_shard: int = 8192
    label: str | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", unit_named(self.unit))

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(size_of(path) for path in self.files)


def chunked(
    path: Source, records: Iterable[Any], count: int, first: int, position: Callable[[], int], split: str = "all"
) -> Iterator[Chunk]:
    """Cuts the records of a file into chunks.

    Args:
      path: the file.
      records: its records. Where reading them ends in an error of DAMAGE, the last chunk has it in `damage`.
      count: records in a chunk.
      first: number of the first record.
      position: tells how many bytes of the file have been read.
      split: of all the records.
    """
    name, iterator = name_of(path), iter(records)
    batch: list[Any] = []
    before, damage = 0, None
    while True:
        try:
            record = next(iterator)
        except StopIteration:
            break
        except DAMAGE as error:
            damage = damage_of(error)
            break
        batch.append(record)
        if len(batch) == count:
            now = position()
            yield Chunk(name, first, batch, now - before, split)
            first, batch, before = first + count, [], now
    if batch or damage:
        yield Chunk(name, first, batch, position() - before, split, damage)
