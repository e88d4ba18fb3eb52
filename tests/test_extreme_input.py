"""Input at the edge of what numbers can hold, and of what a call may take: a finite result, or an error."""

import numpy as np
import pytest
import tensorflow as tf

import pg_tf

OBLIQUE = np.array([[5.0, 0.0, 0.0], [2.0, 4.5, 0.0], [-1.5, 1.0, 4.0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_atoms_much_wider_than_their_cell_are_the_same_everywhere(dtype):
    rng = np.random.default_rng(0)
    coords, weights = rng.uniform(-9, 9, (2000, 3)), rng.uniform(-1, 3, 2000)
    options = {"cell": OBLIQUE, "periodic": True, "grid_shape": (3, 17, 3), "dtype": dtype}
    grid = pg_tf.voxelize(coords, weights=weights, sigma=200.0, **options).numpy()
    np.testing.assert_allclose(grid, weights.sum() / 153, rtol=1e-6 if dtype == "float32" else 1e-13)


def test_atoms_at_the_width_where_they_become_the_same_everywhere_are_continuous():
    # The shortest vectors that span the lattice: the longest of them is 5 Å or a little less.
    coords = [[1.0, 2.0, 3.0]]
    grids = [
        pg_tf.voxelize(coords, cell=OBLIQUE, periodic=True, grid_shape=4, sigma=sigma, dtype="float64").numpy()
        for sigma in (6.0, 6.5, 6.9, 7.1, 8.0)
    ]
    for grid in grids:
        np.testing.assert_allclose(grid, 1 / 64, rtol=1e-12)


def test_gradients_of_wide_atoms_vanish_but_for_their_weights():
    coords, weights = tf.Variable([[1.0, 2.0, 3.0]]), tf.Variable([2.0])
    with tf.GradientTape() as tape:
        grid = pg_tf.voxelize(coords, weights=weights, cell=OBLIQUE, periodic=True, grid_shape=4, sigma=50.0)
        loss = tf.reduce_sum(grid * tf.reshape(tf.range(64, dtype=tf.float32), grid.shape))
    to_coords, to_weights = tape.gradient(loss, [coords, weights])
    np.testing.assert_allclose(to_coords, 0, atol=1e-5)
    np.testing.assert_allclose(to_weights, [63 / 2], rtol=1e-6)


def test_quadrature_beyond_the_budget_is_refused_with_its_size():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"sigma: .* terms, and the most of a call is"):
        pg_tf.voxelize(
            np.zeros((4000, 3)), cell=100 * OBLIQUE, periodic=True, grid_shape=96, sigma=60.0, dtype="float64"
        )


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("cutoff", [1e-3, 1e-2, 0.5])
def test_energies_and_forces_within_a_tiny_cutoff_are_finite(cutoff, shift):
    def energies_and_forces(implementation):
        coords = tf.Variable([[1.0, 1.0, 1.0], [2.5, 2.4, 2.6]])
        options = {"sigma": 3.4, "epsilon": 50.0, "cell": 6 * np.eye(3), "cutoff": cutoff, "shift": shift}
        with tf.GradientTape() as tape:
            grid = pg_tf.lennard_jones(coords, grid_shape=6, implementation=implementation, **options)
            loss = tf.reduce_sum(grid)
        return grid.numpy(), tape.gradient(loss, coords).numpy()

    for ours, dense in zip(energies_and_forces("op"), energies_and_forces("dense"), strict=True):
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(ours, dense, rtol=1e-3, atol=1e-6 * np.abs(dense).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_whose_sum_may_be_infinite_are_refused(dtype):
    largest = 1e20 if dtype == "float32" else 1e290
    coords = tf.Variable([[4.0, 4.0, 4.0]], dtype=dtype)
    options = {"grid_shape": 8, "sigma": 0.01, "box": ([0.0] * 3, [8.0] * 3), "dtype": dtype}
    with pytest.raises(tf.errors.InvalidArgumentError, match="weights must be finite and at most"):
        pg_tf.voxelize(coords, weights=[10 * largest], **options)
    with tf.GradientTape() as tape:
        grid = pg_tf.voxelize(coords, weights=[0.9 * largest], **options)
    assert np.isfinite(grid).all()
    assert np.isfinite(tape.gradient(grid, coords)).all()


def test_a_voxel_that_float16_cannot_hold_is_refused():
    options = {"grid_shape": 2, "sigma": 0.05, "box": ([0.0] * 3, [2.0] * 3)}
    coords = [[[0.5, 0.5, 0.5]], [[1.5, 1.5, 1.5]]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="molecule 1 is larger than 65504"):
        pg_tf.voxelize(coords, weights=[[1.0], [1e8]], dtype="float16", **options)
    # Many voxels share what one could not hold.
    wide = pg_tf.voxelize(
        [[8.0] * 3], weights=[1e6], grid_shape=16, sigma=3.0, box=([0.0] * 3, [16.0] * 3), dtype="float16"
    )
    assert np.isfinite(wide).all()
    assert pg_tf.voxelize(coords, weights=[[1.0], [1e8]], dtype="bfloat16", **options).numpy().max() > 9e7
