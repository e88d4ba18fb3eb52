"""The 3D-ResNets: arithmetic, shapes, training and storage."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pg_tf import models

Builder = Callable[..., keras.Model]

BLOCKS: list[tuple[Builder, tuple[int, ...]]] = [
    (models.resnet3d10, (1, 1, 1, 1)),
    (models.resnet3d18, (2, 2, 2, 2)),
    (models.resnet3d34, (3, 4, 6, 3)),
    (models.resnet3d50, (3, 4, 6, 3)),
]
BUILDERS = [builder for builder, _ in BLOCKS]


def small_bottleneck(**options: Any) -> keras.Model:
    """A bottleneck block in each stage: what the 50 layers are made of, at a tenth of their time to trace."""
    return models.resnet3d((1, 1, 1, 1), bottleneck=True, **options)


# One of each kind of block. More of the same have nothing more to go wrong.
KINDS: list[Builder] = [models.resnet3d10, small_bottleneck]


def _conv_norm(kernel: int, fan_in: int, fan_out: int) -> int:
    """Weights of a bias-free convolution and of its batch norm (scale, offset, moving mean and variance)."""
    return kernel**3 * fan_in * fan_out + 4 * fan_out


def _count(blocks: tuple[int, ...], width: int, channels: int, outputs: int, bottleneck: bool) -> int:
    """Weights of a whole network."""
    total, fan_in = _conv_norm(7, channels, width), width
    for count, inner in zip(blocks, (width, 2 * width, 4 * width, 8 * width), strict=True):
        fan_out = 4 * inner if bottleneck else inner
        if fan_in != fan_out:
            total += _conv_norm(1, fan_in, fan_out)
        for _ in range(count):
            if bottleneck:
                total += _conv_norm(1, fan_in, inner) + _conv_norm(3, inner, inner) + _conv_norm(1, inner, fan_out)
            else:
                total += _conv_norm(3, fan_in, fan_out) + _conv_norm(3, fan_out, fan_out)
            fan_in = fan_out
    return total + (fan_in + 1) * outputs


def _grids(batch: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((batch, *shape), dtype=np.float32)


@pytest.fixture
def precision() -> Iterator[Callable[[str], None]]:
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(("builder", "blocks"), BLOCKS)
@pytest.mark.parametrize(("width", "channels", "outputs"), [(8, 1, 1), (12, 9, 3)])
def test_parameter_count_equals_arithmetic(
    builder: Builder, blocks: tuple[int, ...], width: int, channels: int, outputs: int
) -> None:
    model = builder(width=width, input_shape=(32, 32, 32, channels), outputs=outputs)
    assert model.count_params() == _count(blocks, width, channels, outputs, builder is models.resnet3d50)


def test_parameter_count_is_the_papers_at_width_64() -> None:
    model = models.resnet3d10(width=64, input_shape=(32, 32, 32, 1))
    assert model.count_params() == _count((1, 1, 1, 1), 64, 1, 1, bottleneck=False)
    assert round(model.count_params() / 1e6, 1) == 14.4


def test_depth_counts_layers_with_weights() -> None:
    depths = []
    for builder in BUILDERS:
        model = builder(width=1)
        kinds = (keras.layers.Conv3D, keras.layers.Dense)
        weighted = [layer.name for layer in model.layers if isinstance(layer, kinds)]
        depths.append(sum("shortcut" not in name for name in weighted))
    assert depths == [10, 18, 34, 50]


@pytest.mark.parametrize("builder", BUILDERS)
def test_stage_shapes_follow_strides_1_2_2_1(builder: Builder) -> None:
    model = builder(width=4, input_shape=(64, 64, 64, 1))
    expansion = 4 if builder is models.resnet3d50 else 1
    last = {layer.name.split("_")[0]: layer for layer in model.layers if layer.name.startswith("stage")}
    shapes = [last[f"stage{stage}"].output.shape[1:] for stage in (1, 2, 3, 4)]
    expected = [(16, 4), (8, 8), (4, 16), (4, 32)]
    assert shapes == [(side, side, side, expansion * channels) for side, channels in expected]
    assert model.get_layer("stem_conv").output.shape[1:] == (32, 32, 32, 4)


@pytest.mark.parametrize("shape", [(16, 16, 16, 1), (17, 33, 47, 2), (24, 32, 40, 8)])
@pytest.mark.parametrize("builder", KINDS)
def test_prediction_is_finite_any_shape(builder: Builder, shape: tuple[int, ...]) -> None:
    model = builder(width=2, input_shape=shape, outputs=3)
    prediction = np.asarray(model(_grids(2, shape)))
    assert prediction.shape == (2, 3)
    assert np.isfinite(prediction).all()


def test_sides_unknown_until_run_time_agree_with_known() -> None:
    open_sided = models.resnet3d10(width=2, input_shape=(None, None, None, 2))
    fixed = models.resnet3d10(width=2, input_shape=(16, 20, 33, 2))
    fixed.set_weights(open_sided.get_weights())
    grids = _grids(2, (16, 20, 33, 2))
    # Not bitwise: the two may pick other convolution algorithms. 1e-5 is some tens of float32 roundings.
    np.testing.assert_allclose(open_sided(grids), fixed(grids), rtol=1e-5, atol=1e-5)


def test_strided_shortcut_and_convolution_are_centred_alike() -> None:
    """With a kernel that sees only its centre, the strided convolution is the strided shortcut."""
    model = models.resnet3d10(width=1, stem_kernel=1, stem_strides=1, stem_pool=False)
    first, shortcut = model.get_layer("stage2_block1_1_conv"), model.get_layer("stage2_block1_shortcut_conv")
    centre_only = np.zeros((3, 3, 3, 1, 2), np.float32)
    centre_only[1, 1, 1] = 1
    first.set_weights([centre_only])
    shortcut.set_weights([np.ones((1, 1, 1, 1, 2), np.float32)])
    before = model.get_layer("stage1_block1_relu").output
    probe = keras.Model(before, [first(model.get_layer("stage2_block1_1_pad")(before)), shortcut(before)])
    through_convolution, through_shortcut = probe(_grids(1, (32, 32, 32, 1)))
    np.testing.assert_array_equal(through_convolution, through_shortcut)


@pytest.mark.parametrize(
    ("stem", "side"),
    [({}, 2), ({"stem_pool": False}, 4), ({"stem_strides": 1}, 4), ({"stem_strides": 1, "stem_pool": False}, 8)],
)
def test_stem_options_set_the_final_resolution(stem: dict[str, int], side: int) -> None:
    model = models.resnet3d10(width=2, stem_kernel=3, **stem)
    assert model.get_layer("stage4_block1_relu").output.shape[1:4] == (side, side, side)
    assert model.get_layer("stem_conv").kernel.shape[:3] == (3, 3, 3)


def test_activation_bounds_the_outputs() -> None:
    model = models.resnet3d10(width=2, outputs=4, activation="softmax")
    np.testing.assert_allclose(np.sum(model(_grids(3, (32, 32, 32, 1))), axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("builder", KINDS)
def test_saved_model_predicts_the_same(builder: Builder, tmp_path: os.PathLike[str]) -> None:
    shape = (16, 18, 20, 3)
    model = builder(width=3, input_shape=shape, outputs=2)
    rng = np.random.default_rng(1)  # every weight away from its start, the moving averages among them
    model.set_weights([weight + rng.uniform(0, 1e-3, weight.shape) for weight in model.get_weights()])
    path = os.path.join(tmp_path, "model.keras")
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert loaded.name == model.name
    prediction = np.asarray(model(_grids(2, shape, 1)))
    assert np.isfinite(prediction).all()
    np.testing.assert_array_equal(loaded(_grids(2, shape, 1)), prediction)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_saved_model_predicts_the_same_on_other_backend(backend: str, tmp_path: os.PathLike[str]) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    model = models.resnet3d10(width=4, input_shape=(16, 18, 20, 3))
    grids = _grids(2, (16, 18, 20, 3))
    path, answer = os.path.join(tmp_path, "model.keras"), os.path.join(tmp_path, "answer.npy")
    model.save(path)
    np.save(os.path.join(tmp_path, "grids.npy"), grids)
    code = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "np.save(sys.argv[3], keras.ops.convert_to_numpy(model(np.load(sys.argv[2]))))\n"
    )
    arguments = [path, os.path.join(tmp_path, "grids.npy"), answer]
    environment = os.environ | {"KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, env=environment)
    # Each backend sums its convolutions in its own order: ten layers of float32 rounding.
    np.testing.assert_allclose(np.load(answer), model(grids), rtol=1e-4, atol=1e-4)


def losses_of(builder: Builder) -> list[float]:
    keras.utils.set_random_seed(0)
    shape = (16, 16, 16, 2)
    model = builder(width=4, input_shape=shape)
    # XLA would compile for longer than these steps take.
    model.compile(keras.optimizers.Adam(3e-3), "mse", jit_compile=False)
    grids, labels = _grids(4, shape), np.linspace(-1, 1, 4, dtype=np.float32)[:, None]
    return model.fit(grids, labels, batch_size=4, epochs=16, verbose=0).history["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("builder", KINDS)
def test_training_lowers_the_loss_on_a_fixed_batch(builder: Builder) -> None:
    losses = losses_of(builder)
    assert losses[-1] < 0.5 * losses[0]


def assert_gradient_reaches_every_weight(model: keras.Model, grids: np.ndarray) -> None:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(grids, training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.any(gradient), variable.path


@pytest.mark.parametrize("builder", KINDS)
def test_gradient_reaches_every_weight(builder: Builder) -> None:
    keras.utils.set_random_seed(0)
    # 32^3: the last stages have 2^3 voxels there. Over one voxel, 26 of 27 kernel weights would see padding.
    model = builder(width=2, input_shape=(32, 32, 32, 1), outputs=2)
    assert_gradient_reaches_every_weight(model, _grids(4, (32, 32, 32, 1)))


@pytest.mark.parametrize(
    ("policy", "output", "inner"),
    [
        ("float32", "float32", "float32"),
        ("mixed_bfloat16", "float32", "bfloat16"),
        ("mixed_float16", "float32", "float16"),
        ("float64", "float64", "float64"),
    ],
)
def test_output_is_at_least_float32_under_policy(
    precision: Callable[[str], None], policy: str, output: str, inner: str
) -> None:
    precision(policy)
    model = models.resnet3d10(width=2, input_shape=(16, 16, 16, 1))
    assert keras.backend.standardize_dtype(model.output.dtype) == output
    assert keras.backend.standardize_dtype(model.get_layer("stage4_block1_relu").output.dtype) == inner


@pytest.mark.slow
def test_training_lowers_the_loss_in_mixed_precision(run_python: Callable[..., str]) -> None:
    # bfloat16, since TensorFlow has no float16 max pooling on a CPU. In a process without oneDNN, with which TensorFlow
    # 2.21 makes gradients of bfloat16 networks infinite on CPUs with AVX-512 instructions for bfloat16.
    program = (
        "import keras, test_resnet; from pg_tf import models; keras.config.set_dtype_policy('mixed_bfloat16'); "
        "print(*test_resnet.losses_of(models.resnet3d10))"
    )
    printed = run_python(program, TF_ENABLE_ONEDNN_OPTS="0", PYTHONPATH=str(Path(__file__).parent))
    losses = [float(word) for word in printed.split()]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (32, 15, 32, 1)}, r"ny=15 is too small .* by 16"),
        ({"input_shape": (3, 4, 4, 1), "stem_strides": 1, "stem_pool": False}, r"nx=3 is too small .* by 4"),
        ({"input_shape": (32, 32, 32)}, r"input_shape must be \(nx, ny, nz, channels\)"),
        ({"input_shape": (32, 32, 32, 0)}, r"at least one channel"),
        ({"input_shape": (32, 32, 32, None)}, r"at least one channel"),
        ({"width": 0}, r"width must be at least 1.*width=0"),
        ({"outputs": 0}, r"outputs must be at least 1.*outputs=0"),
        ({"stem_strides": 0}, r"stem_strides must be at least 1"),
        ({"stem_kernel": 4}, r"stem_kernel must be odd and positive.*4"),
    ],
)
def test_error_names_the_argument(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.resnet3d10(**arguments)


@pytest.mark.parametrize("blocks", [(), (1, 1, 1, 0), (1, 1, 1, 1, 1)])
def test_error_names_blocks(blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"blocks must be 1 to 4 positive numbers"):
        models.resnet3d(blocks)
