"""A structure from a file, by its name and content."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from pg_tf.datasets.readers.record import Path
from pg_tf.datasets.readers.streams import unpacked_name
from pg_tf.structures.cif import is_mmcif, read_cif
from pg_tf.structures.ligands import read_mol2, read_pdbqt
from pg_tf.structures.pdb import read_pdb
from pg_tf.structures.poscar import read_poscar
from pg_tf.structures.structure import Structure
from pg_tf.structures.xyz import read_xyz


def read_structure(
    path: Path, *, elements: Mapping[str, str] | Sequence[str] | None = None, strict: bool = False
) -> Structure:
    """Reads a CIF, mmCIF, PDB, mol2, PDBQT, XYZ, extended XYZ or POSCAR file, plain or gzipped, by the reader for it.

    Args:
      path: the suffix tells the format: .cif (CIF or mmCIF, by content), .mmcif, .pdb, .ent, .mol2, .pdbqt, .xyz,
        .extxyz, .vasp, .poscar; a name that begins with POSCAR or CONTCAR is one.
      elements: element symbols by what the file calls its atoms, in place of what that says; for POSCAR files also a
        sequence, one for each group of atoms.
      strict: raise where otherwise a warning is given.

    Returns:
      The structure; what was doubtful is in its `notes`.

    Raises:
      ValueError: if the format is not known, or as the readers.
      OSError: if the file cannot be opened.
    """
    name = unpacked_name(path)
    suffix = os.path.splitext(name)[1].lower()
    if name.upper().startswith(("POSCAR", "CONTCAR")) or suffix in (".vasp", ".poscar"):
        return read_poscar(path, elements=elements, strict=strict)
    if elements is not None and not isinstance(elements, Mapping):
        raise ValueError(f"elements: must be a mapping from names in {path} to element symbols, got {elements!r}")
    if suffix in (".xyz", ".extxyz"):
        return read_xyz(path, elements=elements, strict=strict)
    if suffix in (".pdb", ".ent", ".mmcif") or (suffix == ".cif" and is_mmcif(path)):
        return read_pdb(path, elements=elements, strict=strict)
    if suffix == ".mol2":
        return read_mol2(path, elements=elements, strict=strict)
    if suffix == ".pdbqt":
        return read_pdbqt(path, elements=elements, strict=strict)
    if suffix == ".cif":
        return read_cif(path, elements=elements, strict=strict)
    raise ValueError(
        f"path: the format of {path} is not known; it must end in .cif, .mmcif, .pdb, .ent, .mol2, .pdbqt, .xyz, "
        f".extxyz, .vasp or .poscar, with or without .gz, .bz2, .xz or .zip, or begin with POSCAR or CONTCAR"
    )
