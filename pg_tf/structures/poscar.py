"""Structures from POSCAR and CONTCAR files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from pg_tf.datasets.readers.record import Path
from pg_tf.formats.poscar import parsed_poscar
from pg_tf.structures._reading import Doubts
from pg_tf.structures._text import read_text
from pg_tf.structures.overlaps import check_overlaps
from pg_tf.structures.structure import Structure
from pg_tf.structures.symmetry import check_lengths


def read_poscar(
    path: Path, *, elements: Sequence[str] | Mapping[str, str] | None = None, strict: bool = False
) -> Structure:
    """Reads a POSCAR or CONTCAR file of VASP.

    Args:
      path: the file, plain or gzipped.
      elements: element symbols of the groups of atoms, in their order, for files of version 4, which name none; or
        symbols by the names that the file has.
      strict: raise where otherwise a warning is given: elements that are not named where the format has them.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if it cannot be read, or names no elements.
      OSError: if the file cannot be opened.
    """
    with Doubts(path, strict) as doubts:
        crystal = parsed_poscar(read_text(path), elements, doubts.add)
        structure = Structure(*crystal, name=os.path.basename(os.fspath(path)))
        check_lengths(np.linalg.norm(crystal.cell, axis=1).tolist())
        check_overlaps(structure, [f"{symbol} ({index})" for index, symbol in enumerate(structure.symbols)])
        return doubts.noted(structure)
