"""The sample dataset is what its documentation says."""

import importlib.resources

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds, rdMolHash

from pg_tf.datasets import Molecules, load_sample
from pg_tf.elements import ORGANIC


@pytest.fixture(scope="module")
def sample() -> Molecules:
    return load_sample()


def test_splits_share_no_molecule_and_make_up_the_whole(sample: Molecules) -> None:
    parts = [load_sample(name) for name in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [3200, 400, 400]
    assert sum((part.names for part in parts), ()) == sample.names
    with pytest.raises(ValueError, match="split: must be one of train, validation, test or None, got 'valid'"):
        load_sample("valid")


def test_no_two_molecules_are_alike_up_to_stereochemistry_and_tautomers(sample: Molecules) -> None:
    identities = {
        rdMolHash.MolHash(flat, rdMolHash.HashFunction.HetAtomTautomer)
        for flat in (Chem.MolFromSmiles(Chem.MolToSmiles(Chem.MolFromSmiles(s), False)) for s in sample.names)
    }
    assert len(identities) == len(sample)


def test_molecules_are_neutral_closed_shell_and_of_the_documented_size(sample: Molecules) -> None:
    for name in sample.names:
        molecule = Chem.MolFromSmiles(name)
        assert 5 <= molecule.GetNumHeavyAtoms() <= 24, name
        assert Chem.GetFormalCharge(molecule) == 0, name
        assert not any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()), name


def test_geometry_shows_the_molecule_that_the_name_says(sample: Molecules) -> None:
    for molecule in sample[::16]:
        xyz = [f"{len(molecule.atomic_numbers)}", ""]
        for number, position in zip(molecule.atomic_numbers, molecule.coords, strict=True):
            xyz.append(" ".join([Chem.GetPeriodicTable().GetElementSymbol(int(number)), *map(str, position)]))
        seen = Chem.MolFromXYZBlock("\n".join(xyz))
        rdDetermineBonds.DetermineConnectivity(seen)
        named = Chem.AddHs(Chem.MolFromSmiles(molecule.names[0]))
        degrees = [sorted((atom.GetAtomicNum(), atom.GetDegree()) for atom in m.GetAtoms()) for m in (seen, named)]
        assert degrees[0] == degrees[1], molecule.names[0]


def test_labels_are_the_gfn2_xtb_gap_of_the_stored_geometry(sample: Molecules) -> None:
    interface = pytest.importorskip("tblite.interface", reason="tblite is not installed")
    for molecule in sample[[0, 1000, 3999]]:
        bohr = molecule.coords.astype(np.float64) / 0.529177210903
        calculator = interface.Calculator("GFN2-xTB", molecule.atomic_numbers, bohr)
        calculator.set("verbosity", 0)
        result = calculator.singlepoint()
        occupied = round(result.get("orbital-occupations").sum() / 2)
        energies = result.get("orbital-energies") * 27.211386245988
        assert molecule.labels == pytest.approx(energies[occupied] - energies[occupied - 1], abs=2e-3)


def test_composition_alone_leaves_most_of_the_gap_unexplained(sample: Molecules) -> None:
    train, test = load_sample("train"), load_sample("test")
    assert train.labels is not None
    assert test.labels is not None
    design = [np.c_[part.composition(ORGANIC.names), np.ones(len(part))] for part in (train, test)]
    fit = np.linalg.lstsq(design[0], train.labels, rcond=None)[0]
    error = np.abs(design[1] @ fit - test.labels).mean()
    spread = np.abs(train.labels.mean() - test.labels).mean()
    assert 0.6 * spread < error < spread


def test_file_is_small_and_needs_no_pickle() -> None:
    resource = importlib.resources.files("pg_tf.datasets") / "sample.npz"
    with importlib.resources.as_file(resource) as path:
        assert path.stat().st_size < 2e6
        with np.load(path, allow_pickle=False) as data:
            assert data["coords"].dtype == np.int16
            assert all(data[name].size for name in data.files)
