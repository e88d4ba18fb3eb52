"""SDF files, also packed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

from pg_tf.datasets._collect import BadRecord, Path
from pg_tf.datasets.prepare.recipe import Chunk, Outcome, Recipe, chunked
from pg_tf.datasets.prepare.streams import delimited, unpacked
from pg_tf.datasets.sdf import parse_record

# To the end of its line, which must be there: "$$$$" alone may be cut off.
RECORD_END = re.compile(rb"^\$\$\$\$[^\n]*\n", re.MULTILINE)


def sdf(files: Sequence[Path], label: str | None = None, unit: str = "") -> Recipe:
    """SDF files with geometries: .sdf, .sdf.gz, .sdf.bz2, or a tar archive with one of them.

    Args:
      files: in the order in which their records are numbered.
      label: the property with the labels.
      unit: of the labels.
    """
    return Recipe("sdf", files, {}, partial(_chunks, files), partial(parse_sdf, label), label=label, unit=unit)


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
    if not lines[-1].startswith("$$$$"):
        return f"record {number}", BadRecord("the file ends before the record's closing line $$$$")
    return parse_record(number, lines[:-1], label)
