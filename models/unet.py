"""A 3D U-Net from grids to grids, told a noise level and whatever else a generator is conditioned on.

Ronneberger et al. 2015 (arXiv:1505.04597) with the residual blocks, scales and shifts by the condition, and attention
at the coarse levels of the networks that denoise images (Dhariwal and Nichol 2021, arXiv:2105.05233).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

_FREQUENCIES = 16


def unet3d(
    input_shape: Sequence[int] = (12, 12, 12, 5),
    *,
    conditions: int = 1,
    patch: int = 1,
    width: int = 32,
    multipliers: Sequence[int] = (1, 2, 4),
    blocks: int = 2,
    attention: Sequence[int] = (2,),
    head_width: int = 32,
    dropout: float = 0.0,
    periodic: bool = False,
    name: str = "unet3d",
) -> keras.Model:
    """Instantiates a U-Net for grids `(batch, nx, ny, nz, channels)` and conditions `(batch, conditions)`.

    Args:
        input_shape: `(nx, ny, nz, channels)`. Each side must be divisible by `patch * 2 ** (len(multipliers) - 1)`.
        conditions: How many numbers the network is told about a grid, each of order one.
        patch: Edge, in voxels, of the cubes that are one position of the finest level. With 2 the network is about
            eight times as fast.
        width: Channels of the finest level.
        multipliers: Channels of each level from fine to coarse, in multiples of `width`. Each level has half as many
            positions along an axis as the one before.
        blocks: Residual blocks of each level, on the way down; one more on the way up.
        attention: Levels with self-attention after each residual block, counted from 0, the finest.
        head_width: Channels of a head of the attention.
        dropout: Share of the units of a residual block that are left out in training.
        periodic: Whether the grid goes on at the opposite face, as that of a crystal's cell does, or in empty space.
        name: Name of the model.

    Returns:
        A `keras.Model` of `[grid, conditions]`, with an output of the shape of the grid that is 0 before training.

    Raises:
        ValueError: If a side cannot be halved that often, or a channel count does not fit.

    Example:
        >>> network = unet3d((8, 8, 8, 2), width=8, multipliers=(1, 2), attention=(), blocks=1)
        >>> network.output_shape
        (None, 8, 8, 8, 2)
    """
    *sides, channels = input_shape
    factor = patch * 2 ** (len(multipliers) - 1)
    if len(sides) != 3 or any(side is None or side % factor for side in sides):
        raise ValueError(
            f"input_shape: each side must be divisible by {factor} (patch {patch}, {len(multipliers)} levels), "
            f"got {tuple(input_shape)}"
        )
    for level in attention:
        if level not in range(len(multipliers)) or width * multipliers[level] % head_width:
            raise ValueError(
                f"attention: level {level} must be one of 0 to {len(multipliers) - 1} and its channels a multiple of "
                f"head_width {head_width}"
            )

    grid = keras.Input(tuple(input_shape), name="grid")
    told = keras.Input((conditions,), name="conditions")
    hidden = FourierFeatures(_FREQUENCIES, name="fourier")(told)
    for index in range(2):
        hidden = layers.Dense(4 * width, activation="silu", name=f"condition{index}")(hidden)

    def stage(x: Any, level: int, name: str) -> Any:
        size = width * multipliers[level]
        x = _residual(x, hidden, size, dropout, periodic, name)
        if level in attention:
            x = _attention(x, size // head_width, f"{name}_attention")
        return x

    x = SpaceToDepth(patch, name="patches")(grid) if patch > 1 else grid
    x = _conv(x, width, periodic, "stem")
    passed = [x]
    for level in range(len(multipliers)):
        if level:
            x = SpaceToDepth(2, name=f"down{level}_halved")(x)
            x = layers.Dense(width * multipliers[level], name=f"down{level}_mixed")(x)
            passed.append(x)
        for block in range(blocks):
            x = stage(x, level, f"down{level}_{block}")
            passed.append(x)
    x = stage(x, len(multipliers) - 1, "middle")
    for level in reversed(range(len(multipliers))):
        for block in range(blocks + 1):
            x = layers.Concatenate(name=f"up{level}_{block}_joined")([x, passed.pop()])
            x = stage(x, level, f"up{level}_{block}")
        if level:
            x = layers.Dense(8 * width * multipliers[level - 1], name=f"up{level}_mixed")(x)
            x = DepthToSpace(2, name=f"up{level}_doubled")(x)
    x = layers.Activation("silu", name="last_silu")(layers.RMSNormalization(name="last_norm")(x))
    x = layers.Dense(channels * patch**3, kernel_initializer="zeros", dtype=_at_least_float32(), name="head")(x)
    outputs = DepthToSpace(patch, dtype=_at_least_float32(), name="voxels")(x) if patch > 1 else x
    return keras.Model([grid, told], outputs, name=name)


def _residual(x: Any, hidden: Any, size: int, dropout: float, periodic: bool, name: str) -> Any:
    """Two convolutions, the second one on channels that the condition scales and shifts."""
    shortcut = x if x.shape[-1] == size else layers.Dense(size, name=f"{name}_shortcut")(x)
    x = layers.Activation("silu", name=f"{name}_silu0")(layers.RMSNormalization(name=f"{name}_norm0")(x))
    x = layers.RMSNormalization(name=f"{name}_norm1")(_conv(x, size, periodic, f"{name}_conv0"))
    scale_shift = layers.Dense(2 * size, kernel_initializer="zeros", name=f"{name}_condition")(hidden)
    x = layers.Activation("silu", name=f"{name}_silu1")(ScaleShift(name=f"{name}_told")([x, scale_shift]))
    if dropout:
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    x = _conv(x, size, periodic, f"{name}_conv1", kernel_initializer="zeros")
    return layers.Add(name=f"{name}_sum")([shortcut, x])


def _conv(x: Any, size: int, periodic: bool, name: str, **options: Any) -> Any:
    if periodic:
        x = WrappedPadding(name=f"{name}_wrapped")(x)
    return layers.Conv3D(size, 3, padding="valid" if periodic else "same", name=name, **options)(x)


def _attention(x: Any, heads: int, name: str) -> Any:
    *sides, size = x.shape[1:]
    tokens = layers.Reshape((math.prod(sides), size), name=f"{name}_tokens")(x)
    tokens = layers.RMSNormalization(name=f"{name}_norm")(tokens)
    attended = layers.MultiHeadAttention(heads, size // heads, name=name)(tokens, tokens)
    attended = layers.Reshape((*sides, size), name=f"{name}_voxels")(attended)
    return layers.Add(name=f"{name}_sum")([x, attended])


def _at_least_float32() -> str:
    return keras.backend.result_type(keras.config.dtype_policy().compute_dtype, "float32")


@keras.saving.register_keras_serializable(package="pg_tf")
class FourierFeatures(layers.Layer):
    """Numbers x of order one as x and sines and cosines of x times 1/4 to 16 pi.

    Args:
        frequencies: How many, in a geometric sequence.
    """

    def __init__(self, frequencies: int, **options: Any) -> None:
        super().__init__(**options)
        self.frequencies = frequencies

    def call(self, values: Any) -> Any:
        step = 64.0 ** (1 / max(self.frequencies - 1, 1))
        waves = ops.cast([math.pi / 4 * step**i for i in range(self.frequencies)], values.dtype)
        phases = ops.reshape(values[..., None] * waves, (-1, values.shape[-1] * self.frequencies))
        return ops.concatenate([values, ops.sin(phases), ops.cos(phases)], axis=-1)

    def compute_output_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] * (1 + 2 * self.frequencies))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "frequencies": self.frequencies}


@keras.saving.register_keras_serializable(package="pg_tf")
class ScaleShift(layers.Layer):
    """x (1 + a) + b, of x `(batch, nx, ny, nz, c)` and a and b side by side `(batch, 2 c)`."""

    def call(self, inputs: Sequence[Any]) -> Any:
        x, scale_shift = inputs
        scale, shift = ops.split(scale_shift[:, None, None, None, :], 2, axis=-1)
        return x * (1 + scale) + shift

    def compute_output_shape(self, shapes: Sequence[Sequence[int | None]]) -> tuple[int | None, ...]:
        return tuple(shapes[0])


@keras.saving.register_keras_serializable(package="pg_tf")
class WrappedPadding(layers.Layer):
    """One more voxel at each face: that of the opposite face."""

    def call(self, x: Any) -> Any:
        for axis in (1, 2, 3):
            first, last = [slice(None)] * 5, [slice(None)] * 5
            first[axis], last[axis] = slice(0, 1), slice(-1, None)
            x = ops.concatenate([x[tuple(last)], x, x[tuple(first)]], axis=axis)
        return x

    def compute_output_shape(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (shape[0], *(None if side is None else side + 2 for side in shape[1:4]), shape[4])


class _Blocks(layers.Layer):
    """Base of the two layers that trade positions for channels, in cubes of `edge` voxels."""

    def __init__(self, edge: int, **options: Any) -> None:
        super().__init__(**options)
        self.edge = edge

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "edge": self.edge}


@keras.saving.register_keras_serializable(package="pg_tf")
class SpaceToDepth(_Blocks):
    """The voxels of each cube of edge e as the channels of one position: `(batch, n, n, n, c)` becomes
    `(batch, n / e, n / e, n / e, c e^3)`."""

    def call(self, x: Any) -> Any:
        e, (nx, ny, nz, channels) = self.edge, x.shape[1:]
        x = ops.reshape(x, (-1, nx // e, e, ny // e, e, nz // e, e, channels))
        x = ops.transpose(x, (0, 1, 3, 5, 2, 4, 6, 7))
        return ops.reshape(x, (-1, nx // e, ny // e, nz // e, e**3 * channels))

    def compute_output_shape(self, shape: Sequence[int]) -> tuple[int | None, ...]:
        return (shape[0], *(side // self.edge for side in shape[1:4]), shape[4] * self.edge**3)


@keras.saving.register_keras_serializable(package="pg_tf")
class DepthToSpace(_Blocks):
    """The reverse of `SpaceToDepth`."""

    def call(self, x: Any) -> Any:
        e, (nx, ny, nz, channels) = self.edge, x.shape[1:]
        x = ops.reshape(x, (-1, nx, ny, nz, e, e, e, channels // e**3))
        x = ops.transpose(x, (0, 1, 4, 2, 5, 3, 6, 7))
        return ops.reshape(x, (-1, nx * e, ny * e, nz * e, channels // e**3))

    def compute_output_shape(self, shape: Sequence[int]) -> tuple[int | None, ...]:
        return (shape[0], *(side * self.edge for side in shape[1:4]), shape[4] // self.edge**3)
