"""Flat arrays in .npz files, under the names that are in use."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf.datasets.readers.reader import Chunk, Reader
from pg_tf.datasets.readers.record import BadRecord, Outcome, parse_label, record
from pg_tf.formats.limits import TooLarge, largest_file
from pg_tf.formats.sources import Source, full_name, name_of, opened, size_of

_NUMBERS = ("z", "Z", "atomic_numbers")
_COORDS = ("pos", "R", "coords")
_SPLITS = ("offsets", "row_splits")
_COUNTS = ("N", "num_atoms", "n_atoms")


def npz(files: Sequence[Source], label: str | None = None, unit: str = "") -> Reader:
    """.npz files with flat arrays: atomic numbers `[N]` (z, Z or atomic_numbers), coordinates `[N, 3]` in Å (pos, R or
    coords), and offsets or row_splits `[B + 1]`, or the number of atoms of each molecule `[B]` (N, num_atoms or
    n_atoms). `coordinate_unit`, a scalar, multiplies the coordinates.

    Args:
      files: they are loaded whole, one after the other.
      label: name of the array `[B]` or `[B, 1]` with the labels.
      unit: of the labels.
    """
    return Reader("npz", files, {}, partial(_chunks, files, label), partial(parse_npz, label), label=label, unit=unit)


def _chunks(files: Sequence[Source], label: str | None, count: int) -> Iterator[Chunk]:
    first = 0
    for path in files:
        numbers, coords, splits, labels = _arrays(path, label)
        total, size = len(splits) - 1, size_of(path)
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
            yield Chunk(name_of(path), first + start, records, size * (end - start) // total)
        first += total


def _arrays(source: Source, label: str | None) -> tuple[Any, Any, Any, Any]:
    path = full_name(source)
    arrays, names = _read(source, {*_NUMBERS, *_COORDS, *_SPLITS, *_COUNTS, label, "coordinate_unit"})

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
    splits = splits.astype(np.int64)  # the differences of unsigned numbers never fall
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


def _read(source: Source, wanted: set[str | None]) -> tuple[dict[str, Any], str]:
    """The arrays of these names, and the names of all."""
    path = full_name(source)
    try:
        with opened(source) as file, zipfile.ZipFile(file) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            arrays = {
                name: _array(archive, member, largest_file(size_of(source)))
                for name, member in members.items()
                if name in wanted
            }
        return arrays, ", ".join(members)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise errors of all kinds
        raise ValueError(f"{path} cannot be read as .npz: {type(error).__name__}: {error}") from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> npt.NDArray[Any]:
    """An array, if there are as many bytes of it as its header says: NumPy itself makes room for it first."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{member.filename} is of the version {version}; 1 and 2 are known")
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = header(file)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds objects, which are not unpickled; save numbers")
        size, there = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
        if min(shape, default=0) < 0 or size != there:
            raise ValueError(f"{member.filename} has {there} bytes, and its header says {dtype} {list(shape)}")
        if size > limit:
            raise TooLarge(member.filename, "file", limit)
        content = file.read(size)
        if len(content) != size or file.read(1):
            raise ValueError(f"{member.filename} is cut off")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")


def parse_npz(label: str | None, chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk of (atomic numbers, coordinates, label)."""
    for number, (numbers, coords, value) in zip(chunk.indices, chunk.records, strict=True):
        place = f"molecule {number}"
        try:
            known = None if label is None else parse_label(label, str(value))
            yield place, record(numbers, coords, known, place)
        except BadRecord as error:
            yield place, error
