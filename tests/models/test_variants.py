"""Options of the residual blocks: order of the layers, normalisation, weighed channels."""

import keras
import numpy as np
import pytest
from test_resnet import assert_gradient_reaches_every_weight

from pg_tf import models

SHAPE = (16, 16, 16, 2)


def _network(**options: object) -> keras.Model:
    keras.utils.set_random_seed(0)
    return models.resnet3d((1, 1), width=8, input_shape=SHAPE, stem_kernel=3, stem_pool=False, **options)


def _grids(batch: int) -> np.ndarray:
    return np.random.default_rng(0).random((batch, *SHAPE), dtype=np.float32)


def test_preactivated_sums_are_not_activated() -> None:
    """Nothing stands between the sums: they hold negative numbers, which a ReLU behind them would have removed."""
    for preactivation in (False, True):
        network = _network(preactivation=preactivation)
        name = "stage1_block1_add" if preactivation else "stage1_block1_relu"
        sums = np.asarray(keras.Model(network.inputs, network.get_layer(name).output)(_grids(2)))
        assert (sums.min() < 0) == preactivation


def test_hidden_activation_is_used_everywhere() -> None:
    kinds = {
        layer.activation.__name__ for layer in _network(hidden_activation="silu").layers if hasattr(layer, "activation")
    }
    assert kinds == {"silu", "linear"}  # linear: the outputs


def test_group_normalization_does_not_mix_molecules() -> None:
    grids = _grids(4)
    for normalization, mixes in (("batch", True), ("group", False)):
        network = _network(normalization=normalization)
        alone = np.asarray(network(grids[:1], training=True))
        together = np.asarray(network(grids, training=True))[:1]
        assert np.allclose(alone, together, atol=1e-5) != mixes


def test_squeeze_excite_weighs_whole_channels() -> None:
    network = _network(squeeze_excite=True)
    before, after = (network.get_layer(f"stage1_block1_{name}").output for name in ("2_norm", "weigh"))
    plain, weighed = map(np.asarray, keras.Model(network.inputs, [before, after])(0.01 * _grids(2)))
    weights = weighed.sum(axis=(1, 2, 3)) / plain.sum(axis=(1, 2, 3))
    assert ((weights > 0) & (weights < 1)).all()
    np.testing.assert_allclose(
        weighed, plain * weights[:, None, None, None], rtol=1e-4, atol=1e-6 * np.abs(plain).max()
    )
    assert np.ptp(weights[0]) > 1e-3


@pytest.mark.parametrize(
    "options", [{"preactivation": True}, {"normalization": "group"}, {"squeeze_excite": True, "isotropic": True}]
)
@pytest.mark.parametrize("bottleneck", [False, True])
def test_gradient_reaches_every_weight(options: dict[str, object], bottleneck: bool) -> None:
    assert_gradient_reaches_every_weight(_network(**options, bottleneck=bottleneck), _grids(4))


def test_error_names_normalization() -> None:
    with pytest.raises(ValueError, match=r'normalization must be "batch" or "group".*layer'):
        _network(normalization="layer")


@pytest.mark.parametrize(
    "options", [{}, {"squeeze_excite": True}, {"preactivation": True, "isotropic": True, "squeeze_excite": True}]
)
def test_compiled_prediction_equals_the_eager_one(options: dict[str, object]) -> None:
    """TensorFlow rewrites graphs before it runs them, with oneDNN more so: to the same numbers."""
    shape = (12, 12, 12, 2)  # odd behind two strides
    keras.utils.set_random_seed(0)
    network = models.resnet3d((1, 1), width=8, input_shape=shape, stem_kernel=5, stem_pool=False, **options)
    grids = np.random.default_rng(0).random((8, *shape), dtype=np.float32)
    network.compile("adam", "mae", jit_compile=False)
    eager = np.asarray(network(grids, training=False))
    compiled = network.predict(grids, batch_size=8, verbose=0)
    np.testing.assert_allclose(compiled, eager, rtol=1e-4, atol=1e-4 * np.abs(eager).max())
