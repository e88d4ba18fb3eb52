"""By way of ASE: POSCAR and extended XYZ files, and `ase.Atoms` themselves."""

from __future__ import annotations

import io
import os
import re
from typing import Any

import numpy as np

from pg_tf.structures._text import read_text
from pg_tf.structures.overlaps import check_overlaps
from pg_tf.structures.structure import OCCUPANCY_SLACK, Structure
from pg_tf.structures.symmetry import check_lengths

Path = str | os.PathLike[str]

_FLAGS = {"T", "F", "True", "False", "true", "false", "TRUE", "FALSE", "t", "f", "1", "0"}


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
    shared = {k: parts for k, parts in kinds.items() if parts != dict.fromkeys(parts, 1)} if _is_table(kinds) else {}
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
    if weights is not None and (weights.ndim != 1 or weights.dtype.kind not in "fiu"):
        raise ValueError(f"atoms: occupancy must be numbers [A], got {weights.dtype} {list(weights.shape)}")
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
    ase = import_ase()
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


def import_ase() -> Any:
    try:
        import ase
        import ase.io
    except ImportError as error:
        raise ImportError("this needs ASE: pip install ase, or pip install 'pg_tf[crystals]'") from error
    return ase


def _is_table(kinds: Any) -> bool:
    # Where ASE keeps shared places; any file may have something else of this name.
    return isinstance(kinds, dict) and all(isinstance(parts, dict) for parts in kinds.values())


def _check_counts(text: str) -> None:
    """Makes sure that a POSCAR file has a count for each element and the lines that the counts promise."""
    lines = text.splitlines()
    words = [re.split("[!#]", line)[0].split() for line in lines[:7]] + [[]] * 7
    number = 5 if words[5][:1] and words[5][0].isdecimal() else 6
    counts = [int(word) for word in words[number] if word.isdecimal() and len(word) < 20]
    if number == 6 and len(counts) != len(words[5]):
        raise ValueError(f"line 6 names {len(words[5])} elements, and line 7 has {len(counts)} whole numbers of atoms")
    if (missing := number + 2 + sum(counts) - len(lines)) > 0:
        raise ValueError(f"line {number + 1} promises {sum(counts)} atoms; {missing} of its lines are missing")


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
        _check_comment(lines[start + 1], lines[start + 2 : start + 3], start + 2)
        start += 2 + int(count)
        frames += 1
    if not -frames <= frame < frames:
        raise ValueError(f"it has no frame {frame}; it has {frames}")


def _check_comment(comment: str, first: list[str], number: int) -> None:
    """Refuses what ASE would pass over in the second line of a frame, given the line of the first atom as well."""
    keys = dict(re.findall(r"""([A-Za-z]+)\s*=\s*["'{]?([^"'{}=]*)""", comment))
    for key in keys:
        if key.lower() == "lattice" and key != "Lattice":
            raise ValueError(f"line {number}: {key} must be written Lattice")
    if "pbc" in keys and not set(re.findall(r"\w+", keys["pbc"])) <= _FLAGS:
        raise ValueError(f"line {number}: pbc must be three of T and F, and is {keys['pbc']!r}")
    if "Properties" in keys:
        columns = keys["Properties"].split()[0] if keys["Properties"].strip() else ""
        parts = re.findall(r"([^:]+):([A-Z]):(\d{1,9})(?::|$)", columns)
        if ("pos", "R", "3") not in parts or not {"species", "Z"} & {name for name, _, _ in parts}:
            raise ValueError(f"line {number}: Properties must have pos:R:3 and species:S:1, and are {columns!r}")
        if first and sum(int(size) for _, _, size in parts) > len(first[0].split()):
            raise ValueError(f"line {number}: Properties have more columns than the first atom, {columns!r}")


def _read(path: Path, format: str, frame: int) -> Structure:
    ase = import_ase()
    text = read_text(path)
    try:
        if format == "extxyz":
            _check_frames(text, frame)
            atoms = ase.io.read(io.StringIO(text), index=frame, format=format)
        else:  # which looks for the elements that it lacks in the files beside it
            _check_counts(text)
            atoms = ase.io.read(os.fspath(path), format=format)
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
        if structure.cell is not None:
            check_lengths(np.linalg.norm(structure.cell[np.asarray(structure.periodic)], axis=1).tolist())
        check_overlaps(structure, [f"{symbol} ({index})" for index, symbol in enumerate(structure.symbols)])
    except ValueError as error:
        raise ValueError(f"path: {path}: {error}") from error
    return structure
