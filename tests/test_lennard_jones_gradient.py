"""Gradients of Lennard-Jones grids: against central differences, and by the sum rules that symmetry gives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from lennard_jones_reference import CELLS

import pg_tf

SHAPE = (5, 4, 6)
OPTIONS: dict[str, Any] = {"grid_shape": SHAPE, "cutoff": 7.0, "shift": True, "max_energy": 1e5, "dtype": "float64"}
BOX = (np.array([-3.0, 1.0, 2.0]), np.array([9.0, 8.0, 7.0]))


def inputs(rng: np.random.Generator, cell: str = "triclinic") -> dict[str, tf.Tensor]:
    """Everything that has a gradient. The probe's parameters are mixed with those of the atoms."""
    rows = CELLS[cell]
    values = {
        "coords": rng.uniform(-1, 2, (4, 3)) @ rows,
        "sigma": rng.uniform(2.0, 3.0, 4),
        "epsilon": rng.uniform(10, 90, 4),
        "weights": rng.uniform(0.3, 1.0, 4),
        "cell": rows,
        "probe_sigma": np.array(3.0),
        "probe_epsilon": np.array(60.0),
        "origin": BOX[0],
        "lengths": BOX[1],
    }
    return {name: tf.constant(value, tf.float64) for name, value in values.items()}


def energy(values: dict[str, tf.Tensor], on_cell: bool, **options: Any) -> tf.Tensor:
    return pg_tf.lennard_jones(
        values["coords"],
        sigma=values["sigma"],
        epsilon=values["epsilon"],
        weights=values["weights"],
        probe=(values["probe_sigma"], values["probe_epsilon"]),
        cell=values["cell"],
        box=None if on_cell else (values["origin"], values["lengths"]),
        **{**OPTIONS, **options},
    )


def numeric(function: Callable[[tf.Tensor], float], at: tf.Tensor) -> np.ndarray:
    """Central differences of a function of one tensor."""
    values, result = at.numpy(), np.zeros(at.shape)
    for index in np.ndindex(values.shape):
        step = np.zeros_like(values)
        step[index] = 1e-5 * max(1.0, abs(values[index]) / 10)
        result[index] = (function(values + step) - function(values - step)) / (2 * step[index])
    return result


@pytest.mark.parametrize("on_cell", [True, False])
@pytest.mark.parametrize("cell", ["triclinic", "skewed"])
def test_gradients_agree_with_central_differences(cell: str, on_cell: bool, rng: np.random.Generator) -> None:
    values, upstream = inputs(rng, cell), tf.constant(rng.normal(size=SHAPE))
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(upstream * energy(values, on_cell))
    gradients = tape.gradient(total, values)
    for name, gradient in gradients.items():
        if gradient is None:
            assert on_cell
            assert name in ("origin", "lengths")
            continue

        def changed(value: Any, name: str = name) -> float:
            return float(tf.reduce_sum(upstream * energy({**values, name: tf.constant(value)}, on_cell)))

        expected = numeric(changed, values[name])
        largest = max(np.abs(expected).max(), 1.0)
        assert np.abs(gradient - expected).max() < tolerances.NUMERIC_GRADIENT * largest, name


def test_gradient_at_fixed_fractional_coordinates_comes_by_the_chain_rule(rng: np.random.Generator) -> None:
    values, upstream = inputs(rng), tf.constant(rng.normal(size=SHAPE))
    fractional = tf.constant(rng.uniform(0, 1, (4, 3)))

    def total(cell: Any) -> tf.Tensor:
        cell = tf.convert_to_tensor(cell)
        return tf.reduce_sum(upstream * energy({**values, "cell": cell, "coords": fractional @ cell}, on_cell=True))

    with tf.GradientTape() as tape:
        tape.watch(values["cell"])
        result = total(values["cell"])
    expected = numeric(lambda cell: float(total(cell)), values["cell"])
    gradient = tape.gradient(result, values["cell"])
    assert np.abs(gradient - expected).max() < tolerances.NUMERIC_GRADIENT * np.abs(expected).max()


