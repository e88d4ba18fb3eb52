"""Points to XYZ text and RDKit molecules: the same molecule as the source, and failures that say why."""

import io

import ase.io
import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom

import pg_tf
from pg_tf.datasets import load_sample
from pg_tf.elements import ORGANIC
from pg_tf.inversion import to_rdkit, to_xyz

WATER = np.float64([[1, 0, 0, 0.12], [0, 0, 0.76, -0.48], [-1, 9, 9, 9], [0, 0, -0.76, -0.48]])


def smiles_of(molecule):
    return Chem.MolToSmiles(Chem.RemoveHs(molecule))


def test_molecules_are_themselves_after_grid_and_inversion():
    molecules = load_sample("test")[[3, 9, 40]]
    grids, box = pg_tf.Voxelizer(num_channels=8, grid_shape=32, sigma=0.4, return_box=True)(molecules.points(ORGANIC))
    found = pg_tf.grid_to_coords(grids, box=box, sigma=0.4)
    for molecule, name in zip(found.to_rdkit(ORGANIC), molecules.names, strict=True):
        assert smiles_of(molecule) == Chem.CanonSmiles(name)
    assert found.to_xyz(ORGANIC)[1] == to_xyz(found.points[1], ORGANIC)


def test_bonds_and_stereochemistry_are_those_of_the_source_for_nearly_all_molecules(rng):
    """All 400 test molecules come back, also with coordinates that are 0.01 Å off; room for another RDKit's taste."""
    molecules = load_sample("test")[:80]
    same = 0
    for points, name in zip(molecules.points(ORGANIC), molecules.names, strict=True):
        moved = points.numpy() + 0.01 * rng.normal(size=points.shape) * [0, 1, 1, 1]
        source = Chem.MolFromSmiles(name)
        molecule = to_rdkit(rng.permutation(moved), ORGANIC, charge=Chem.GetFormalCharge(source))
        same += smiles_of(molecule) == Chem.MolToSmiles(source)
    assert same >= 0.95 * len(molecules)


def test_atoms_keep_their_order_and_coordinates():
    molecule = to_rdkit(WATER, ("H", "O"))
    assert [atom.GetSymbol() for atom in molecule.GetAtoms()] == ["O", "H", "H"]
    np.testing.assert_allclose(molecule.GetConformer().GetPositions(), WATER[[0, 1, 3], 1:])


def test_structure_does_not_depend_on_the_order_of_the_atoms(rng):
    """Nitrobenzene: for some orders RDKit alone finds nothing."""
    molecule = Chem.AddHs(Chem.MolFromSmiles("c1ccccc1[N+](=O)[O-]"))
    assert rdDistGeom.EmbedMolecule(molecule, randomSeed=1) == 0
    channels = ORGANIC.channels([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    points = np.column_stack([channels, molecule.GetConformer().GetPositions()])
    for _ in range(10):
        assert smiles_of(to_rdkit(rng.permutation(points), ORGANIC)) == "O=[N+]([O-])c1ccccc1"


def test_charge_makes_the_difference():
    ammonium = Chem.AddHs(Chem.MolFromSmiles("[NH4+]"))
    rdDistGeom.EmbedMolecule(ammonium, randomSeed=1)
    points = np.column_stack([[0, 1, 1, 1, 1], ammonium.GetConformer().GetPositions()])
    assert smiles_of(to_rdkit(points, ("N", "H"), charge=1)) == "[NH4+]"
    with pytest.raises(ValueError, match=r"RDKit finds no bonds for H4 N with charge 0 .*check the charge"):
        to_rdkit(points, ("N", "H"))


def test_xyz_is_read_back_by_another_program():
    text = to_xyz(WATER, ("H", "O"), comment="water")
    assert text.splitlines()[:2] == ["3", "water"]
    atoms = ase.io.read(io.StringIO(text), format="xyz")
    assert atoms.get_chemical_symbols() == ["O", "H", "H"]
    np.testing.assert_allclose(atoms.positions, WATER[[0, 1, 3], 1:], atol=1e-8)


def test_no_atoms_are_an_empty_molecule():
    assert to_xyz(np.zeros((0, 4)), ORGANIC) == "0\n\n"
    assert to_rdkit(np.zeros((0, 4)), ORGANIC).GetNumAtoms() == 0


@pytest.mark.parametrize("export", [to_xyz, to_rdkit])
@pytest.mark.parametrize(
    ("points", "elements", "text"),
    [
        (np.zeros((1, 2, 4)), ORGANIC, r"points must be one molecule, of shape \[atoms, 4\]; got \[1, 2, 4\]"),
        ([[8, 0, 0, 0]], ORGANIC, "atom 0 has channel 8; elements has channels 0 to 7"),
        ([[-1, 0, 0, 0], [0.5, 0, 0, 0]], ORGANIC, "atom 1 has channel 0.5"),
        ([[0, 0, 0, 0]], pg_tf.ElementChannels.single(), "atom 0 is in channel 0, 'all', which does not stand for one"),
        ([[1, 0, 0, 0]], ("C", "F+Cl"), r"'F\+Cl', which does not stand for one element"),
        ([[0, np.nan, 0, 0]], ("C",), r"atom 0 is \[0.0, nan, 0.0, 0.0\]; points must be finite"),
        ([[0, 0, 0, 0]], ("Xx",), "'Xx' is not an element symbol"),
    ],
)
def test_points_that_are_no_molecule_are_named(export, points, elements, text):
    with pytest.raises(ValueError, match=text):
        export(points, elements)


def test_comment_of_several_lines_is_refused():
    with pytest.raises(ValueError, match="comment must be one line"):
        to_xyz(WATER, ("H", "O"), comment="a\nb")
