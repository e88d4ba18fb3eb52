"""Flat arrays in .npz files, under the names that are in use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from pg_tf.datasets.readers.reader import Chunk, Reader
from pg_tf.datasets.readers.record import BadRecord, Outcome, Path, parse_label, record

_NUMBERS = ("z", "Z", "atomic_numbers")
_COORDS = ("pos", "R", "coords")
_SPLITS = ("offsets", "row_splits")
_COUNTS = ("N", "num_atoms", "n_atoms")


def npz(files: Sequence[Path], label: str | None = None, unit: str = "") -> Reader:
    """.npz files with flat arrays: atomic numbers `[N]` (z, Z or atomic_numbers), coordinates `[N, 3]` in Å (pos, R or
    coords), and offsets or row_splits `[B + 1]`, or the number of atoms of each molecule `[B]` (N, num_atoms or
    n_atoms). `coordinate_unit`, a scalar, multiplies the coordinates.

    Args:
      files: they are loaded whole, one after the other.
      label: name of the array `[B]` or `[B, 1]` with the labels.
      unit: of the labels.
    """
    return Reader("npz", files, {}, partial(_chunks, files, label), partial(parse_npz, label), label=label, unit=unit)


def _chunks(files: Sequence[Path], label: str | None, count: int) -> Iterator[Chunk]:
    first = 0
    for path in files:
        numbers, coords, splits, labels = _arrays(path, label)
        total, size = len(splits) - 1, os.path.getsize(path)
        for start in range(0, total, count):
            end = min(start + count, total)
            records = [
                (
                    numbers[splits[i] : splits[i + 1]],
                    coords[splits[i] : splits[i + 1]],
                    None if labels is None else labels[i],
                )
                for i in range(start, end)
            ]
            yield Chunk(os.path.basename(os.fspath(path)), first + start, records, size * (end - start) // total)
        first += total


def _arrays(path: Path, label: str | None) -> tuple[Any, Any, Any, Any]:
    try:
        with np.load(path) as data:
            arrays = {
                name: data[name]
                for name in data.files
                if name in {*_NUMBERS, *_COORDS, *_SPLITS, *_COUNTS, label, "coordinate_unit"}
            }
            names = ", ".join(data.files)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # NumPy raises zipfile, zlib and pickle errors of all kinds, and seeks to wrong offsets
        raise ValueError(f"{path} cannot be read as .npz: {type(error).__name__}: {error}") from error

    def first(candidates: tuple[str, ...]) -> Any:
        found = [name for name in candidates if name in arrays]
        for other in found[1:]:
            if not np.array_equal(arrays[found[0]], arrays[other]):
                raise ValueError(f"{path} holds {found[0]} and {other}, which differ; keep the one that is meant")
        return arrays[found[0]] if found else None

    numbers, coords, splits, counts = first(_NUMBERS), first(_COORDS), first(_SPLITS), first(_COUNTS)
    if numbers is None or coords is None or (splits is None and counts is None):
        raise ValueError(
            f"{path} must hold atomic numbers ({', '.join(_NUMBERS)}), coordinates ({', '.join(_COORDS)}) and offsets "
            f"({', '.join(_SPLITS)}) or counts ({', '.join(_COUNTS)}); it holds {names}"
        )
    for name, values in (("atomic numbers", numbers), ("coordinates", coords)):
        if values.dtype.kind not in "fiu":
            raise ValueError(f"{path}: {name} must be numbers, got {values.dtype}")
    if label is not None and label not in arrays:
        raise ValueError(f"label: {path} has no array {label!r}; it holds {names}")
    for name, values in (("offsets", splits), ("counts", counts)):
        if values is not None and (values.ndim != 1 or values.dtype.kind not in "iu"):
            raise ValueError(
                f"{path}: {name} must be whole numbers [molecules], got {values.dtype} {list(values.shape)}"
            )
    if counts is not None:
        ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        if splits is not None and not np.array_equal(splits, ends):
            raise ValueError(
                f"{path} holds offsets ({', '.join(_SPLITS)}) and counts ({', '.join(_COUNTS)}) that differ"
            )
        splits = ends
    assert splits is not None
    labels = None if label is None else arrays[label]
    if labels is not None and labels.shape[1:] == (1,):
        labels = labels[:, 0]
    if labels is not None and labels.ndim != 1:
        raise ValueError(
            f"label: {path} has {label!r} with the shape {list(labels.shape)}, where one value a molecule is wanted; "
            f"save the column that is meant as an array of its own"
        )
    if splits[0] != 0 or (np.diff(splits) < 0).any() or splits[-1] != len(numbers) or coords.shape != (len(numbers), 3):
        raise ValueError(
            f"{path}: {len(numbers)} atomic numbers, coordinates {list(coords.shape)} and offsets from {splits[0]} to "
            f"{splits[-1]} do not fit each other"
        )
    if labels is not None and len(labels) != len(splits) - 1:
        raise ValueError(f"label: {path} has {len(labels)} values of {label!r} for {len(splits) - 1} molecules")
    unit = np.asarray(arrays.get("coordinate_unit", 1.0))
    if unit.ndim or unit.dtype.kind not in "fiu":
        raise ValueError(f"{path}: coordinate_unit must be how many Å a unit of the coordinates is, got {unit}")
    return numbers, coords * unit, splits, labels


def parse_npz(label: str | None, chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk of (atomic numbers, coordinates, label)."""
    for number, (numbers, coords, value) in zip(chunk.indices, chunk.records, strict=True):
        place = f"molecule {number}"
        try:
            known = None if label is None else parse_label(label, str(value))
            yield place, record(numbers, coords, known, place)
        except BadRecord as error:
            yield place, error
