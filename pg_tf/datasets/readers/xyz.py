"""XYZ and extended XYZ files of many frames, one molecule a frame; a frame is parsed by ASE."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import IO, Any

from pg_tf.datasets.readers.reader import Chunk, Reader, chunked
from pg_tf.datasets.readers.record import BadRecord, Outcome, Path, Record, parse_label, record
from pg_tf.datasets.readers.streams import unpacked


def xyz(files: Sequence[Path], label: str | None = None, unit: str = "") -> Reader:
    """XYZ files: .xyz or .extxyz, plain, .gz, .bz2, or a tar archive with one of them.

    Args:
      files: in the order in which their frames are numbered.
      label: a key of the comment line of an extended XYZ file, as in `gap=5.2`; energies that ASE knows by name too.
      unit: of the labels.

    Raises:
      ImportError: if ASE is not installed.
    """
    try:
        import ase.io  # noqa: F401
    except ImportError as error:
        raise ImportError("this needs ASE: pip install ase, or pip install 'pg_tf[crystals]'") from error
    return Reader("xyz", files, {}, partial(_chunks, files), partial(parse_xyz, label), label=label, unit=unit)


def _chunks(files: Sequence[Path], count: int) -> Iterator[Chunk]:
    first = 0
    for path in files:
        with unpacked(path, "xyz") as (stream, position):
            for chunk in chunked(path, frames(stream), count, first, position):
                yield chunk
                first += len(chunk.records)


def frames(stream: IO[bytes]) -> Iterator[bytes]:
    """The frames of an XYZ file. Where the number of atoms is no number, the rest of the file is the last frame:
    nothing says where the next one begins."""
    while head := stream.readline():
        if not head.strip():
            continue
        try:
            atoms = int(head)
        except ValueError:
            yield head + stream.read(1 << 16)
            return
        lines = (stream.readline() for _ in range(max(atoms, 0) + 1))
        yield b"".join([head, *itertools.takewhile(bool, lines)])


def parse_xyz(label: str | None, chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk of frames."""
    for number, raw in zip(chunk.indices, chunk.records, strict=True):
        try:
            yield f"frame {number}", _frame(raw.decode("utf-8", "replace"), label, number)
        except BadRecord as error:
            yield f"frame {number}", error


def _frame(text: str, label: str | None, number: int) -> Record:
    import ase.io

    head, *lines = text.splitlines()
    if not head.strip().isdigit():
        raise BadRecord(f"its first line is {head[:40]!r}, not a number of atoms; what follows in the file is lost")
    if len(lines) != int(head) + 1:
        raise BadRecord(f"it has {len(lines) - 1} of its {int(head)} atoms: the file is cut off")
    if int(head) == 0:
        raise BadRecord("it has no atoms")
    try:
        atoms: Any = ase.io.read(io.StringIO(text), format="extxyz")
    except Exception as error:  # ASE's readers raise almost anything on what they cannot parse
        raise BadRecord(f"ASE cannot read it: {type(error).__name__}: {error}") from error
    if atoms.pbc.any():
        raise BadRecord("it is periodic; this reads molecules")
    value = None
    if label is not None:
        found = dict(atoms.info) | (dict(atoms.calc.results) if atoms.calc else {})
        if label not in found:
            raise BadRecord(f"label {label!r} is missing; there are: {', '.join(map(str, found)) or 'none'}")
        value = parse_label(label, str(found[label]))
    return record(atoms.numbers, atoms.positions, value, str(number))
