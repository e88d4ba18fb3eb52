"""Structures of ligands as docking programs have them: mol2 and PDBQT files."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pg_tf.datasets.readers.record import Path
from pg_tf.formats import mol2, pdbqt
from pg_tf.structures._reading import Doubts, checked_structure
from pg_tf.structures._text import read_text
from pg_tf.structures.structure import Structure


def read_mol2(
    path: Path, molecule: int | None = None, *, elements: Mapping[str, str] | None = None, strict: bool = False
) -> Structure:
    """Reads one molecule of a Tripos mol2 file.

    Args:
      path: the file, plain or gzipped.
      molecule: which one; negative numbers count from the end. None is the first, and tells of others.
      elements: element symbols by the names or SYBYL types of atoms, in place of what the file says.
      strict: raise where otherwise a warning is given: several molecules and none chosen, atoms that stand for none,
        symmetry that is not applied.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if it cannot be read, or has no such molecule.
      OSError: if the file cannot be opened.
    """
    with Doubts(path, strict) as doubts:
        found = list(mol2.molecules(read_text(path).splitlines()))
        chosen = _chosen(found, molecule, "molecule", doubts)
        atoms = mol2.parsed_molecule(chosen, elements, doubts.add)
        return checked_structure(atoms, os.path.basename(os.fspath(path)), doubts)


def read_pdbqt(
    path: Path, model: int | None = None, *, elements: Mapping[str, str] | None = None, strict: bool = False
) -> Structure:
    """Reads one model of a PDBQT file, such as a docked pose. Hydrogens on carbon are usually not in such a file.

    Args:
      path: the file, plain or gzipped.
      model: which one, from 0; negative numbers count from the end. None is the first, and tells of others.
      elements: element symbols by the names or AutoDock types of atoms, in place of what the file says.
      strict: raise where otherwise a warning is given: several models and none chosen, atoms that stand for none.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if it cannot be read, or has no such model.
      OSError: if the file cannot be opened.
    """
    with Doubts(path, strict) as doubts:
        chosen = _chosen(list(pdbqt.models(read_text(path).splitlines())), model, "model", doubts)
        atoms = pdbqt.parsed_model(chosen, elements, doubts.add)
        return checked_structure(atoms, os.path.basename(os.fspath(path)), doubts)


def _chosen(found: list[list[tuple[int, str]]], number: int | None, what: str, doubts: Doubts) -> list[tuple[int, str]]:
    if not found:
        raise ValueError("it has no atoms")
    if number is None and len(found) > 1:
        doubts.add(f"it has {len(found)} {what}s, and the first is read; choose one by {what}=")
    if not -len(found) <= (number or 0) < len(found):
        raise ValueError(f"it has no {what} {number}; it has {len(found)}, counted from 0")
    return found[number or 0]
