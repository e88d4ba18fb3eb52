"""How the atoms of one or several molecules lie in the caller's tensors, and the flat form that the ops take."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from pg_tf._arguments import as_tensor, constant, describe


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
                row_splits = constant((0, value.shape[0]), tf.int64)
            else:
                row_splits = tf.stack([tf.constant(0, tf.int64), tf.shape(value, tf.int64)[0]])
            return cls("single", row_splits, None, 1, value.shape[0])
        shape = tf.shape(value, tf.int64)
        row_splits = tf.range(shape[0] + 1) * shape[1]
        return cls("padded", row_splits, shape[:2], value.shape[0], value.shape[1])

    @classmethod
    def of_splits(cls, row_splits: tf.Tensor) -> AtomLayout:
        """The layout of flat atoms of which no more is known than where each molecule begins, as in a gradient."""
        return cls("ragged", row_splits, None, None)

    @property
    def num_molecules(self) -> tf.Tensor:
        """Scalar tensor; `batch_size` is the static number."""
        return tf.shape(self.row_splits)[0] - 1

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

    def molecule_of(self, values: tf.Tensor) -> tf.Tensor:
        """The molecule of each atom, int32 `[N]`, for flat values `[N, ...]`. Compiles with XLA, unlike `per_atom`."""
        atom = tf.range(tf.shape(values, tf.int64)[0])
        return tf.cast(tf.searchsorted(self.row_splits, atom, side="right") - 1, tf.int32)

    def total(self, values: tf.Tensor) -> tf.Tensor:
        """Sums of flat values `[N, ...]` over the atoms of each molecule: `[B, ...]`."""
        return tf.math.unsorted_segment_sum(values, self.molecule_of(values), self.num_molecules)

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


@dataclasses.dataclass(frozen=True)
class FlatAtoms:
    """The atoms of all molecules, one after another, as the ops take them.

    Attributes:
      coords: `[N, 3]`, float64, Å.
      channels: int32 `[N]`; negative for padding.
      weights: `[]`, one for all; `[N]`; or feature vectors `[N, num_channels]`; of the dtype of the arithmetic.
      sigma: `[]`, one for all, or `[N]`, of the same dtype, Å.
      layout: which atoms belong to which molecule.
    """

    coords: tf.Tensor
    channels: tf.Tensor
    weights: tf.Tensor
    sigma: tf.Tensor
    layout: AtomLayout


def flat_channels(channels: Any, layout: AtomLayout, coords: tf.Tensor) -> tf.Tensor:
    """Channels of a caller's atoms, int32 `[N]`; all 0 for None. `coords` are the flat ones, `[N, 3]`."""
    if channels is None:
        return tf.zeros(coords.shape[:1] if coords.shape[0] is not None else tf.shape(coords)[:1], tf.int32)
    return layout.flat("channels", as_tensor("channels", channels, tf.int32), ())


def flat_or_one(name: str, value: Any, layout: AtomLayout, dtype: tf.DType) -> tf.Tensor:
    """A caller's values, one for each atom, `[N]`; or `[]` where one was given for all.

    Raises:
      As `AtomLayout.flat`.
    """
    value = as_tensor(name, value, dtype)
    return value if value.shape.rank == 0 else layout.flat(name, value, ())


def summed_like(values: tf.Tensor, parameter: tf.Tensor) -> tf.Tensor:
    """Gradients `[B, ...]` to a parameter of the molecules, which may be one for all: summed over them then.

    Args:
      values: `[B, ...]`.
      parameter: `[B, ...]` or `[1, ...]`.
    """
    one_for_all = tf.shape(parameter)[0] != tf.shape(values)[0]
    return tf.cond(one_for_all, lambda: tf.reduce_sum(values, axis=0, keepdims=True), lambda: values)


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
