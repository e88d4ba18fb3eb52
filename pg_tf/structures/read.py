"""A structure from a file, by its name and content."""

from __future__ import annotations

import os

from pg_tf.structures._ase import Path, read_poscar, read_xyz
from pg_tf.structures.cif import is_mmcif, read_cif
from pg_tf.structures.pdb import read_pdb
from pg_tf.structures.structure import Structure


def read_structure(path: Path) -> Structure:
    """Reads a CIF, mmCIF, PDB, XYZ, extended XYZ or POSCAR file, plain or gzipped, with the defaults of the reader for
    it.

    Args:
      path: the suffix tells the format: .cif (CIF or mmCIF, by content), .mmcif, .pdb, .ent, .xyz, .extxyz, .vasp,
        .poscar; a name that begins with POSCAR or CONTCAR is one.

    Raises:
      ValueError: if the format is not known, or as the readers.
      OSError: if the file cannot be opened.
    """
    name = os.path.basename(os.fspath(path)).removesuffix(".gz")
    suffix = os.path.splitext(name)[1].lower()
    if name.upper().startswith(("POSCAR", "CONTCAR")) or suffix in (".vasp", ".poscar"):
        return read_poscar(path)
    if suffix in (".xyz", ".extxyz"):
        return read_xyz(path)
    if suffix in (".pdb", ".ent", ".mmcif") or (suffix == ".cif" and is_mmcif(path)):
        return read_pdb(path)
    if suffix == ".cif":
        return read_cif(path)
    raise ValueError(
        f"path: the format of {path} is not known; it must end in .cif, .mmcif, .pdb, .ent, .xyz, .extxyz, .vasp or "
        f".poscar, with or without .gz, or begin with POSCAR or CONTCAR"
    )
