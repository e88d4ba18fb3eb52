"""Henry coefficients, heats and void fractions: closed forms, brute force, a published simulation."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from lennard_jones_reference import random_crystal

import pg_tf
from pg_tf import adsorption
from pg_tf.force_fields import TRAPPE_ZEO, Probe

R = 8.314462618


def test_empty_space_is_an_ideal_gas() -> None:
    energy = np.zeros((4, 5, 6))
    assert float(adsorption.insertion_factor(energy, 300.0)) == pytest.approx(1)
    assert float(adsorption.void_fraction(energy)) == pytest.approx(1)
    assert float(adsorption.henry_coefficient(energy, 300.0)) == pytest.approx(1 / (R * 300))
    assert float(adsorption.isosteric_heat(energy, 300.0)) == pytest.approx(R * 300 / 1000)
    # A kilogram of structure that takes up a cubic metre.
    per_mass = adsorption.henry_coefficient(energy, 300.0, volume=1000.0, mass=6.02214076e23 * 1e-24)
    assert float(per_mass) == pytest.approx(1 / (R * 300))


def test_a_square_well_has_its_closed_form() -> None:
    depth, temperature = 2000.0, 250.0
    energy = np.full((10, 10, 10), 1e6)
    energy[:3] = -depth
    energy[3:6] = 0
    weight = np.exp(depth / temperature)
    assert float(adsorption.insertion_factor(energy, temperature)) == pytest.approx(0.3 * weight + 0.3)
    heat = R / 1000 * (temperature + depth * weight / (weight + 1))
    assert float(adsorption.isosteric_heat(energy, temperature)) == pytest.approx(heat)


def test_deep_wells_at_low_temperature_do_not_overflow_the_heat(dtype: str) -> None:
    energy = np.full((2, 2, 2), 1e6, dtype)
    energy[0, 0, 0] = -5000
    assert float(adsorption.isosteric_heat(energy, 4.0)) == pytest.approx(R / 1000 * 5004)
    assert float(adsorption.insertion_factor(energy, 10.0)) == pytest.approx(np.exp(500.0) / 8)


def test_heat_is_the_slope_of_the_henry_coefficient(rng: np.random.Generator) -> None:
    # van 't Hoff: heat = R T^2 d ln(T K) / dT + R T = R T^2 d ln K / dT + 2 R T, K the amount per volume and pressure.
    energy, temperature = rng.normal(-800, 600, (6, 6, 6)), tf.constant(280.0, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(temperature)
        log_henry = tf.math.log(adsorption.henry_coefficient(energy, temperature))
    slope = float(tape.gradient(log_henry, temperature))
    heat = float(adsorption.isosteric_heat(energy, temperature))
    assert -R / 1000 * 280.0**2 * slope == pytest.approx(heat)


def test_batches_are_reduced_one_by_one(rng: np.random.Generator) -> None:
    energy, temperature = rng.normal(0, 500, (3, 4, 4, 4)), np.array([200.0, 300.0, 400.0])
    for function in (adsorption.insertion_factor, adsorption.henry_coefficient, adsorption.isosteric_heat):
        one_by_one = [float(function(e, t)) for e, t in zip(energy, temperature, strict=True)]
        assert np.allclose(function(energy, temperature), one_by_one)
        assert function(energy, 300.0).shape == (3,)


def test_reductions_are_differentiable_to_the_atoms(rng: np.random.Generator) -> None:
    crystal = random_crystal(rng, "cubic", 2)
    coords = tf.constant(crystal.coords)

    def heat(x: tf.Tensor) -> tf.Tensor:
        return adsorption.isosteric_heat(pg_tf.lennard_jones(x, **crystal.options(), dtype="float64"), 300.0)

    with tf.GradientTape() as tape:
        tape.watch(coords)
        result = heat(coords)
    gradient = tape.gradient(result, coords)
    step = np.zeros((2, 3))
    step[1, 2] = 1e-5
    assert float(gradient[1, 2]) == pytest.approx(float(heat(coords + step) - heat(coords - step)) / 2e-5, rel=1e-4)


@pytest.fixture(scope="module")
def zeolite() -> pg_tf.structures.Structure:
    return pg_tf.structures.read_cif(Path(__file__).parents[1] / "examples" / "silicalite.cif", strict=True)


def test_methane_in_silicalite_agrees_with_a_published_simulation(zeolite: pg_tf.structures.Structure) -> None:
    # The examples of RASPA3 (Ran et al., J. Chem. Phys. 161, 114106 (2024)): Widom insertions at 300 K of united-atom
    # methane into this structure, all forces truncated and shifted at 12 Å, give a Rosenbluth weight of 27.390 +- 0.058
    # and 3.526e-5 +- 0.007e-5 molecules a cell and Pa; canonical Monte Carlo of one molecule a mean energy of
    # -1984.8 +- 1.5 K.
    methane = Probe(3.72, 158.5, "Dubbeldam et al., J. Phys. Chem. B 108, 12301 (2004)")
    energy = pg_tf.lennard_jones(
        **zeolite.atoms(), probe=methane, force_field=TRAPPE_ZEO, grid_shape=(67, 66, 45), cutoff=12.0, shift=True
    )
    assert float(adsorption.insertion_factor(energy, 300.0)) == pytest.approx(27.390, abs=0.058)
    mean_energy = 300 - float(adsorption.isosteric_heat(energy, 300.0)) * 1000 / R
    assert mean_energy == pytest.approx(-1984.8, abs=1.5)
    henry = float(adsorption.henry_coefficient(energy, 300.0, volume=zeolite.volume, mass=zeolite.mass))
    assert henry * zeolite.mass / 1000 == pytest.approx(3.526e-5, abs=0.007e-5)


def test_helium_finds_the_pores_of_silicalite(zeolite: pg_tf.structures.Structure) -> None:
    # Talu and Myers, Colloids Surf. A 187, 83 (2001), find a pore volume of 0.175 cm^3/g with another potential for
    # helium
    # and oxygen; simulations with common ones use void fractions of 0.29 to 0.32.
    energy = pg_tf.lennard_jones(**zeolite.atoms(), probe="He", force_field=TRAPPE_ZEO, grid_shape=(67, 66, 45))
    fraction = float(adsorption.void_fraction(energy))
    assert 0.27 < fraction < 0.34
    pore_volume = fraction * zeolite.volume / zeolite.mass * 0.602214076
    assert 0.15 < pore_volume < 0.19


def test_energies_in_silicalite_agree_with_a_sum_over_all_atoms(zeolite: pg_tf.structures.Structure) -> None:
    # NumPy, at some voxels: all atoms of the cell and of the 26 around it.
    shape, cutoff = np.array([67, 66, 45]), 12.0
    voxels = np.random.default_rng(1).integers(0, shape, (200, 3))
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)
    images = (zeolite.coords - np.floor(zeolite.fractional) @ zeolite.cell + (shifts @ zeolite.cell)[:, None]).reshape(
        -1, 3
    )
    sigma = np.tile((TRAPPE_ZEO.sigma[zeolite.atomic_numbers] + 3.4) / 2, len(shifts))
    epsilon = np.tile(np.sqrt(TRAPPE_ZEO.epsilon[zeolite.atomic_numbers] * 120.0), len(shifts))
    r_squared = np.sum((((voxels + 0.5) / shape @ zeolite.cell)[:, None] - images) ** 2, axis=-1)
    s6 = (sigma**2 / r_squared) ** 3
    expected = np.where(r_squared < cutoff**2, 4 * epsilon * (s6**2 - s6), 0).sum(axis=1).clip(-1e6, 1e6)
    energy = pg_tf.lennard_jones(**zeolite.atoms(), probe=(3.4, 120.0), force_field=TRAPPE_ZEO, grid_shape=tuple(shape))
    deviation = np.abs(energy.numpy()[tuple(voxels.T)] - expected) / np.maximum(np.abs(expected), 100)
    assert deviation.max() < tolerances.ENERGY["float32"]


BAD = {
    "energy": ((np.zeros((2, 2)), 300.0), ValueError, "energy must have shape"),
    "temperature": ((np.zeros((2, 2, 2)), [300.0, 400.0]), ValueError, "temperature must be a scalar or one for each"),
    "zero": ((np.zeros((2, 2, 2)), 0.0), tf.errors.InvalidArgumentError, "temperature must be finite and greater"),
    "infinite": ((np.zeros((2, 2, 2)), np.inf), tf.errors.InvalidArgumentError, "temperature must be finite"),
    "not a number": ((np.zeros((2, 2, 2)), np.nan), tf.errors.InvalidArgumentError, "temperature must be finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name(name: str) -> None:
    arguments, error, text = BAD[name]
    for function in (adsorption.insertion_factor, adsorption.henry_coefficient, adsorption.isosteric_heat):
        with pytest.raises(error, match=text):
            function(*arguments)


def test_volume_and_mass_belong_together() -> None:
    with pytest.raises(ValueError, match="give volume and mass"):
        adsorption.henry_coefficient(np.zeros((2, 2, 2)), 300.0, volume=1.0)


@pytest.mark.parametrize(("name", "value"), [("volume", -1.0), ("mass", 0.0), ("mass", np.nan)])
def test_volume_and_mass_are_positive(name: str, value: float) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} must be greater than 0"):
        adsorption.henry_coefficient(np.zeros((2, 2, 2)), 300.0, **{"volume": 1.0, "mass": 1.0, name: value})
