"""A structure to a file, by its name."""

from __future__ import annotations

import os

import gemmi
import numpy as np
import numpy.typing as npt

from pg_tf._files import whole, write_whole
from pg_tf.formats.sources import Path
from pg_tf.formats.xyz import frame_text
from pg_tf.structures.objects import import_ase, to_ase
from pg_tf.structures.structure import Structure

SUFFIXES = (".cif", ".xyz", ".extxyz", ".vasp", ".poscar", ".pdb", ".sdf", ".mol")
"""Of the formats that `write_structure` knows."""

# Coordinates of a PDB file have eight columns, three digits of them after the point; Å.
_WIDEST = 1000.0


def write_structure(structure: Structure, path: Path, *, charge: int = 0) -> None:
    """Writes a CIF, XYZ, extended XYZ, POSCAR, PDB or SDF file, which pg_tf and other programs read back.

    A CIF lists all atoms of the cell (space group P1) with their occupancies; it and a PDB file hold lengths and angles
    of the cell, so that what is read back may be turned in space. The others keep Cartesian coordinates. An SDF file
    holds bonds, which `pg_tf.inversion.to_rdkit` describes.

    Args:
      structure: atoms at a place that several elements share are written one by one.
      path: the suffix tells the format: .cif, .xyz or .extxyz, .vasp or .poscar, .pdb, .sdf or .mol; a name that begins
        with POSCAR or CONTCAR is one. Without a lattice .xyz, .pdb, .sdf and .mol only; with one no .sdf and no .mol.
      charge: total charge of a molecule, for the bonds of .sdf and .mol.

    Raises:
      ImportError: if the format needs ASE and it is not installed (POSCAR, and XYZ with a lattice).
      ValueError: if the format is not known, or cannot hold what the structure has: weights other than 1 (CIF and PDB
        do), a lattice that does not repeat along all vectors (extended XYZ does), a lattice or none; or if no bonds
        go with an SDF file's geometry and charge.
      OSError: if the file cannot be written.
    """
    name = os.path.basename(os.fspath(path))
    suffix = os.path.splitext(name)[1].lower()
    if suffix in (".xyz", ".extxyz") and structure.cell is None:
        _check_weights(structure, "XYZ")
        comment = " ".join(structure.name.split())
        write_whole(path, frame_text(structure.symbols, structure.coords, comment))
    elif suffix in (".xyz", ".extxyz"):
        with whole(path, suffix) as scratch:
            ase = import_ase()
            ase.io.write(scratch, to_ase(structure), format="extxyz", columns=["symbols", "positions"])
    elif suffix == ".cif":
        _check_periodic(structure, "CIF")
        write_whole(path, _cif(structure))
    elif suffix == ".pdb":
        write_whole(path, _pdb(structure))
    elif suffix in (".sdf", ".mol"):
        write_whole(path, _sdf(structure, charge) + ("$$$$\n" if suffix == ".sdf" else ""))
    elif name.upper().startswith(("POSCAR", "CONTCAR")) or suffix in (".vasp", ".poscar"):
        _check_periodic(structure, "POSCAR")
        with whole(path, suffix) as scratch:
            import_ase().io.write(scratch, to_ase(structure), format="vasp")
    else:
        raise ValueError(
            f"path: the format of {path} is not known; it must end in {', '.join(SUFFIXES)}, or begin with POSCAR or "
            f"CONTCAR"
        )


def _check_periodic(structure: Structure, format: str) -> None:
    if structure.periodic != (True, True, True):
        raise ValueError(
            f"structure: it is periodic {structure.periodic}, and {format} only holds what repeats along all three "
            f"lattice vectors; give it a cell and periodic=True with dataclasses.replace, or write extended XYZ"
        )


def _check_weights(structure: Structure, format: str) -> None:
    weights = np.asarray(structure.weights)
    if (bad := np.flatnonzero(weights != 1)).size:
        raise ValueError(f"structure: atom {bad[0]} has the weight {weights[bad[0]]}, which {format} cannot hold")


