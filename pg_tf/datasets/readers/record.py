"""One molecule of a file, or what is wrong with it."""

from __future__ import annotations

import math
import os
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pg_tf.elements import SYMBOLS

Path = str | os.PathLike[str]

_FARTHEST = 1e5  # Å; float32 resolves 0.008 Å there
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


class Record(NamedTuple):
    """One molecule of a file; `record` makes it.

    Attributes:
      atomic_numbers: int32 `[A]`, 1 to 118.
      coords: float32 `[A, 3]`, Å, finite, within 1e5 Å of the origin along each axis.
      label: finite, or None.
      name: such as a title or SMILES.
    """

    atomic_numbers: npt.NDArray[np.int32]
    coords: npt.NDArray[np.float32]
    label: float | None
    name: str


class BadRecord(Exception):
    """What is wrong with one record; the file may go on after it."""


Outcome = tuple[str, Record | BadRecord]
"""The place of a record in its source, and the record or what is wrong with it."""


def record(atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike, label: float | None = None, name: str = "") -> Record:
    """A molecule that can be used.

    Raises:
      BadRecord: if it has no atoms, an atom is no element, or a coordinate is not finite or beyond 1e5 Å.
    """
    numbers = np.asarray(atomic_numbers, np.int64)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        places = np.asarray(coords, np.float64).astype(np.float32).reshape(-1, 3)
    if not len(numbers):
        raise BadRecord("it has no atoms")
    if (unknown := (numbers < 1) | (numbers >= len(SYMBOLS))).any():
        raise BadRecord(f"atom {np.argmax(unknown)} is no element")
    if not (finite := np.isfinite(places).all(axis=1)).all():
        raise BadRecord(f"atom {np.argmin(finite)} has coordinates that are not finite")
    if (far := (np.abs(places) > _FARTHEST).any(axis=1)).any():
        atom = np.argmax(far)
        raise BadRecord(f"atom {atom} is at {places[atom].tolist()}: float32 has no digits left for a shape out there")
    return Record(numbers.astype(np.int32), places, label, name)


def parse_label(name: str, text: str | None) -> float:
    """The value of a label, which must be there, finite, and within what float32 holds."""
    if text is None or not text.strip():
        raise BadRecord(f"label {name!r} is missing")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadRecord(f"label {name!r} is {text.strip()[:40]!r}, not a finite number")
    check_float32(name, value)
    return value


def check_float32(name: str | None, value: float) -> None:
    """Refuses a finite label that would be stored as infinite."""
    if abs(value) > _LARGEST_FLOAT32:
        raise BadRecord(f"label {name!r} is {value:.4g}, more than float32 holds")
