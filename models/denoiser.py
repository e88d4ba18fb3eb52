"""From a network to a denoiser that is right at every noise level.

A denoiser D(y, s) estimates the mean of the clean grids x that a noisy one y = x + s n, n white, could have come from.
Its score (D - y) / s^2 is the gradient of the log-density of y (Miyasawa 1961; Vincent 2011, doi
10.1162/NECO_a_00142), which is all that samplers need. Following Karras et al. 2022 (arXiv:2206.00364, table 1),

    D(y, s) = c_skip(s) y + c_out(s) F(c_in(s) y, ln(s) / 4)

    c_skip = d^2 / (s^2 + d^2),   c_out = s d / sqrt(s^2 + d^2),   c_in = 1 / sqrt(s^2 + d^2)

with d the root mean square of the clean grids, so that what goes into the network F and what it must give are of order
one at every s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops


def denoiser(network: keras.Model, rms: float, name: str = "denoiser") -> keras.Model:
    """A denoiser of grids.

    Args:
        network: F, of `[grid, conditions]` (`unet3d`), whose first condition is the noise level.
        rms: Root mean square of the voxels of clean grids.
        name: Name of the model.

    Returns:
        A `keras.Model` of `[noisy, level]`, or `[noisy, level, conditions]` if the network takes more conditions than
        one: grids `(batch, nx, ny, nz, channels)`, standard deviations of their noise `(batch, 1)`, and conditions
        `(batch, k)`. Its output are clean grids of the same shape, at least float32.

    Raises:
        ValueError: If rms is not a positive number.
    """
    if not rms > 0:
        raise ValueError(f"rms: must be a positive number, got {rms}")
    shape, conditions = network.inputs[0].shape[1:], network.inputs[1].shape[1]
    noisy = keras.Input(shape, name="noisy")
    level = keras.Input((1,), name="level")
    inputs = [noisy, level]
    scaled, told = Scaled(rms, name="scaled")([noisy, level])
    if conditions > 1:
        inputs.append(keras.Input((conditions - 1,), name="conditions"))
        told = layers.Concatenate(name="told")([told, inputs[-1]])
    return keras.Model(inputs, Denoised(rms, name="denoised")([noisy, level, network([scaled, told])]), name=name)


class _OfLevel(layers.Layer):
    def __init__(self, rms: float, **options: Any) -> None:
        dtype = options.pop("dtype", None) or keras.backend.result_type(
            keras.config.dtype_policy().compute_dtype, "float32"
        )
        super().__init__(dtype=dtype, **options)
        self.rms = rms

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rms": self.rms}


@keras.saving.register_keras_serializable(package="pg_tf")
class Scaled(_OfLevel):
    """Of noisy grids and their levels: what the network takes, c_in y and ln(s) / 4."""

    def call(self, inputs: Sequence[Any]) -> tuple[Any, Any]:
        noisy, level = inputs
        return noisy / _norm(level, self.rms), ops.log(level) / 4

    def compute_output_shape(self, shapes: Sequence[Any]) -> tuple[Any, Any]:
        return tuple(shapes[0]), tuple(shapes[1])


@keras.saving.register_keras_serializable(package="pg_tf")
class Denoised(_OfLevel):
    """Of noisy grids, their levels and what the network gave: c_skip y + c_out F."""

    def call(self, inputs: Sequence[Any]) -> Any:
        noisy, level, output = inputs
        norm, s = _norm(level, self.rms), level[:, None, None, None, :]
        return noisy * (self.rms / norm) ** 2 + output * (s * self.rms / norm)

    def compute_output_shape(self, shapes: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(shapes[0])


def _norm(level: Any, rms: float) -> Any:
    return ops.sqrt(level[:, None, None, None, :] ** 2 + rms**2)


def denoising_weight(level: Any, rms: float) -> Any:
    """The weight of a squared error at a noise level that makes the errors of all levels of one order, 1 / c_out^2.

    Args:
        level: Standard deviations of the noise.
        rms: As of `denoiser`.
    """
    return (level**2 + rms**2) / (level * rms) ** 2
