"""The measures of generated molecules against molecules whose answers are known by hand."""

import numpy as np
import pytest

from pg_tf.datasets import Molecules
from pg_tf.metrics import generation

# Å; methane, ethene, hydrogen cyanide and water from experimental bond lengths and angles.
_T = 1.087 / np.sqrt(3)
METHANE = ([6, 1, 1, 1, 1], [[0, 0, 0], [_T, _T, _T], [_T, -_T, -_T], [-_T, _T, -_T], [-_T, -_T, _T]])
ETHENE = (
    [6, 6, 1, 1, 1, 1],
    [[0, 0, 0.667], [0, 0, -0.667], [0, 0.92, 1.24], [0, -0.92, 1.24], [0, 0.92, -1.24], [0, -0.92, -1.24]],
)
CYANIDE = ([1, 6, 7], [[0, 0, -1.064], [0, 0, 0], [0, 0, 1.156]])
WATER = ([8, 1, 1], [[0, 0, 0], [0.757, 0.586, 0], [-0.757, 0.586, 0]])
# Carbon with five bonds.
CROWDED = ([*METHANE[0], 1], [*METHANE[1], [0, 0, 1.05]])
NOTHING = ([], np.zeros((0, 3)))
ETHANOL = (
    [6, 6, 8, 1, 1, 1, 1, 1, 1],
    [
        [-0.89, -0.17, -0.02],
        [0.46, 0.49, 0.03],
        [1.43, -0.55, -0.13],
        [-1.00, -0.71, -0.96],
        [-1.01, -0.88, 0.81],
        [-1.70, 0.57, 0.03],
        [0.59, 1.02, 0.98],
        [0.57, 1.22, -0.78],
        [2.32, -0.20, -0.09],
    ],
)


def _molecules(*atoms: tuple) -> Molecules:
    return Molecules.from_arrays([numbers for numbers, _ in atoms], [coords for _, coords in atoms])


@pytest.mark.parametrize(
    ("atoms", "bonds"),
    [(METHANE, [1, 1, 1, 1]), (ETHENE, [2, 1, 1, 1, 1]), (CYANIDE, [1, 3]), (WATER, [1, 1])],
    ids=["methane", "ethene", "cyanide", "water"],
)
def test_bonds_of_known_molecules_and_their_atoms_are_stable(atoms, bonds):
    orders = generation.bond_orders(*atoms)
    assert (orders == orders.T).all()
    assert sorted(orders[np.triu(orders) > 0]) == sorted(bonds)
    assert generation.stable_atoms(*atoms).all()


@pytest.mark.parametrize(
    ("elements", "below", "order"),
    [("C-C", 1.23, 3), ("C-C", 1.39, 2), ("C-C", 1.64, 1), ("N-O", 1.26, 2), ("O-C", 1.16, 3), ("F-C", 1.45, 1)],
)
def test_bond_order_changes_at_length_and_margin(elements, below, order):
    numbers = [{"C": 6, "N": 7, "O": 8, "F": 9}[symbol] for symbol in elements.split("-")]
    orders = [generation.bond_orders(numbers, [[0, 0, 0], [0, 0, below + step]])[0, 1] for step in (-1e-6, 1e-6)]
    assert orders == [order, order - 1]


def test_stability_counts_atoms_and_whole_molecules():
    molecules = _molecules(METHANE, CROWDED, NOTHING)
    # Of the crowded one the carbon has five bonds, and one more hydrogen is next to it and to a hydrogen or not.
    stable = generation.stable_atoms(*CROWDED)
    assert not stable[0]
    assert generation.atom_stability(molecules) == (5 + stable.sum()) / 11
    assert generation.molecule_stability(molecules) == 1 / 3


def test_validity_uniqueness_and_novelty_of_a_list_made_by_hand():
    molecules = _molecules(METHANE, WATER, ETHENE, METHANE, CROWDED, NOTHING)
    smiles = generation.canonical_smiles(molecules)
    assert smiles[:4] == ["C", "O", "C=C", "C"]
    assert smiles[5] is None
    assert generation.validity([*smiles[:4], None]) == 4 / 5
    assert generation.uniqueness(["C", "O", "C", None]) == 2 / 3
    assert generation.novelty(["C", "O", "C", None], ["O", None]) == 1 / 2
    assert np.isnan(generation.uniqueness([None]))
    assert np.isnan(generation.novelty([None], ["C"]))


def test_reasons_of_failures_are_counted_without_the_numbers_of_atoms():
    moved = (CROWDED[0], [*METHANE[1], [0, 0, -1.05]])
    reasons = generation.failures(_molecules(CROWDED, moved, NOTHING, METHANE))
    assert reasons["no atoms"] == 1
    assert sum(reasons.values()) == 3
    assert len(reasons) == 2


