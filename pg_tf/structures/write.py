"""A structure to a file, by its name."""

from __future__ import annotations

import os

import gemmi
import numpy as np

from pg_tf.datasets.readers.record import Path
from pg_tf.structures.objects import import_ase, to_ase
from pg_tf.structures.structure import Structure


def write_structure(structure: Structure, path: Path) -> None:
    """Writes a CIF, XYZ, extended XYZ or POSCAR file, which `read_structure` reads back.

    A CIF lists all atoms of the cell (space group P1) with their occupancies; it holds lengths and angles of the cell
    and fractional coordinates, so that what is read back may be turned in space. The others keep Cartesian coordinates.

    Args:
      structure: atoms at a place that several elements share are written one by one.
      path: the suffix tells the format: .cif, .xyz or .extxyz, .vasp or .poscar; a name that begins with POSCAR or
        CONTCAR is one. Without a lattice, .xyz only.

    Raises:
      ImportError: if the format needs ASE and it is not installed (all but CIF).
      ValueError: if the format is not known, or cannot hold what the structure has: weights other than 1 (CIF does), a
        lattice that does not repeat along all vectors (extended XYZ does), or no lattice.
      OSError: if the file cannot be written.
    """
    name = os.path.basename(os.fspath(path))
    suffix = os.path.splitext(name)[1].lower()
    if suffix in (".xyz", ".extxyz"):
        import_ase().io.write(path, to_ase(structure), format="extxyz", columns=["symbols", "positions"])
    elif suffix == ".cif":
        _check_periodic(structure, "CIF")
        with open(path, "w", encoding="utf-8") as file:
            file.write(_cif(structure))
    elif name.upper().startswith(("POSCAR", "CONTCAR")) or suffix in (".vasp", ".poscar"):
        _check_periodic(structure, "POSCAR")
        import_ase().io.write(path, to_ase(structure), format="vasp")
    else:
        raise ValueError(
            f"path: the format of {path} is not known; it must end in .cif, .xyz, .extxyz, .vasp or .poscar, or begin "
            f"with POSCAR or CONTCAR"
        )


def _check_periodic(structure: Structure, format: str) -> None:
    if structure.periodic != (True, True, True):
        raise ValueError(
            f"structure: it is periodic {structure.periodic}, and {format} only holds what repeats along all three "
            f"lattice vectors; give it a cell and periodic=True with dataclasses.replace, or write extended XYZ"
        )


def _cif(structure: Structure) -> str:
    assert structure.cell is not None
    # A file has lengths and angles only, which stand for right-handed vectors: left-handed ones all change their sign.
    sign = np.sign(np.linalg.det(structure.cell))
    lengths = np.linalg.norm(structure.cell, axis=1)
    unit = structure.cell / lengths[:, None]
    block = gemmi.cif.Document().add_new_block("".join(structure.name.split()) or "structure")
    for axis, length in zip("abc", lengths, strict=True):
        block.set_pair(f"_cell_length_{axis}", f"{length:.10g}")
    for axis, (i, j) in zip(("alpha", "beta", "gamma"), ((1, 2), (0, 2), (0, 1)), strict=True):
        angle = np.degrees(np.arctan2(np.linalg.norm(np.cross(unit[i], unit[j])), unit[i] @ unit[j]))
        block.set_pair(f"_cell_angle_{axis}", f"{angle:.10g}")
    block.set_pair("_space_group_name_H-M_alt", gemmi.cif.quote("P 1"))
    block.init_loop("_space_group_symop_", ["operation_xyz"]).add_row([gemmi.cif.quote("x,y,z")])
    tags = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"]
    loop = block.init_loop("_atom_site_", tags)
    rows = zip(structure.symbols, sign * structure.fractional, np.asarray(structure.weights), strict=True)
    for index, (symbol, place, weight) in enumerate(rows):
        loop.add_row([f"{symbol}{index + 1}", symbol, *(f"{x:.12f}" for x in place), f"{weight:.6g}"])
    return block.as_string()
