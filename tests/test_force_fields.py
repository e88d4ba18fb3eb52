"""Lennard-Jones parameters: known values, completeness, errors."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from pg_tf.elements import SYMBOLS, atomic_number
from pg_tf.force_fields import KELVIN_PER_KCAL_PER_MOL, PROBES, TRAPPE_ZEO, UFF, ForceField


@pytest.mark.parametrize(
    ("symbol", "sigma", "epsilon"),
    # As tabulated in studies of adsorption that use UFF, in Å and K.
    [
        ("H", 2.57113, 22.14166),
        ("C", 3.43085, 52.83806),
        ("N", 3.26069, 34.72215),
        ("O", 3.11815, 30.19317),
        ("F", 2.99698, 25.16098),
        ("Na", 2.65755, 15.09659),
    ],
)
def test_uff_has_the_values_in_use(symbol: str, sigma: float, epsilon: float) -> None:
    assert UFF.sigma[atomic_number(symbol)] == pytest.approx(sigma, abs=1e-5)
    assert UFF.epsilon[atomic_number(symbol)] == pytest.approx(epsilon, rel=1e-4)


def test_uff_has_all_elements_to_lawrencium() -> None:
    assert list(UFF.parameters) == list(SYMBOLS[1:104])
    assert (UFF.sigma[1:104] > 2).all()
    assert (UFF.epsilon[1:104] > 2).all()
    assert np.isnan(UFF.sigma[104:]).all()
    assert UFF.sigma[0] == UFF.epsilon[0] == 0


def test_uff_agrees_with_another_implementation() -> None:
    # RDKit assigns a UFF type to free atoms of these elements; the others need neighbours that it knows.
    compared = 0
    for number in range(1, 104):
        pair = Chem.RWMol()
        for _ in range(2):
            atom = Chem.Atom(number)
            atom.SetNoImplicit(True)
            pair.AddAtom(atom)
        Chem.SanitizeMol(pair)
        values = rdForceFieldHelpers.GetUFFVdWParams(pair.GetMol(), 0, 1)
        if values is None:
            continue
        compared += 1
        distance, depth = values
        assert UFF.sigma[number] * 2 ** (1 / 6) == pytest.approx(distance, abs=1e-6), SYMBOLS[number]
        assert UFF.epsilon[number] / KELVIN_PER_KCAL_PER_MOL == pytest.approx(depth, abs=1e-6), SYMBOLS[number]
    assert compared > 25


def test_every_table_names_its_source() -> None:
    for field in (UFF, TRAPPE_ZEO):
        assert "doi:" in field.source
    for name, probe in PROBES.items():
        assert probe.source, name
        assert 2 < probe.sigma < 5
        assert 5 < probe.epsilon < 300


def test_parameters_can_be_replaced_and_the_original_stays() -> None:
    other = UFF.replace({"O": (3.0, 53.0), "Rf": (3.1, 5.0)})
    assert (other.sigma[8], other.epsilon[8], other.epsilon[104]) == (3.0, 53.0, 5.0)
    assert UFF.epsilon[8] != 53.0
    assert other.sigma[6] == UFF.sigma[6]


@pytest.mark.parametrize("values", [(3.0,), (3.0, -1.0), (np.nan, 1.0), (3.0, np.inf)])
def test_impossible_parameters_are_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="parameters: O of 'mine' must have a sigma"):
        ForceField("mine", {"O": values})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="'Qq' is not an element symbol"):
        ForceField("mine", {"Qq": (1.0, 1.0)})


def test_check_names_the_atom_without_parameters() -> None:
    TRAPPE_ZEO.check([14, 8, 0])
    TRAPPE_ZEO.check([])
    with pytest.raises(ValueError, match=r"atom 1 is Al .*'TraPPE-zeo' has no parameters.*'Al': \(sigma, epsilon\)"):
        TRAPPE_ZEO.check([14, 13])
    with pytest.raises(ValueError, match="molecule 1, atom 0 is Al"):
        TRAPPE_ZEO.check([14, 13], [0, 1, 2])
    with pytest.raises(ValueError, match="atom 0 has 200; an atomic number is 1 to 118"):
        TRAPPE_ZEO.check([200])
    with pytest.raises(ValueError, match="must be integers, got dtype float64"):
        TRAPPE_ZEO.check([8.0])
