"""Lennard-Jones grids: golden numbers, brute force, physics, layouts of the input."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from lennard_jones_reference import CELLS, GOLDEN, Crystal, golden, random_crystal
from reference import random_rotation

import pg_tf
from pg_tf.force_fields import PROBES, TRAPPE_ZEO, UFF


def off_by(actual: Any, expected: Any) -> float:
    """Largest deviation, of each energy itself, and of 100 K where it is smaller."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    return float(np.max(np.abs(actual - expected) / np.maximum(np.abs(expected), 100), initial=0.0))


def vectors_off_by(actual: Any, expected: Any) -> float:
    """Likewise of gradients, `[..., 3]`: the length of the deviation, of the length of the gradient or of 100 K/Å."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    lengths = np.linalg.norm(expected, axis=-1)
    return float(np.max(np.linalg.norm(actual - expected, axis=-1) / np.maximum(lengths, 100), initial=0.0))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_energy_agrees_with_golden_numbers(path: Path, dtype: str) -> None:
    given, expected = golden(path)
    assert off_by(pg_tf.lennard_jones(**given, dtype=dtype), expected) < tolerances.ENERGY[dtype]


def test_there_are_golden_numbers() -> None:
    assert len(GOLDEN) == 5


def agrees(crystal: Crystal, dtype: str = "float64", **options: Any) -> None:
    """That energy and gradient are those of brute force."""
    energy, gradient = pg_tf.lennard_jones(
        crystal.coords, **crystal.options(), max_energy=1e9, dtype=dtype, with_gradient=True, **options
    )
    expected, slope = crystal.energy()
    inside = np.abs(expected) < 1e9
    assert inside.mean() > 0.5
    assert np.array_equal(np.asarray(energy)[~inside], np.full(np.sum(~inside), 1e9))
    assert off_by(np.asarray(energy)[inside], expected[inside]) < tolerances.ENERGY[dtype]
    assert not np.asarray(gradient)[~inside].any()
    assert vectors_off_by(np.asarray(gradient)[inside], slope[inside]) < tolerances.ENERGY[dtype]


@pytest.mark.parametrize("cell", CELLS)
def test_energy_and_gradient_agree_with_brute_force_in_any_cell(
    cell: str, dtype: str, rng: np.random.Generator
) -> None:
    agrees(random_crystal(rng, cell, shift=True), dtype)


@pytest.mark.parametrize("periodic", [(False, False, False), (True, False, False), (False, True, True)])
def test_any_subset_of_axes_may_be_periodic(periodic: tuple[bool, bool, bool], rng: np.random.Generator) -> None:
    agrees(random_crystal(rng, "triclinic", 12, periodic=periodic))


@pytest.mark.parametrize("cell", ["triclinic", "skewed"])
def test_window_into_a_crystal_may_lie_anywhere(cell: str, rng: np.random.Generator) -> None:
    box = (np.array([-31.0, 14.0, 55.0]), np.array([4.0, 9.0, 2.5]))
    agrees(random_crystal(rng, cell, box=box))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 3), (33, 2, 17), (3, 1, 70)])
def test_grids_of_any_shape_agree_with_brute_force(shape: tuple[int, int, int], rng: np.random.Generator) -> None:
    agrees(random_crystal(rng, "hexagonal", 2, shape=shape, cutoff=6.0))


@pytest.mark.parametrize("cutoff", [0.5, 2.0, 25.0])
def test_any_cutoff_agrees_with_brute_force(cutoff: float, rng: np.random.Generator) -> None:
    agrees(random_crystal(rng, "triclinic", 3, cutoff=cutoff))


def test_molecule_without_a_cell_agrees_with_brute_force(rng: np.random.Generator) -> None:
    box = (np.array([-2.0, -3.0, 1.0]), np.array([9.0, 8.0, 7.0]))
    crystal = random_crystal(rng, atoms=9, periodic=(False,) * 3, box=box)
    options = {**crystal.options(), "cell": None, "periodic": None}
    energy = pg_tf.lennard_jones(crystal.coords, **options, max_energy=None, dtype="float64")
    assert off_by(energy, crystal.energy()[0]) < tolerances.ENERGY["float64"]


def test_box_may_be_rotated(rng: np.random.Generator) -> None:
    crystal = random_crystal(rng, atoms=5, periodic=(False,) * 3)
    turn = random_rotation(rng)
    lengths = np.array([5.0, 6.0, 7.0])
    straight = dataclasses.replace(crystal, coords=crystal.coords @ turn.T, box=(np.zeros(3), lengths))
    options = {**crystal.options(), "cell": None, "periodic": None, "box": pg_tf.Box(np.zeros(3), lengths, turn)}
    energy = pg_tf.lennard_jones(crystal.coords, **options, max_energy=None, dtype="float64")
    assert off_by(energy, straight.energy()[0]) < tolerances.ENERGY["float64"]


def test_box_without_a_cell_is_fitted() -> None:
    coords = np.array([[0.0, 0, 0], [1, 2, 3]])
    options = {"atomic_numbers": [6, 8], "grid_shape": 5}
    fitted = pg_tf.lennard_jones(coords, **options)
    given = pg_tf.lennard_jones(coords, **options, box=pg_tf.bounding_box(coords))
    assert np.array_equal(fitted, given)


def test_atom_on_a_voxel_centre_is_clamped(dtype: str) -> None:
    given = {
        "coords": [[3.0, 5.0, 1.0]],
        "atomic_numbers": [14],
        "cell": 8 * np.eye(3),
        "grid_shape": 4,
        "dtype": dtype,
    }
    for max_energy, most in ((1e5, 1e5), (None, 1e24)):
        energy, gradient = pg_tf.lennard_jones(**given, max_energy=max_energy, with_gradient=True)
        assert np.isfinite(energy).all()
        assert np.isfinite(gradient).all()
        assert float(energy[1, 2, 0]) == pytest.approx(most)
        assert float(tf.reduce_max(tf.abs(gradient[1, 2, 0]))) == 0
    energy = pg_tf.lennard_jones(**given, max_energy=5.0)
    assert (float(tf.reduce_min(energy)), float(tf.reduce_max(energy))) == (-5.0, 5.0)


@pytest.mark.parametrize("sigma", [0.0, 1e-9, 1e6])
@pytest.mark.parametrize("epsilon", [0.0, 1e-9, 1e6])
def test_odd_parameters_give_finite_numbers(sigma: float, epsilon: float) -> None:
    coords = tf.constant([[1.0, 1, 1], [1, 1, 1], [2.01, 2, 2]], tf.float64)
    for max_energy in (1e-3, None):
        with tf.GradientTape() as tape:
            tape.watch(coords)
            energy, slope = pg_tf.lennard_jones(
                coords,
                sigma=sigma,
                epsilon=epsilon,
                mixing=None,
                cell=4 * np.eye(3),
                grid_shape=2,
                max_energy=max_energy,
                with_gradient=True,
            )
        for values in (energy, slope, tape.gradient(energy, coords)):
            assert np.isfinite(values).all()


def test_empty_structure_is_zero_and_empty_batch_is_empty() -> None:
    options = {"cell": 5 * np.eye(3), "grid_shape": (2, 3, 4), "with_gradient": True}
    energy, gradient = pg_tf.lennard_jones(np.zeros((0, 3)), np.zeros(0, int), **options)
    assert energy.shape == (2, 3, 4)
    assert not energy.numpy().any()
    assert not gradient.numpy().any()
    energy, gradient = pg_tf.lennard_jones(np.zeros((0, 4, 3)), np.zeros((0, 4), int), **options)
    assert energy.shape == (0, 2, 3, 4)
    assert gradient.shape == (0, 2, 3, 4, 3)


def test_batches_give_the_grids_of_their_structures(rng: np.random.Generator) -> None:
    sizes, cells = [3, 0, 5], np.stack([CELLS["cubic"], CELLS["triclinic"], CELLS["thin"]])
    coords = [rng.uniform(0, 6, (n, 3)) for n in sizes]
    numbers = [rng.choice([1, 8, 14], n) for n in sizes]
    options = {"grid_shape": (4, 5, 3), "cutoff": 7.0, "dtype": "float64"}
    single = [
        pg_tf.lennard_jones(x, z, cell=c, **options).numpy() for x, z, c in zip(coords, numbers, cells, strict=True)
    ]
    ragged = pg_tf.lennard_jones(
        tf.RaggedTensor.from_row_lengths(np.concatenate(coords), sizes),
        tf.RaggedTensor.from_row_lengths(np.concatenate(numbers), sizes),
        cell=cells,
        **options,
    )
    padded_coords, padded_numbers = np.full((3, 5, 3), np.nan), np.zeros((3, 5), int)
    for b, n in enumerate(sizes):
        padded_coords[b, :n], padded_numbers[b, :n] = coords[b], numbers[b]
    padded = pg_tf.lennard_jones(padded_coords, padded_numbers, cell=cells, **options)
    assert np.array_equal(ragged, np.stack(single))
    assert np.array_equal(padded, np.stack(single))


def test_grid_is_the_same_in_a_graph_and_its_shape_is_known(rng: np.random.Generator) -> None:
    coords, numbers = rng.uniform(0, 6, (3, 3)), np.array([8, 14, 8])

    def grid(x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        return pg_tf.lennard_jones(x, z, cell=CELLS["triclinic"], grid_shape=(4, 3, 2))

    in_graph = tf.function(grid, autograph=False)
    assert np.array_equal(in_graph(tf.constant(coords), tf.constant(numbers)), grid(coords, numbers))
    signature = in_graph.get_concrete_function(tf.TensorSpec([None, 3]), tf.TensorSpec([None], tf.int32))
    assert signature.output_shapes == (4, 3, 2)


DIGEST = """
import hashlib
import numpy as np, tensorflow as tf
THREADS
import pg_tf
rng = np.random.default_rng(0)
x = tf.constant(rng.uniform(0, 12, (60, 3)))
with tf.GradientTape() as tape:
    tape.watch(x)
    energy = pg_tf.lennard_jones(x, np.full(60, 8), cell=12 * np.eye(3), grid_shape=24)
