"""Networks by name: those of `pg_tf.models`, and functions of a user's own."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import keras

from pg_tf import models

NAMES = ("invariant3d", "resnet3d", "resnet3d10", "resnet3d18", "resnet3d34", "resnet3d50")
"""The functions of `pg_tf.models` that make a network of a shape `(nx, ny, nz, channels)`."""


def check_name(name: str) -> None:
    """Raises ValueError unless a name is in `NAMES` or of the form "module:function"; imports nothing."""
    module, _, function = name.partition(":")
    if name not in NAMES and not (module and function):
        raise ValueError(f"model: must be one of {', '.join(NAMES)} or module:function, got {name!r}")


def make_network(name: str, input_shape: tuple[int, ...], arguments: dict[str, Any]) -> keras.Model:
    """The network of that name.

    Args:
      name: one of `NAMES`, or "module:function". The module is looked for in the working directory too.
      input_shape: `(nx, ny, nz, channels)`, handed to the function as `input_shape`.
      arguments: more arguments of the function.

    Returns:
      A Keras model that takes grids `[b, nx, ny, nz, channels]` and gives `[b, 1]`.

    Raises:
      ValueError: if there is no such function, its arguments do not suit it, or it returns something else.
    """
    try:
        network = _function(name)(input_shape=input_shape, **arguments)
    except TypeError as error:
        raise ValueError(f"network: {error}") from error
    if not isinstance(network, keras.Model) or tuple(network.output_shape) != (None, 1):
        got = getattr(network, "output_shape", network)
        raise ValueError(f"model: {name} must return a Keras model with outputs of shape (None, 1), got {got}")
    return network


def import_own_layers(name: str) -> None:
    """Imports the module of a user's function, so that Keras knows the layers that it registers."""
    if ":" in name:
        _function(name)


def _function(name: str) -> Callable[..., Any]:
    check_name(name)
    module, colon, function = name.partition(":")
    if not colon:
        return getattr(models, name)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"model: there is no {function} in a module {module}: {error}") from error
