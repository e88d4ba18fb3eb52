"""PDB, SDF and XYZ files are read back by other programs, with the atoms, bonds and cells that were written."""

from pathlib import Path

import ase.io
import gemmi
import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom

import pg_tf
from pg_tf.datasets import load_sample
from pg_tf.elements import ORGANIC
from pg_tf.structures import Structure, read_structure, write_structure

CELL = np.array([[5.0, 0.3, -1], [1, 6, 0], [0, -1, 7]])
COORDS = np.array([[0.1, 0.2, 0.3], [1, 2, 3], [9, -3, 8]])
# What the formats write of a coordinate, Å.
PDB_ROUNDING, SDF_ROUNDING, XYZ_ROUNDING = 0.0006, 0.00006, 0.6e-8


@pytest.fixture(scope="module")
def found() -> tuple[Structure, str]:
    """What inversion finds in the grid of a molecule of the sample, and the SMILES of that molecule."""
    molecule = load_sample("test")[3]
    grid, box = pg_tf.Voxelizer(num_channels=8, return_box=True)(molecule.points(ORGANIC)[0])
    return pg_tf.grid_to_coords(grid, box=box, sigma=0.4).to_structure(ORGANIC, molecule.names[0]), molecule.names[0]


@pytest.mark.parametrize("suffix", [".sdf", ".mol"])
def test_bonds_of_what_inversion_found_are_read_back(found: tuple[Structure, str], suffix: str, tmp_path: Path) -> None:
    structure, smiles = found
    path = tmp_path / f"found{suffix}"
    write_structure(structure, path)
    read = Chem.MolFromMolFile if suffix == ".mol" else lambda name, **how: next(iter(Chem.SDMolSupplier(name, **how)))
    molecule = read(str(path), removeHs=False)
    assert Chem.MolToSmiles(Chem.RemoveHs(molecule)) == Chem.CanonSmiles(smiles)
    assert molecule.GetProp("_Name") == smiles
    assert molecule.GetConformer().Is3D()
    np.testing.assert_allclose(molecule.GetConformer().GetPositions(), structure.coords, atol=SDF_ROUNDING)


def test_charge_decides_the_bonds_of_an_sdf(tmp_path: Path) -> None:
    ammonium = Chem.AddHs(Chem.MolFromSmiles("[NH4+]"))
    rdDistGeom.EmbedMolecule(ammonium, randomSeed=1)
    structure = Structure(np.array([7, 1, 1, 1, 1]), ammonium.GetConformer().GetPositions())
    with pytest.raises(ValueError, match="structure: RDKit finds no bonds for H4 N with charge 0"):
        write_structure(structure, tmp_path / "ion.sdf")
    assert not list(tmp_path.iterdir())
    write_structure(structure, tmp_path / "ion.sdf", charge=1)
    assert Chem.MolToSmiles(Chem.SDMolSupplier(str(tmp_path / "ion.sdf"))[0]) == "[NH4+]"


@pytest.mark.parametrize("name", ["found.pdb", "found.xyz"])
def test_molecules_are_read_back_by_ase(found: tuple[Structure, str], name: str, tmp_path: Path) -> None:
    structure, _ = found
    write_structure(structure, tmp_path / name)
    atoms = ase.io.read(tmp_path / name)
    assert tuple(atoms.get_chemical_symbols()) == structure.symbols
    np.testing.assert_allclose(
        atoms.positions, structure.coords, atol=PDB_ROUNDING if name.endswith("pdb") else XYZ_ROUNDING
    )
    assert not atoms.pbc.any()
    assert read_structure(tmp_path / name, strict=True).symbols == structure.symbols


@pytest.mark.parametrize("handed", ["right", "left"])
def test_crystal_is_the_same_in_a_pdb_file(handed: str, tmp_path: Path) -> None:
    cell = CELL if handed == "right" else CELL[[1, 0, 2]]
    crystal = Structure(np.array([11, 17, 8]), COORDS, cell, weights=np.array([1, 0.5, 0.25]))
    write_structure(crystal, tmp_path / "salt.pdb")
    atoms = ase.io.read(tmp_path / "salt.pdb")
    assert atoms.get_chemical_symbols() == ["Na", "Cl", "O"]
    sign = np.sign(np.linalg.det(cell))
    vectors = np.concatenate([atoms.positions - atoms.positions[0], sign * np.asarray(atoms.cell)])
    wanted = np.concatenate([COORDS - COORDS[0], cell])
    np.testing.assert_allclose(vectors @ vectors.T, wanted @ wanted.T, atol=0.02)
    assert np.linalg.det(vectors[1:4]) == pytest.approx(np.linalg.det(wanted[1:4]), abs=0.1)  # no mirror image
    (residue,) = gemmi.read_structure(str(tmp_path / "salt.pdb"))[0][0]
    assert [atom.occ for atom in residue] == [1, 0.5, 0.25]


@pytest.mark.parametrize(
    ("changes", "name", "text"),
    [
        ({"cell": CELL}, "a.sdf", "it has a lattice, which SDF cannot hold"),
        ({"weights": np.array([1, 0.5, 1])}, "a.sdf", "atom 1 has the weight 0.5, which SDF cannot hold"),
        ({"weights": np.array([1, 0.5, 1])}, "a.xyz", "atom 1 has the weight 0.5, which XYZ cannot hold"),
        ({"cell": CELL, "periodic": (True, True, False)}, "a.pdb", "PDB only holds what repeats along all three"),
        ({"coords": COORDS + 1000}, "a.pdb", "a coordinate is beyond 1000 Å"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(changes: dict, name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=text):
        write_structure(
            Structure(**{"atomic_numbers": np.array([11, 17, 8]), "coords": COORDS, **changes}), tmp_path / name
        )
    assert not list(tmp_path.iterdir())
