"""Crystals and molecules from files and other libraries, and back: every reader yields a `Structure`, every writer
takes one."""

from pg_tf.structures.cif import read_cif
from pg_tf.structures.molecule_files import read_mol2, read_pdbqt, read_sdf, read_xyz
from pg_tf.structures.objects import (
    as_structure,
    from_ase,
    from_pymatgen,
    from_rdkit,
    is_structure_like,
    to_ase,
    to_pymatgen,
    to_rdkit,
)
from pg_tf.structures.pdb import read_pdb
from pg_tf.structures.poscar import read_poscar
from pg_tf.structures.read import read_structure
from pg_tf.structures.structure import Structure
from pg_tf.structures.write import write_structure

__all__ = [
    "Structure",
    "as_structure",
    "from_ase",
    "from_pymatgen",
    "from_rdkit",
    "is_structure_like",
    "read_cif",
    "read_mol2",
    "read_pdb",
    "read_pdbqt",
    "read_poscar",
    "read_sdf",
    "read_structure",
    "read_xyz",
    "to_ase",
    "to_pymatgen",
    "to_rdkit",
    "write_structure",
]
