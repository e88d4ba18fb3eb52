"""SDF files, also packed: the geometry and the labels that are in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

from pg_tf.datasets.readers.reader import Chunk, Reader, chunked
from pg_tf.datasets.readers.record import BadRecord, Outcome, Path, Record, label_of, record
from pg_tf.datasets.readers.streams import delimited, unpacked
from pg_tf.formats.sdf import parsed_record

# A damaged record cannot swallow the next ones.
# Matches to the end of the line, which must be there: after a bare "$$$$" the file may be cut off.
RECORD_END = re.compile(rb"^\$\$\$\$[^\n]*\n", re.MULTILINE)


def sdf(files: Sequence[Path], label: str | None = None, unit: str = "") -> Reader:
    """SDF files with geometries: .sdf, .sdf.gz, .sdf.bz2, or a tar archive with one of them.

    A record is bad if it is damaged or cut off, if it has no atoms, no 3D geometry or an atom that is no element, or if
    its label is missing or not finite.

    Args:
      files: in the order in which their records are numbered.
      label: the property with the labels.
      unit: of the labels.
    """
    return Reader("sdf", files, {}, partial(_chunks, files), partial(parse_sdf, label), label=label, unit=unit)


def _chunks(files: Sequence[Path], count: int) -> Iterator[Chunk]:
    first = 0
    for path in files:
        with unpacked(path, ".sdf") as (stream, position):
            for chunk in chunked(path, delimited(stream, RECORD_END), count, first, position):
                yield chunk
                first += len(chunk.records)


def parse_sdf(label: str | None, chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk of SDF records."""
    for number, raw in zip(chunk.indices, chunk.records, strict=True):
        yield sdf_outcome(number, raw, label)


def sdf_outcome(number: int, raw: bytes, label: str | None) -> Outcome:
    """The molecule of one record of an SDF file, with its closing line."""
    lines = raw.decode("utf-8-sig", "replace").splitlines(keepends=True)
    title = lines[0].strip() if lines and not lines[0].startswith("$$$$") else ""
    place = f"record {number}" + (f" ({title[:60]})" if title else "")
    try:
        if not lines or not lines[-1].startswith("$$$$"):
            raise BadRecord("the file ends before the record's closing line $$$$")
        return place, _record(lines[:-1], label)
    except BadRecord as error:
        return place, error


def _record(lines: list[str], label: str | None) -> Record:
    try:
        atoms = parsed_record(lines)
    except ValueError as error:
        raise BadRecord(str(error)) from error
    return record(atoms.atomic_numbers, atoms.coords, label_of(label, atoms.values), atoms.title)