def test_float32_gradient_agrees_with_float64(rng: np.random.Generator) -> None:
    values, upstream = inputs(rng), rng.normal(size=SHAPE)
    gradients = {}
    for dtype in ("float32", "float64"):
        with tf.GradientTape() as tape:
            tape.watch(values)
            total = tf.reduce_sum(tf.cast(upstream, dtype) * energy(values, on_cell=False, dtype=dtype))
        gradients[dtype] = tape.gradient(total, values)
    for name, expected in gradients["float64"].items():
        deviation = np.abs(gradients["float32"][name] - expected).max()
        assert deviation < tolerances.ENERGY["float32"] * max(np.abs(expected).max(), 1.0), name


def test_moving_everything_changes_nothing(rng: np.random.Generator) -> None:
    values = inputs(rng)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(energy(values, on_cell=False) * tf.constant(rng.normal(size=SHAPE)))
    gradients = tape.gradient(total, values)
    balance = tf.reduce_sum(gradients["coords"], axis=0) + gradients["origin"]
    assert np.abs(balance).max() < tolerances.FLOAT64_SAME * np.abs(gradients["origin"]).max()


def test_turning_everything_changes_nothing(rng: np.random.Generator) -> None:
    # The derivative to an infinitesimal rotation w is w . sum of x cross dE/dx, over atoms and lattice vectors.
    values = inputs(rng)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(energy(values, on_cell=True) * tf.constant(rng.normal(size=SHAPE)))
    gradients = tape.gradient(total, values)
    torques = [np.cross(values[name], gradients[name]) for name in ("coords", "cell")]
    largest = max(np.abs(torque).max() for torque in torques)
    assert np.abs(sum(torque.sum(axis=0) for torque in torques)).max() < tolerances.FLOAT64_SAME * largest


def test_gradient_of_the_probe_is_the_opposite_of_that_of_the_atoms() -> None:
    coords = tf.constant([[1.0, 2.0, 3.0]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(coords)
        one, slope = pg_tf.lennard_jones(
            coords, [8], box=([3.5, 1.5, 4.5], [1.0, 1.0, 1.0]), grid_shape=1, dtype="float64", with_gradient=True
        )
    assert np.allclose(tape.gradient(one, coords)[0], -slope[0, 0, 0], rtol=1e-12)


def test_clamped_voxels_have_no_gradient(rng: np.random.Generator) -> None:
    values = inputs(rng)
    with tf.GradientTape() as tape:
        tape.watch(values)
        grid = energy(values, on_cell=True, max_energy=1.0)
        total = tf.reduce_sum(tf.where(tf.abs(grid) >= 1.0, grid, 0))
    assert float(tf.reduce_max(tf.abs(total))) > 0
    assert not tape.gradient(total, values)["coords"].numpy().any()


@pytest.mark.parametrize("one_for_all", [True, False])
def test_gradients_of_a_batch_are_those_of_its_structures(one_for_all: bool, rng: np.random.Generator) -> None:
    coords = tf.constant(rng.uniform(0, 6, (2, 3, 3)))
    numbers = np.array([[8, 14, 1], [6, 8, 0]])
    cell = tf.constant(CELLS["cubic"] if one_for_all else np.stack([CELLS["cubic"], CELLS["thin"]]))

    def gradients(coords: tf.Tensor, numbers: np.ndarray, cell: tf.Tensor) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            tape.watch([coords, cell])
            total = tf.reduce_sum(pg_tf.lennard_jones(coords, numbers, cell=cell, **OPTIONS))
        return [gradient.numpy() for gradient in tape.gradient(total, [coords, cell])]

    to_coords, to_cell = gradients(coords, numbers, cell)
    each = [gradients(coords[b], numbers[b], cell if one_for_all else cell[b]) for b in range(2)]
    coords_expected, cells_expected = (np.stack(parts) for parts in zip(*each, strict=True))
    assert np.allclose(to_coords, coords_expected, rtol=1e-12)
    assert np.allclose(to_cell, cells_expected.sum(0) if one_for_all else cells_expected, rtol=1e-12)
    assert not to_coords[1, 2].any()
