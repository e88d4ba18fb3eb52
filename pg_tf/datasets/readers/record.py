"""One molecule of a file, or what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pg_tf.elements import SYMBOLS
from pg_tf.formats.numbers import number_in
from pg_tf.formats.rules import closest_pair, odd_distances

_FARTHEST = 1e5  # Å; float32 resolves 0.008 Å there
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


class Record(NamedTuple):
    """One molecule of a file; `record` makes it.

    Attributes:
      atomic_numbers: int32 `[A]`, 1 to 118.
      coords: float32 `[A, 3]`, Å, finite, within 1e5 Å of the origin along each axis.
      label: finite, or None.
      name: such as a title or SMILES.
      notes: what is doubtful about it or had to be assumed, a sentence each.
    """

    atomic_numbers: npt.NDArray[np.int32]
    coords: npt.NDArray[np.float32]
    label: float | None
    name: str
    notes: tuple[str, ...] = ()


class BadRecord(Exception):
    """What is wrong with one record; the file may go on after it."""


Outcome = tuple[str, Record | BadRecord]
"""The place of a record in its source, and the record or what is wrong with it."""


def record(
    atomic_numbers: npt.ArrayLike,
    coords: npt.ArrayLike,
    label: float | None = None,
    name: str = "",
    notes: Sequence[str] = (),
) -> Record:
    """A molecule that can be used: what every reader makes of what it read. What is odd about its distances comes after
    the notes of the reader.

    Raises:
      BadRecord: if it has no atoms, an atom is no element, a coordinate is not finite or beyond 1e5 Å, or atoms lie
        closer to one another than any bond is long.
    """
    given = np.asarray(atomic_numbers)
    numbers = given.astype(np.int64)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        places = np.asarray(coords, np.float64).astype(np.float32).reshape(-1, 3)
    if not len(numbers):
        raise BadRecord("it has no atoms")
    if (unknown := (numbers < 1) | (numbers >= len(SYMBOLS)) | (numbers != given)).any():
        atom = int(np.argmax(unknown))
        raise BadRecord(f"atom {atom} is no element: its atomic number is {given[atom]}")
    if not (finite := np.isfinite(places).all(axis=1)).all():
        raise BadRecord(f"atom {np.argmin(finite)} has coordinates that are not finite")
    if (far := (np.abs(places) > _FARTHEST).any(axis=1)).any():
        atom = int(np.argmax(far))
        raise BadRecord(f"atom {atom} is at {places[atom].tolist()}: float32 has no digits left for a shape out there")
    if len(places) > 1 and not np.ptp(places, axis=0).any():
        raise BadRecord("all atoms are at one point: it has no geometry")
    if close := closest_pair(places):
        first, second, apart = close
        raise BadRecord(
            f"atoms {first} and {second} are {apart:.2g} Å apart, and no bond is as short: an atom is there twice, or "
            f"lengths are in another unit than Å"
        )
    return Record(numbers.astype(np.int32), places, label, name, (*notes, *odd_distances(numbers, places)))


def label_of(name: str | None, values: Mapping[str, str]) -> float | None:
    """The label of that name among the values of a molecule, None where no label is wanted.

    Raises:
      BadRecord: if it is missing or no number.
    """
    if name is None:
        return None
    if name not in values:
        raise BadRecord(f"label {name!r} is missing; there are: {', '.join(values) or 'none'}")
    return parse_label(name, values[name])


def parse_label(name: str, text: str | None) -> float:
    """The value of a label, which must be there, finite, and within what float32 holds."""
    if text is None or not text.strip():
        raise BadRecord(f"label {name!r} is missing")
    value = number_in(text)
    if not math.isfinite(value):
        raise BadRecord(f"label {name!r} is {text.strip()[:40]!r}, not a finite number")
    check_float32(name, value)
    return value


def check_float32(name: str | None, value: float) -> None:
    """Refuses a finite label that would be stored as infinite."""
    if abs(value) > _LARGEST_FLOAT32:
        raise BadRecord(f"label {name!r} is {value:.4g}, more than float32 holds")