def test_two_molecules_in_one_grid_are_not_connected_and_the_larger_names_it():
    apart = (METHANE[0] + WATER[0], [*METHANE[1], *(np.array(WATER[1]) + 5)])
    molecules = _molecules(apart, METHANE)
    assert generation.connectedness(molecules) == 1 / 2
    assert generation.canonical_smiles(molecules) == ["C", "C"]


def test_diversity_is_that_of_pairs_of_different_molecules():
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    a, b = (generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in ("CCO", "CCN"))
    expected = 1 - DataStructs.TanimotoSimilarity(a, b)
    assert generation.diversity(["CCO", "CCN", None, "CCO"]) == pytest.approx(expected)
    assert np.isnan(generation.diversity(["CCO", "CCO"]))


def test_distances_of_a_set_to_itself_are_zero_and_do_not_depend_on_orientation(rng):
    molecules = _molecules(METHANE, ETHENE, CYANIDE, WATER)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned = _molecules(
        *((numbers, np.array(coords) @ rotation.T) for numbers, coords in (METHANE, ETHENE, CYANIDE, WATER))
    )
    distances = generation.distances(generation.Statistics.of(turned), generation.Statistics.of(molecules))
    assert distances == pytest.approx(dict.fromkeys(distances, 0), abs=1e-5)


def test_distances_are_the_known_changes():
    water = generation.Statistics.of(_molecules(WATER))
    longer = generation.Statistics.of(_molecules((WATER[0], 1.02 * np.array(WATER[1]))))
    assert generation.distances(longer, water)["bond_length_w1"] == pytest.approx(0.02 * np.hypot(0.757, 0.586), 1e-4)
    assert generation.distances(longer, water)["bond_angle_w1"] == pytest.approx(0, abs=1e-3)
    methane = generation.Statistics.of(_molecules(METHANE))
    both = generation.distances(methane, water)
    assert both["size_w1"] == 2
    # H: 4/5 against 2/3; C: 1/5 against 0; O: 0 against 1/3.
    assert both["element_tv"] == pytest.approx(4 / 5 - 2 / 3 + 1 / 5 + 1 / 3)
    assert both["bond_tv"] == 2
    assert np.isnan(both["bond_length_w1"])


def test_angle_of_water():
    angles = generation.Statistics.of(_molecules(WATER)).bond_angles
    assert list(angles) == [8]
    assert angles[8] == pytest.approx(2 * np.degrees(np.arctan2(0.757, 0.586)))


def test_relaxing_lowers_the_energy_and_a_relaxed_molecule_stays(rng):
    first = generation.relaxed_by_mmff(*ETHANOL)
    assert first.strain > 0
    assert 0 < first.rmsd < 0.3
    again = generation.relaxed_by_mmff(ETHANOL[0], first.coords)
    assert abs(again.strain) < 1e-3
    assert again.rmsd < 1e-2
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned = generation.relaxed_by_mmff(ETHANOL[0], np.array(ETHANOL[1]) @ rotation.T + 3)
    assert turned.strain == pytest.approx(first.strain, abs=1e-3)
    assert turned.rmsd == pytest.approx(first.rmsd, abs=1e-3)


def test_xtb_agrees_with_the_derivative_of_its_energy_and_relaxes():
    pytest.importorskip("tblite", reason="needs the extra xtb")
    from pg_tf.datasets.xtb import single_point

    numbers, coords = np.array(WATER[0]), 1.05 * np.array(WATER[1])
    step = np.zeros((3, 3))
    step[1, 0] = 1e-3
    up, down = single_point(numbers, coords + step), single_point(numbers, coords - step)
    assert single_point(numbers, coords).gradient[1, 0] == pytest.approx((up.energy - down.energy) / 2e-3, rel=1e-3)
    relaxed = generation.relaxed_by_xtb(numbers, coords)
    assert relaxed.strain > 0
    assert generation.relaxed_by_xtb(numbers, relaxed.coords).strain == pytest.approx(0, abs=1e-2)


def test_summary_counts_everything_that_was_generated():
    generated = _molecules(METHANE, ETHANOL, CROWDED, NOTHING)
    summary = generation.summarize(generated, _molecules(METHANE, WATER))
    assert summary.count == 4
    assert summary.validity == 1 / 2
    assert sum(summary.failures.values()) == 2
    assert summary.molecule_stability == 1 / 2
    assert summary.connectedness == generation.connectedness(generated)
    assert summary.novelty == 1 / 2
    assert summary.strain > 0
