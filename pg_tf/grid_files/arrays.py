"""NumPy files: .npz with all that a `StoredGrid` has, .npy with the values alone."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pg_tf.grid_files.stored_grid import StoredGrid

_FIELDS = [field.name for field in dataclasses.fields(StoredGrid) if field.name != "values"]


def write_npz(grid: StoredGrid, path: Path) -> None:
    """Writes the arrays `grid`, `origin`, `edges`, `periodic`, `names`, `unit`, `sigma`, `atomic_numbers`, `coords`."""
    fields = {name: getattr(grid, name) for name in _FIELDS}
    fields["sigma"] = np.nan if grid.sigma is None else grid.sigma
    with open(path, "wb") as file:
        np.savez_compressed(file, grid=grid.values, **fields)


def read_npz(path: str | os.PathLike[str]) -> StoredGrid:
    """Reads such a file; what is missing but `grid`, `origin` and `edges` has its default."""
    with _opened(path) as arrays:
        missing = {"grid", "origin", "edges"} - set(arrays.files)
        if missing:
            raise ValueError(f"it has no array {', '.join(sorted(missing))}; it has {', '.join(arrays.files)}")
        fields: dict[str, Any] = {name: arrays[name] for name in _FIELDS if name in arrays.files}
        values = arrays["grid"]
    if "sigma" in fields:
        fields["sigma"] = None if np.isnan(fields["sigma"]) else float(fields["sigma"])
    if "unit" in fields:
        fields["unit"] = str(fields["unit"])
    if "names" in fields:
        fields["names"] = tuple(fields["names"].tolist())
    return StoredGrid(values, **fields)


def write_npy(grid: StoredGrid, path: Path) -> None:
    """Writes the values `[C, nx, ny, nz]`."""
    with open(path, "wb") as file:
        np.save(file, grid.values)


def read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads the values `[C, nx, ny, nz]`."""
    return np.load(path, allow_pickle=False)


def _opened(path: str | os.PathLike[str]) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except zipfile.BadZipFile as error:
        raise ValueError(f"it is damaged: {error}") from error
