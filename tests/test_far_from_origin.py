"""Coordinates in float64 far from the origin, such as those of proteins: the grid is as good as at the origin."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import off_by, random_rotation

import pg_tf

# At the last one, float32 holds hundredths of an Å.
PLACES = (300.0, 1000.0, 1e5)

# Added to coordinates that are whole multiples of this, a place leaves no digit out in float64.
EXACT = 2.0**-30

CELL = np.array([[4.25, 0, 0], [1.5, 3.75, 0], [-1.0, 0.75, 4.5]])
LENGTHS = np.array([6.0, 7.0, 8.0])


@pytest.fixture
def coords(rng: np.random.Generator) -> np.ndarray:
    return np.rint(rng.uniform(0.5, 5.5, (8, 3)) / EXACT) * EXACT


def boxes(rng: np.random.Generator) -> dict[str, Callable[[np.ndarray], dict[str, Any]]]:
    """Options of `pg_tf.voxelize` for atoms that were moved."""
    turn = random_rotation(rng)
    turned = 3 - LENGTHS / 2 @ turn  # the corner of a box around the middle of the atoms
    return {
        "box": lambda place: {"box": (place, LENGTHS)},
        "fitted box": lambda _: {},
        "centred box": lambda _: {"box": lambda coords, channels: pg_tf.centered_box(coords, LENGTHS)},
        "turned box": lambda place: {"box": pg_tf.Box(place + turned, LENGTHS, turn)},
        "periodic box": lambda place: {"box": (place, LENGTHS), "periodic": True},
        "window": lambda place: {"box": (place, LENGTHS), "cell": CELL},
        "turned window": lambda place: {"box": pg_tf.Box(place + turned, LENGTHS, turn), "cell": CELL},
    }


@pytest.mark.parametrize("place", PLACES)
def test_grid_and_gradient_far_away_are_those_at_the_origin(
    rng: np.random.Generator, coords: np.ndarray, place: float, implementation: str
) -> None:
    shift = place * np.array([1.0, -1.0, 0.5])
    for name, options in boxes(rng).items():
        results = []
        for moved, dtype in ((np.zeros(3), "float64"), (shift, "float32")):
            atoms = tf.constant(coords + moved)
            with tf.GradientTape() as tape:
                tape.watch(atoms)
                grid = pg_tf.voxelize(
                    atoms, grid_shape=12, sigma=0.6, dtype=dtype, implementation=implementation, **options(moved)
                )
                value = tf.reduce_sum(grid**2)
            results.append((grid.numpy(), tape.gradient(value, atoms).numpy()))
        (truth, slope), (grid, far_slope) = results
        assert grid.dtype == np.float32
        # At 1e5 Å, a turn by a matrix and the sum over lattice vectors lose 1e-11 Å: nothing that float32 could show.
        assert off_by(grid, truth) < tolerances.FLOAT32_GRID, name
        assert off_by(far_slope, slope) < tolerances.FLOAT32_GRADIENT, name


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cell", [CELL, np.diag([4.25, 3.75, 4.5])], ids=["oblique", "orthogonal"])
def test_cells_wrap_what_is_far_away_in_float64(
    coords: np.ndarray, place: float, cell: np.ndarray, implementation: str
) -> None:
    vectors = np.rint(place / 4) * np.array([1.0, -2.0, 3.0]) @ cell
    options = {"cell": cell, "grid_shape": 12, "sigma": 0.6}
    truth = pg_tf.voxelize(coords, dtype="float64", **options)
    grid = pg_tf.voxelize(coords + vectors, implementation=implementation, **options)
    assert off_by(grid, truth.numpy()) < tolerances.FLOAT32_CELL


@pytest.mark.parametrize("place", PLACES)
def test_derivatives_to_the_box_far_away_are_those_at_the_origin(coords: np.ndarray, place: float) -> None:
    shift = np.full(3, place)
    results = []
    for moved in (np.zeros(3), shift):
        origin, lengths = tf.constant(moved), tf.constant(LENGTHS)
        with tf.GradientTape() as tape:
            tape.watch([origin, lengths])
            grid = pg_tf.voxelize(coords + moved, box=(origin, lengths), grid_shape=12, sigma=0.6)
            value = tf.reduce_sum(grid**2)
        results.append(tape.gradient(value, [origin, lengths]))
    for truth, far in zip(*results, strict=True):
        assert off_by(far, truth.numpy()) < tolerances.FLOAT32_GRADIENT


@pytest.mark.parametrize("place", PLACES)
def test_energies_far_away_are_those_at_the_origin(coords: np.ndarray, place: float, implementation: str) -> None:
    shift = np.full(3, place)
    results = [
        pg_tf.lennard_jones(
            coords + moved, np.full(8, 6), box=(moved, LENGTHS), grid_shape=8, dtype=dtype, implementation=how
        ).numpy()
        for moved, dtype, how in ((np.zeros(3), "float64", "op"), (shift, "float32", implementation))
    ]
    assert np.allclose(results[1], results[0], rtol=10 * tolerances.ENERGY["float32"], atol=1e-3)


@pytest.mark.parametrize("place", PLACES)
def test_pipelines_and_layers_keep_what_is_given_in_float64(coords: np.ndarray, place: float) -> None:
    shift = np.full(3, place)
    truth = pg_tf.voxelize(coords, grid_shape=12, sigma=0.6, dtype="float64", box=(np.zeros(3), LENGTHS))
    points = np.pad(coords + shift, [(0, 0), (1, 0)])
    to_grid = pg_tf.Voxelizer(grid_shape=12, sigma=0.6, box=(shift, LENGTHS))
    layer = pg_tf.layers.Voxelize(1, 12, 0.6, box=(shift, LENGTHS), data_format="channels_first")
    dataset = tf.data.Dataset.from_tensors(points).map(to_grid)
    for grid in (to_grid(points), next(iter(dataset)), layer(tf.constant(points)), layer({"coords": coords + shift})):
        assert off_by(grid, truth.numpy()) < tolerances.FLOAT32_GRID


@pytest.mark.parametrize("place", PLACES)
def test_a_box_that_was_fitted_is_the_one_that_is_returned(coords: np.ndarray, place: float) -> None:
    atoms = coords + place
    grid, box = pg_tf.voxelize(atoms, grid_shape=12, return_box=True)
    assert box.origin.dtype == tf.float64
    truth = pg_tf.voxelize(atoms, grid_shape=12, box=box, dtype="float64").numpy()
    assert off_by(grid, truth) < tolerances.FLOAT32_GRID
    layer = pg_tf.layers.Voxelize(1, 12, lengths=8.0, return_box=True, data_format="channels_first")
    grid, box = layer({"coords": tf.constant(atoms)})
    assert box[0].dtype == tf.float64
    assert (
        off_by(grid, pg_tf.voxelize(atoms, grid_shape=12, box=box, dtype="float64").numpy()) < tolerances.FLOAT32_GRID
    )


@pytest.mark.parametrize("place", PLACES)
def test_frames_of_boxes_subtract_before_they_round(coords: np.ndarray, place: float) -> None:
    box = pg_tf.Box(np.full(3, place), LENGTHS)
    inside = box.to_box_frame(coords + place)
    np.testing.assert_array_equal(inside, coords)
    np.testing.assert_array_equal(box.from_box_frame(inside), coords + place)
