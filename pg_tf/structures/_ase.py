"""By way of ASE: POSCAR and extended XYZ files, and `ase.Atoms` themselves."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np

from pg_tf.structures._text import read_text
from pg_tf.structures.overlaps import check_overlaps
from pg_tf.structures.structure import OCCUPANCY_SLACK, Structure

Path = str | os.PathLike[str]


def from_ase(atoms: Any, name: str = "") -> Structure:
    """A structure from `ase.Atoms`.

    Args:
      atoms: `ase.Atoms`. Lattice vectors that are zero, which ASE allows along axes that are not periodic, become unit
        vectors across the others. An array `occupancy` becomes the weights.
      name: a title.

    Raises:
      ValueError: if the atoms stand for partly occupied places: ASE keeps only one element of each. `read_cif` reads
        them all. If they repeat along an axis without a lattice vector, or an occupancy is not from 0 to 1. Or for
        what `Structure` refuses.
    """
    kinds = atoms.info.get("occupancy")
    shared = {k: parts for k, parts in kinds.items() if set(parts.values()) != {1}} if isinstance(kinds, dict) else {}
    if shared:
        kind, parts = next(iter(shared.items()))
        raise ValueError(
            f"atoms: the places of kind {kind} are partly occupied, {parts}, which ase.Atoms cannot hold; use read_cif"
        )
    missing = ~np.asarray(atoms.cell).any(axis=1)
    if (bad := np.flatnonzero(atoms.pbc & missing)).size:
        raise ValueError(
            f"atoms: pbc is {atoms.pbc.tolist()}, and there is no lattice vector {bad[0]}; give it, or set pbc to False"
        )
    has_cell = not missing.all()
    weights = atoms.arrays.get("occupancy")
    if weights is not None and (bad := np.flatnonzero(~((weights >= 0) & (weights <= 1 + OCCUPANCY_SLACK)))).size:
        raise ValueError(f"atoms: atom {bad[0]} has the occupancy {weights[bad[0]]}; it must be from 0 to 1")
    return Structure(
        atoms.numbers,
        atoms.positions,
        np.asarray(atoms.cell.complete()) if has_cell else None,
        tuple(bool(flag) for flag in atoms.pbc) if has_cell else None,  # type: ignore[arg-type]
        weights,
        name,
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


def _check_frames(text: str, frame: int) -> None:
    """Makes sure that the text has the lines that its counts promise: ASE would make room for the atoms first."""
    lines, start, frames = text.splitlines(), 0, 0
    while start < len(lines) and lines[start].strip():
        if lines[start].lstrip().startswith("VEC"):  # lattice vectors, as some programs write them
            start += 1
            continue
        count = lines[start].split()[0]
        if not (count.isdecimal() and len(count) < 20):
            raise ValueError(f"line {start + 1} must be a number of atoms, and is {lines[start][:40]!r}")
        if (missing := start + 2 + int(count) - len(lines)) > 0:
            raise ValueError(f"line {start + 1} promises {count} atoms; {missing} of its lines are missing")
        start += 2 + int(count)
        frames += 1
    if not -frames <= frame < frames:
        raise ValueError(f"it has no frame {frame}; it has {frames}")


def _read(path: Path, format: str, frame: int) -> Structure:
    ase = _import_ase()
    text = read_text(path)
    try:
        if format == "extxyz":
            _check_frames(text, frame)
        atoms = ase.io.read(io.StringIO(text), index=frame, format=format)
    except KeyError as error:
        raise ValueError(f"path: {path} cannot be read as {format}: {error} is no symbol of an element") from error
    except ValueError as error:
        raise ValueError(f"path: {path} cannot be read as {format}: {error}") from error
    except Exception as error:  # ASE's readers raise almost anything on what they cannot parse
        raise ValueError(f"path: {path} cannot be read as {format}: {type(error).__name__}: {error}") from error
    if format == "vasp" and atoms.cell.rank < 3:
        raise ValueError(f"path: {path}: its lattice vectors lie in one plane, or one of them is 0: {atoms.cell[:]}")
    try:
        structure = from_ase(atoms, os.path.basename(os.fspath(path)))
        check_overlaps(structure, [f"{symbol} ({index})" for index, symbol in enumerate(structure.symbols)])
    except ValueError as error:
        raise ValueError(f"path: {path}: {error}") from error
    return structure
