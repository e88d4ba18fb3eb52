"""From the records of a file to `Molecules`, with an account of what was left out."""

from __future__ import annotations

import csv
import gzip
import itertools
import math
import os
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from typing import IO, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from pg_tf.datasets.molecules import Molecules

Path = str | os.PathLike[str]

DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError, csv.Error)
"""What the standard library raises on a file that is cut off or damaged."""

_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


class Record(NamedTuple):
    """One molecule of a file: atomic numbers `[A]` and coordinates `[A, 3]` in Å."""

    atomic_numbers: npt.ArrayLike
    coords: npt.ArrayLike
    label: float | None
    name: str


class BadRecord(Exception):
    """What is wrong with one record; the file may go on after it."""


def damage_of(error: Exception) -> str:
    """What one of DAMAGE says to the user."""
    return f"the file is cut off or damaged ({error})"


def open_text(path: Path) -> IO[str]:
    """Opens a plain or gzipped text file; bytes that are not UTF-8 are replaced, a byte order mark goes."""
    opener = gzip.open if os.fspath(path).lower().endswith(".gz") else open
    return cast(IO[str], opener(path, "rt", encoding="utf-8-sig", errors="replace"))


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


def check_float32(name: str, value: float) -> None:
    """Refuses a finite label that would be stored as infinite."""
    if abs(value) > _LARGEST_FLOAT32:
        raise BadRecord(f"label {name!r} is {value:.4g}, more than float32 holds")


def collect(
    path: Path, outcomes: Iterable[tuple[str, Record | BadRecord]], strict: bool, limit: int | None
) -> Molecules:
    """Puts the records of a file together.

    Args:
      path: the file, for the texts of errors.
      outcomes: (place in the file, record or what is wrong with it), lazily.
      strict: raise at the first bad record.
      limit: stop after this many good records.

    Raises:
      ValueError: where nothing could be read, or `strict` and a record is bad.
    """
    records: list[Record] = []
    skipped: list[str] = []

    def skip(place: str, cause: Exception) -> None:
        if strict:
            raise ValueError(f"{path}: {place}: {cause}") from cause
        skipped.append(f"{place}: {cause}")

    place = "the start"
    try:
        for place, outcome in outcomes:
            if isinstance(outcome, BadRecord):
                skip(place, outcome)
                continue
            records.append(outcome)
            if limit is not None and len(records) >= limit:
                break
    except DAMAGE as error:
        skip(f"after {place}", BadRecord(damage_of(error)))
    if not records:
        reasons = "; ".join(itertools.islice(skipped, 3)) or "it is empty"
        raise ValueError(f"path: no molecule could be read from {path}: {reasons}")
    if skipped:
        warnings.warn(
            f"{path}: read {len(records)} molecules, skipped {len(skipped)} records ({'; '.join(skipped[:3])}"
            f"{'; ...' if len(skipped) > 3 else ''}); all are listed in `.skipped`",
            stacklevel=3,
        )
    return Molecules.from_arrays(
        [record.atomic_numbers for record in records],
        [record.coords for record in records],
        None if records[0].label is None else [cast(float, record.label) for record in records],
        [record.name for record in records],
        skipped,
    )
