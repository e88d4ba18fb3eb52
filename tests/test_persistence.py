"""PgTf>PersistentPeaks against cripser, and on grids whose peaks are known."""

import cripser
import numpy as np
import pytest
import tensorflow as tf

import pg_tf
from pg_tf import _library
from pg_tf.datasets import load_sample

ops = _library.load()


def pairs_by_cripser(density):
    """Birth, death, peak and saddle of each pair, the most persistent first; the peak that never dies leads."""
    pairs = cripser.computePH(np.ascontiguousarray(-density, np.float64), maxdim=0)
    pairs = pairs[np.argsort(pairs[:, 1] - pairs[:, 2], kind="stable")]
    return -pairs[:, 1], -pairs[:, 2], pairs[:, 3:6], pairs[:, 6:9]


@pytest.mark.parametrize("shape", [(12, 12, 12), (5, 9, 14), (1, 1, 20)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pairs_are_those_of_cripser_on_noise(rng, shape, dtype):
    grids = rng.normal(size=(3, *shape)).astype(dtype)  # no two voxels are equal, so the pairs are unique
    found = ops.pg_tf_persistent_peaks(grids, np.full(3, -np.inf, dtype))
    splits = found.row_splits.numpy()
    for i, grid in enumerate(grids):
        mine = slice(splits[i], splits[i + 1])
        births, deaths, peaks, saddles = pairs_by_cripser(grid)
        np.testing.assert_array_equal(found.births[mine], births)
        np.testing.assert_array_equal(found.deaths[mine][1:], deaths[1:])
        np.testing.assert_array_equal(found.peaks[mine], peaks)
        np.testing.assert_array_equal(found.saddles[mine][1:], saddles[1:])
        assert found.deaths[mine][0] == -np.inf
        assert found.saddles[mine][0].numpy().tolist() == [-1, -1, -1]


def test_births_and_deaths_are_those_of_cripser_on_a_molecule():
    points = load_sample("test")[0].points(pg_tf.ElementChannels.single())[0]
    grid = pg_tf.voxelize(points[:, 1:], sigma=0.4).numpy()[0]
    found = ops.pg_tf_persistent_peaks(grid[np.newaxis], np.full(1, -np.inf, np.float32))
    births, deaths, _, _ = pairs_by_cripser(grid)  # voxels without mass are equal: there the places may differ
    lasting = births[1:] > deaths[1:]
    np.testing.assert_array_equal(found.births[0], births[0])
    pairs = np.stack([found.births[1:], found.deaths[1:]], axis=1)
    expected = np.stack([births[1:][lasting], deaths[1:][lasting]], axis=1)
    np.testing.assert_array_equal(pairs[np.lexsort(pairs.T)], expected[np.lexsort(expected.T)])


def test_floor_leaves_out_what_is_born_or_dies_below(rng):
    grid = rng.normal(size=(1, 9, 9, 9))
    whole = ops.pg_tf_persistent_peaks(grid, [-np.inf])
    above = ops.pg_tf_persistent_peaks(grid, [0.5])
    kept = whole.births.numpy() > 0.5
    deaths = np.where(whole.deaths > 0.5, whole.deaths, -np.inf)[kept]
    np.testing.assert_array_equal(np.sort(above.births), np.sort(whole.births.numpy()[kept]))
    np.testing.assert_array_equal(np.sort(above.deaths), np.sort(deaths))


def test_peaks_of_a_torus_move_with_the_grid(rng):
    grid = rng.normal(size=(1, 6, 7, 8))
    moved = np.roll(grid, (2, 3, 5), axis=(1, 2, 3))
    here, there = (ops.pg_tf_persistent_peaks(g, [-np.inf], periodic=[True] * 3) for g in (grid, moved))
    np.testing.assert_array_equal(here.births, there.births)
    np.testing.assert_array_equal(here.deaths, there.deaths)
    np.testing.assert_array_equal(np.add(here.peaks, [2, 3, 5]) % [6, 7, 8], there.peaks)
    assert len(here.births) < len(ops.pg_tf_persistent_peaks(grid, [-np.inf]).births)


def test_no_grids_have_no_peaks():
    found = ops.pg_tf_persistent_peaks(np.zeros((0, 3, 3, 3)), np.zeros(0))
    assert found.peaks.shape == (0, 3)
    assert found.row_splits.numpy().tolist() == [0]


@pytest.mark.parametrize(
    ("grids", "floors", "text"),
    [
        (np.zeros((2, 2, 2)), np.zeros(2), r"grids must have shape \[grids, nx, ny, nz\]|rank 4"),
        (np.zeros((2, 2, 2, 2)), np.zeros(3), r"floors must have shape \[2\]|must be equal"),
        (np.full((1, 1, 1, 3), [0, np.nan, 1]), np.zeros(1), "grids must be finite: grid 0, voxel 1 is nan"),
    ],
)
def test_bad_input_is_named(grids, floors, text):
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match=text):
        ops.pg_tf_persistent_peaks(grids, floors)
