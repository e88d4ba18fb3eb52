"""Gaussian cube files: lengths in bohr, the atoms, and the values of one channel at the centres of its voxels.

Format: https://gaussian.com/cubegen/
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from pg_tf.grid_files.stored_grid import StoredGrid
from pg_tf.grid_files.text import rows_of

# CODATA 2022: https://physics.nist.gov/cgi-bin/cuu/Value?bohrrada0
BOHR = 0.529177210544
"""Å."""


def write(grid: StoredGrid, path: Path) -> None:
    """Writes the only channel of a grid."""
    lines = [f"pg_tf: channel {grid.names[0]}, {grid.unit} in each voxel", "values at the centres of the voxels"]
    lines.append(_line(len(grid.coords), grid.first_centre / BOHR))
    lines += [_line(count, step / BOHR) for count, step in zip(grid.values.shape[1:], grid.steps, strict=True)]
    for number, place in zip(grid.atomic_numbers, grid.coords / BOHR, strict=True):
        lines.append(f"{number:5d} {float(number):14.8f} " + " ".join(f"{x:14.8f}" for x in place))
    # A new line begins with each row along z.
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
        for row in grid.values[0].reshape(-1, grid.values.shape[-1]):
            file.write(rows_of(row, 6, "% .8E"))


def _line(count: int, place: np.ndarray) -> str:
    return f"{count:5d} " + " ".join(f"{x:14.8f}" for x in place)


def read(path: str | os.PathLike[str]) -> StoredGrid:
    """Reads a cube file by ASE; of several values at a point, the first."""
    try:
        from ase.io.cube import read_cube
    except ImportError as error:
        raise ImportError("reading cube files needs ASE: pip install 'pg_tf[formats]'") from error
    with open(path, encoding="utf-8", errors="replace") as file:
        content = read_cube(file, read_data=True)
    values, steps, atoms = content["data"], np.asarray(content["spacing"], float), content["atoms"]
    return StoredGrid(
        values,
        np.asarray(content["origin"], float) - steps.sum(axis=0) / 2,
        steps * np.array(values.shape)[:, None],
        atomic_numbers=atoms.numbers,
        coords=atoms.positions,
    )
