"""Fitting a regressor: units, schedule, time limit."""

import itertools
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from pg_tf.models import training

LABELS = np.array([4.0, 6.0, 5.0, 9.0], np.float32)


def _network() -> keras.Model:
    inputs = keras.Input((2, 2, 2, 1))
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(inputs)))


GRIDS = np.random.default_rng(0).random((4, 2, 2, 2, 1), dtype=np.float32)


def _batches(count: int | None) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors((GRIDS, LABELS)).repeat(count)


def test_regressor_predicts_in_the_unit_of_the_labels() -> None:
    network = _network()
    prediction = np.asarray(training.regressor(network, LABELS)(GRIDS))
    assert prediction.shape == (4,)
    expected = np.asarray(network(GRIDS))[:, 0] * LABELS.std() + LABELS.mean()
    np.testing.assert_allclose(prediction, expected, rtol=1e-6)


def test_regressor_starts_at_the_mean_when_all_labels_are_equal() -> None:
    network = _network()
    network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    np.testing.assert_array_equal(training.regressor(network, [3.0, 3.0])(GRIDS), 3.0)


def test_saved_regressor_predicts_the_same(tmp_path: os.PathLike[str]) -> None:
    model = training.regressor(_network(), LABELS)
    path = os.path.join(tmp_path, "model.keras")
    model.save(path)
    np.testing.assert_array_equal(keras.saving.load_model(path)(GRIDS), model(GRIDS))


def test_schedule_rises_then_falls_to_zero() -> None:
    schedule = training.CosineSchedule(0.1, total_steps=100, warmup=0.1)
    rates = [schedule.rate(progress) for progress in np.linspace(0, 1, 201)]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(0.1) == schedule.rate(0.1)
    assert all(a < b for a, b in itertools.pairwise(rates[:21]))
    assert all(a > b for a, b in itertools.pairwise(rates[20:]))
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_training_learns_and_reports_each_epoch() -> None:
    keras.utils.set_random_seed(0)  # so short a training depends on its start
    lines: list[str] = []
    model = training.regressor(_network(), LABELS)
    history = training.train(
        model,
        _batches(10),
        _batches(1),
        steps_per_epoch=10,
        epochs=5,
        learning_rate=0.1,
        callbacks=[training.Progress(5, 40, lines.append)],
    )
    assert len(history["mae"]) == len(history["val_mae"]) == len(lines) == 5
    assert history["val_mae"][-1] < 0.3 * np.abs(LABELS - LABELS.mean()).mean()
    assert f"validation MAE {history['val_mae'][-1]:.3f}" in lines[-1]


def test_training_ends_annealed_when_its_time_is_up() -> None:
    model = training.regressor(_network(), LABELS)
    # So many steps would take days.
    training.train(
        model,
        _batches(None),
        _batches(1),
        steps_per_epoch=10**9,
        epochs=1,
        max_seconds=0.5,
        learning_rate=0.1,
    )
    assert float(model.optimizer.learning_rate) < 1e-3
