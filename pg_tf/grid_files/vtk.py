"""VTK files for ParaView and its kin by PyEVTK, with all channels as arrays of the cells, which are the voxels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pg_tf.grid_files.stored_grid import StoredGrid


def write_vti(grid: StoredGrid, path: Path) -> None:
    """Writes image data: a block along x, y and z.

    Raises:
      ValueError: if the block is another one.
    """
    if not grid.is_rectangular:
        raise ValueError(
            f"grid: VTK image data lie along x, y and z, and the vectors of this grid are {grid.edges.tolist()}; "
            "write .vts, which holds any"
        )
    spacing = tuple(np.diag(grid.steps).tolist())
    _evtk().imageToVTK(_stem(path), tuple(grid.origin.tolist()), spacing, cellData=_arrays(grid))


def write_vts(grid: StoredGrid, path: Path) -> None:
    """Writes a structured grid: the corners of all voxels."""
    indices = np.indices([n + 1 for n in grid.values.shape[1:]])
    corners = grid.origin + np.moveaxis(indices, 0, -1) @ grid.steps
    x, y, z = (np.asfortranarray(corners[..., axis]) for axis in range(3))
    _evtk().gridToVTK(_stem(path), x, y, z, cellData=_arrays(grid))


def _arrays(grid: StoredGrid) -> dict[str, Any]:
    return {name: np.asfortranarray(values) for name, values in zip(grid.names, grid.values, strict=True)}


def _stem(path: Path) -> str:
    return str(path.with_suffix(""))


def _evtk() -> Any:
    try:
        from pyevtk import hl
    except ImportError as error:
        raise ImportError("writing VTK files needs PyEVTK: pip install 'pg_tf[formats]'") from error
    return hl
