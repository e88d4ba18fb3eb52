"""Files with one molecule after the other, whose formats `pg_tf.formats.molecule_files` lists, also packed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pg_tf.datasets.readers.reader import Chunk, Reader, chunked
from pg_tf.datasets.readers.record import BadRecord, Outcome, Record, label_of, record
from pg_tf.formats.molecule_files import FORMATS, MoleculeFormat
from pg_tf.formats.sources import Source, full_name
from pg_tf.formats.streams import blocks, unpacked


def sdf(
    files: Sequence[Source], label: str | None = None, unit: str = "", elements: Mapping[str, str] | None = None
) -> Reader:
    """SDF files with geometries, also packed, or a tar archive with one of them.

    A record is bad if it is damaged or cut off, if it has no atoms, no 3D geometry or an atom that is no element, or if
    its label is missing or not finite.

    Args:
      files: in the order in which their records are numbered.
      label: the property with the labels.
      unit: of the labels.
      elements: element symbols by what the files call their atoms, such as `{"R#": "H"}`.
    """
    return _reader("sdf", files, label, unit, elements)


def xyz(
    files: Sequence[Source], label: str | None = None, unit: str = "", elements: Mapping[str, str] | None = None
) -> Reader:
    """XYZ and extended XYZ files, also packed, or a tar archive with one of them.

    Args:
      files: in the order in which their frames are numbered.
      label: a key of the comment line of an extended XYZ file, as in `gap=5.2`.
      unit: of the labels.
      elements: element symbols by what the files call their atoms, such as `{"OW": "O"}`.
    """
    return _reader("xyz", files, label, unit, elements)


def mol2(
    files: Sequence[Source], label: str | None = None, unit: str = "", elements: Mapping[str, str] | None = None
) -> Reader:
    """Tripos mol2 files, also packed, or a tar archive with one of them. They hold no labels.

    Args:
      files: in the order in which their molecules are numbered.
      label: None.
      unit: of the labels.
      elements: element symbols by the names or SYBYL types of atoms.
    """
    return _reader("mol2", files, label, unit, elements)


def pdbqt(
    files: Sequence[Source], label: str | None = None, unit: str = "", elements: Mapping[str, str] | None = None
) -> Reader:
    """PDBQT files of AutoDock and Vina, one molecule a model, also packed, or a tar archive with one of them. Hydrogens
    on carbon are usually not in such a file.

    Args:
      files: in the order in which their models are numbered.
      label: "affinity" for what Vina writes over each pose, kcal/mol.
      unit: of the labels.
      elements: element symbols by the names or AutoDock types of atoms.
    """
    return _reader("pdbqt", files, label, unit, elements)


def _reader(
    kind: str, files: Sequence[Source], label: str | None, unit: str, elements: Mapping[str, str] | None
) -> Reader:
    return Reader(
        kind,
        files,
        # A folder that was begun without it goes on without it.
        {} if elements is None else {"elements": dict(elements)},
        partial(_chunks, kind, files),
        partial(parse_molecules, kind, label, elements),
        label=label,
        unit=unit,
    )


def _chunks(kind: str, files: Sequence[Source], count: int) -> Iterator[Chunk]:
    first, format = 0, FORMATS[kind]
    for path in files:
        with unpacked(path, format.suffixes) as (stream, position):
            for chunk in chunked(path, format.records(blocks(stream), full_name(path)), count, first, position):
                yield chunk
                first += len(chunk.records)


def parse_molecules(
    kind: str, label: str | None, elements: Mapping[str, str] | None, chunk: Chunk
) -> Iterator[Outcome]:
    """The molecules of a chunk of raw records."""
    for number, raw in zip(chunk.indices, chunk.records, strict=True):
        yield outcome(FORMATS[kind], number, raw, label, elements)


def outcome(
    format: MoleculeFormat, number: int, raw: Any, label: str | None, elements: Mapping[str, str] | None = None
) -> Outcome:
    """The molecule of one raw record."""
    title = format.title(raw) if format.title else ""
    place = f"{format.record} {number}" + (f" ({title[:60]})" if title else "")
    try:
        return place, _record(format, number, raw, label, elements)
    except BadRecord as error:
        return place, error


def _record(
    format: MoleculeFormat, number: int, raw: Any, label: str | None, elements: Mapping[str, str] | None
) -> Record:
    notes: list[str] = []
    try:
        atoms = format.parsed(raw, elements, notes.append)
    except ValueError as error:
        if str(error).startswith("elements: "):  # the caller's, and not the file's
            raise
        raise BadRecord(str(error)) from error
    if atoms.periodic is not None and any(atoms.periodic):
        raise BadRecord("it is periodic; this reads molecules, and read_structure crystals")
    if atoms.weights is not None and (atoms.weights != 1).any():
        raise BadRecord("it has occupancies other than 1; this reads molecules, and read_structure crystals")
    if atoms.cell is not None:
        notes.append("its cell is left out: it is read as a molecule")
    name = atoms.title if format.title else str(number)
    return record(atoms.atomic_numbers, atoms.coords, label_of(label, atoms.values), name, notes)
