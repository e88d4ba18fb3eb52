"""XYZ and extended XYZ files of many frames, one molecule a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pg_tf.datasets.readers.reader import Chunk, Reader, chunked
from pg_tf.datasets.readers.record import BadRecord, Outcome, Path, Record, label_of, record
from pg_tf.datasets.readers.streams import unpacked
from pg_tf.formats.xyz import RawFrame, frames, parsed_frame


def xyz(files: Sequence[Path], label: str | None = None, unit: str = "") -> Reader:
    """XYZ files: .xyz or .extxyz, plain, .gz, .bz2, or a tar archive with one of them.

    Args:
      files: in the order in which their frames are numbered.
      label: a key of the comment line of an extended XYZ file, as in `gap=5.2`.
      unit: of the labels.
    """
    return Reader("xyz", files, {}, partial(_chunks, files), partial(parse_xyz, label), label=label, unit=unit)


def _chunks(files: Sequence[Path], count: int) -> Iterator[Chunk]:
    first = 0
    for path in files:
        with unpacked(path, "xyz") as (stream, position):
            lines = (line.decode("utf-8", "replace") for line in stream)
            for chunk in chunked(path, frames(lines), count, first, position):
                yield chunk
                first += len(chunk.records)


def parse_xyz(label: str | None, chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk of frames."""
    for number, raw in zip(chunk.indices, chunk.records, strict=True):
        try:
            yield f"frame {number}", _molecule(raw, label, number)
        except BadRecord as error:
            yield f"frame {number}", error


def _molecule(raw: RawFrame, label: str | None, number: int) -> Record:
    try:
        atoms = parsed_frame(raw)
    except ValueError as error:
        raise BadRecord(str(error)) from error
    if atoms.periodic is not None and any(atoms.periodic):
        raise BadRecord("it is periodic; this reads molecules")
    return record(atoms.atomic_numbers, atoms.coords, label_of(label, atoms.values), str(number))
