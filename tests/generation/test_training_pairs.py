"""From molecules to what a denoiser learns from, and from grids back to molecules."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pg_tf import generation, models
from pg_tf.augmentation import align, align_dataset
from pg_tf.datasets import Molecules

WATER = np.float32([[0, 0, 0], [0.757, 0.586, 0], [-0.757, 0.586, 0]])
FORMALDEHYDE = np.float32([[0, 0, 0], [0, 0, 1.205], [0, 0.94, -0.59], [0, -0.94, -0.59]])
FORMAT = generation.GridFormat(("H", "C", "O"), grid_size=8, voxel=0.85, sigma=0.5)


def _molecules(copies: int = 1) -> Molecules:
    return Molecules.from_arrays([[8, 1, 1], [6, 8, 1, 1]] * copies, [WATER, FORMALDEHYDE] * copies)


def _points(copies: int = 1) -> tf.data.Dataset:
    return _molecules(copies).dataset(FORMAT.channels, batch_size=2)


def test_grid_of_an_atom_in_the_middle_of_a_voxel_is_one_there():
    odd = generation.GridFormat(("H",), grid_size=7, voxel=0.7, sigma=0.45)
    grid = odd.grids(tf.ragged.constant([[[0, 1.0, 2.0, 3.0]]], ragged_rank=1, dtype=tf.float32))
    assert float(grid[0, 3, 3, 3, 0]) == pytest.approx(1, abs=1e-5)
    assert float(tf.reduce_max(grid)) == pytest.approx(1, abs=1e-5)
    assert float(tf.reduce_sum(grid)) * odd.peak == pytest.approx(1, abs=1e-5)


def test_molecules_come_back_from_their_grids():
    grids = next(iter(FORMAT.to_dataset(_points())))
    back = FORMAT.molecules(grids)
    assert np.diff(back.row_splits).tolist() == [3, 4]
    for start, end, true in ((0, 3, WATER), (3, 7, FORMALDEHYDE)):
        found = back.coords[start:end]
        distances = np.linalg.norm(found[:, None] - found, axis=-1)
        expected = np.linalg.norm(true[:, None] - true, axis=-1)
        np.testing.assert_allclose(np.sort(distances.ravel()), np.sort(expected.ravel()), atol=1e-3)


def test_empty_grid_is_a_molecule_without_atoms():
    assert len(FORMAT.molecules(np.zeros((2, *FORMAT.shape), np.float32)).atomic_numbers) == 0


def test_alignment_does_not_depend_on_how_a_molecule_was_turned(rng):
    """Up to the side of an axis along which a molecule is symmetric."""
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation *= np.linalg.det(rotation)
    coords = rng.normal(size=(7, 3))
    points, turned = (
        np.concatenate([np.zeros((7, 1)), xyz], axis=1) for xyz in (coords, coords @ rotation.T + [3, 4, 5])
    )
    aligned = align(points).numpy()
    np.testing.assert_allclose(align(turned), aligned, atol=1e-9)
    np.testing.assert_allclose(aligned[:, 1:].mean(axis=0), 0, atol=1e-9)
    moments = aligned[:, 1:].T @ aligned[:, 1:]
    np.testing.assert_allclose(moments, np.diag(np.diag(moments)), atol=1e-9)
    assert (np.diff(np.diag(moments)) <= 0).all()


def test_alignment_with_a_seed_takes_each_side_and_no_mirror_image(rng):
    coords = rng.normal(size=(5, 3))
    points = np.concatenate([np.zeros((5, 1)), coords], axis=1)
    volume = np.linalg.det(coords[1:4] - coords[0])
    sides = set()
    for number in range(40):
        aligned = align(points, (1, number)).numpy()[:, 1:]
        assert np.linalg.det(aligned[1:4] - aligned[0]) == pytest.approx(volume)
        sides.add(tuple(np.sign(aligned[0]).astype(int)))
    assert len(sides) == 4


def test_padding_and_batches_are_aligned_as_single_molecules_are(rng):
    ragged = next(iter(_points()))
    batch = align(ragged)
    for row, single in zip(batch, (align(ragged[0].numpy()), align(ragged[1].numpy())), strict=True):
        np.testing.assert_allclose(row, single, atol=1e-5)
    padded = align(ragged.to_tensor(default_value=-1.0))
    np.testing.assert_allclose(padded[1], align(ragged[1].numpy()), atol=1e-5)


def test_pairs_follow_from_seed_and_number_of_the_batch():
    levels = generation.NoiseLevels(0.1)
    clean = FORMAT.to_dataset(_points(4).apply(align_dataset(1)))
    pairs = list(clean.apply(generation.denoising_pairs(levels, 5)))
    again = list(clean.skip(2).apply(generation.denoising_pairs(levels, 5, start=2)))
    np.testing.assert_array_equal(pairs[3][0][1], again[1][0][1])
    noise = [(noisy - target).numpy() for (noisy, _), target, _ in pairs]
    assert np.abs(noise[0] - noise[1]).max() > 1e-3
    for (noisy, level), target, weight in pairs:
        white = (noisy - target) / level[:, :, None, None, None]
        assert float(tf.math.reduce_std(white)) == pytest.approx(1, abs=0.05)
        np.testing.assert_allclose(weight[:, 0, 0], models.denoising_weight(level, 0.1))


def test_levels_have_the_stated_median_and_spread():
    levels = np.log(generation.NoiseLevels(0.2, median=0.5, spread=1.1).draw(20_000, (1, 2)).numpy())
    assert np.median(levels) == pytest.approx(np.log(0.1), abs=0.05)
    assert levels.std() == pytest.approx(1.1, abs=0.03)
    assert (generation.NoiseLevels(0.2, spread=0).draw(3, (1, 2)).numpy() == np.float32(0.2 * 0.6)).all()


def test_conditions_are_left_out_of_the_stated_share():
    grids = tf.data.Dataset.from_tensors((tf.zeros((500, 2, 2, 2, 1)), tf.ones((500, 1)) * 3))
    (_, _, told), *_ = next(iter(grids.apply(generation.denoising_pairs(generation.NoiseLevels(1), left_out=0.3))))
    told = told.numpy()
    assert set(map(tuple, told)) == {(3, 1), (0, 0)}
    assert 0.2 < (told[:, 1] == 0).mean() < 0.4


def test_weights_are_those_of_the_molecules_in_the_loss_of_keras():
    levels = generation.NoiseLevels(0.1)
    (noisy, level), clean, weight = next(iter(FORMAT.to_dataset(_points(4)).apply(generation.denoising_pairs(levels))))
    expected = tf.reduce_mean(
        models.denoising_weight(level[:, 0], 0.1) * tf.reduce_mean((noisy - clean) ** 2, [1, 2, 3, 4])
    )
    assert float(keras.losses.MeanSquaredError()(clean, noisy, weight)) == pytest.approx(float(expected), rel=1e-5)


def test_trained_denoiser_beats_the_linear_one_and_makes_grids_like_those_it_saw():
    """Of one grid only, the denoiser has nothing to learn but it."""
    keras.utils.set_random_seed(0)
    grid = FORMAT.grids(next(iter(_points()))[:1])
    rms = float(tf.sqrt(tf.reduce_mean(grid**2)))
    levels = generation.NoiseLevels(rms)
    pairs = tf.data.Dataset.from_tensors(tf.repeat(grid, 8, axis=0)).repeat(500)
    network = models.unet3d(FORMAT.shape, width=8, multipliers=(1, 2), blocks=1, attention=())
    model = models.denoiser(network, rms)
    model.compile(optimizer=keras.optimizers.Adam(5e-3), loss="mse")
    losses = model.fit(pairs.apply(generation.denoising_pairs(levels)), epochs=1, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    start = tf.random.stateless_normal((2, *FORMAT.shape), (1, 1))
    made = generation.descend(generation.unconditional(model), start, generation.noise_levels(15, 0.01, 1), seed=(0, 0))
    assert float(tf.reduce_mean((made - grid) ** 2)) < 0.2 * rms**2
    molecules, true = FORMAT.molecules(made), FORMAT.molecules(grid)
    assert len(true.coords) == 3
    for start, end in itertools.pairwise(molecules.row_splits.tolist()):
        apart = np.linalg.norm(true.coords[:, np.newaxis] - molecules.coords[start:end], axis=2)
        other = true.atomic_numbers[:, np.newaxis] != molecules.atomic_numbers[start:end]
        assert np.all((apart + 9 * other).min(axis=1) < 0.2)
