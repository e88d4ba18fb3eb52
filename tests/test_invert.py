"""Grids back to atoms: known answers, and grids that have none."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import pg_tf
from pg_tf.datasets import load_sample
from pg_tf.elements import ORGANIC
from pg_tf.inversion.peaks import persistent_peaks
from pg_tf.metrics import match_points
from tests.tolerances import INVERSION


def grids_of(points, **options):
    return pg_tf.Voxelizer(return_box=True, **options)(points)


def single_channel(coords):
    return np.pad(coords, [(0, 0), (1, 0)])


def assert_found(points, found, tolerance=INVERSION):
    """That atoms explain the grid, or each of a batch, and are as near as that to those that it was made of."""
    assert np.all(found.converged)
    pairs = zip(points, found.points, strict=True) if np.ndim(found.converged) else [(points, found.points)]
    for true, atoms in pairs:
        assert match_points(true, atoms).largest_error < tolerance


def one_molecule():
    """Points, the grid of one channel, and its box."""
    points = load_sample("test")[3].points(pg_tf.ElementChannels.single())[0].numpy()
    grid, box = pg_tf.voxelize(points[:, 1:], sigma=0.4, return_box=True)
    return points, grid.numpy(), box


def test_atoms_are_found_from_element_channels():
    molecules = load_sample("test")[:6]
    points = molecules.points(ORGANIC)
    grids, box = grids_of(points, num_channels=ORGANIC.num_channels)
    found = pg_tf.grid_to_coords(grids, box=box, sigma=0.4)
    assert_found(points, found)
    assert (found.unexplained < 0.01).all()


def test_single_grid_of_unequal_shape_gives_plain_points(data_format):
    points = np.float32([[1, 1, 2, 3], [0, 3, 2, 1.3], [1, 2.5, 2.5, 5]])
    grid, box = grids_of(points, num_channels=2, grid_shape=(20, 24, 31), data_format=data_format)
    found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4, data_format=data_format)
    assert found.points.shape == (3, 4)
    assert_found(points, found)


def test_each_molecule_has_its_own_box_and_rotation():
    points = load_sample("test")[:4].points(ORGANIC)
    coords, channels = pg_tf.split_points(points)
    box = pg_tf.bounding_box(coords, margin=1.5, cubic=False, channels=channels, rotation="principal")
    grid = pg_tf.voxelize(
        coords,
        channels,
        num_channels=ORGANIC.num_channels,
        box=box,
        grid_shape=(40, 32, 28),
        data_format="channels_last",
    )
    found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4, data_format="channels_last")
    assert_found(points, found)


def test_all_atoms_are_found_in_one_channel():
    molecules = load_sample("test")[:12]
    points = molecules.points(pg_tf.ElementChannels.single())
    grids, box = grids_of(points, sigma=0.5)  # most hydrogens have merged with their neighbours
    found = pg_tf.grid_to_coords(grids, box=box, sigma=0.5)
    assert_found(points, found)
    assert (found.uncertainty.flat_values.numpy() < INVERSION).all()


def test_cripser_seeds_as_the_op_does():
    points = load_sample("test")[:2].points(pg_tf.ElementChannels.single())
    grids, box = grids_of(points)
    ours, theirs = (pg_tf.grid_to_coords(grids, box=box, sigma=0.4, seeds=seeds) for seeds in ("op", "cripser"))
    np.testing.assert_array_equal(ours.points.flat_values, theirs.points.flat_values)


def test_any_keras_optimizer_and_a_weight():
    coords = np.float32([[0, 0, 0], [1.5, 0.2, 0.1]])
    grid, box = pg_tf.voxelize(coords, weights=2.5, return_box=True)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4, weights=2.5, optimizer=optimizer, max_steps=3000)
    # The descent ends at a loss of 1e-10, 1e-5 of the grid.
    assert_found(single_channel(coords), found, 1e-4)


def test_sigma_and_weights_may_differ_between_channels():
    points = np.float32([[0, 1, 2, 3], [1, 3, 2, 1.3], [1, 2.5, 2.5, 3.5]])
    box = ([0.0] * 3, [5.0] * 3)
    sigma, weights = np.float32([0.3, 0.6]), np.float32([6, 8])
    which = points[:, 0].astype(int)
    grid = pg_tf.voxelize(
        points[:, 1:], which, num_channels=2, sigma=sigma[which], weights=weights[which], box=box, grid_shape=24
    )
    found = pg_tf.grid_to_coords(grid, box=box, sigma=sigma, weights=weights)
    assert_found(points, found)


# Down to a hundredth of sigma: there the two differ from one atom of weight 2 by 1e-5 of the grid.
@pytest.mark.parametrize("separation", [1.5, 0.5, 0.1, 0.02, 0.01])
def test_merged_atoms_are_counted_by_mass_and_parted(separation):
    coords = np.array([[0, 0, 0], np.array([0.36, 0.48, 0.8]) * 0.4 * separation])
    box = ([-3.0] * 3, [6.1] * 3)
    found = pg_tf.grid_to_coords(pg_tf.voxelize(coords, box=box), box=box, sigma=0.4)
    assert_found(single_channel(coords), found, 0.1 * 0.4 * separation)


@pytest.mark.parametrize("corner", [0.0, 0.3])
def test_atoms_cut_by_the_box_or_outside_of_it_are_found(corner):
    coords = np.array([[0, 0, 0], [1, 1, 1], [0, 0.5, 0.9], [1.2, 0.1, 0.3]])
    box = ([corner] * 3, [4.0] * 3)
    found = pg_tf.grid_to_coords(pg_tf.voxelize(coords, box=box), box=box, sigma=0.4)
    assert_found(single_channel(coords), found)


def test_five_hundred_atoms_are_found(rng):
    cells = np.argwhere(np.ones((8, 8, 8)))[rng.permutation(512)[:500]]
    coords = 2.0 * cells + rng.uniform(-0.4, 0.4, size=(500, 3))
    box = ([-2.0] * 3, [18.0] * 3)
    found = pg_tf.grid_to_coords(pg_tf.voxelize(coords, box=box, grid_shape=40), box=box, sigma=0.4)
    assert_found(single_channel(coords), found)


def test_noisy_grids_give_all_atoms_with_the_uncertainty_that_they_have(rng):
    molecules = load_sample("test")[:8]
    points = molecules.points(pg_tf.ElementChannels.single())
    grids, box = grids_of(points, sigma=0.4)
    grids = grids.numpy()
    level = 0.02 * grids.max(axis=(1, 2, 3, 4))
    noisy = grids + rng.normal(size=grids.shape) * level[:, np.newaxis, np.newaxis, np.newaxis, np.newaxis]
    found = pg_tf.grid_to_coords(noisy, box=box, sigma=0.4)
    assert found.converged.all()
    np.testing.assert_allclose(found.noise[:, 0], level, rtol=0.05)
    matches = [match_points(points[i], found.points[i]) for i in range(len(molecules))]
    assert all(match.same_counts for match in matches)
    errors = np.concatenate([match.distances for match in matches])
    # Root mean square of the errors of some 200 atoms against that of what was expected.
    expected = found.uncertainty.flat_values.numpy()
    np.testing.assert_allclose((errors**2).mean(), (expected**2).mean(), rtol=0.5)


def test_wrong_sigma_is_not_called_converged_and_can_be_fitted():
    points, grid, box = one_molecule()
    wrong = pg_tf.grid_to_coords(grid, box=box, sigma=0.44)
    assert not wrong.converged
    assert wrong.unexplained > 1
    fitted = pg_tf.grid_to_coords(grid, box=box, sigma=0.5, fit_sigma=True)
    assert fitted.converged
    np.testing.assert_allclose(fitted.sigma, [0.4], rtol=1e-6)  # float32 grids
    assert match_points(points, fitted.points).largest_error < INVERSION


def test_wrong_scale_and_background_are_not_called_converged_and_can_be_fitted():
    points, grid, box = one_molecule()
    ramp = 0.003 * np.linspace(-1, 1, 32)[:, np.newaxis, np.newaxis] + 0.002 * np.linspace(-1, 1, 32) ** 2
    spoilt = (2.5 * grid + ramp).astype(np.float32)
    assert not pg_tf.grid_to_coords(spoilt, box=box, sigma=0.4, max_repairs=1).converged
    fitted = pg_tf.grid_to_coords(spoilt, box=box, sigma=0.4, fit_scale=True, fit_background="quadratic")
    assert fitted.converged
    np.testing.assert_allclose(fitted.scale, [2.5], rtol=1e-6)
    assert fitted.background.shape == (1, 10)
    # The polynomials are in terms of voxel centres, 31/32 of the way to the faces at most.
    np.testing.assert_allclose(fitted.background[0, [1, 9]], [0.003 * 32 / 31, 0.002 * (32 / 31) ** 2], rtol=1e-4)
    assert match_points(points, fitted.points).largest_error < INVERSION


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_grids_of_other_dtypes_converge_to_their_own_accuracy(dtype):
    points = load_sample("test")[3].points(pg_tf.ElementChannels.single())[0]
    grid, box = pg_tf.voxelize(points[:, 1:], sigma=0.4, dtype=dtype, return_box=True)
    found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4)
    assert found.points.dtype == (tf.float64 if dtype == "float64" else tf.float32)
    tolerance = {"float16": 1e-3, "bfloat16": 1e-2, "float64": INVERSION}[dtype]  # relative rounding, in sigma
    assert_found(points, found, tolerance)


def test_peak_midway_between_two_voxels_is_one_peak():
    grid = pg_tf.voxelize(np.float32([[2.0, 2.0, 2.0]]), grid_shape=8, sigma=0.6, box=([0.0] * 3, [4.0] * 3))
    peaks = persistent_peaks(grid.numpy(), np.zeros(1, np.float32))
    np.testing.assert_allclose(peaks.position, [[4.0, 4.0, 4.0]], atol=1e-3)


@pytest.mark.parametrize("noise", ["uniform", "white", "faint"])
def test_grid_that_is_no_sum_of_atoms_is_not_called_converged(noise, rng):
    grid = rng.random((1, 8, 8, 8)) / 100 if noise == "uniform" else rng.normal(size=(1, 20, 20, 20))
    grid = grid * 0.005 if noise == "faint" else grid
    found = pg_tf.grid_to_coords(grid, box=([0.0] * 3, [4.0] * 3), sigma=0.4)
    assert not found.converged
    assert found.loss > 0.01


def test_negative_grid_has_no_atoms_and_is_not_called_converged():
    _, grid, box = one_molecule()
    found = pg_tf.grid_to_coords(-grid, box=box, sigma=0.4)
    assert found.points.shape == (0, 4)
    assert not found.converged
    np.testing.assert_allclose(found.unexplained, grid.sum(), rtol=1e-5)


def test_empty_grids_have_no_atoms_and_an_empty_batch_is_an_empty_batch():
    options = {"box": ([0.0] * 3, [4.0] * 3), "sigma": 0.4}
    found = pg_tf.grid_to_coords(np.zeros((2, 3, 8, 8, 8)), **options)
    assert isinstance(found.points, tf.RaggedTensor)
    assert found.points.row_lengths().numpy().tolist() == [0, 0]
    assert found.converged.all()
    assert not pg_tf.grid_to_coords(np.zeros((1, 8, 8, 8)), **options, num_atoms=[1]).converged
    none = pg_tf.grid_to_coords(np.zeros((0, 2, 8, 8, 8)), **options)
    assert none.points.shape == (0, None, 4)
    assert none.converged.shape == none.loss.shape == (0,)


def test_number_of_atoms_can_be_given():
    coords = np.float32([[0.1, 2, 2], [3, 2, 2]])  # the first is cut by the box: half of its mass is missing
    box = ([0.0] * 3, [4.0] * 3)
    grid = pg_tf.voxelize(coords, box=box)
    found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4, num_atoms=[2])
    assert match_points(single_channel(coords), found.points).largest_error < INVERSION
    for wrong in (1, 3):
        found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4, num_atoms=[wrong])
        assert len(found.points) == wrong or not found.converged
    assert not pg_tf.grid_to_coords(grid, box=box, sigma=0.4, num_atoms=[1]).converged


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"grid": np.zeros((8, 8, 8))}, r"grid must have rank 4, or 5 for a batch; got shape \[8, 8, 8\]"),
        ({"grid": np.full((1, 4, 4, 4), np.nan)}, r"grid must be finite: grid\[0, 0, 0, 0\] is nan"),
        ({"sigma": 0.0}, "sigma must be finite and greater than 0, got 0.0"),
        ({"weights": [1.0, 1.0]}, "weights must be a scalar or one for each of the 1 channels"),
        ({"weights": np.inf}, "weights must be finite and greater than 0, got inf"),
        ({"box": None}, "box, cell: one of them must be given"),
        ({"box": ([0.0] * 2, [4.0] * 3)}, r"box: origin must have shape \[3\]"),
        ({"num_atoms": [1, 2]}, r"num_atoms must be whole numbers of at least 0 of shape \[1\]"),
        ({"num_atoms": [-1]}, "num_atoms must be whole numbers"),
        ({"data_format": "NCHW"}, "data_format must be"),
        ({"box": ([0.0] * 3, [4.0, 0.0, 4.0])}, "box: lengths must be finite and greater than 0: molecule 0 has"),
        ({"grid": np.zeros((1, 0, 4, 4))}, r"grid must have a channel and voxels, got shape \[1, 0, 4, 4\]"),
        ({"seeds": "gudhi"}, "seeds must be 'op' or 'cripser', got 'gudhi'"),
        ({"fit_background": "cubic"}, "fit_background must be None, 'constant', 'linear' or 'quadratic', got 'cubic'"),
        ({"epsilon": -1.0}, "epsilon must be at least 0, got -1.0"),
        ({"optimizer": "sgd", "fit_sigma": True}, "an optimizer fits coordinates only"),
    ],
)
def test_bad_argument_is_named(change, text):
    arguments = {"grid": np.zeros((1, 4, 4, 4)), "box": ([0.0] * 3, [4.0] * 3), "sigma": 0.4, **change}
    with pytest.raises(ValueError, match=text):
        pg_tf.grid_to_coords(arguments.pop("grid"), **arguments)
