"""What all readers have in common: errors that name the file, and doubts about its content."""

from __future__ import annotations

import dataclasses
import warnings
from types import TracebackType

import numpy as np

from pg_tf.formats.atoms import FileAtoms
from pg_tf.formats.rules import OCCUPANCY_SLACK, odd_distances, odd_room
from pg_tf.structures.overlaps import check_overlaps, odd_bonds
from pg_tf.structures.structure import Structure
from pg_tf.structures.symmetry import check_lengths


class Doubts:
    """What a reader doubts while it reads a file. Errors that leave the block name the file.

    Args:
      path: of the file, for messages.
      strict: whether the first doubt is an error.
    """

    def __init__(self, path: str, strict: bool) -> None:
        self._path, self._strict, self._notes = path, strict, list[str]()

    def add(self, cause: str) -> None:
        """Warns of something doubtful; raises ValueError if the reader is strict."""
        if self._strict:
            raise ValueError(cause)
        warnings.warn(f"{self._path}: {cause}", stacklevel=4)
        self._notes.append(cause)

    def look_at(self, structure: Structure) -> None:
        """Doubts what is odd about the distances of a structure, whose atoms do not lie on one another."""
        if structure.cell is None:
            odd = odd_distances(structure.atomic_numbers, structure.coords, np.asarray(structure.weights))
        else:
            odd = odd_bonds(structure)
        for cause in odd:
            self.add(cause)
        if all(structure.periodic or (False,)):
            for cause in odd_room(structure.volume, float(np.asarray(structure.weights).sum())):
                self.add(cause)

    def noted(self, structure: Structure) -> Structure:
        """The structure, with the doubts as its notes."""
        return dataclasses.replace(structure, notes=tuple(self._notes))

    def __enter__(self) -> Doubts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # gemmi raises RuntimeError on what it cannot parse.
        if isinstance(error, (ValueError, RuntimeError)) and not str(error).startswith(("path: ", "elements: ")):
            raise ValueError(f"path: {self._path}: {error}") from error


def checked_structure(atoms: FileAtoms, name: str, doubts: Doubts) -> Structure:
    """The structure of a file's atoms.

    Args:
      atoms: as a format has them.
      name: its title, unless they have one.
      doubts: of the reader.

    Raises:
      ValueError: if there are no atoms, an occupancy is not from 0 to 1, lattice vectors have impossible lengths, or
        atoms lie on one another.
    """
    if not len(atoms.atomic_numbers):
        raise ValueError("it has no atoms")
    weights = np.ones(len(atoms.atomic_numbers)) if atoms.weights is None else atoms.weights
    if (bad := np.flatnonzero(~((weights >= 0) & (weights <= 1 + OCCUPANCY_SLACK)))).size:
        raise ValueError(f"atom {bad[0]} has the occupancy {weights[bad[0]]}; it must be from 0 to 1")
    if not weights.any():
        doubts.add("all atoms have the occupancy 0; they are taken for 1")
        weights = np.ones(len(weights))
    title = atoms.title or name
    structure = Structure(atoms.atomic_numbers, atoms.coords, atoms.cell, atoms.periodic, weights, title)
    if structure.cell is not None:
        check_lengths(np.linalg.norm(structure.cell[np.asarray(structure.periodic)], axis=1).tolist())
    check_overlaps(structure, atoms.names or [f"{symbol} ({i})" for i, symbol in enumerate(structure.symbols)])
    doubts.look_at(structure)
    return doubts.noted(structure)
