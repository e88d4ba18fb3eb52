"""MRC and CCP4 maps by gemmi: the values of one channel in float32.

Format: Cheng et al., J. Struct. Biol. 2015, doi 10.1016/j.jsb.2015.04.002. The header has lengths and angles of the
block and, in its words 50 to 52, where the first voxel begins.
"""

from __future__ import annotations

import os
from pathlib import Path

import gemmi
import numpy as np

from pg_tf.grid_files.stored_grid import Floats, StoredGrid

# A map of a volume is not one of a crystal: ISPG of the header is 1 where the block is a cell that repeats.
_ORIGIN_WORDS = (50, 51, 52)


def write(grid: StoredGrid, path: Path) -> None:
    """Writes the only channel of a grid.

    Raises:
      ValueError: if its block is turned in space or left-handed, which lengths and angles cannot say.
    """
    cell = _unit_cell(grid.edges)
    if not np.allclose(_edges(cell), grid.edges, atol=1e-4 * np.abs(grid.edges).max()):
        raise ValueError(
            f"grid: an MRC map holds lengths and angles of vectors, the first along x and the second in the x-y plane; "
            f"those of this grid are {grid.edges.tolist()}. Write .npz, .cube, .dx or .vts"
        )
    content = gemmi.Ccp4Map()
    content.grid = gemmi.FloatGrid(np.ascontiguousarray(grid.values[0], np.float32))
    content.grid.set_unit_cell(cell)
    content.grid.spacegroup = gemmi.SpaceGroup("P 1")
    content.update_ccp4_header(2, True)
    for word, x in zip(_ORIGIN_WORDS, grid.origin, strict=True):
        content.set_header_float(word, x)
    content.write_ccp4_map(os.fspath(path))


def read(path: str | os.PathLike[str]) -> StoredGrid:
    """Reads a map of the whole block that its header names."""
    try:
        content = gemmi.read_ccp4_map(os.fspath(path), setup=False)
    except RuntimeError as error:
        raise ValueError(f"it is no MRC or CCP4 map: {error}") from error
    if content.axis_positions() != [0, 1, 2]:
        raise ValueError("its axes are not in the order x, y, z")
    grid = content.grid
    sampling = np.array([content.header_i32(word) for word in (8, 9, 10)])
    start = np.array([content.header_i32(word) for word in (5, 6, 7)])
    values = np.array(grid.array, copy=True)
    cell = gemmi.UnitCell(*(content.header_float(word) for word in range(11, 17)))
    steps = _edges(cell) / np.where(sampling > 0, sampling, values.shape)[:, None]
    origin = np.array([content.header_float(word) for word in _ORIGIN_WORDS]) + start @ steps
    return StoredGrid(values, origin, steps * np.array(values.shape)[:, None])


def _unit_cell(edges: Floats) -> gemmi.UnitCell:
    lengths = np.linalg.norm(edges, axis=1)
    unit = edges / lengths[:, None]
    angles = [np.degrees(np.arccos(np.clip(unit[i] @ unit[j], -1, 1))) for i, j in ((1, 2), (0, 2), (0, 1))]
    return gemmi.UnitCell(*lengths, *angles)


def _edges(cell: gemmi.UnitCell) -> Floats:
    return np.array(cell.orth.mat.tolist()).T
