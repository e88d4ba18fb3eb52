"""Options of the layers as Keras saves them, and what the layers have in common."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pg_tf._arguments import checked_data_format, checked_periodic
from pg_tf.elements import ElementChannels


def elements(value: Any) -> ElementChannels | None:
    """From `ElementChannels`, symbols, or what `elements_config` made."""
    return None if value is None else ElementChannels.of(value)


def elements_config(value: ElementChannels | None) -> dict[str, Any] | None:
    return None if value is None else {"symbols": list(value.symbols), "unknown": value.unknown}


def positive(name: str, value: Any, shape: tuple[int, ...]) -> float | list[float]:
    """A number, or as many as `shape` says, greater than 0."""
    array = np.asarray(value, np.float64)
    if array.shape not in ((), shape) or not (np.isfinite(array).all() and (array > 0).all()):
        numbers = " or ".join(["one number", *map(str, shape)])
        raise ValueError(f"{name} must be {numbers}, finite and greater than 0; got {value!r}")
    return array.tolist()


def box(value: Any) -> list[list[float]] | None:
    """Origin and lengths, and the rotation if there is one."""
    if value is None:
        return None
    parts = [np.asarray(part, np.float64) for part in value if part is not None]
    if [part.shape for part in parts] not in ([(3,), (3,)], [(3,), (3,), (3, 3)]):
        raise ValueError(
            f"box must be (origin, lengths), 3 numbers each, or a pg_tf.Box of one molecule; got {value!r}"
        )
    return [part.tolist() for part in parts]


def cell(value: Any) -> list[list[float]] | None:
    if value is None:
        return None
    array = np.asarray(value, np.float64)
    if array.shape != (3, 3) or not np.isfinite(array).all():
        raise ValueError(
            f"cell must be finite, of shape [3, 3]; got {value!r}. One for each structure goes with the input"
        )
    return array.tolist()


def periodic(value: Any) -> bool | list[bool] | None:
    """One flag, three, or None, as `_arguments.checked_periodic` takes them."""
    if value is None:
        return None
    checked_periodic(value, default=False)
    return np.asarray(value).tolist()


def data_format(value: str | None) -> str:
    """None is Keras's setting."""
    return checked_data_format(keras.config.image_data_format() if value is None else value)


def saved(layer: keras.layers.Layer, *names: str) -> dict[str, Any]:
    """The options of a layer that Keras saves as they are."""
    return {name: getattr(layer, name) for name in names}


def at_least_float32(dtype: str) -> tf.DType:
    return tf.float64 if dtype == "float64" else tf.float32


def shapes(inputs: Any) -> Any:
    return keras.tree.map_structure(lambda x: None if x is None else tuple(x.shape), inputs)


def map_flat(function: Callable[[tf.Tensor], tf.Tensor], values: Any) -> Any:
    """`function` of the atoms' values, which may be ragged."""
    if isinstance(values, tf.RaggedTensor):
        return values.with_flat_values(function(values.flat_values))
    return function(values)


def row_splits(values: Any) -> Any:
    """Where each molecule's atoms begin among those that `map_flat` sees."""
    if isinstance(values, tf.RaggedTensor):
        return values.row_splits
    return None if values.shape.rank < 2 else tf.range(tf.shape(values)[0] + 1) * tf.shape(values)[1]


def flattened(function: Callable[[tf.Tensor], tf.Tensor], values: Any) -> Any:
    """`function` of the values of all atoms, one after another, `[N]`, laid out as `values` are."""
    if isinstance(values, tf.RaggedTensor):
        return values.with_flat_values(function(values.flat_values))
    result = function(tf.reshape(values, [-1]))
    return tf.reshape(result, tf.concat([tf.shape(values), tf.shape(result)[1:]], 0))
