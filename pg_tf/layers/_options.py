"""Options of the layers as Keras saves them, and what the layers have in common."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pg_tf._arguments import checked_data_format, checked_periodic
from pg_tf.elements import SYMBOLS, ElementChannels


def elements(value: Any) -> ElementChannels | None:
    """From `ElementChannels`, symbols, or what `elements_config` made."""
    if value is None or isinstance(value, ElementChannels):
        return value
    return ElementChannels(**value) if isinstance(value, Mapping) else ElementChannels(value)


def elements_config(value: ElementChannels | None) -> dict[str, Any] | None:
    return None if value is None else {"symbols": list(value.symbols), "unknown": value.unknown}


def positive(name: str, value: Any, shape: tuple[int, ...]) -> float | list[float]:
    """A number, or as many as `shape` says, greater than 0."""
    array = np.asarray(value, np.float64)
    if array.shape not in ((), shape) or not (np.isfinite(array).all() and (array > 0).all()):
        raise ValueError(f"{name} must be one number or {shape[0]}, finite and greater than 0; got {value!r}")
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


def atoms(inputs: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """What a dict of atoms holds, but for what is None; of `keys`, the first must be there."""
    if not isinstance(inputs, Mapping):
        raise ValueError(f"inputs must be a dict with {keys[0]!r}, and else only {', '.join(keys[1:])}; got {inputs!r}")
    values = {name: value for name, value in inputs.items() if value is not None}
    if set(values) - set(keys) or keys[0] not in values:
        raise ValueError(
            f"inputs must have {keys[0]!r}, and else only {', '.join(keys[1:])}; got {', '.join(sorted(inputs))}"
        )
    return values


def shapes(inputs: Any) -> Any:
    return keras.tree.map_structure(lambda x: None if x is None else tuple(x.shape), inputs)


def map_flat(function: Callable[[tf.Tensor], tf.Tensor], values: Any) -> Any:
    """`function` of the atoms' values, which may be ragged."""
    if isinstance(values, tf.RaggedTensor):
        return values.with_flat_values(function(values.flat_values))
    return function(values)


def looked_up(elements: ElementChannels, numbers: Any) -> Any:
    """Channels of atomic numbers, -1 for padding. An element without a channel raises a ValueError where the values are
    known, and has the channel `num_channels` elsewhere."""
    ragged = isinstance(numbers, tf.RaggedTensor)
    known = tf.get_static_value(numbers.flat_values if ragged else numbers)
    if known is not None:
        elements.channels(known, tf.get_static_value(numbers.row_splits) if ragged else None)
    table = tf.constant(np.pad(elements.lookup_table, 1, constant_values=elements.num_channels))
    return map_flat(lambda flat: tf.gather(table, tf.clip_by_value(flat, -1, len(SYMBOLS)) + 1), numbers)
