"""Molecules from a denoiser, in an SDF file that is gone on with after a kill."""

import math

import numpy as np
import pytest
import tensorflow as tf
from rdkit import Chem

from pg_tf.datasets import Molecules
from pg_tf.generation import Generator, GridFormat, Sampling, sdf

FORMAT = GridFormat(("C", "H"))
METHANE = np.array([[0, 0, 0], [0.63, 0.63, 0.63], [-0.63, -0.63, 0.63], [-0.63, 0.63, -0.63], [0.63, -0.63, -0.63]])


class OneMolecule:
    """The exact denoiser of a data set that is one grid: whatever the noise, that grid."""

    def __init__(self, grid: tf.Tensor) -> None:
        self.inputs = (None, None)
        self.grid = grid

    def __call__(self, inputs: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        return tf.broadcast_to(self.grid, tf.shape(inputs[0]))


@pytest.fixture(name="methane", scope="module")
def fixture_methane() -> tf.Tensor:
    molecule = Molecules.from_arrays([np.array([6, 1, 1, 1, 1])], [METHANE])
    return FORMAT.grids(molecule.points(FORMAT.channels))


@pytest.mark.parametrize("sampling", [Sampling(steps=8), Sampling("walk-jump", steps=3)], ids=lambda s: s.sampler)
def test_the_denoiser_of_one_molecule_makes_that_molecule_in_random_orientations(methane, sampling):
    generator = Generator(OneMolecule(methane), FORMAT, sampling)
    made = generator.molecules(64, (1, 2))
    assert made.row_splits.tolist() == list(range(0, 5 * 64 + 1, 5))
    coords = made.coords.reshape(64, 5, 3)
    bonds = np.linalg.norm(coords[:, 1:] - coords[:, :1], axis=-1)
    np.testing.assert_allclose(bonds, 0.63 * math.sqrt(3), atol=2e-3)
    # The mean of all directions is nowhere, to four standard errors.
    directions = (coords[:, 1] - coords[:, 0]) / bonds[:, :1]
    assert np.all(np.abs(directions.mean(axis=0)) < 4 / math.sqrt(3 * 64))
    again = generator.molecules(64, (1, 2))
    np.testing.assert_array_equal(again.coords, made.coords)


def test_a_file_that_was_cut_off_is_brought_to_the_same_end(methane, tmp_path):
    generator = Generator(OneMolecule(methane), FORMAT, Sampling(steps=3))
    whole, cut = tmp_path / "whole.sdf", tmp_path / "cut.sdf"
    generator.write(whole, 7, seed=5, batch_size=3)
    assert len(Chem.SDMolSupplier(str(whole))) == 7
    content = whole.read_bytes()
    for length in (0, len(content) // 3, len(content) // 2, len(content) - 2):
        cut.write_bytes(content[:length])
        generator.write(cut, 7, seed=5, batch_size=3)
        assert cut.read_bytes() == content


def test_records_hold_bonds_and_say_why_one_is_impossible(tmp_path):
    crowded = np.concatenate([METHANE, [[0.0, 0.0, 1.09]]])
    molecules = Molecules.from_arrays(
        [np.array([6, 1, 1, 1, 1]), np.array([6, 1, 1, 1, 1, 1]), np.zeros(0, int)],
        [METHANE, crowded, np.zeros((0, 3))],
    )
    path = tmp_path / "made.sdf"
    sdf.append(path, molecules, 7, {"seed": 3})
    read = list(Chem.SDMolSupplier(str(path), removeHs=False, sanitize=False))
    assert [molecule.GetNumAtoms() for molecule in read] == [5, 6, 0]
    assert [molecule.GetProp("number") for molecule in read] == ["7", "8", "9"]
    assert read[0].GetProp("smiles") == "C"
    assert [len(molecule.GetBonds()) for molecule in read] == [4, 5, 0]
    assert "valence" in read[1].GetProp("failure")
    assert read[2].GetProp("failure") == "no atoms"


def test_a_file_is_cut_after_its_last_whole_record(tmp_path):
    path = tmp_path / "made.sdf"
    assert sdf.whole_records(path, 10) == 0
    molecule = Molecules.from_arrays([np.array([6, 1, 1, 1, 1])] * 3, [METHANE] * 3)
    sdf.append(path, molecule, 0, {})
    whole = path.read_bytes()
    path.write_bytes(whole + b"half a rec")
    assert sdf.whole_records(path, 10) == 3
    assert path.read_bytes() == whole
    assert sdf.whole_records(path, 2) == 2
    assert path.read_bytes() == whole[: 2 * len(whole) // 3]


@pytest.mark.parametrize(
    "wrong", [{"sampler": "gan"}, {"steps": 1}, {"lowest": 20.0}, {"lowest": 0.0}, {"level": 0.0}, {"level": math.nan}]
)
def test_sampling_names_what_is_wrong(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)
