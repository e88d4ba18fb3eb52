"""How the atoms of one or several molecules lie in the caller's tensors, and the flat form that the ops take."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class AtomLayout:
    """One molecule `[A, ...]`, a padded batch `[B, A, ...]` or a ragged batch `[B, (A), ...]`.

    Attributes:
      kind: "single", "padded" or "ragged".
      row_splits: int64 `[B + 1]`; molecule b has the flat atoms `row_splits[b]` to `row_splits[b + 1]`.
      padded_shape: `[B, A]` of a padded batch.
      batch_size: static number of molecules, None where unknown; 1 for a single molecule.
      num_atoms: static number of atoms a molecule has, None where unknown or ragged.
    """

    kind: str
    row_splits: tf.Tensor
    padded_shape: tf.Tensor | None
    batch_size: int | None
    num_atoms: int | None = None

    @classmethod
    def of(cls, name: str, value: Any, width: int) -> AtomLayout:
        """The layout of `value`, which has `width` columns an atom.

        Raises:
          ValueError: if the rank or the number of columns is wrong; `name` is the argument named in the text.
        """
        _check_columns(name, value, width)
        if isinstance(value, tf.RaggedTensor):
            splits = value.row_splits
            batch_size = None if splits.shape[0] is None else splits.shape[0] - 1
            return cls("ragged", tf.cast(splits, tf.int64), None, batch_size)
        if value.shape.rank == 2:
            if value.shape[0] is not None:
                row_splits = _constant((0, value.shape[0]), tf.int64)
            else:
                row_splits = tf.stack([tf.constant(0, tf.int64), tf.shape(value, tf.int64)[0]])
            return cls("single", row_splits, None, 1, value.shape[0])
        shape = tf.shape(value, tf.int64)
        row_splits = tf.range(shape[0] + 1) * shape[1]
        return cls("padded", row_splits, shape[:2], value.shape[0], value.shape[1])

    def flat(self, name: str, value: Any, inner: tuple[int | None, ...]) -> tf.Tensor:
        """Values of the atoms, one after another: `[N, *inner]`.

        Raises:
          ValueError: if `value` is not laid out as the atoms are.
          tf.errors.InvalidArgumentError: if it has other numbers of atoms.
        """
        leading = {"single": "[atoms", "padded": "[molecules, atoms", "ragged": "[molecules, (atoms)"}[self.kind]
        wanted = leading + "".join(f", {n or 'columns'}" for n in inner) + "]"
        unequal = f"{name} must have as many atoms in each molecule as the coordinates"
        if (self.kind == "ragged") != isinstance(value, tf.RaggedTensor):
            raise ValueError(f"{name} must be laid out as the coordinates, {wanted}; got {describe(value)}")
        if self.kind == "ragged":
            if value.ragged_rank != 1 or value.flat_values.shape.rank != 1 + len(inner):
                raise ValueError(f"{name} must have shape {wanted}, got {describe(value)}")
            values = value.flat_values
            if value.row_splits is not self.row_splits:
                tf.debugging.assert_equal(tf.cast(value.row_splits, tf.int64), self.row_splits, unequal)
            return values
        if value.shape.rank != {"single": 1, "padded": 2}[self.kind] + len(inner):
            raise ValueError(f"{name} must have shape {wanted}, got {describe(value)}")
        known = [self.num_atoms] if self.kind == "single" else [self.batch_size, self.num_atoms]
        given = value.shape[: len(known)]
        if not given.is_compatible_with(known):
            raise ValueError(f"{unequal}, {known}; got {describe(value)}")
        if self.kind == "single":
            return value
        if not (given.is_fully_defined() and None not in known):
            tf.debugging.assert_equal(tf.shape(value, tf.int64)[:2], self.padded_shape, unequal)
        return tf.reshape(value, [-1, *(n if n is not None else value.shape[2] for n in inner)])

    def unflatten(self, values: tf.Tensor) -> Any:
        """The inverse of `flat`."""
        if self.kind == "single":
            return values
        if self.kind == "ragged":
            return tf.RaggedTensor.from_row_splits(values, self.row_splits, validate=False)
        return tf.reshape(values, tf.concat([self.padded_shape, tf.shape(values, tf.int64)[1:]], 0))

    def padded(self, values: tf.Tensor, default: float = 0) -> tf.Tensor:
        """Flat values as a dense batch `[B, A, ...]`, `default` where a molecule has no atom."""
        if self.kind == "single":
            return values[tf.newaxis]
        if self.kind == "padded":
            return self.unflatten(values)
        return self.unflatten(values).to_tensor(default)

    def per_atom(self, values: tf.Tensor) -> tf.Tensor:
        """Values of molecules `[1, ...]` or `[B, ...]`, repeated for each of their atoms: `[N, ...]`."""
        counts = self.row_splits[1:] - self.row_splits[:-1]
        return tf.repeat(tf.broadcast_to(values, tf.concat([tf.shape(counts), tf.shape(values)[1:]], 0)), counts, 0)

    def batch(self, values: tf.Tensor) -> tf.Tensor:
        """Results of molecules `[B, ...]` as the caller expects them: without the batch axis for a single one."""
        if self.kind == "single":
            return tf.squeeze(values, 0)
        values.set_shape([self.batch_size, *values.shape[1:]])
        return values


def flat_atoms(name: str, value: Any, width: int, dtype: tf.DType | None = None) -> tuple[AtomLayout, tf.Tensor]:
    """The layout of a caller's atoms, and their values one after another.

    Args:
      name: the argument, for errors.
      value: `[A, width]`, `[B, A, width]` or ragged `[B, (A), width]`.
      width: columns of an atom.
      dtype: of the result; None keeps float64 and makes everything else float32.

    Returns:
      The layout, and `[N, width]`.

    Raises:
      ValueError: if `value` is not an array of numbers or its shape does not fit.
    """
    if dtype is None:
        dtype = tf.float64 if getattr(value, "dtype", None) == tf.float64 else tf.float32
    value = as_tensor(name, value, dtype)
    layout = AtomLayout.of(name, value, width)
    return layout, layout.flat(name, value, (width,))


def flat_channels(channels: Any, layout: AtomLayout, coords: tf.Tensor) -> tf.Tensor:
    """Channels of a caller's atoms, int32 `[N]`; all 0 for None. `coords` are the flat ones, `[N, 3]`."""
    if channels is None:
        return tf.zeros(coords.shape[:1] if coords.shape[0] is not None else tf.shape(coords)[:1], tf.int32)
    return layout.flat("channels", as_tensor("channels", channels, tf.int32), ())


