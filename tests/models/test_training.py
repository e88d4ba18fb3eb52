"""The schedule, and that a regressor learns and predicts in the unit of its labels."""

import keras
import numpy as np
import pytest

from pg_tf.models import training


def tiny_network():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)])


def test_untrained_regressor_predicts_about_the_mean_in_the_unit_of_the_labels():
    labels = np.array([500.0, 510.0, 520.0])
    model = training.regressor(tiny_network(), labels)
    predicted = model.predict(np.zeros((5, 4)), verbose=0)
    assert predicted.shape == (5,)
    np.testing.assert_allclose(predicted, 510.0)  # a network of zero inputs and zero biases gives zero


def test_equal_labels_do_not_divide_by_zero():
    assert np.isfinite(training.regressor(tiny_network(), [2.0, 2.0]).predict(np.ones((1, 4)), verbose=0)).all()


def test_training_beats_the_mean_and_anneals_to_zero():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    y = 3 * x[:, 0] - x[:, 1] ** 2 + 7
    model = training.regressor(tiny_network(), y)
    lines = []
    data = training_data(x, y)
    history = training.train(
        model, data, data, steps_per_epoch=8, epochs=20, callbacks=[training.Progress(20, 256, lines.append)]
    )
    assert history["val_mae"][-1] < 0.5 * np.abs(y - y.mean()).mean()
    assert float(model.optimizer.learning_rate) == pytest.approx(0, abs=1e-6)
    assert len(lines) == 20
    assert lines[-1].startswith("epoch  20/20  train MAE")


def training_data(x, y):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def test_time_limit_ends_training_early():
    x, y = np.ones((64, 4), np.float32), np.arange(64, dtype=np.float32)
    model = training.regressor(tiny_network(), y)
    history = training.train(model, training_data(x, y), None, steps_per_epoch=2, epochs=10_000, max_seconds=0.0)
    assert len(history["mae"]) == 1


def test_learning_rate_rises_linearly_and_falls_as_a_cosine():
    schedule = training.CosineSchedule(0.1, total_steps=100, warmup=0.1)
    assert schedule.rate(0.05) == pytest.approx(0.05)
    assert schedule.rate(0.1) == pytest.approx(0.1)
    assert schedule.rate(0.55) == pytest.approx(0.05)
    assert schedule.rate(1.0) == pytest.approx(0.0)
