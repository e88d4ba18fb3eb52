"""Lennard-Jones grids in TensorFlow's own ops: the numbers of the op, under XLA too, and derivatives of any order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from lennard_jones_reference import CELLS, GOLDEN, golden, random_crystal
from test_lennard_jones_gradient import BOX, energy, inputs

import pg_tf
from pg_tf.dense import energies as dense_energies

SHAPE = (4, 3, 5)
OPTIONS: dict[str, Any] = {"grid_shape": SHAPE, "cutoff": 6.0, "shift": True, "max_energy": 1e5, "dtype": "float64"}


def relative(actual: Any, expected: Any) -> float:
    """Largest deviation, of the largest entry."""
    return float(np.max(np.abs(np.asarray(actual) - expected)) / np.max(np.abs(expected)))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_dense_energy_agrees_with_every_golden_number_by_itself(path: Path, dtype: str) -> None:
    # Its arithmetic is float64 either way, so that terms of both signs leave the digits of float32.
    given, expected = golden(path)
    energy = pg_tf.lennard_jones(**given, dtype=dtype, implementation="dense").numpy()
    worst = np.max(np.abs(energy - expected) / np.abs(expected))
    assert worst < {"float32": 2.0**-23, "float64": tolerances.ENERGY["float64"]}[dtype]


@pytest.mark.parametrize("periodic", [(True, True, True), (True, False, True), (False, False, False)])
@pytest.mark.parametrize("cell", ["left-handed", "skewed", "thin"])
def test_dense_energy_and_slope_are_those_of_the_op(
    cell: str, periodic: tuple[bool, bool, bool], rng: np.random.Generator
) -> None:
    for box in (None, BOX):
        crystal = random_crystal(rng, cell, 3, periodic=periodic, cutoff=5.0, shape=SHAPE, box=box)
        if not all(periodic):  # they may be nowhere near the grid
            crystal.coords = np.mean(crystal.probes(), axis=(0, 1, 2)) + rng.normal(0, 1, (3, 3))
        options = {**crystal.options(), "max_energy": 1e5, "dtype": "float64", "with_gradient": True}
        energy, slope = pg_tf.lennard_jones(crystal.coords, **options)
        dense_energy, dense_slope = pg_tf.lennard_jones(crystal.coords, **options, implementation="dense")
        assert relative(dense_energy, energy) < tolerances.ENERGY["float64"]
        assert relative(dense_slope, slope) < tolerances.ENERGY["float64"]


@pytest.mark.slow
def test_compiled_program_takes_cells_that_it_has_not_seen(rng: np.random.Generator) -> None:
    numbers = np.array([[8, 14, 1], [6, 8, 0]])

    def grid_and_gradient(coords: tf.Tensor, cell: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            tape.watch([coords, cell])
            grid = pg_tf.lennard_jones(coords, numbers, cell=cell, **OPTIONS)
            total = tf.reduce_sum(grid * np.linspace(0.0, 1.0, SHAPE[-1]))
        return grid, *tape.gradient(total, [coords, cell])

    compiled = tf.function(grid_and_gradient, jit_compile=True)
    for names in (("cubic", "triclinic"), ("thin", "hexagonal")):
        coords, cell = tf.constant(rng.uniform(0, 6, (2, 3, 3))), tf.constant(np.stack([CELLS[n] for n in names]))
        for actual, expected in zip(compiled(coords, cell), grid_and_gradient(coords, cell), strict=True):
            assert relative(actual, expected) < tolerances.ENERGY["float64"]
    assert compiled.experimental_get_tracing_count() == 1


def directional(function: Callable[[dict[str, tf.Tensor]], tf.Tensor], rng: np.random.Generator) -> None:
    """That the gradient of a function of `inputs` agrees with central differences along a direction for each."""
    values = inputs(rng)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = function(values)
    gradients = tape.gradient(total, values, unconnected_gradients="zero")
    for name, value in values.items():
        direction = rng.normal(size=value.shape)

        def moved(step: float, name: str = name, value: tf.Tensor = value, direction: np.ndarray = direction) -> float:
            return float(function({**values, name: value + step * direction}))

        expected = (moved(1e-5) - moved(-1e-5)) / 2e-5
        scale = np.linalg.norm(gradients[name]) * np.linalg.norm(direction)
        assert abs(np.sum(gradients[name] * direction) - expected) < tolerances.NUMERIC_GRADIENT * max(scale, 1), name


@pytest.mark.parametrize("on_cell", [True, False])
def test_second_derivatives_agree_with_central_differences(
    implementation: str, on_cell: bool, rng: np.random.Generator
) -> None:
    upstream = tf.constant(rng.normal(size=SHAPE))
    first_upstream = {name: tf.constant(rng.normal(size=value.shape)) for name, value in inputs(rng).items()}

    def of_gradient(values: dict[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(values)
            total = tf.reduce_sum(upstream * energy(values, on_cell, **OPTIONS, implementation=implementation))
        gradients = tape.gradient(total, values, unconnected_gradients="zero")
        return tf.add_n([tf.reduce_sum(first_upstream[name] * gradient) for name, gradient in gradients.items()])

    directional(of_gradient, rng)


def test_derivatives_of_the_slope_agree_with_central_differences(implementation: str, rng: np.random.Generator) -> None:
    upstream = tf.constant(rng.normal(size=(*SHAPE, 3)))

    def of_slope(values: dict[str, tf.Tensor]) -> tf.Tensor:
        slope = energy(values, on_cell=False, **OPTIONS, implementation=implementation, with_gradient=True)[1]
        return tf.reduce_sum(upstream * slope)

    directional(of_slope, rng)


def test_second_derivatives_of_ragged_batches_are_those_of_their_structures(rng: np.random.Generator) -> None:
    def curvature(coords: Any, numbers: Any, cell: Any) -> tf.Tensor:
        flat = coords.flat_values if isinstance(coords, tf.RaggedTensor) else coords
        with tf.GradientTape() as outer:
            outer.watch(flat)
            with tf.GradientTape() as inner:
                inner.watch(flat)
                total = tf.reduce_sum(pg_tf.lennard_jones(coords, numbers, cell=cell, **OPTIONS) ** 2)
            first = tf.reduce_sum(inner.gradient(total, flat) ** 2)
        return outer.gradient(first, flat)

    sizes, cells = [2, 0, 3], np.stack([CELLS["cubic"], CELLS["thin"], CELLS["triclinic"]])
    coords = [tf.constant(rng.uniform(0, 6, (n, 3))) for n in sizes]
    numbers = [rng.choice([1, 8, 14], n) for n in sizes]
    ragged = curvature(
        tf.RaggedTensor.from_row_lengths(tf.concat(coords, 0), sizes),
        tf.RaggedTensor.from_row_lengths(np.concatenate(numbers), sizes),
        cells,
    )
    single = [curvature(x, z, c) for x, z, c in zip(coords, numbers, cells, strict=True) if len(z)]
    assert relative(ragged, np.concatenate(single)) < tolerances.FLOAT64_SAME


def test_number_of_pairs_at_once_changes_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    crystal = random_crystal(rng, atoms=3, cutoff=4.0, shape=SHAPE)
    results = []
    for pairs in (1000, 2**14, 2**19):
        monkeypatch.setattr(dense_energies, "_PAIRS", pairs)
        coords = tf.constant(crystal.coords)
        with tf.GradientTape() as tape:
            tape.watch(coords)
            grid = pg_tf.lennard_jones(coords, **crystal.options(), dtype="float64", implementation="dense")
        results.append((grid, tape.gradient(grid, coords)))
    for grid, gradient in results[1:]:
        assert relative(grid, results[0][0]) < tolerances.FLOAT64_SAME
        assert relative(gradient, results[0][1]) < tolerances.FLOAT64_SAME


def test_clamped_and_empty_voxels_are_those_of_the_op() -> None:
    atom = np.array([[3.0, 5.0, 1.0]])
    for options in ({"max_energy": 5.0}, {"max_energy": None}, {"cutoff": 1.5}):
        both = [
            pg_tf.lennard_jones(
                atom, [14], cell=8 * np.eye(3), grid_shape=4, with_gradient=True, implementation=name, **options
            )
            for name in ("op", "dense")
        ]
        for by_op, by_dense in zip(*both, strict=True):
            close = tolerances.ENERGY["float32"]
            assert np.allclose(by_dense, by_op, rtol=close, atol=100 * close)
    empty = pg_tf.lennard_jones(
        np.zeros((0, 3)), np.zeros(0, int), grid_shape=2, cell=np.eye(3), implementation="dense"
    )
    assert not empty.numpy().any()


BAD = {
    "coords": {"coords": np.array([[[1.0, 2, 3]], [[np.nan, 2, 3]]])},
    "element": {"numbers": np.array([[8], [118]])},
    "cell": {"cell": np.stack([5 * np.eye(3), np.diag([5.0, 5, 0])])},
    "cutoff": {"cutoff": -1.0},
    "images": {"cutoff": 1e5},
    "bound": {"max_energy": 1e30},
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_op_refuses_is_not_a_number(name: str) -> None:
    good = {
        "coords": np.array([[[1.0, 2, 3]], [[2.0, 2, 3]]]),
        "numbers": np.array([[8], [14]]),
        "cell": np.stack([5 * np.eye(3)] * 2),
        "cutoff": 6.0,
        "max_energy": 1e6,
    }

    @tf.function(autograph=False)
    def grid(implementation: str, coords: Any, numbers: Any, **values: Any) -> tf.Tensor:
        return pg_tf.lennard_jones(coords, numbers, grid_shape=2, implementation=implementation, **values)

    values = {key: tf.constant(value) for key, value in {**good, **BAD[name]}.items()}
    with pytest.raises(tf.errors.InvalidArgumentError):
        grid("op", **values)
    result = grid("dense", **values).numpy()
    # What is wrong with one structure does not touch the other.
    assert np.isnan(result[1]).all()
    assert np.isnan(result[0]).all() == (name in ("cutoff", "images", "bound"))
