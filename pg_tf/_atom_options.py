"""What the caller says of all atoms of an element or a channel, made into what the ops take: a value for each atom."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf._arguments import as_tensor, checked_num_channels, under_xla
from pg_tf._atoms import AtomLayout, FlatAtoms, flat_channels, flat_or_one
from pg_tf.elements import SYMBOLS, ElementChannels, place_of_atom
from pg_tf.radii import radii

NORMALIZATIONS = (None, "peak")


@dataclasses.dataclass(frozen=True)
class OfChannels:
    """A sigma for each channel, where an array could also be one for each atom."""

    values: Any


def of_channels(sigma: Any) -> Any:
    """The option sigma of something that is made before it knows any atoms: an array has one for each channel."""
    return sigma if isinstance(sigma, (str, OfChannels)) or np.ndim(sigma) == 0 else OfChannels(sigma)


def checked_elements(num_channels: Any, elements: Any) -> tuple[int, ElementChannels | None]:
    """The number of channels, and which element goes to which; raises ValueError if the two do not fit."""
    if elements is None:
        return 1 if num_channels is None else checked_num_channels(num_channels), None
    elements = ElementChannels.of(elements)
    if num_channels not in (None, elements.num_channels):
        raise ValueError(f"num_channels: {num_channels}, but elements has {elements.num_channels}; give one")
    return elements.num_channels, elements


def channels_of(
    channels: Any,
    atomic_numbers: Any,
    elements: ElementChannels | None,
    num_channels: int,
    soft: bool,
    layout: AtomLayout,
    coords: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Channels `[N]` of a caller's atoms, and their atomic numbers `[N]` where there are any.

    Args:
      channels, atomic_numbers: laid out as the coordinates, or None.
      elements: the channel of each element, or None.
      num_channels: of the grid.
      soft: whether there are feature vectors, with which of channels only the sign counts.
      layout, coords: of the atoms, `[N, 3]`.

    Raises:
      ValueError: if it does not follow from them which atom goes to which channel, or an element has no channel.
    """
    if atomic_numbers is None:
        if elements is not None:
            raise ValueError("elements: which atom is of which element? Give atomic_numbers as well")
        return flat_channels(channels, layout, coords), None
    numbers = layout.flat("atomic_numbers", as_tensor("atomic_numbers", atomic_numbers, tf.int32), ())
    if channels is not None:
        if elements is not None:
            raise ValueError("channels, elements: give one of them; elements are the channels of atomic_numbers")
        return flat_channels(channels, layout, coords), numbers
    if elements is not None and not soft:
        return looked_up(elements, numbers, layout.row_splits if layout.kind != "single" else None), numbers
    if num_channels != 1 and not soft:
        raise ValueError(
            f"elements: which element goes to which of the {num_channels} channels? Give elements, channels or features"
        )
    return tf.where(numbers > 0, 0, -1), numbers


def looked_up(elements: ElementChannels, numbers: Any, row_splits: Any = None, what: str = "channel") -> tf.Tensor:
    """Channels of flat atomic numbers, -1 for padding.

    Raises:
      ValueError: where the values are known, if an element has no channel.
      tf.errors.InvalidArgumentError: in a graph, for the same; under XLA, where nothing can raise, the channel is
        `num_channels` then.
    """
    known = tf.get_static_value(numbers)
    if known is not None and what == "channel":
        elements.channels(known, None if row_splits is None else tf.get_static_value(row_splits))
    table = np.pad(elements.lookup_table, 1, constant_values=elements.num_channels)
    channels = tf.gather(tf.constant(table), _rows(numbers))
    rule = f"has no {what} among {', '.join(elements.names)}"
    return _unless(channels >= elements.num_channels, channels, numbers, row_splits, rule)


