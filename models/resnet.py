"""3D residual networks (He et al. 2015, arXiv:1512.03385; in 3D: Hara et al. 2018, arXiv:1711.09577)."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from .isotropic import IsotropicConv3D

# Channels (in multiples of the width) and stride of each stage. The last stage keeps its resolution: a 32^3
# grid enters it as 2^3, and a stride there would leave only one voxel to average.
STAGES = ((1, 1), (2, 2), (4, 2), (8, 1))

# The usual 0.99 of Keras averages over hundreds of steps, which is longer than a short training run.
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


def resnet3d(
    blocks: Sequence[int],
    *,
    bottleneck: bool = False,
    width: int = 64,
    input_shape: Sequence[int | None] = (32, 32, 32, 1),
    outputs: int = 1,
    activation: Any = None,
    stem_kernel: int = 7,
    stem_strides: int = 2,
    stem_pool: bool = True,
    isotropic: bool = False,
    preactivation: bool = False,
    hidden_activation: str = "relu",
    normalization: str = "batch",
    squeeze_excite: bool = False,
    name: str = "resnet3d",
) -> keras.Model:
    """Instantiates a 3D-ResNet for regression or classification of voxel grids.

    A convolutional stem, up to four stages of residual blocks with `width`, `2 width`, `4 width` and
    `8 width` channels (strides 1, 2, 2, 1), global average pooling and a dense layer. Where a block
    changes the shape its shortcut is a 1x1x1 convolution. The model runs on every Keras backend, and
    unless it is isotropic it is made of built-in Keras layers only and loads without pg_tf. The output
    is at least float32, also under a mixed precision policy.

    Args:
        blocks: Number of residual blocks in each stage; one to four stages.
        bottleneck: Whether a block is 1x1x1, 3x3x3, 1x1x1 convolutions with a fourfold expansion
            rather than two 3x3x3 convolutions. The stride is in the 3x3x3 convolution.
        width: Number of channels of the first stage.
        input_shape: `(nx, ny, nz, channels)`. The sides may be unequal and odd; a side may be `None`
            if it is known at run time only.
        outputs: Number of outputs.
        activation: Activation of the outputs, as in `keras.layers.Dense`. `None` for regression.
        stem_kernel: Kernel size of the stem, odd.
        stem_strides: Stride of the stem. 1 suits grids of a few voxels an atom; it costs eight times
            the arithmetic.
        stem_pool: Whether the stem ends with 3x3x3 max pooling of stride 2.
        isotropic: Whether all kernels are those of `IsotropicConv3D`. Suits properties that do not
            depend on how a molecule is turned, in grids of one resolution (`pg_tf.centered_box`).
        preactivation: Whether normalisation and activation come before the convolutions of a block, so that
            nothing stands between the sums (He et al. 2016, arXiv:1603.05027), and once more before the pooling.
        hidden_activation: Activation of the hidden layers, such as "relu" or "silu".
        normalization: "batch", or "group" with 8 groups (Wu and He 2018, arXiv:1803.08494), which does not
            depend on what else is in a batch.
        squeeze_excite: Whether the channels of each block are weighted by their averages over the grid
            (Hu et al. 2018, arXiv:1709.01507).
        name: Name of the model.

    Input shape:
        `(batch, nx, ny, nz, channels)`.

    Output shape:
        `(batch, outputs)`.

    Returns:
        A functional `keras.Model`, not compiled.

    Raises:
        ValueError: If an argument is out of range, or if a side is shorter than the total stride of
            the network (16 by default).

    Example:

    >>> model = pg_tf.models.resnet3d((1, 1, 1, 1), width=16, input_shape=(24, 32, 40, 8), stem_kernel=3)
    >>> model.output_shape
    (None, 1)
    """
    if not isinstance(blocks, Sequence) or not all(isinstance(count, int) for count in blocks):
        raise ValueError(f"blocks must be whole numbers, one a stage. Received: blocks={blocks!r}")
    blocks, input_shape = tuple(blocks), tuple(input_shape)
    stride = stem_strides * (2 if stem_pool else 1)
    if normalization not in ("batch", "group"):
        raise ValueError(f'normalization must be "batch" or "group". Received: normalization={normalization!r}')
    stages = STAGES[: len(blocks)]
    for _, stage_stride in stages:
        stride *= stage_stride
    _check(blocks, width, input_shape, outputs, stem_kernel, stem_strides, stride)

    inputs = layers.Input(input_shape, name="grid")
    build = _Blocks(isotropic, preactivation, hidden_activation, normalization, squeeze_excite)
    # Grids are sparse: the variance behind the first convolution is some 1e-4, and the moving average would take a
    # hundred steps to forget its usual start at 1.
    x = build.convolution(inputs, width, stem_kernel, stem_strides, "stem")
    x = build.activation(build.norm(x, "stem", moving_variance_initializer="zeros"), "stem")
    if stem_pool:
        # Padded with zeros on both sides, as the convolutions are; after a ReLU zeros never win.
        x = layers.ZeroPadding3D(1, data_format="channels_last", name="stem_pool_pad")(x)
        x = layers.MaxPooling3D(3, 2, data_format="channels_last", name="stem_pool")(x)

    block = build.bottleneck if bottleneck else build.basic
    for stage, (count, (multiple, stage_stride)) in enumerate(zip(blocks, stages, strict=True), 1):
        for i in range(count):
            prefix = f"stage{stage}_block{i + 1}"
            x = block(x, multiple * width, stage_stride if i == 0 else 1, prefix)
    if preactivation:
        x = build.activation(build.norm(x, "last"), "last")

    x = layers.GlobalAveragePooling3D(data_format="channels_last", name="pool")(x)
    dtype = keras.backend.result_type(keras.config.dtype_policy().compute_dtype, "float32")
    x = layers.Dense(outputs, activation=activation, dtype=dtype, name="outputs")(x)
    return keras.Model(inputs, x, name=name)


def resnet3d10(
    width: int = 64, input_shape: Sequence[int | None] = (32, 32, 32, 1), outputs: int = 1, **options: Any
) -> keras.Model:
    """Instantiates the 3D-ResNet-10: one basic block a stage.

    Width 64 on a `32^3` grid of one channel has 14.36 million parameters: the network of Zaman et al.,
    "ParticleGrid: Enabling Deep Learning using 3D Representation of Materials" (2022).

    Args:
        width: Number of channels of the first stage.
        input_shape: `(nx, ny, nz, channels)`.
        outputs: Number of outputs.
        **options: The further arguments of `resnet3d`.

    Returns:
        A functional `keras.Model`, not compiled.

    Raises:
        ValueError: As `resnet3d`.

    Example:

    >>> model = pg_tf.models.resnet3d10()
    >>> model.count_params()
    14361793
    """
    return _of_depth("resnet3d10", (1, 1, 1, 1), (width, input_shape, outputs), **options)


def resnet3d18(
    width: int = 64, input_shape: Sequence[int | None] = (32, 32, 32, 1), outputs: int = 1, **options: Any
) -> keras.Model:
    """Instantiates the 3D-ResNet-18: two basic blocks a stage. Arguments as in `resnet3d10`."""
    return _of_depth("resnet3d18", (2, 2, 2, 2), (width, input_shape, outputs), **options)


def resnet3d34(
    width: int = 64, input_shape: Sequence[int | None] = (32, 32, 32, 1), outputs: int = 1, **options: Any
) -> keras.Model:
    """Instantiates the 3D-ResNet-34: 3, 4, 6, 3 basic blocks. Arguments as in `resnet3d10`."""
    return _of_depth("resnet3d34", (3, 4, 6, 3), (width, input_shape, outputs), **options)


def resnet3d50(
    width: int = 64, input_shape: Sequence[int | None] = (32, 32, 32, 1), outputs: int = 1, **options: Any
) -> keras.Model:
    """Instantiates the 3D-ResNet-50: 3, 4, 6, 3 bottleneck blocks. Arguments as in `resnet3d10`."""
    return resnet3d(
        (3, 4, 6, 3),
        bottleneck=True,
        width=width,
        input_shape=input_shape,
        outputs=outputs,
        **{"name": "resnet3d50", **options},
    )


def _of_depth(name: str, blocks: Sequence[int], sizes: tuple[int, Any, int], /, **options: Any) -> keras.Model:
    """A network of width, input shape and outputs `sizes`; `options` come before the name and the blocks."""
    width, input_shape, outputs = sizes
    options = {"blocks": blocks, "name": name, **options}
    return resnet3d(width=width, input_shape=input_shape, outputs=outputs, **options)


@dataclasses.dataclass(frozen=True)
class _Blocks:
    """The residual blocks of one kind of network."""

    isotropic: bool
    preactivation: bool
    hidden_activation: str
    normalization: str
    squeeze_excite: bool

    def basic(self, x: Any, filters: int, stride: int, name: str) -> Any:
        return self._residual(x, filters, stride, name, ((filters, 3, stride), (filters, 3, 1)))

    def bottleneck(self, x: Any, filters: int, stride: int, name: str) -> Any:
        return self._residual(
            x, 4 * filters, stride, name, ((filters, 1, 1), (filters, 3, stride), (4 * filters, 1, 1))
        )

    def _residual(
        self, x: Any, filters: int, stride: int, name: str, convolutions: Sequence[tuple[int, int, int]]
    ) -> Any:
        shortcut = x
        if stride > 1 or x.shape[-1] != filters:
            shortcut = self.convolution(x, filters, 1, stride, f"{name}_shortcut")
            if not self.preactivation:
                shortcut = self.norm(shortcut, f"{name}_shortcut")
        for i, (inner, kernel, inner_stride) in enumerate(convolutions, 1):
            part = f"{name}_{i}"
            if self.preactivation:
                x = self.activation(self.norm(x, part), part)
            x = self.convolution(x, inner, kernel, inner_stride, part)
            if not self.preactivation:
                x = self.norm(x, part)
                x = self.activation(x, part) if i < len(convolutions) else x
        if self.squeeze_excite:
            x = self._weigh_channels(x, name)
        x = layers.Add(name=f"{name}_add")([shortcut, x])
        return x if self.preactivation else self.activation(x, name)

    def _weigh_channels(self, x: Any, name: str) -> Any:
        # Flat, and not with keepdims: TensorFlow's oneDNN then leaves the average of the second stage out in inference.
        weights = layers.GlobalAveragePooling3D(data_format="channels_last", name=f"{name}_squeeze")(x)
        weights = layers.Dense(max(1, x.shape[-1] // 4), activation="relu", name=f"{name}_excite_1")(weights)
        weights = layers.Dense(x.shape[-1], activation="sigmoid", name=f"{name}_excite_2")(weights)
        weights = layers.Reshape((1, 1, 1, x.shape[-1]), name=f"{name}_spread")(weights)
        return layers.Multiply(name=f"{name}_weigh")([x, weights])

    def activation(self, x: Any, name: str) -> Any:
        return layers.Activation(self.hidden_activation, name=f"{name}_{self.hidden_activation}")(x)

    def norm(self, x: Any, name: str, **options: Any) -> Any:
        if self.normalization == "group":
            return layers.GroupNormalization(8, epsilon=BATCH_NORM["epsilon"], name=f"{name}_norm")(x)
        return layers.BatchNormalization(name=f"{name}_norm", **BATCH_NORM, **options)(x)

    def convolution(self, x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
        padding = "same"
        if stride > 1:
            # "same" pads an even side on one end only, which would set the kernels' centres one voxel beside
            # those of the strided shortcut.
            if kernel > 1:
                x = layers.ZeroPadding3D(kernel // 2, data_format="channels_last", name=f"{name}_pad")(x)
            padding = "valid"
        if self.isotropic and kernel > 1:
            return IsotropicConv3D(filters, kernel, stride, padding, name=f"{name}_conv")(x)
        return layers.Conv3D(
            filters,
            kernel,
            stride,
            padding,
            data_format="channels_last",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{name}_conv",
        )(x)


def _check(
    blocks: tuple[int, ...],
    width: int,
    input_shape: tuple[int | None, ...],
    outputs: int,
    stem_kernel: int,
    stem_strides: int,
    stride: int,
) -> None:
    if not 1 <= len(blocks) <= len(STAGES) or min(blocks) < 1:
        raise ValueError(f"blocks must be 1 to {len(STAGES)} positive numbers, one a stage. Received: {blocks}")
    for argument, value in (("width", width), ("outputs", outputs), ("stem_strides", stem_strides)):
        if value < 1:
            raise ValueError(f"{argument} must be at least 1. Received: {argument}={value}")
    if stem_kernel < 1 or stem_kernel % 2 == 0:
        raise ValueError(f"stem_kernel must be odd and positive. Received: stem_kernel={stem_kernel}")
    if len(input_shape) != 4 or input_shape[-1] is None or input_shape[-1] < 1:
        raise ValueError(
            "input_shape must be (nx, ny, nz, channels) with at least one channel and without the batch. "
            f"Received: input_shape={input_shape}"
        )
    for axis, side in zip("xyz", input_shape, strict=False):
        if side is not None and side < stride:
            raise ValueError(
                f"input_shape: n{axis}={side} is too small for a network that divides each side by {stride}. "
                f"Use at least {stride} voxels, or stem_strides=1 or stem_pool=False. "
                f"Received: input_shape={input_shape}"
            )
