"""The inversion monitor in a real training: what it logs, when, and that other callbacks can use it."""

import math

import keras
import numpy as np
import pytest

import pg_tf
from pg_tf.callbacks import InversionMonitor

BOX = pg_tf.Box([0.0] * 3, [6.0] * 3)
SIGMA = 0.6
# What a picture of the progress needs.
FAST = {"max_steps": 10, "max_repairs": 0}


def molecules(count):
    """Points `[count, 2, 4]`, one atom in each of two channels, and their grids `[count, 12, 12, 12, 2]`."""
    coords = np.random.default_rng(0).uniform(1.5, 4.5, (count, 2, 3)).astype(np.float32)
    channels = np.tile(np.int32([0, 1]), (count, 1))
    grids = pg_tf.voxelize(
        coords, channels, num_channels=2, grid_shape=12, sigma=SIGMA, box=BOX, data_format="channels_last"
    )
    return np.concatenate([channels[..., np.newaxis], coords], axis=-1, dtype=np.float32), grids.numpy()


def autoencoder():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 12, 2)),
            keras.layers.Rescaling(20.0),  # voxels to numbers of about one
            keras.layers.Conv3D(8, 2, strides=2, activation="relu"),
            keras.layers.Conv3DTranspose(2, 2, strides=2),
            keras.layers.Rescaling(0.05),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.MeanSquaredError("sum"), jit_compile=False)
    return model


@pytest.mark.slow
def test_autoencoder_in_training_is_seen_to_place_atoms_better(tmp_path):
    points, grids = molecules(64)
    model = autoencoder()
    monitor = InversionMonitor(
        grids[:4], points[:4], box=BOX, sigma=SIGMA, channel_names=("C", "O"), within=(0.1,), **FAST
    )
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor="inversion_recovered_0.1A", mode="max", save_best_only=True
    )
    history = model.fit(grids, grids, batch_size=8, epochs=5, verbose=0, callbacks=[monitor, best]).history
    assert {len(values) for values in history.values()} == {5}
    assert history["inversion_recovered_0.1A"][0] < history["inversion_recovered_0.1A"][-1]
    first, last = history["inversion_rmsd"][0], history["inversion_rmsd"][-1]
    assert math.isnan(first) or last < 0.5 * first  # not a number: no pair at all
    assert history["inversion_atoms"][-1] == pytest.approx(2, abs=0.25)
    assert (tmp_path / "best.keras").exists()

    found = pg_tf.grid_to_coords(
        model.predict_on_batch(grids[:4]), box=BOX, sigma=SIGMA, data_format="channels_last", **FAST
    ).points
    for name, channel in (("", None), ("_C", 0), ("_O", 1)):
        rmsd = pg_tf.metrics.matched_rmsd(points[:4], found, channel=channel)
        assert history["inversion_rmsd" + name][-1] == pytest.approx(rmsd, rel=1e-4)


def test_only_every_second_epoch_is_logged_and_truth_is_not_needed():
    _, grids = molecules(8)
    monitor = InversionMonitor(grids[:2], box=BOX, sigma=SIGMA, every=2, prefix="sample_", **FAST)
    history = autoencoder().fit(grids, grids, epochs=4, verbose=0, callbacks=[monitor]).history
    assert len(history["loss"]) == 4
    assert {name: len(values) for name, values in history.items() if name != "loss"} == {
        "sample_atoms": 2,
        "sample_converged": 2,
        "sample_unexplained": 2,
    }


def test_grid_that_is_not_finite_counts_as_not_converged():
    points, grids = molecules(2)
    grids[0, 0, 0, 0, 0] = math.nan
    monitor = InversionMonitor(grids, points, box=BOX, sigma=SIGMA, predict=lambda model, inputs: inputs, max_steps=600)
    figures = monitor.figures()
    assert figures["converged"] == 0.5
    assert figures["atoms"] == 1
    assert figures["count_error"] == 1
    assert figures["unexplained"] < 0.01


def test_epochs_between_inversions_must_be_at_least_one():
    with pytest.raises(ValueError, match="every must be at least 1 epoch, got 0"):
        InversionMonitor(np.zeros((1, 4, 4, 4, 1)), box=BOX, sigma=SIGMA, every=0)
