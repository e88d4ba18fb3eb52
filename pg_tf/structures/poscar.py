"""Structures from POSCAR and CONTCAR files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pg_tf.formats.poscar import parsed_poscar
from pg_tf.formats.sources import Input, full_name, name_of, repeatable
from pg_tf.formats.streams import read_text
from pg_tf.structures._reading import Doubts, checked_structure
from pg_tf.structures.structure import Structure


def read_poscar(
    path: Input, *, elements: Sequence[str] | Mapping[str, str] | None = None, strict: bool = False
) -> Structure:
    """Reads a POSCAR or CONTCAR file of VASP.

    Args:
      path: the file, as in `read_structure`.
      elements: element symbols of the groups of atoms, in their order, for files of version 4, which name none; or
        symbols by the names that the file has.
      strict: raise where otherwise a warning is given: elements that are not named where the format has them.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if it cannot be read, or names no elements.
      OSError: if the file cannot be opened.
    """
    source = repeatable(path)
    with Doubts(full_name(source), strict) as doubts:
        atoms = parsed_poscar(read_text(source), elements, doubts.add)
        return checked_structure(atoms, name_of(source), doubts)
