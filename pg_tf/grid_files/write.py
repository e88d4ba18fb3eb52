"""A grid to a file, by its name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from pg_tf._files import whole
from pg_tf.grid_files import arrays, cube, dx, mrc, vtk
from pg_tf.grid_files.stored_grid import StoredGrid

_Writer = Callable[[StoredGrid, Path], None]

_ALL_CHANNELS: dict[str, _Writer] = {
    ".npz": arrays.write_npz,
    ".npy": arrays.write_npy,
    ".vti": vtk.write_vti,
    ".vts": vtk.write_vts,
}
_ONE_CHANNEL: dict[str, _Writer] = {
    ".cube": cube.write,
    ".dx": dx.write,
    ".mrc": mrc.write,
    ".map": mrc.write,
    ".ccp4": mrc.write,
}
SUFFIXES = (*_ALL_CHANNELS, *_ONE_CHANNEL)
"""Of the formats that `write_grid` knows."""


def write_grid(
    path: str | os.PathLike[str],
    grid: Any,
    *,
    box: Sequence[Any] | None = None,
    cell: npt.ArrayLike | None = None,
    periodic: bool | Sequence[bool] | None = None,
    names: Sequence[str] = (),
    unit: str = "atoms",
    sigma: float | None = None,
    atomic_numbers: npt.ArrayLike = (),
    coords: npt.ArrayLike | None = None,
    data_format: str = "channels_first",
) -> list[Path]:
    """Writes a grid for other programs.

    | suffix | what it holds |
    |---|---|
    | .npz | all channels and all that is given here; `read_grid` and NumPy read it |
    | .npy | the values `[C, nx, ny, nz]` alone |
    | .vti, .vts | all channels as VTK image data along x, y, z, or as a structured grid in any cell; needs PyEVTK |
    | .cube | one channel and the atoms, Gaussian's cube |
    | .dx | one channel, OpenDX |
    | .mrc, .map, .ccp4 | one channel in float32; not of a box that is turned in space |

    Where a format holds one channel and the grid has several, each goes to a file of its own with the channel's name
    before the suffix: `water_C.cube`, `water_O.cube`. Values are as in the grid, what is in each voxel; formats of
    sampled points have them at the centres of the voxels.

    Example:

        grid, box = pg_tf.voxelize(coords, channels, num_channels=8, return_box=True)
        pg_tf.grid_files.write_grid("molecule.cube", grid, box=box, names=elements.names)

    Args:
      path: the suffix tells the format.
      grid: `[C, nx, ny, nz]` or `[nx, ny, nz]`; channels_last: `[nx, ny, nz, C]`. Or a `StoredGrid`, with nothing else.
      box: the `pg_tf.Box` that the grid was made with, or `(origin, lengths)`, each `[3]`, Å.
      cell: instead of a box, the lattice vectors along which the voxels lie, as rows, Å, `[3, 3]`.
      periodic: along which vectors the structure repeats. None: all of a cell, none of a box. Only .npz holds it.
      names: of the channels.
      unit: what a voxel holds: "atoms", or "K" for energies.
      sigma: standard deviation of the Gaussians, Å. Only .npz holds it.
      atomic_numbers: `[A]` of the atoms that the grid was made of, for .cube and .npz.
      coords: `[A, 3]` of these atoms, Å.
      data_format: "channels_first" or "channels_last".

    Returns:
      The files written.

    Raises:
      ValueError: if the format is not known or cannot hold the grid, or a shape does not fit.
      ImportError: if the format needs a package that is not installed.
      OSError: if a file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"path: the format of {target} is not known; it must end in {', '.join(SUFFIXES)}")
    if not isinstance(grid, StoredGrid):
        atoms = {} if coords is None else {"atomic_numbers": atomic_numbers, "coords": coords}
        grid = StoredGrid.of(
            grid, box, cell, periodic, data_format, names=tuple(names), unit=unit, sigma=sigma, **atoms
        )
    if write := _ALL_CHANNELS.get(suffix):
        parts = {target: grid}
    else:
        write = _ONE_CHANNEL[suffix]
        parts = dict(zip(channel_paths(target, grid.names), map(grid.channel, range(len(grid.names))), strict=True))
    for place, part in parts.items():
        with whole(place, suffix) as scratch:
            write(part, scratch)
    return list(parts)


def channel_paths(path: Path, names: Sequence[str]) -> list[Path]:
    """Where the channels of a grid go in a format that holds one: the path itself if there is only one."""
    if len(names) == 1:
        return [path]
    plain = [re.sub(r"[^\w.+-]", "_", name) for name in names]
    unique = [name if plain.count(name) == 1 else f"{name}{i}" for i, name in enumerate(plain)]
    return [path.with_name(f"{path.stem}_{name}{path.suffix}") for name in unique]
