"""By way of ASE: POSCAR and extended XYZ files, and `ase.Atoms` themselves."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from pg_tf.datasets._collect import open_text
from pg_tf.structures.structure import Structure

Path = str | os.PathLike[str]


def from_ase(atoms: Any, name: str = "") -> Structure:
    """A structure from `ase.Atoms`.

    Args:
      atoms: `ase.Atoms`. Lattice vectors that are zero, which ASE allows along axes that are not periodic, become unit
        vectors across the others.
      name: a title.

    Raises:
      ValueError: if the atoms stand for partly occupied places: ASE keeps only one element of each. `read_cif` reads
        them all. Or for what `Structure` refuses.
    """
    shared = {kind: parts for kind, parts in (atoms.info.get("occupancy") or {}).items() if set(parts.values()) != {1}}
    if shared:
        kind, parts = next(iter(shared.items()))
        raise ValueError(
            f"atoms: the places of kind {kind} are partly occupied, {parts}, which ase.Atoms cannot hold; use read_cif"
        )
    has_cell = bool(np.any(np.asarray(atoms.cell)))
    return Structure(
        atoms.numbers,
        atoms.positions,
        np.asarray(atoms.cell.complete()) if has_cell else None,
        tuple(bool(flag) for flag in atoms.pbc) if has_cell else None,  # type: ignore[arg-type]
        name=name,
    )


def to_ase(structure: Structure) -> Any:
    """`ase.Atoms` of a structure, which ASE writes to any format.

    Raises:
      ImportError: if ASE is not installed.
      ValueError: if an atom has a weight other than 1.
    """
    ase = _import_ase()
    weights = np.asarray(structure.weights)
    if (bad := np.flatnonzero(weights != 1)).size:
        raise ValueError(f"structure: atom {bad[0]} has the weight {weights[bad[0]]}, which ase.Atoms cannot hold")
    cell = structure.cell
    return ase.Atoms(structure.atomic_numbers, structure.coords, cell=cell, pbc=structure.periodic)


def read_poscar(path: Path) -> Structure:
    """Reads a POSCAR or CONTCAR file of VASP.

    Args:
      path: the file, plain or gzipped.

    Raises:
      ImportError: if ASE is not installed.
      ValueError: if it cannot be read, or names no elements.
      OSError: if the file cannot be opened.
    """
    return _read(path, "vasp", 0)


def read_xyz(path: Path, frame: int = 0) -> Structure:
    """Reads one frame of an XYZ or extended XYZ file.

    Args:
      path: the file, plain or gzipped. Without a `Lattice` in the second line there is no cell.
      frame: which frame; negative numbers count from the end.

    Raises:
      ImportError: if ASE is not installed.
      ValueError: if it cannot be read, or has no such frame.
      OSError: if the file cannot be opened.
    """
    return _read(path, "extxyz", frame)


def _import_ase() -> Any:
    try:
        import ase
        import ase.io
    except ImportError as error:
        raise ImportError("this needs ASE: pip install ase, or pip install 'pg_tf[crystals]'") from error
    return ase


def _check_counts(path: Path) -> None:
    """Makes sure that the file has the lines that its counts promise: ASE would make room for the atoms first."""
    with open_text(path) as file:
        lines = file.read().splitlines()
    start = 0
    while start < len(lines) and lines[start].strip():
        text = lines[start].split()[0]
        if not text.isdecimal():
            raise ValueError(f"path: {path}: line {start + 1} must be a number of atoms, and is {lines[start]!r}")
        if (missing := start + 2 + int(text) - len(lines)) > 0:
            raise ValueError(
                f"path: {path}: line {start + 1} promises {text} atoms; {missing} of its lines are missing"
            )
        start += 2 + int(text)


def _read(path: Path, format: str, frame: int) -> Structure:
    ase = _import_ase()
    with open(path, "rb"):
        pass  # what is no readable file is an OSError, whatever ASE makes of it
    if format == "extxyz":
        _check_counts(path)
    try:
        atoms = ase.io.read(os.fspath(path), index=frame, format=format)
    except KeyError as error:
        raise ValueError(f"path: {path} cannot be read as {format}: {error} is no symbol of an element") from error
    except Exception as error:  # ASE's readers raise almost anything on what they cannot parse
        raise ValueError(f"path: {path} cannot be read as {format}: {type(error).__name__}: {error}") from error
    if format == "vasp" and atoms.cell.rank < 3:
        raise ValueError(f"path: {path}: its lattice vectors lie in one plane, or one of them is 0: {atoms.cell[:]}")
    try:
        return from_ase(atoms, os.path.basename(os.fspath(path)))
    except ValueError as error:
        raise ValueError(f"path: {path}: {error}") from error
