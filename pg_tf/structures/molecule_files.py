"""Structures from files with one molecule after the other: XYZ, SDF, mol2, PDBQT."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pg_tf.formats.molecule_files import FORMATS, MoleculeFormat
from pg_tf.formats.sources import Input, full_name, name_of, repeatable
from pg_tf.formats.streams import DAMAGE, blocks, damage_of, unpacked
from pg_tf.structures._reading import Doubts, checked_structure
from pg_tf.structures.structure import Structure

_BLOCK = 1 << 16


def read_xyz(
    path: Input, frame: int | None = None, *, elements: Mapping[str, str] | None = None, strict: bool = False
) -> Structure:
    """Reads one frame of an XYZ or extended XYZ file.

    Args:
      path: the file, as in `read_structure`. Without a `Lattice` in the second line there is no cell.
      frame: which frame, from 0; negative numbers count from the end. None is the first, and tells of others.
      elements: element symbols by what the file calls its atoms, such as `{"OW": "O"}`, in place of what that says.
      strict: raise where otherwise a warning is given: several frames and none chosen, odd distances.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if it cannot be read, or has no such frame.
      OSError: if the file cannot be opened.
    """
    return _read("xyz", path, frame, "frame", elements, strict)


def read_sdf(
    path: Input, record: int | None = None, *, elements: Mapping[str, str] | None = None, strict: bool = False
) -> Structure:
    """Reads one record of an SDF file, whose title becomes the name.

    Args:
      path: the file, as in `read_structure`.
      record: which one, from 0; negative numbers count from the end. None is the first, and tells of others.
      elements: element symbols by what the file calls its atoms, such as `{"R#": "H"}`.
      strict: raise where otherwise a warning is given: several records and none chosen, odd distances.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if it cannot be read, or has no such record.
      OSError: if the file cannot be opened.
    """
    return _read("sdf", path, record, "record", elements, strict)


def read_mol2(
    path: Input, molecule: int | None = None, *, elements: Mapping[str, str] | None = None, strict: bool = False
) -> Structure:
    """Reads one molecule of a Tripos mol2 file.

    Args:
      path: the file, as in `read_structure`.
      molecule: which one, from 0; negative numbers count from the end. None is the first, and tells of others.
      elements: element symbols by the names or SYBYL types of atoms, in place of what the file says.
      strict: raise where otherwise a warning is given: several molecules and none chosen, atoms that stand for none,
        symmetry that is not applied, odd distances.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if it cannot be read, or has no such molecule.
      OSError: if the file cannot be opened.
    """
    return _read("mol2", path, molecule, "molecule", elements, strict)


def read_pdbqt(
    path: Input, model: int | None = None, *, elements: Mapping[str, str] | None = None, strict: bool = False
) -> Structure:
    """Reads one model of a PDBQT file, such as a docked pose. Hydrogens on carbon are usually not in such a file.

    Args:
      path: the file, as in `read_structure`.
      model: which one, from 0; negative numbers count from the end. None is the first, and tells of others.
      elements: element symbols by the names or AutoDock types of atoms, in place of what the file says.
      strict: raise where otherwise a warning is given: several models and none chosen, atoms that stand for none, odd
        distances.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if it cannot be read, or has no such model.
      OSError: if the file cannot be opened.
    """
    return _read("pdbqt", path, model, "model", elements, strict)


def _read(
    kind: str, path: Input, number: int | None, argument: str, elements: Mapping[str, str] | None, strict: bool
) -> Structure:
    format, source = FORMATS[kind], repeatable(path)
    with Doubts(full_name(source), strict) as doubts:
        try:
            with unpacked(source, format.suffixes) as (stream, _):
                records = format.records(blocks(stream), name_of(source))
                try:
                    raw = _chosen(records, format, number, argument, doubts)
                except ValueError:
                    while stream.read(_BLOCK):  # to the end, where damage shows, which explains more
                        pass
                    raise
        except DAMAGE as error:
            raise ValueError(damage_of(error)) from error
        atoms = format.parsed(raw, elements, doubts.add)
        return checked_structure(atoms, name_of(source), doubts)


def _chosen(records: Iterable[Any], format: MoleculeFormat, number: int | None, argument: str, doubts: Doubts) -> Any:
    """The record of that number; without one the first, and a doubt where there are others."""
    wanted = number or 0
    kept: dict[int, Any] = {}
    count, broken = 0, None
    for raw in records:
        if wanted < 0 or count == wanted:
            kept[count] = raw
        count += 1
        if wanted < 0:
            kept.pop(count - 1 + wanted, None)  # no longer among the last
        try:
            format.complete(raw)
        except ValueError as error:
            broken = broken or error  # raised after all is read, which may show that the file is damaged
    if broken is not None:
        raise broken
    index = wanted if wanted >= 0 else count + wanted
    if index not in kept:
        raise ValueError(f"it has no {format.record} {wanted}; it has {count or '0, and no atoms'}, counted from 0")
    if number is None and count > 1:
        doubts.add(f"it has {count} {format.record}s, and the first is read; choose one by {argument}=")
    return kept[index]