digest = hashlib.sha256(energy.numpy().tobytes() + tape.gradient(energy, x).numpy().tobytes()).hexdigest()
"""


@pytest.mark.slow
def test_threads_do_not_change_a_bit(run_python: Callable[..., str]) -> None:
    here: dict[str, Any] = {}
    exec(DIGEST.replace("THREADS", ""), here)
    alone = DIGEST.replace("THREADS", "tf.config.threading.set_intra_op_parallelism_threads(1)")
    assert run_python(alone + "print(digest)").split() == [here["digest"]]


PAIR = {
    "coords": np.array([[0.0, 0, 0]]),
    "box": ([4.0, -0.5, -0.5], [1.0, 1.0, 1.0]),
    "grid_shape": 1,
    "dtype": "float64",
}


def energy_at(sigma: float, epsilon: float, distance: float = 4.5) -> float:
    return 4 * epsilon * ((sigma / distance) ** 12 - (sigma / distance) ** 6)


def test_mixing_rules_are_those_of_the_books() -> None:
    probe = PROBES["CH4"]
    sigma, epsilon = UFF.sigma[8], UFF.epsilon[8]
    mean = np.sqrt(epsilon * probe.epsilon)
    lorentz = energy_at((sigma + probe.sigma) / 2, mean)
    geometric = energy_at(np.sqrt(sigma * probe.sigma), mean)
    for options, expected in (
        ({}, lorentz),
        ({"mixing": "geometric"}, geometric),
        ({"probe": (probe.sigma, probe.epsilon)}, lorentz),
        ({"pairs": {"O": (3.47, 115.0)}}, energy_at(3.47, 115.0)),
        ({"pairs": {"Si": (3.47, 115.0)}}, lorentz),
        ({"mixing": None}, energy_at(sigma, epsilon)),
        ({"weights": 0.25}, lorentz / 4),
        ({"force_field": TRAPPE_ZEO}, energy_at((3.3 + probe.sigma) / 2, np.sqrt(53 * probe.epsilon))),
    ):
        energy = pg_tf.lennard_jones(atomic_numbers=[8], **PAIR, **options)
        assert float(energy[0, 0, 0]) == pytest.approx(expected, rel=1e-12), options


@pytest.mark.parametrize("shift", [False, True])
def test_shift_takes_away_the_jump_at_the_cutoff(shift: bool) -> None:
    distances = 8 + np.array([-1e-6, 1e-6])
    jump = []
    for distance in distances:
        options = PAIR | {"box": ([distance - 0.5, -0.5, -0.5], [1.0, 1.0, 1.0])}
        energy = pg_tf.lennard_jones(sigma=3.0, epsilon=100.0, mixing=None, cutoff=8.0, shift=shift, **options)
        jump.append(float(energy[0, 0, 0]))
    assert jump[1] == 0
    assert jump[0] == pytest.approx(0 if shift else energy_at(3.0, 100.0, 8.0), abs=1e-5)
