"""The U-Net and the denoiser made of it: shapes, symmetries, what they are before training, their life as a model."""

import keras
import numpy as np
import pytest

from pg_tf import models

SMALL = {"width": 8, "multipliers": (1, 2), "blocks": 1, "attention": (1,), "head_width": 8}


def _network(shape: tuple[int, ...] = (4, 4, 4, 2), **options: object) -> keras.Model:
    """With random weights in place of the zeros that layers start with."""
    keras.utils.set_random_seed(0)
    network = models.unet3d(shape, **(SMALL | options))
    rng = np.random.default_rng(0)
    network.set_weights([0.3 * rng.standard_normal(w.shape).astype("float32") for w in network.get_weights()])
    return network


@pytest.mark.parametrize("options", [{}, {"patch": 2}, {"periodic": True}, {"dropout": 0.5}, {"conditions": 3}])
def test_output_has_the_shape_of_the_grid_and_depends_on_grid_and_conditions(options, rng):
    shape = (8, 4, 12, 2)
    network = _network(shape, **options)
    grids = rng.normal(size=(2, *shape)).astype("float32")
    told = rng.normal(size=(2, options.get("conditions", 1))).astype("float32")
    out = np.asarray(network([grids, told]))
    assert out.shape == grids.shape
    for condition in range(told.shape[1]):
        other = told.copy()
        other[0, condition] += 0.3
        changed = np.abs(np.asarray(network([grids, other])) - out).max(axis=(1, 2, 3, 4))
        assert changed[0] > 1e-4
        assert changed[1] < 1e-4


def test_every_voxel_can_see_every_other():
    network = _network()
    grids = np.zeros((2, 4, 4, 4, 2), "float32")
    grids[1, 0, 0, 0, 0] = 1
    out = np.asarray(network([grids, np.zeros((2, 1), "float32")]))
    assert (np.abs(out[1] - out[0]).max(axis=-1) > 0).all()


def test_periodic_network_moves_with_its_grid(rng):
    network = _network((8, 8, 8, 2), periodic=True)
    grids, told = rng.normal(size=(1, 8, 8, 8, 2)).astype("float32"), np.ones((1, 1), "float32")
    out = np.asarray(network([grids, told]))
    # By two voxels: what the level of half the resolution moves by whole positions.
    moved = np.asarray(network([np.roll(grids, (2, 4, 6), (1, 2, 3)), told]))
    np.testing.assert_allclose(moved, np.roll(out, (2, 4, 6), (1, 2, 3)), atol=1e-4)
    fixed = _network((8, 8, 8, 2))
    assert np.abs(np.asarray(fixed([np.roll(grids, 2, 1), told])) - np.roll(fixed([grids, told]), 2, 1)).max() > 1e-2


def test_patches_and_voxels_are_inverse(rng):
    from pg_tf.models.unet import DepthToSpace, SpaceToDepth

    grids = rng.normal(size=(2, 4, 8, 4, 3)).astype("float32")
    patches = np.asarray(SpaceToDepth(2)(grids))
    assert patches.shape == (2, 2, 4, 2, 24)
    np.testing.assert_array_equal(patches[1, 1, 2, 0], grids[1, 2:4, 4:6, 0:2].reshape(-1))
    np.testing.assert_array_equal(DepthToSpace(2)(patches), grids)


def test_untrained_denoiser_is_the_best_linear_one_at_every_level(rng):
    denoiser = models.denoiser(models.unet3d((4, 4, 4, 2), **SMALL), rms=0.1)
    noisy, level = rng.normal(size=(3, 4, 4, 4, 2)).astype("float32"), np.float32([[0.01], [0.1], [3]])
    shrunk = noisy * (0.01 / (0.01 + level[:, :, None, None, None] ** 2))
    np.testing.assert_allclose(denoiser([noisy, level]), shrunk, rtol=1e-5)


def test_weighted_errors_of_white_grids_are_one_at_every_level():
    rms, level = 0.2, np.array([0.02, 0.2, 2.0])
    best_error = (level * rms) ** 2 / (level**2 + rms**2)
    np.testing.assert_allclose(models.denoising_weight(level, rms) * best_error, 1)


def test_saved_denoiser_gives_the_same(tmp_path, rng):
    denoiser = models.denoiser(_network(conditions=3), rms=0.1)
    inputs = [
        rng.normal(size=(2, 4, 4, 4, 2)).astype("float32"),
        np.float32([[0.1], [1]]),
        np.float32([[0.5, 1], [0, 0]]),
    ]
    denoiser.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(inputs), denoiser(inputs))


def test_mixed_precision_ends_in_float32():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        denoiser = models.denoiser(models.unet3d((4, 4, 4, 2), **SMALL), rms=0.1)
    finally:
        keras.config.set_dtype_policy(policy)
    out = denoiser([np.ones((1, 4, 4, 4, 2), "float32"), np.ones((1, 1), "float32")])
    assert out.dtype == "float32"
    assert np.isfinite(out).all()


def test_arguments_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"input_shape: each side must be divisible by 8 .*got \(12, 12, 6, 1\)"):
        models.unet3d((12, 12, 6, 1), patch=2)
    with pytest.raises(ValueError, match="attention: level 3 must be one of 0 to 2"):
        models.unet3d(attention=(3,))
    with pytest.raises(ValueError, match="rms: must be a positive number, got 0"):
        models.denoiser(models.unet3d((4, 4, 4, 2), **SMALL), rms=0)