def _cif(structure: Structure) -> str:
    assert structure.cell is not None
    sign, lengths, angles = _shape(structure.cell)
    block = gemmi.cif.Document().add_new_block("".join(structure.name.split()) or "structure")
    for axis, length in zip("abc", lengths, strict=True):
        block.set_pair(f"_cell_length_{axis}", f"{length:.10g}")
    for axis, angle in zip(("alpha", "beta", "gamma"), angles, strict=True):
        block.set_pair(f"_cell_angle_{axis}", f"{angle:.10g}")
    block.set_pair("_space_group_name_H-M_alt", gemmi.cif.quote("P 1"))
    block.init_loop("_space_group_symop_", ["operation_xyz"]).add_row([gemmi.cif.quote("x,y,z")])
    tags = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"]
    loop = block.init_loop("_atom_site_", tags)
    rows = zip(structure.symbols, sign * structure.fractional, np.asarray(structure.weights), strict=True)
    for index, (symbol, place, weight) in enumerate(rows):
        loop.add_row([f"{symbol}{index + 1}", symbol, *(f"{x:.12f}" for x in place), f"{weight:.6g}"])
    return block.as_string()


def _shape(cell: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64], list[float]]:
    """Lengths (Å) and angles (degrees) of a cell, and the sign of its handedness.

    Lengths and angles stand for right-handed vectors: left-handed ones all have to change their sign.
    """
    lengths = np.linalg.norm(cell, axis=1)
    unit = cell / lengths[:, None]
    pairs = ((unit[i], unit[j]) for i, j in ((1, 2), (0, 2), (0, 1)))
    angles = [float(np.degrees(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v))) for u, v in pairs]
    return float(np.sign(np.linalg.det(cell))), lengths, angles


def _sdf(structure: Structure, charge: int) -> str:
    """A mol block with the bonds that go with the geometry."""
    from rdkit import Chem

    from pg_tf.structures.bonds import bonded

    if structure.cell is not None:
        raise ValueError("structure: it has a lattice, which SDF cannot hold; write CIF or PDB")
    _check_weights(structure, "SDF")
    molecule = bonded(structure.symbols, structure.coords, charge, argument="structure")
    molecule.SetProp("_Name", " ".join(structure.name.split()))
    return Chem.MolToMolBlock(molecule)


def _pdb(structure: Structure) -> str:
    """All atoms as one residue UNL, which stands for what has no name of its own."""
    coords, content = structure.coords, gemmi.Structure()
    if structure.cell is not None:
        _check_periodic(structure, "PDB")
        sign, lengths, angles = _shape(structure.cell)
        content.cell = gemmi.UnitCell(*lengths, *angles)
        content.spacegroup_hm = "P 1"
        # A PDB file's cell lies along x and in the plane of x and y, and the coordinates are given in that frame.
        coords = sign * structure.fractional @ np.array(content.cell.orth.mat.tolist()).T
    if (np.abs(coords) >= _WIDEST).any():
        raise ValueError(f"structure: a coordinate is beyond {_WIDEST:g} Å, which PDB cannot hold; write CIF or XYZ")
    residue, counts = gemmi.Residue(), dict.fromkeys(structure.symbols, 0)
    residue.name, residue.seqid, residue.het_flag = "UNL", gemmi.SeqId("1"), "H"
    for symbol, place, weight in zip(structure.symbols, coords, np.asarray(structure.weights), strict=True):
        atom, counts[symbol] = gemmi.Atom(), counts[symbol] + 1
        atom.name = f"{symbol.upper()}{counts[symbol]}"[:4]
        atom.element, atom.pos, atom.occ = gemmi.Element(symbol), gemmi.Position(*place), weight
        residue.add_atom(atom)
    chain, model = gemmi.Chain("A"), gemmi.Model(1)
    chain.add_residue(residue)
    model.add_chain(chain)
    content.add_model(model)
    return str(content.make_pdb_string(gemmi.PdbWriteOptions(cryst1_record=structure.cell is not None)))
