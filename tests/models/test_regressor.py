"""A network that predicts in the unit of its labels."""

import os

import keras
import numpy as np

from pg_tf.models import regressor

LABELS = np.array([4.0, 6.0, 5.0, 9.0], np.float32)


def _network() -> keras.Model:
    inputs = keras.Input((2, 2, 2, 1))
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(inputs)))


GRIDS = np.random.default_rng(0).random((4, 2, 2, 2, 1), dtype=np.float32)


def test_regressor_predicts_in_the_unit_of_the_labels() -> None:
    network = _network()
    prediction = np.asarray(regressor(network, LABELS.mean(), LABELS.std())(GRIDS))
    assert prediction.shape == (4, 1)
    expected = np.asarray(network(GRIDS)) * LABELS.std() + LABELS.mean()
    np.testing.assert_allclose(prediction, expected, rtol=1e-6)


def test_regressor_starts_at_the_mean_when_all_labels_are_equal() -> None:
    network = _network()
    network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    np.testing.assert_array_equal(regressor(network, 3.0, 0.0)(GRIDS), 3.0)


def test_saved_regressor_predicts_the_same(tmp_path: os.PathLike[str]) -> None:
    model = regressor(_network(), LABELS.mean(), LABELS.std())
    path = os.path.join(tmp_path, "model.keras")
    model.save(path)
    np.testing.assert_array_equal(keras.saving.load_model(path)(GRIDS), model(GRIDS))
