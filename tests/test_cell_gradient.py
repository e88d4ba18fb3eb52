"""Derivatives of grids along lattice vectors and of windows into a crystal."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from cell_reference import CELLS, Crystal, random_crystal
from reference import off_by

import pg_tf

NAMES = ["coords", "weights", "sigma", "cell"]
SUBSETS = [(True, True, True), (True, False, True), (False, True, False), (False, False, False)]


def tensors(crystal: Crystal, dtype: str = "float64") -> dict[str, tf.Tensor]:
    return {name: tf.constant(getattr(crystal, name), dtype) for name in NAMES}


def grid_of(crystal: Crystal, values: dict[str, tf.Tensor], **options: object) -> tf.Tensor:
    given = {"channels": crystal.channels, "num_channels": crystal.num_channels, "grid_shape": crystal.shape}
    given |= {"periodic": crystal.periodic, "dtype": values["coords"].dtype}
    return pg_tf.voxelize(**{**given, **values, **options})


def gradients(
    crystal: Crystal, upstream: np.ndarray, dtype: str = "float64", **options: object
) -> dict[str, tf.Tensor]:
    values = tensors(crystal, dtype)
    with tf.GradientTape() as tape:
        tape.watch(values)
        grid = grid_of(crystal, values, **options)
    return tape.gradient(grid, values, tf.cast(upstream, grid.dtype))


def crystal_of(rng: np.random.Generator, name: str, **changes: object) -> Crystal:
    return random_crystal(rng, CELLS[name], **{"shape": (3, 4, 3), **changes})


@pytest.mark.parametrize("watched", NAMES)
@pytest.mark.parametrize("box", [None, ([1.0, -2.0, 0.5], [4.0, 3.0, 5.0])], ids=["cell", "window"])
@pytest.mark.parametrize("periodic", SUBSETS[:2])
@pytest.mark.parametrize("name", ["triclinic", "orthorhombic"])
def test_gradient_agrees_with_central_differences(
    rng: np.random.Generator, name: str, periodic: tuple[bool, bool, bool], box: Any, watched: str
) -> None:
    crystal = crystal_of(rng, name, periodic=periodic)
    upstream = rng.normal(size=(2, *crystal.shape))
    values = tensors(crystal)

    def value(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(grid_of(crystal, {**values, watched: x}, box=box) * upstream)

    analytic, numeric = tf.test.compute_gradient(value, [values[watched]], delta=1e-4)
    assert off_by(analytic[0], numeric[0]) < 3 * tolerances.NUMERIC_GRADIENT


@pytest.mark.parametrize(
    ("name", "periodic"),
    [("triclinic", periodic) for periodic in SUBSETS]
    + [(name, (True, True, True)) for name in ("anywhere", "very oblique", "cubic")],
)
def test_op_and_dense_form_have_the_same_gradient(
    rng: np.random.Generator, dtype: str, name: str, periodic: tuple[bool, bool, bool]
) -> None:
    crystal = crystal_of(rng, name, periodic=periodic)
    upstream = rng.normal(size=(2, *crystal.shape))
    # The limits of quadrature are those of the grid itself.
    bound = tolerances.FLOAT64_GRADIENT if dtype == "float64" else 2 * tolerances.FLOAT32_GRADIENT
    expected = gradients(crystal, upstream, implementation="dense")
    for data_format in ("channels_first", "channels_last"):
        given = upstream if data_format == "channels_first" else np.moveaxis(upstream, 0, -1)
        for key, value in gradients(crystal, given, dtype, data_format=data_format).items():
            assert off_by(value, expected[key].numpy()) < bound, key
            assert key == "cell" or not np.any(value[-1])  # padding


def test_gradient_to_features_is_the_adjoint_of_the_grid(rng: np.random.Generator) -> None:
    for name in ("triclinic", "cubic"):
        crystal = crystal_of(rng, name, num_channels=3)
        features = tf.constant(rng.normal(size=(3, 3)))
        options = crystal.options() | {"weights": None, "dtype": "float64"}
        with tf.GradientTape() as tape:
            tape.watch(features)
            grid = pg_tf.voxelize(crystal.coords, crystal.channels, features=features, **options)
        upstream = rng.normal(size=grid.shape)
        adjoint = tape.gradient(grid, features, tf.constant(upstream)).numpy()
        assert np.isclose(np.sum(grid.numpy() * upstream), np.sum(adjoint * features.numpy()), rtol=1e-10)
        assert not adjoint[-1].any()


def test_gradient_of_soft_atoms_agrees_with_the_dense_form(rng: np.random.Generator) -> None:
    crystal = crystal_of(rng, "triclinic", num_channels=3)
    values = tensors(crystal)
    del values["weights"]
    values["features"] = tf.constant(rng.normal(size=(3, 3)))
    results = []
    for implementation in ("op", "dense"):
        with tf.GradientTape() as tape:
            tape.watch(values)
            energy = tf.reduce_sum(grid_of(crystal, values, implementation=implementation) ** 2)
        results.append(tape.gradient(energy, values))
    for name, dense in results[1].items():
        assert off_by(results[0][name], dense.numpy()) < tolerances.FLOAT64_GRADIENT, name


@pytest.mark.parametrize("name", ["triclinic", "hexagonal"])
def test_forces_of_an_energy_without_origin_sum_to_zero(
    rng: np.random.Generator, name: str, implementation: str
) -> None:
    # As in test_periodic.py: the energy knows no origin once a voxel is half of sigma.
    crystal = crystal_of(rng, name, shape=(12, 12, 12), num_channels=1)
    crystal.channels[:] = 0
    crystal.sigma[:] = 2 * np.max(np.linalg.norm(crystal.cell, axis=1)) / 12
    values = tensors(crystal)
    with tf.GradientTape() as tape:
        tape.watch(values)
        energy = tf.reduce_sum(grid_of(crystal, values, implementation=implementation) ** 2)
    slopes = tape.gradient(energy, values)
    forces = slopes["coords"].numpy()
    assert np.abs(forces).max() > 1e-4
    assert np.abs(forces.sum(0)).max() < 1e-9 * np.abs(forces).max()
    # Nor does it know the orientation: turning lattice and atoms together changes nothing.
    torque = crystal.coords.T @ forces + crystal.cell.T @ slopes["cell"].numpy()
    assert np.abs(torque - torque.T).max() < 1e-9 * np.abs(torque).max()


@pytest.mark.parametrize("name", ["triclinic", "orthorhombic"])
def test_derivative_to_the_cell_at_fixed_fractional_coordinates(rng: np.random.Generator, name: str) -> None:
    crystal = crystal_of(rng, name)
    fractional = crystal.coords @ np.linalg.inv(crystal.cell)
    upstream = rng.normal(size=(2, *crystal.shape))
    values = tensors(crystal)

    def value(cell: tf.Tensor) -> tf.Tensor:
        coords = pg_tf.to_cartesian(fractional, cell)
        return tf.reduce_sum(grid_of(crystal, {**values, "coords": coords, "cell": cell}) * upstream)

    analytic, numeric = tf.test.compute_gradient(value, [values["cell"]], delta=1e-4)
    assert off_by(analytic[0], numeric[0]) < 3 * tolerances.NUMERIC_GRADIENT
    fixed_coords = gradients(crystal, upstream)
    identity = fixed_coords["cell"].numpy() + fractional.T @ fixed_coords["coords"].numpy()
    assert off_by(analytic[0].reshape(3, 3), identity) < tolerances.FLOAT64_SAME


def test_nothing_changes_if_all_lengths_grow(rng: np.random.Generator) -> None:
    for name in ("triclinic", "cubic"):
        crystal = crystal_of(rng, name)
        slopes = gradients(crystal, rng.normal(size=(2, *crystal.shape)))
        terms = [np.sum(slopes[key].numpy() * getattr(crystal, key)) for key in ("coords", "sigma", "cell")]
        assert abs(sum(terms)) < tolerances.FLOAT64_SAME * max(map(abs, terms))


@pytest.mark.parametrize("name", ["triclinic", "orthorhombic"])
@pytest.mark.parametrize("periodic", SUBSETS[:2])
def test_second_gradient_agrees_with_the_dense_form(
    rng: np.random.Generator, name: str, periodic: tuple[bool, bool, bool]
) -> None:
    crystal = crystal_of(rng, name, shape=(2, 3, 2), periodic=periodic)
    vectors = {key: rng.normal(size=getattr(crystal, key).shape) for key in NAMES}

    def second(implementation: str) -> dict[str, tf.Tensor]:
        values = tensors(crystal)
        with tf.GradientTape() as outer:
            outer.watch(values)
            with tf.GradientTape() as inner:
                inner.watch(values)
                energy = tf.reduce_sum(grid_of(crystal, values, implementation=implementation) ** 3)
            first = inner.gradient(energy, values)
            total = tf.add_n([tf.reduce_sum(first[key] * vectors[key]) for key in NAMES])
        return outer.gradient(total, values)

    expected = second("dense")
    for key, value in second("op").items():
        assert off_by(value, expected[key].numpy()) < 10 * tolerances.FLOAT64_SAME, key


def test_gradient_in_a_graph_is_that_of_eager_calls(rng: np.random.Generator) -> None:
    crystal = crystal_of(rng, "triclinic")
    upstream = rng.normal(size=(2, *crystal.shape))
    expected = gradients(crystal, upstream)
    for key, value in tf.function(lambda: gradients(crystal, upstream))().items():
        assert off_by(value, expected[key].numpy()) < tolerances.FLOAT64_SAME


@pytest.mark.slow
@pytest.mark.parametrize(("periodic", "known"), [(SUBSETS[0], False), (SUBSETS[1], True)])
def test_xla_gives_the_same_grid_and_gradient(
    rng: np.random.Generator, periodic: tuple[bool, bool, bool], known: bool
) -> None:
    crystal = crystal_of(rng, "triclinic", shape=(2, 3, 2), periodic=periodic)
    crystal.sigma[:] = 0.9 * np.max(np.linalg.norm(crystal.cell, axis=1) / crystal.shape)
    values = tensors(crystal)
    changing = ["coords"] if known else NAMES

    def slopes(given: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(given)
            grid = grid_of(crystal, {**{key: getattr(crystal, key) for key in NAMES}, **given}, dtype="float64")
            energy = tf.reduce_sum(grid**2)
        return grid, tape.gradient(energy, given)

    given = {key: values[key] for key in changing}
    compiled, expected = tf.function(slopes, jit_compile=True)(given), slopes(given)
    assert off_by(compiled[0], expected[0].numpy()) < tolerances.FLOAT64_SAME
    for key in changing:
        assert off_by(compiled[1][key], expected[1][key].numpy()) < tolerances.FLOAT64_SAME


@pytest.mark.slow
def test_xla_turns_what_it_cannot_sum_into_nan(rng: np.random.Generator) -> None:
    crystal = crystal_of(rng, "triclinic")
    compiled = tf.function(lambda values: grid_of(crystal, values), jit_compile=True)
    values = tensors(crystal)
    assert np.all(np.isfinite(compiled(values)))
    assert np.all(np.isnan(compiled({**values, "sigma": values["sigma"] * 0.2})))
    assert np.all(np.isnan(compiled({**values, "cell": tf.constant([[1.0, 2, 3], [2, 4, 6], [0, 0, 1]], tf.float64)})))


def test_padding_may_hold_anything(rng: np.random.Generator) -> None:
    for name in ("triclinic", "cubic"):
        crystal = crystal_of(rng, name)
        upstream = rng.normal(size=(2, *crystal.shape))
        dirty = dataclasses.replace(crystal, coords=crystal.coords.copy(), sigma=crystal.sigma.copy())
        dirty.coords[-1], dirty.sigma[-1] = np.nan, -1
        for options in ({"implementation": "op"}, {"implementation": "dense"}, {"box": ([0.0] * 3, [3.0] * 3)}):
            clean = gradients(crystal, upstream, **options)
            for key, value in gradients(dirty, upstream, **options).items():
                assert off_by(value, clean[key].numpy()) < tolerances.FLOAT64_SAME, key
