"""What the original ParticleGrid library gets wrong, a test each."""

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import off_by, random_case
from scipy.special import erf

import pg_tf


@pytest.mark.parametrize("length", [4.0, 16.0])
def test_sigma_does_not_depend_on_the_grid_size(length: float) -> None:
    # There: variance * grid_size / 512 voxels. A grid twice as fine must sum to the same grid, ...
    sigma = 0.4
    options = {"sigma": sigma, "box": ([0.0] * 3, [length] * 3), "dtype": "float64"}
    coords = [[length / 2, length / 2, length / 2]]
    grids = [pg_tf.voxelize(coords, grid_shape=n, **options).numpy()[0] for n in (16, 32)]
    assert off_by(grids[1].reshape([16, 2] * 3).sum((1, 3, 5)), grids[0]) < tolerances.FLOAT64_SAME
    # ... and have the variance asked for, with the part of a voxel's own width.
    centres = (np.arange(64) + 0.5) * length / 64 - length / 2
    along = pg_tf.voxelize(coords, grid_shape=(64, 1, 1), **options).numpy().ravel()
    if length == 16.0:
        assert np.isclose((along * centres**2).sum(), sigma**2 + (length / 64) ** 2 / 12, rtol=1e-6)


def test_erf_is_no_series_that_is_off_by_3e_3() -> None:
    # One voxel around the atom is the product of three erf; from the centre out to 5 sigma.
    half_widths = np.linspace(0.05, 5, 400)
    boxes = (np.repeat(-half_widths[:, None], 3, 1), np.repeat(2 * half_widths[:, None], 3, 1))
    grid = pg_tf.voxelize(np.zeros((400, 1, 3)), sigma=1.0, grid_shape=1, box=boxes)
    truth = erf(half_widths / np.sqrt(2)) ** 3
    assert np.abs(grid.numpy().ravel() - truth).max() < tolerances.FLOAT32_GRID
    # The derivative needs the sign of Eq. 15 corrected: more sigma, less of the Gaussian in the voxel.
    sigma = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(sigma)
        value = pg_tf.voxelize([[0.0, 0, 0]], sigma=sigma, grid_shape=1, box=([-1.0] * 3, [2.0] * 3))
    assert tape.gradient(value, sigma) < 0


def test_memory_of_the_grid_is_cleared() -> None:
    # Freed memory full of numbers is likely to come back as the next grid.
    for layout in ("channels_first", "channels_last"):
        for dtype in ("float32", "float64", "float16"):
            for size in (4, 24):
                shape = [3, 5, size, size, size]
                garbage = tf.fill(shape, tf.constant(7.0, dtype))
                del garbage
                coords = tf.RaggedTensor.from_row_lengths(tf.zeros([1, 3]), [0, 1, 0])
                channels = coords.with_flat_values(tf.constant([2]))
                grid = pg_tf.voxelize(
                    coords, channels, num_channels=5, grid_shape=size, data_format=layout, dtype=dtype
                )
                sums = np.float64(tf.cast(grid, tf.float64)).sum((2, 3, 4) if layout == "channels_first" else (1, 2, 3))
                expected = np.zeros((3, 5))
                expected[1, 2] = 1
                assert np.allclose(sums, expected, atol=5e-3)


def test_channels_and_shapes_are_checked() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="molecule 0, atom 1 has channel 7"):
        pg_tf.coord_to_grid([[0, 1.0, 1, 1], [7, 1, 1, 1]], num_channels=2, grid_size=4)
    with pytest.raises(ValueError, match="points must have shape"):
        pg_tf.coord_to_grid([[0, 1.0, 1]], num_channels=2, grid_size=4)


def test_lower_and_upper_faces_are_treated_alike() -> None:
    # There an atom on or beyond the upper face vanishes, and one beyond the lower face stays.
    options = {"sigma": 0.4, "grid_shape": 8, "box": ([0.0] * 3, [4.0] * 3), "dtype": "float64"}
    for axis in range(3):
        for beyond in (0.0, 0.1, 0.7):
            low, high = np.full((2, 3), 1.9)
            low[axis], high[axis] = -beyond, 4.0 + beyond
            grids = [pg_tf.voxelize([atom], **options).numpy()[0] for atom in (low, high)]
            assert grids[0].any()
            assert off_by(np.flip(grids[1], axis), grids[0]) < tolerances.FLOAT64_SAME


def test_last_corner_voxel_is_there() -> None:
    options = {"sigma": 0.2, "grid_shape": (5, 6, 7), "box": ([0.0] * 3, [5.0, 6.0, 7.0])}
    grid = pg_tf.voxelize([[4.5, 5.5, 6.5], [0.5, 0.5, 0.5]], **options).numpy()[0]
    assert np.isclose(grid[-1, -1, -1], grid[0, 0, 0], rtol=1e-6)
    assert grid[-1, -1, -1] > 0.95


def test_gradient_keeps_the_axes_apart() -> None:
    # Its test could not see the mix-up, with x = y = z; here nothing is alike.
    case = random_case(np.random.default_rng(5), atoms=2, shape=(3, 5, 8), num_channels=1)
    coords = np.array([[0.3, 2.0, 7.0], [1.9, 5.0, 4.5]])
    upstream = np.random.default_rng(6).normal(size=(1, 3, 5, 8))
    options = {"sigma": 0.8, "grid_shape": case.shape, "box": (case.origin, case.lengths), "dtype": "float64"}

    def value(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(pg_tf.voxelize(x, **options) * upstream)

    analytic, numeric = tf.test.compute_gradient(value, [tf.constant(coords)], delta=1e-4)
    assert off_by(analytic[0], numeric[0]) < tolerances.NUMERIC_GRADIENT
    gradient = analytic[0].reshape(2, 3)
    assert len({round(float(g), 6) for g in gradient.ravel()}) == 6


def test_grids_of_any_size_are_not_on_the_stack() -> None:
    grid = pg_tf.voxelize([[1.0, 1, 1]], grid_shape=(300, 200, 100))  # 24 MB
    assert np.isclose(tf.reduce_sum(grid), 1, atol=1e-4)


def test_negative_coordinates_are_kept() -> None:
    coords = np.array([[-3.0, -2, -1], [-5, -4, -6]])
    options = {"grid_shape": 12, "dtype": "float64"}
    here, there = (pg_tf.voxelize(c, **options).numpy() for c in (coords, coords + 100))
    assert off_by(there, here) < tolerances.FLOAT64_SAME
