"""Derivatives of the gradient ops, which have no kernel: those of the same gradient in TensorFlow's own ops."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def derivative(
    first_gradient: Callable[[], list[tf.Tensor]], inputs: list[tf.Tensor], to_outputs: Sequence[tf.Tensor]
) -> list[tf.Tensor | None]:
    """The gradient of a gradient op to its inputs.

    Args:
      first_gradient: computes the first outputs of the op from `inputs`, which it encloses.
      inputs: tensors to differentiate by.
      to_outputs: upstream gradients of the op's outputs; those that `first_gradient` leaves out do not count.
    """
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        # The gradient of padding rows of ragged atoms comes as tf.IndexedSlices.
        first = [tf.convert_to_tensor(part) for part in first_gradient()]
    return tape.gradient(first, inputs, list(to_outputs[: len(first)]))


def for_each_atom(value: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
    """`[N, ...]` from that or from one value for all."""
    return tf.fill(tf.shape(channels), value) if value.shape.rank == 0 else value


def sigma_of_atoms(sigma: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
    """`[N]` from that or from one value for all; 1 for padding, whose sigma may be anything."""
    return for_each_atom(sigma, channels) if sigma.shape.rank == 0 else tf.where(channels >= 0, sigma, 1)


def grid_of(op: tf.Operation) -> dict[str, Any]:
    """Attributes of the grid that belongs to the upstream gradient, the last input of a gradient op."""
    data_format, shape = op.get_attr("data_format").decode(), op.inputs[-1].shape
    channels_first = data_format == "channels_first"
    return {
        "num_channels": shape[1] if channels_first else shape[4],
        "grid_shape": tuple(shape[2:] if channels_first else shape[1:4]),
        "data_format": data_format,
        "periodic": op.get_attr("periodic"),
    }
