"""Samplers on denoisers whose answer is known: of Gaussian grids, and of two points."""

import numpy as np
import pytest
import tensorflow as tf

from pg_tf import generation

MEAN, STD = 0.3, 0.5
SHAPE = (128, 3, 3, 3, 2)
# of the mean and of the spread of so many voxels
SAMPLING = 4 * STD / np.sqrt(np.prod(SHAPE))


def gaussian(noisy, level):
    """The denoiser of grids whose voxels are independent, with this mean and spread."""
    s = level[:, :, None, None, None] ** 2
    return (noisy * STD**2 + MEAN * s) / (STD**2 + s)


def two_points(noisy, level):
    """The denoiser of grids that are all 1 or all -1: the mean of the two, weighted with how likely they are."""
    s = level[:, :, None, None, None] ** 2
    return tf.ones_like(noisy) * tf.tanh(tf.reduce_sum(noisy, axis=[1, 2, 3, 4], keepdims=True) / s)


def _noise(level, number=0):
    return level * tf.random.stateless_normal(SHAPE, (7, number))


@pytest.mark.parametrize("churn", [0, 20])
def test_descent_samples_the_distribution_of_the_denoiser(churn):
    levels = generation.noise_levels(40, 0.01, 30)
    grids = generation.descend(gaussian, _noise(30), levels, seed=(0, 1), churn=churn).numpy()
    assert grids.mean() == pytest.approx(MEAN, abs=SAMPLING)
    assert grids.std() == pytest.approx(STD, abs=0.02)


def test_descent_finds_both_of_two_points():
    grids = generation.descend(two_points, _noise(30), generation.noise_levels(30, 0.01, 30), seed=(0, 1)).numpy()
    np.testing.assert_allclose(np.abs(grids), 1, atol=1e-2)
    assert 0.3 < (grids[:, 0, 0, 0, 0] > 0).mean() < 0.7


def test_langevin_samples_the_noisy_density_and_the_jump_its_estimates():
    level = 0.4
    noisy, _ = generation.langevin(
        gaussian, generation.noisy_start(SHAPE, level, seed=(0, 1)), level, seed=(3, 3), walk=60
    )
    assert noisy.numpy().mean() == pytest.approx(MEAN, abs=2 * SAMPLING)
    assert noisy.numpy().std() == pytest.approx(np.hypot(STD, level), abs=0.02)
    np.testing.assert_allclose(
        generation.jump(gaussian, noisy, level), gaussian(noisy, np.float32([[level]])), rtol=1e-5
    )


def test_walk_goes_on_where_it_ended():
    start = generation.noisy_start((2, *SHAPE[1:]), 0.4, seed=(0, 1))
    step = {"level": 0.4, "seed": (3, 3), "friction": 0.5}
    half, velocity = generation.langevin(gaussian, start, walk=5, **step)
    again, _ = generation.langevin(gaussian, start, walk=5, **step)
    np.testing.assert_array_equal(half, again)
    further, _ = generation.langevin(gaussian, half, walk=5, velocity=velocity, **step)
    assert np.abs(further - half).max() > 0.1
    np.testing.assert_allclose(
        generation.walk_jump(gaussian, start, 0.4, seed=(3, 3), walk=5, friction=0.5),
        generation.jump(gaussian, half, 0.4),
        rtol=1e-5,
    )


def test_ascent_is_the_way_back():
    levels = generation.noise_levels(60, 0.01, 10)
    clean = MEAN + STD * tf.random.stateless_normal(SHAPE, (1, 1))
    noise = generation.ascend(gaussian, clean, levels)
    assert noise.numpy().std() == pytest.approx(np.hypot(10, STD), rel=0.03)
    np.testing.assert_allclose(generation.descend(gaussian, noise, levels, seed=(0, 0)), clean, atol=2e-3)


def test_noise_between_two_is_as_strong_as_they_are():
    first, second = _noise(2)[0], _noise(2, 1)[0]
    path = generation.between(first, second, [0, 0.3, 1]).numpy()
    np.testing.assert_allclose(path[[0, 2]], [first, second], atol=1e-5)
    lengths = np.sqrt((path**2).sum(axis=(1, 2, 3, 4)))
    assert min(lengths[0], lengths[2]) - 1e-3 < lengths[1] < 1.1 * max(lengths[0], lengths[2])
    np.testing.assert_allclose(generation.between(first, first, [0.5])[0], first, rtol=1e-5)


def test_same_seed_same_grids_and_another_seed_others():
    levels = generation.noise_levels(5, 0.1, 3)
    runs = [generation.descend(gaussian, _noise(3), levels, seed=seed, churn=5) for seed in ((1, 2), (1, 2), (1, 3))]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 1e-2


def test_guidance_shifts_a_gaussian_by_what_bayes_says():
    """Grids of one likelihood N(x; 1, t^2) a voxel: the posterior is Gaussian again, and the guided samples follow it
    where the estimate is as sure as the likelihood: at low noise."""
    tolerance = 0.5

    def wanted(clean):
        return -tf.reduce_sum((clean - 1) ** 2, axis=[1, 2, 3, 4]) / (2 * tolerance**2)

    guided = generation.towards(gaussian, wanted)
    grids = generation.descend(guided, _noise(30), generation.noise_levels(60, 0.01, 30), seed=(0, 1)).numpy()
    free = generation.descend(gaussian, _noise(30), generation.noise_levels(60, 0.01, 30), seed=(0, 1)).numpy()
    assert free.mean() + 0.2 < grids.mean() < 1
    level, noisy = np.float32([[0.1]]), tf.ones((1, 2, 2, 2, 1))
    clean = gaussian(noisy, level)
    slope = STD**2 / (STD**2 + 0.1**2)
    expected = clean - 0.1**2 * slope * (clean - 1) / tolerance**2
    np.testing.assert_allclose(guided(noisy, tf.constant(level)), expected, rtol=1e-5)


def test_inpainting_keeps_what_is_known_and_samples_the_rest():
    known, mask = tf.ones(SHAPE[1:]) * 2, np.zeros(SHAPE[1:], np.float32)
    mask[0] = 1
    filled = generation.inpainted(gaussian, known, mask)
    grids = generation.descend(filled, _noise(30), generation.noise_levels(40, 0.01, 30), seed=(0, 1)).numpy()
    np.testing.assert_allclose(grids[:, 0], 2, atol=0.02)
    assert grids[:, 1:].mean() == pytest.approx(MEAN, abs=2 * SAMPLING)
    assert grids[:, 1:].std() == pytest.approx(STD, abs=0.02)


def test_levels_fall_from_highest_to_lowest_to_zero():
    levels = generation.noise_levels(10, 0.02, 5)
    assert levels[0] == pytest.approx(5)
    assert levels[-2:] == pytest.approx([0.02, 0])
    assert (np.diff(levels) < 0).all()
    with pytest.raises(ValueError, match="steps: must be at least 2 from highest > lowest > 0, got 10, 1, 2"):
        generation.noise_levels(10, 2, 1)
