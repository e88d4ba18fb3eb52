"""Grids back to atoms: known answers, and grids that have none."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import pg_tf
from pg_tf.datasets import load_sample
from pg_tf.elements import ORGANIC
from pg_tf.invert import peaks
from pg_tf.metrics import match_points
from tests.tolerances import INVERSION


def grids_of(points, **options):
    return pg_tf.Voxelizer(return_box=True, **options)(points)


def test_atoms_are_found_from_element_channels():
    molecules = load_sample("test")[:6]
    points = molecules.points(ORGANIC)
    grids, box = grids_of(points, num_channels=ORGANIC.num_channels)
    found = pg_tf.grid_to_coords(grids, box=box, sigma=0.4)
    assert found.converged.all()
    assert (found.unexplained < 0.01).all()
    for i in range(len(molecules)):
        assert match_points(points[i], found.points[i]).largest_error < INVERSION


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_single_grid_of_unequal_shape_gives_plain_points(data_format):
    points = np.float32([[1, 1, 2, 3], [0, 3, 2, 1.3], [1, 2.5, 2.5, 5]])
    grid, box = grids_of(points, num_channels=2, grid_shape=(20, 24, 31), data_format=data_format)
    found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4, data_format=data_format)
    assert found.points.shape == (3, 4)
    assert found.converged
    assert match_points(points, found.points).largest_error < INVERSION


def test_coordinates_come_back_in_the_callers_frame_from_a_turned_box():
    points = load_sample("test")[3].points(ORGANIC)[0]
    coords, channels = pg_tf.split_points(points)
    box = pg_tf.bounding_box(coords, rotation="principal")
    grid = pg_tf.voxelize(coords, channels, num_channels=ORGANIC.num_channels, box=box)
    found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4)
    assert match_points(points, found.points).largest_error < INVERSION


def test_any_keras_optimizer_and_a_weight():
    coords = np.float32([[0, 0, 0], [1.5, 0.2, 0.1]])
    grid, box = pg_tf.voxelize(coords, weights=2.5, return_box=True)
    found = pg_tf.grid_to_coords(
        grid, box=box, sigma=0.4, weight=2.5, optimizer=keras.optimizers.SGD(0.05, momentum=0.9), max_steps=3000
    )
    assert match_points(np.pad(coords, [(0, 0), (1, 0)]), found.points).largest_error < INVERSION


def test_merged_atoms_are_counted_by_mass_and_parted():
    coords = np.float32([[0, 0, 0], [0, 0, 0.7]])  # less than two sigma apart: a single peak
    grid, box = pg_tf.voxelize(coords, return_box=True)
    assert len(peaks(grid[0].numpy(), 10)) == 1
    found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4)
    assert match_points(np.pad(coords, [(0, 0), (1, 0)]), found.points).largest_error < 20 * INVERSION


def test_peak_midway_between_two_voxels_is_one_peak():
    grid = pg_tf.voxelize(np.float32([[2.0, 2.0, 2.0]]), grid_shape=8, sigma=0.6, box=([0.0] * 3, [4.0] * 3))
    np.testing.assert_allclose(peaks(grid[0].numpy(), 5), [[3.5, 3.5, 3.5]], atol=1e-3)


def test_grid_that_is_no_sum_of_atoms_is_not_called_converged():
    noise = np.random.default_rng(0).random((1, 8, 8, 8), np.float32) / 100
    found = pg_tf.grid_to_coords(noise, box=([0.0] * 3, [4.0] * 3), sigma=0.4, max_steps=20)
    assert not found.converged
    assert found.loss > 0.01
    assert found.unexplained > 1


def test_empty_grids_have_no_atoms():
    found = pg_tf.grid_to_coords(np.zeros((2, 3, 8, 8, 8)), box=([0.0] * 3, [4.0] * 3), sigma=0.4)
    assert isinstance(found.points, tf.RaggedTensor)
    assert found.points.row_lengths().numpy().tolist() == [0, 0]
    assert found.converged.all()


def test_number_of_atoms_can_be_given():
    coords = np.float32([[0.1, 2, 2], [3, 2, 2]])  # the first is cut by the box: half of its mass is missing
    box = ([0.0] * 3, [4.0] * 3)
    grid = pg_tf.voxelize(coords, box=box)
    found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4, num_atoms=[2])
    assert match_points(np.pad(coords, [(0, 0), (1, 0)]), found.points).largest_error < INVERSION


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"grid": np.zeros((8, 8, 8))}, r"grid must have rank 4, or 5 for a batch; got shape \[8, 8, 8\]"),
        ({"grid": np.full((1, 4, 4, 4), np.nan)}, r"grid must be finite: grid\[0, 0, 0, 0\] is nan"),
        ({"sigma": 0.0}, "sigma and weight must be greater than 0, got 0.0 and 1.0"),
        ({"box": None}, "box must be a pg_tf.Box"),
        ({"box": ([0.0] * 2, [4.0] * 3)}, r"box: origin must have shape \[3\]"),
        ({"num_atoms": [1, 2]}, r"num_atoms must be whole numbers of at least 0 of shape \[1\]"),
        ({"num_atoms": [-1]}, "num_atoms must be whole numbers"),
        ({"data_format": "NCHW"}, "data_format must be"),
    ],
)
def test_bad_argument_is_named(change, text):
    arguments = {"grid": np.zeros((1, 4, 4, 4)), "box": ([0.0] * 3, [4.0] * 3), "sigma": 0.4, **change}
    with pytest.raises(ValueError, match=text):
        pg_tf.grid_to_coords(arguments.pop("grid"), **arguments)