def as_tensor(name: str, value: Any, dtype: tf.DType) -> Any:
    """`value` as a tensor or ragged tensor of `dtype`. Numbers of other types are cast, but for fractions to integers;
    an integer that `dtype` cannot hold becomes its largest or smallest one.

    Raises:
      ValueError: if `value` is not an array of numbers, or not of whole ones where `dtype` asks for them.
    """
    if isinstance(value, float) and not dtype.is_integer:
        return _constant(value, dtype)
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
            with np.errstate(over="ignore"):  # infinite then, and refused as such where it is used
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


def _constant(value: Any, dtype: tf.DType) -> tf.Tensor:
    """`tf.constant` of a number or a tuple. Eager ones are kept: making one takes longer than voxelising a molecule."""
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


def _check_columns(name: str, value: Any, width: int) -> None:
    ragged = isinstance(value, tf.RaggedTensor)
    shape = value.shape
    rank = shape.rank
    if rank is None:
        raise ValueError(f"{name} must have a known rank; call set_shape or tf.ensure_shape on it first")
    if ragged and (value.ragged_rank != 1 or rank != 3):
        hint = f"; build it with ragged_rank=1, so that its last dimension is {width}" if value.ragged_rank > 1 else ""
        raise ValueError(f"{name} must have shape [molecules, (atoms), {width}], got {describe(value)}{hint}")
    if rank not in (2, 3) or shape[-1] not in (width, None):
        raise ValueError(
            f"{name} must have shape [atoms, {width}], [molecules, atoms, {width}] or, ragged, "
            f"[molecules, (atoms), {width}]; got {describe(value)}"
        )
