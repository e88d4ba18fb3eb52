"""QM9 as it was published: one file a molecule in its own dialect of XYZ, in a tar archive.

Ramakrishnan et al., Sci. Data 1, 140022 (2014), doi:10.1038/sdata.2014.22, Table 2.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator, Sequence
from functools import partial

from pg_tf.datasets.readers.npz import npz
from pg_tf.datasets.readers.reader import Chunk, Reader, chunked
from pg_tf.datasets.readers.record import BadRecord, Outcome, Record, parse_label, record
from pg_tf.formats.element_names import number_of_symbol
from pg_tf.formats.limits import TooLarge, longest_record
from pg_tf.formats.numbers import number_in, whole_number_in
from pg_tf.formats.sources import Source, full_name, is_tar, name_of
from pg_tf.formats.streams import blocks, tar_members, unpacked

PROPERTIES = ("A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv")
"""The columns of the second line, after the molecule's tag and number."""

_HARTREE = ("homo", "lumo", "gap", "zpve", "U0", "U", "H", "G")


def qm9(files: Sequence[Source], label: str = "gap") -> Reader:
    """`dsgdb9nsd.xyz.tar.bz2`, single .xyz files out of it, or an .npz file as in `npz`.

    Args:
      files: the archive or the files.
      label: one of PROPERTIES; energies become eV. For an .npz file the name of an array.

    Raises:
      ValueError: if there is no such property.
    """
    if all(name_of(path).lower().endswith(".npz") for path in files):
        return npz(files, label, "hartree" if label.endswith("hartree") else "eV")
    if label not in PROPERTIES:
        raise ValueError(f"label: must be one of {', '.join(PROPERTIES)}, got {label!r}")
    unit = "hartree" if label in _HARTREE else ""
    return Reader("qm9", files, {}, partial(_chunks, files), partial(parse_qm9, label), label=label, unit=unit)


def _chunks(files: Sequence[Source], count: int) -> Iterator[Chunk]:
    first = 0
    for path in files:
        read = [0]
        for chunk in chunked(path, _texts(path, read), count, first, lambda read=read: read[0]):  # type: ignore[misc]
            yield chunk
            first += len(chunk.records)


def _texts(path: Source, read: list[int]) -> Iterator[tuple[str, bytes]]:
    if is_tar(path):
        for name, text, read[0] in tar_members(path, ".xyz"):
            yield from _molecules(os.path.basename(name), b"".join(blocks(io.BytesIO(text))))
    else:
        with unpacked(path) as (stream, _):
            limit, joined = longest_record(), bytearray()
            for block in blocks(stream):
                joined += block
                if len(joined) > limit:
                    raise TooLarge(f"{full_name(path)}: one file", "record", limit)
            yield from _molecules(name_of(path), bytes(joined))


def _molecules(name: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The molecules of a file, which is one unless several were joined: after the atoms of each come three lines, the
    frequencies, SMILES and InChI."""
    lines = raw.split(b"\n")
    start = 0
    while start < len(lines):
        count = whole_number_in(lines[start].decode("utf-8", "replace"))
        end = len(lines) if count is None else start + count + 5
        if not any(line.strip() for line in lines[end:]):
            end = len(lines)
        yield name if start == 0 else f"{name}, line {start + 1}", b"\n".join(lines[start:end])
        start = end
        while start < len(lines) and not lines[start].strip():
            start += 1


def parse_qm9(label: str, chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk of (name, text)."""
    for name, raw in chunk.records:
        try:
            yield name, _molecule(raw.decode("utf-8", "replace"), label, name)
        except BadRecord as error:
            yield name, error


def _molecule(text: str, label: str, name: str) -> Record:
    lines = text.rstrip("\n").split("\n")
    count = whole_number_in(lines[0]) if lines else None
    if not count or len(lines) < count + 2:
        raise BadRecord("it is cut off, or its first line is no number of atoms")
    numbers, coords = [], []
    for number, line in enumerate(lines[2 : count + 2], 3):
        words = line.split()
        place = [number_in(word) for word in words[1:4]]
        if len(place) != 3 or not all(map(math.isfinite, place)) or not number_of_symbol(words[0]):
            raise BadRecord(f"line {number} must be an atom with three coordinates, and is {line.strip()[:60]!r}")
        numbers.append(number_of_symbol(words[0]))
        coords.append(place)
    after = lines[count + 2].split() if len(lines) > count + 2 else []
    if after and number_of_symbol(after[0]):
        raise BadRecord(f"line {count + 3} is an atom more than the {count} that the first line promises")
    properties = lines[1].split()[2:]
    if len(properties) != len(PROPERTIES):
        raise BadRecord(f"its second line has {len(properties)} properties, not {len(PROPERTIES)}")
    return record(numbers, coords, parse_label(label, properties[PROPERTIES.index(label)]), name)