def sigma_of(
    sigma: Any,
    radius_scale: float,
    numbers: tf.Tensor | None,
    channels: tf.Tensor,
    num_channels: int,
    soft: bool,
    layout: AtomLayout,
    dtype: tf.DType,
) -> tf.Tensor:
    """The sigma of a caller's atoms, `[]` or `[N]`, Å: a number, one for each atom or channel, or radii by name.

    Raises:
      ValueError: if it is none of these, or does not fit the channels or atoms.
    """
    if isinstance(sigma, str):
        table = radii(sigma)
        if numbers is None:
            raise ValueError(f"sigma: {sigma!r} are radii of elements; give atomic_numbers as well")
        if not (np.isreal(radius_scale) and 0 < radius_scale < math.inf):
            raise ValueError(f"radius_scale must be finite and greater than 0, got {radius_scale!r}")
        return _widths(table * radius_scale, numbers, layout, sigma, dtype)
    if not isinstance(sigma, OfChannels):
        # Of a batch an array with one axis can only be of channels.
        values = as_tensor("sigma", sigma, dtype)
        if layout.kind == "single" or isinstance(values, tf.RaggedTensor) or values.shape != (num_channels,):
            return flat_or_one("sigma", values, layout, dtype)
        sigma = OfChannels(values)
    values = as_tensor("sigma", sigma.values, dtype)
    if values.shape != (num_channels,):
        raise ValueError(f"sigma must be one number or one for each of the {num_channels} channels, got {sigma.values}")
    if soft:
        raise ValueError("sigma: with features an atom is in many channels; give one sigma for all of them")
    return tf.gather(values, tf.clip_by_value(channels, 0, num_channels - 1))


def peak_of_one(atoms: FlatAtoms, voxel_volume: tf.Tensor) -> FlatAtoms:
    """The atoms with weights that make each of their Gaussians `weight * exp(-r^2 / (2 sigma^2))`: one at its middle,
    where a voxel holds the mean over itself.

    Args:
      atoms: with the weights of the caller.
      voxel_volume: `[1 or B]`, Å^3.
    """
    factor = (math.sqrt(2 * math.pi) * atoms.sigma) ** 3 / tf.cast(
        atoms.layout.per_atom(voxel_volume), atoms.sigma.dtype
    )
    factor = tf.where(atoms.channels >= 0, factor, 1)  # the sigma of padding may be anything
    weights = atoms.weights
    factor = factor[:, tf.newaxis] if weights.shape.rank == 2 else factor
    return dataclasses.replace(atoms, weights=weights * factor)


def _widths(
    table: npt.NDArray[np.float64], numbers: tf.Tensor, layout: AtomLayout, name: str, dtype: tf.DType
) -> tf.Tensor:
    padded = np.pad(table, 1, constant_values=np.nan)
    padded[1] = 1.0  # padding
    widths = tf.gather(tf.constant(padded, dtype), _rows(numbers))
    splits = layout.row_splits if layout.kind != "single" else None
    listed = tuple(SYMBOLS[z] for z in range(1, len(SYMBOLS)) if np.isfinite(table[z]))
    rule = f"has no radius in {name!r}, which has those of {', '.join(listed)}"
    return _unless(tf.math.is_nan(widths), widths, numbers, splits, rule)


def _rows(numbers: tf.Tensor) -> tf.Tensor:
    """The rows of atomic numbers in a table with one row more at either end."""
    return tf.clip_by_value(numbers, -1, len(SYMBOLS)) + 1


def _unless(bad: tf.Tensor, values: tf.Tensor, numbers: tf.Tensor, row_splits: Any, rule: str) -> tf.Tensor:
    """The values; but an error that names the first atom of those that are bad, except under XLA."""
    if under_xla():
        return values
    if tf.executing_eagerly():
        if bool(tf.reduce_any(bad)):
            atom = int(tf.argmax(bad))
            place = place_of_atom((atom,), None if row_splits is None else row_splits.numpy())
            symbol = SYMBOLS[number] if 0 < (number := int(numbers[atom])) < len(SYMBOLS) else "no element"
            raise ValueError(f"atomic_numbers: {place} is {symbol} (atomic number {number}), which {rule}")
        return values
    atom = tf.argmax(bad)
    number = tf.gather(tf.concat([numbers, [0]], 0), atom)
    symbol = tf.gather(tf.constant([*SYMBOLS, "no element"]), tf.clip_by_value(number, 0, len(SYMBOLS)))
    words: list[Any] = ["atomic_numbers: atom ", atom]
    if row_splits is not None:
        starts = tf.cast(row_splits, tf.int64)
        molecule = tf.searchsorted(starts, [atom], side="right")[0] - 1
        words = ["atomic_numbers: molecule ", molecule, ", atom ", atom - tf.gather(starts, molecule)]
    words += [" is ", symbol, " (atomic number ", number, f"), which {rule}"]
    text = tf.strings.join(
        [tf.strings.as_string(word) if tf.is_tensor(word) and word is not symbol else word for word in words]
    )
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(~bad), [text])]):
        return tf.identity(values)
