"""What a generator is asked for: conditions, properties, fragments. Each function makes a `Denoise`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from pg_tf.generation.samplers import Denoise


def unconditional(model: keras.Model) -> Denoise:
    """The `Denoise` of a denoiser (`pg_tf.models.denoiser`), without a condition if it was trained with one."""
    conditions = len(model.inputs) > 2 and model.inputs[2].shape[1]

    def denoise(noisy: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
        told = [tf.zeros([tf.shape(noisy)[0], conditions], noisy.dtype)] if conditions else []
        return model([noisy, level, *told], training=False)

    return denoise


def conditional(model: keras.Model, values: Any, scale: float = 1.0) -> Denoise:
    """Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598).

    Args:
      model: a denoiser with conditions, trained with some left out (`pg_tf.generation.denoising_pairs`).
      values: what is asked for, standardised, `[B, k]` or `[k]`.
      scale: 0 for no condition, 1 for the distribution given the condition, more to exaggerate it.

    Raises:
      ValueError: if the model takes no conditions, or not so many.
    """
    if len(model.inputs) < 3:
        raise ValueError("model: it was trained without conditions")
    width = model.inputs[2].shape[1] // 2
    told = tf.convert_to_tensor(values, tf.float32)
    told = told[tf.newaxis] if told.shape.rank == 1 else told
    if told.shape[-1] != width:
        raise ValueError(f"values: the model takes {width} conditions, got {told.shape[-1]}")
    known = tf.concat([told, tf.ones_like(told)], axis=-1)
    without = unconditional(model)

    def denoise(noisy: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
        given = tf.broadcast_to(tf.cast(known, noisy.dtype), [tf.shape(noisy)[0], 2 * width])
        clean = model([noisy, level, given], training=False)
        if scale == 1:
            return clean
        free = without(noisy, level)
        return free + scale * (clean - free)

    return denoise


def towards(denoise: Denoise, log_likelihood: Callable[[tf.Tensor], tf.Tensor], strength: float = 1.0) -> Denoise:
    """Guidance by what is wanted of the clean grids: reconstruction guidance (Ho et al. 2022, arXiv:2204.03458).

    The gradient of the log-likelihood of the estimate, through the denoiser, is added to the score.

    Args:
      denoise: the denoiser.
      log_likelihood: of clean grids, `[B]`, such as `property_likelihood`.
      strength: factor of the gradient.
    """

    def guided(noisy: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(noisy)
            clean = denoise(noisy, level)
            wanted = log_likelihood(clean)
        gradient = tape.gradient(wanted, noisy)
        return clean + strength * level[:, tf.newaxis, tf.newaxis, tf.newaxis, :] ** 2 * gradient

    return guided


def property_likelihood(
    model: keras.Model, target: float, tolerance: float, scale: float
) -> Callable[[Any], tf.Tensor]:
    """How well a trained network finds a property of grids met: -(f(x) - target)^2 / (2 tolerance^2).

    Args:
      model: a network that predicts the property from such grids (`pg_tf.models.regressor`).
      target: the value that is wanted, in the unit of the model.
      tolerance: how far from it is well, in the same unit.
      scale: what generated grids must be multiplied with to be those that the network was trained on
        (`pg_tf.generation.GridFormat.peak`).
    """

    def log_likelihood(clean: tf.Tensor) -> tf.Tensor:
        return -(((model(clean * scale, training=False)[:, 0] - target) / tolerance) ** 2) / 2

    return log_likelihood


def inpainted(denoise: Denoise, known: Any, mask: Any) -> Denoise:
    """Keeps what is known and grows the rest: the estimate is the known grid where the mask is 1.

    Args:
      denoise: the denoiser.
      known: clean grids, `[B, nx, ny, nz, C]` or without the batch axis.
      mask: 0 to 1, of a shape that broadcasts with it.
    """
    fixed, share = tf.convert_to_tensor(known, tf.float32), tf.convert_to_tensor(mask, tf.float32)

    def filled(noisy: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
        return share * fixed + (1 - share) * denoise(noisy, level)

    return filled
