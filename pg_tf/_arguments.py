"""Checks of callers' arguments. Every error names the argument and the value it has."""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import control_flow_util  # the only way to learn that XLA is tracing


def as_tensor(name: str, value: Any, dtype: tf.DType) -> Any:
    """`value` as a tensor or ragged tensor of `dtype`.

    Numbers of other types are cast, except fractions to integers. An integer that `dtype` cannot hold becomes the
    largest or smallest one that it can.

    Args:
      name: of the argument, for errors.
      value: a number, an array, a tensor or a ragged tensor.
      dtype: of the result.

    Raises:
      ValueError: if `value` is not an array of numbers, or not of whole numbers where `dtype` is an integer type.
    """
    if isinstance(value, float) and not dtype.is_integer:
        return constant(value, dtype)
    if tf.is_tensor(value):
        if value.dtype == dtype:
            return value
    else:
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise ValueError(
                f"{name} must be an array of numbers: {error}. For molecules of different size, pad with channel -1 or "
                f"use tf.ragged.constant(..., ragged_rank=1)"
            ) from error
        if value.dtype.kind not in "fiub":
            raise ValueError(f"{name} must be an array of numbers, got dtype {value.dtype}")
        if value.size == 0:
            value = value.astype(dtype.as_numpy_dtype)  # [] is an array of float64 to NumPy
        if not dtype.is_integer:
            # What is too large for `dtype` becomes infinite, and is refused as such where it is used.
            with np.errstate(over="ignore"):
                return tf.constant(value.astype(dtype.as_numpy_dtype))
    given = tf.as_dtype(value.dtype)
    if not (given.is_floating or given.is_integer or given.is_bool):
        raise ValueError(f"{name} must be an array of numbers, got dtype {given.name}")
    if not dtype.is_integer:
        return tf.cast(value, dtype)
    if given.is_floating:
        raise ValueError(
            f"{name} must be whole numbers of an integer dtype, got dtype {given.name}; cast them with tf.cast"
        )
    return tf.saturate_cast(value, dtype)


def constant(value: Any, dtype: tf.DType) -> tf.Tensor:
    """`tf.constant` of a number or a tuple. In eager mode it is made once and kept: making one takes longer than
    voxelizing a molecule."""
    return _kept_constant(value, dtype) if tf.executing_eagerly() else tf.constant(value, dtype)


@functools.lru_cache(maxsize=1024)
def _kept_constant(value: Any, dtype: tf.DType) -> tf.Tensor:
    return tf.constant(value, dtype)


def describe(value: Any) -> str:
    """Shape of a tensor as an error should show it."""
    if value.shape.rank is None:
        return "unknown rank"
    shape = "[" + ", ".join("?" if n is None else str(n) for n in value.shape) + "]"
    return f"a ragged tensor of shape {shape}" if isinstance(value, tf.RaggedTensor) else f"shape {shape}"


def checked_dtype(dtype: Any, allowed: Sequence[tf.DType]) -> tf.DType:
    """Raises ValueError unless `dtype` is one of those allowed."""
    try:
        result = tf.as_dtype(dtype)
    except TypeError:
        result = None
    if result not in allowed:
        raise ValueError(f"dtype must be one of {', '.join(d.name for d in allowed)}; got {dtype!r}")
    return result


def checked_grid_shape(grid_shape: Any) -> tuple[int, int, int]:
    """Voxels along x, y and z from a caller's one or three numbers; raises ValueError if they are not that."""
    try:
        x, y, z = (operator.index(n) for n in (grid_shape if np.iterable(grid_shape) else (grid_shape,) * 3))
        if min(x, y, z) >= 1 and max(x, y, z) <= 2**30:
            return x, y, z
    except (TypeError, ValueError):
        pass
    raise ValueError(f"grid_shape must be one or three whole numbers from 1 to 2^30, got {grid_shape!r}")


def checked_num_channels(num_channels: Any) -> int:
    """Raises ValueError unless it is a whole number of at least one."""
    try:
        if 1 <= operator.index(num_channels) < 2**31:
            return operator.index(num_channels)
    except TypeError:
        pass
    raise ValueError(f"num_channels must be a whole number from 1 to 2^31 - 1, got {num_channels!r}")


def checked_data_format(data_format: Any) -> str:
    """Raises ValueError unless it is "channels_first" or "channels_last"."""
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"data_format must be 'channels_first' or 'channels_last', got {data_format!r}")
    return data_format


def checked_periodic(periodic: Any, default: bool) -> tuple[bool, bool, bool]:
    """Three flags from a caller's `periodic`: None is `default`, one flag stands for three.

    Raises:
      ValueError: if it is neither a flag nor three.
    """
    if periodic is None:
        return default, default, default
    flags = np.asarray(periodic)
    if flags.dtype != bool or flags.shape not in ((), (3,)):
        raise ValueError(f"periodic must be a flag or three flags, got {periodic!r}")
    x, y, z = np.broadcast_to(flags, 3).tolist()
    return x, y, z


def uses_op(implementation: str) -> bool:
    """Whether a caller's `implementation` means the compiled op here: "auto" does, except under XLA.

    Raises:
      ValueError: if there is no such implementation.
    """
    if implementation not in ("auto", "op", "dense"):
        raise ValueError(f"implementation must be 'auto', 'op' or 'dense', got {implementation!r}")
    return not under_xla() if implementation == "auto" else implementation == "op"


def under_xla() -> bool:
    """Whether this is the inside of a `tf.function(jit_compile=True)`."""
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    return graph is not None and bool(control_flow_util.GraphOrParentsInXlaContext(graph))
