"""Isotropic kernels: what they share, what they commute with, what is left of a network's arithmetic."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from pg_tf import models
from pg_tf.models.isotropic import IsotropicConv3D, orbits


def _symmetries(grids: np.ndarray) -> Iterator[np.ndarray]:
    """The 48 images of grids `[batch, n, n, n, channels]` under rotations and reflections of the cube."""
    for axes in itertools.permutations((1, 2, 3)):
        for flips in itertools.product((1, -1), repeat=3):
            yield np.transpose(grids, (0, *axes, 4))[:, :: flips[0], :: flips[1], :: flips[2]]


def _grids(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(3).random(shape, dtype=np.float32)


@pytest.mark.parametrize(("kernel_size", "count"), [(1, 1), (3, 4), (5, 10), (7, 20)])
def test_orbits_are_those_of_the_cube(kernel_size: int, count: int) -> None:
    index = orbits(kernel_size)
    assert sorted(np.unique(index)) == list(range(count))
    for image in _symmetries(index[None, ..., None]):
        np.testing.assert_array_equal(image[0, ..., 0], index)
    assert index[(kernel_size // 2,) * 3] == 0
    assert index[0, 0, 0] == count - 1


def test_kernel_of_ones_in_one_orbit_is_an_ordinary_convolution() -> None:
    layer, ordinary = IsotropicConv3D(2, 3), keras.layers.Conv3D(2, 3, use_bias=False)
    grids = _grids((2, 7, 6, 5, 3))
    layer.build(grids.shape)
    ordinary.build(grids.shape)
    weights = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)
    layer.set_weights([weights])
    ordinary.set_weights([weights[orbits(3)]])
    np.testing.assert_array_equal(layer(grids), ordinary(grids))


@pytest.mark.parametrize(("kernel_size", "strides"), [(3, 1), (5, 1), (3, 2)])
def test_layer_commutes_with_the_symmetries_of_the_cube(kernel_size: int, strides: int) -> None:
    # Side 9: with stride 2 and no padding the kernels of a side of 9 lie symmetrically.
    grids = _grids((1, 9, 9, 9, 2))
    layer = IsotropicConv3D(3, kernel_size, strides)
    expected = np.asarray(layer(grids))
    for image, image_of_result in zip(_symmetries(grids), _symmetries(expected), strict=True):
        np.testing.assert_allclose(layer(image), image_of_result, atol=1e-5)  # sums of 250 float32 terms of order 1


def _network(side: int, isotropic: bool, preactivation: bool = True) -> keras.Model:
    keras.utils.set_random_seed(0)
    return models.resnet3d(
        (1, 1),
        width=4,
        input_shape=(side, side, side, 2),
        stem_kernel=5,
        stem_pool=False,
        isotropic=isotropic,
        preactivation=preactivation,
        hidden_activation="silu",
    )


@pytest.mark.parametrize("preactivation", [False, True])
def test_network_is_invariant_under_the_symmetries_of_the_cube(preactivation: bool) -> None:
    grids = _grids((1, 17, 17, 17, 2))
    images = np.concatenate(list(_symmetries(grids)))
    predictions = {isotropic: np.asarray(_network(17, isotropic, preactivation)(images)) for isotropic in (True, False)}
    assert np.ptp(predictions[True]) < 1e-5 * max(1, np.abs(predictions[True]).max())
    assert np.ptp(predictions[False]) > 1e-3


def test_network_has_the_weights_of_its_orbits() -> None:
    def norm(channels: int) -> int:
        return 4 * channels

    # stem 5^3 (10 orbits); one block of width 4; one of width 8 with a shortcut; the last norm; the dense layer.
    expected = 10 * 2 * 4 + norm(4)
    expected += 4 * 4 * 4 + norm(4) + 4 * 4 * 4 + norm(4)
    expected += 4 * 4 * 8 + norm(4) + 4 * 8 * 8 + norm(8) + 4 * 8
    expected += norm(8) + 8 + 1
    assert _network(16, isotropic=True).count_params() == expected


def test_saved_isotropic_network_predicts_the_same(tmp_path: Path) -> None:
    network = _network(16, isotropic=True)
    grids = _grids((2, 16, 16, 16, 2))
    network.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(grids), network(grids))


@pytest.mark.slow
def test_saved_isotropic_network_is_read_where_the_models_are_imported(
    tmp_path: Path, run_python: Callable[..., str]
) -> None:
    _network(16, isotropic=True).save(tmp_path / "network.keras")
    program = "import sys, keras, pg_tf.models; print(keras.saving.load_model(sys.argv[1]).output_shape)"
    assert run_python(program, tmp_path / "network.keras").splitlines()[-1] == "(None, 1)"


@pytest.mark.slow
def test_isotropic_network_learns_a_fixed_batch() -> None:
    network = _network(16, isotropic=True)
    network.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=False)
    labels = np.linspace(-1, 1, 4, dtype=np.float32)[:, None]
    losses = network.fit(_grids((4, 16, 16, 16, 2)), labels, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("kernel_size", [0, 4])
def test_error_names_kernel_size(kernel_size: int) -> None:
    with pytest.raises(ValueError, match=rf"kernel_size must be odd and positive.*kernel_size={kernel_size}"):
        IsotropicConv3D(1, kernel_size)
