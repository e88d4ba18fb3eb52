"""Where atoms may be: persistent peaks of a density (ParticleGrid paper, section IV)."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import cripser
import numpy as np
import numpy.typing as npt

from pg_tf import _library
from pg_tf.inversion.evidence import SIGNIFICANT
from pg_tf.inversion.factors import Array
from pg_tf.inversion.problem import Atoms, Problem
from pg_tf.inversion.sharpen import Sharpener
from pg_tf.inversion.space import Space

_ops = _library.load()

# A peak of a sharpened grid below this many atoms is no atom.
LOWEST_PEAK = 0.3

_SHARP_VOXELS_AT_ONCE = 1 << 20

# Two equal Gaussians nearer to each other than 2 sigma have one peak; two peaks then are one and noise.
_NEAREST = 2.2

# Peaks to look at, of the number of atoms: of noise there may be any number.
_CANDIDATES = 8


class Peaks(NamedTuple):
    """Peaks of grids, one grid after another, the most persistent of each grid first.

    Attributes:
      grid: `[P]`, the grid's number.
      position: `[P, 3]`, in voxels, 0 the lower face of the first and 1 its upper one.
      height: `[P]`.
      persistence: `[P]`, height above the saddle that leads to a higher peak, or the height where there is none.
    """

    grid: npt.NDArray[np.int64]
    position: Array
    height: Array
    persistence: Array


def persistent_peaks(
    grids: npt.NDArray[Any],
    floors: Array,
    *,
    periodic: tuple[bool, bool, bool] = (False, False, False),
    by: str = "op",
) -> Peaks:
    """The peaks above the floors, by persistent homology: H0 of the superlevel filtration.

    Args:
      grids: `[K, nx, ny, nz]`, float32 or float64.
      floors: `[K]`, at least 0: lower peaks are left out.
      periodic: which axes close to a circle.
      by: "op", pg_tf's own, or "cripser", which knows no circles, holds Python's lock and takes every voxel in.
    """
    if by == "op":
        pairs = _ops.pg_tf_persistent_peaks(grids, floors.astype(grids.dtype), periodic=periodic)
        voxels, births, deaths = (v.numpy() for v in (pairs.peaks, pairs.births, pairs.deaths))
        splits = pairs.row_splits.numpy()
    else:
        voxels, births, deaths, splits = _cripser(grids, floors)
    grid = np.repeat(np.arange(len(grids)), np.diff(splits))
    persistence = births - np.maximum(deaths, 0)
    return Peaks(grid, _parabola(grids, grid, voxels, periodic), births, persistence)


def _cripser(
    grids: npt.NDArray[Any], floors: Array
) -> tuple[npt.NDArray[np.int32], Array, Array, npt.NDArray[np.int64]]:
    found = []
    for density, floor in zip(grids, floors, strict=True):
        pairs = cripser.computePH(np.ascontiguousarray(-density, np.float64), maxdim=0)
        pairs = pairs[-pairs[:, 1] > floor]
        found.append(pairs[np.argsort(pairs[:, 1] - pairs[:, 2], kind="stable")])
    splits = np.cumsum([0, *(len(pairs) for pairs in found)])
    joined = np.concatenate(found) if found else np.zeros((0, 9))
    lowest = np.repeat(floors, np.diff(splits))
    deaths = np.where(-joined[:, 2] > lowest, -joined[:, 2], -np.inf)  # the op's filtration ends at the floor
    return joined[:, 3:6].astype(np.int32), -joined[:, 1], deaths, splits


def _parabola(
    grids: npt.NDArray[Any],
    grid: npt.NDArray[np.int64],
    voxels: npt.NDArray[np.int32],
    periodic: tuple[bool, bool, bool],
) -> Array:
    """Refined below the voxel by a parabola through the logarithm, exact for a lone Gaussian of wide sigma."""
    refined: Array = voxels.astype(np.float64) + 0.5
    x, y, z = voxels.T
    centre = grids[grid, x, y, z]
    lowest = 1e-3 * centre  # a neighbour may be negative
    for axis in range(3):
        last = grids.shape[1 + axis] - 1
        sides = []
        for step in (-1, 1):
            neighbour = list(voxels.T)
            moved = neighbour[axis] + step
            neighbour[axis] = moved % (last + 1) if periodic[axis] else np.clip(moved, 0, last)
            x, y, z = neighbour
            sides.append(np.log(np.maximum(grids[grid, x, y, z], lowest) / centre))
        low, high = sides
        inside = ((voxels[:, axis] > 0) & (voxels[:, axis] < last)) | periodic[axis]
        inside &= low + high < 0
        shift = np.divide(low - high, 2 * (low + high), out=np.zeros(len(grid)), where=inside)
        refined[:, axis] += np.clip(shift, -0.5, 0.5)
    return refined


def sharp_peaks(
    sharpener: Sharpener, grids: Array, lowest: Array | float, *, relative: bool = False, by: str = "op"
) -> Peaks:
    """The peaks of sharpened grids, in voxels of the sharpened grid.

    Args:
      grids: `[K, nx, ny, nz]`.
      lowest: `[K]` or one for all, of the height at which a peak is believed: `LOWEST_PEAK` of an atom, and out of the
        noise.
      relative: whether peaks are measured by the highest one, not by what an atom's would be.
      by: as in `persistent_peaks`.
    """
    lowest = np.broadcast_to(lowest, len(grids))
    found = []
    # A few at a time: they are up to eight times as large as the grids, and their memory is used again.
    at_once = max(int(_SHARP_VOXELS_AT_ONCE // np.prod(sharpener.shape)), 1)
    for first in range(0, len(grids), at_once):
        rows = np.arange(first, min(first + at_once, len(grids)))
        part = sharpener[rows]
        sharp = part(grids[rows])
        unit = sharp.max(axis=(1, 2, 3)) if relative else 1.0
        floors = lowest[rows] * np.maximum(LOWEST_PEAK * unit, SIGNIFICANT * part.noise)
        peaks = persistent_peaks(sharp, floors, periodic=part.periodic, by=by)
        found.append(peaks._replace(grid=peaks.grid + first))
    return Peaks(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def most_atoms(grids: Array, scale: Array) -> Array:
    """How many atoms a mass may be, if the box cuts some of them: `[K]`."""
    return 4 + 2 * np.maximum(grids, 0).sum(axis=(1, 2, 3)) / scale


def seed(
    problem: Problem,
    start: Atoms,
    sharpener: Sharpener,
    counts: npt.NDArray[np.int64],
    *,
    relative: bool = False,
    by: str = "op",
) -> Atoms:
    """Atoms at the peaks of the sharpened grids.

    Args:
      start: sigma, scale and background; its atoms do not matter.
      counts: `[K]`, how many atoms to place where there are as many peaks, -1 for all that stand out.
      relative: whether peaks are measured by the highest one, not by what an atom's would be.
      by: as in `persistent_peaks`.
    """
    grids = problem.grids - problem.background(start)
    # Where the number is known, lower ones may be needed.
    peaks = sharp_peaks(sharpener, grids, np.where(counts >= 0, 0.25, 1.0), relative=relative, by=by)
    coords = sharpener.place(peaks.position, peaks.grid)
    # High peaks on the flank of others and low ones by themselves are both doubtful.
    order = np.lexsort((-peaks.height * peaks.persistence, peaks.grid))
    most = np.where(counts >= 0, counts, most_atoms(grids, start.scale))
    present, padded = _padded(len(grids), peaks.grid[order], coords[order], int(_CANDIDATES * most.max(initial=1)))
    _drop_near(problem.space, padded, present, _NEAREST * sharpener.width)
    present &= present.cumsum(axis=1) <= most[:, np.newaxis]
    atoms = dataclasses.replace(start, coords=padded, present=present)
    return atoms.padded(max(int(atoms.counts.max(initial=0)), 1))


def _padded(
    num_grids: int, grid: npt.NDArray[np.int64], coords: Array, most: int
) -> tuple[npt.NDArray[np.bool_], Array]:
    rank = np.arange(len(grid)) - np.searchsorted(grid, np.arange(num_grids))[grid]
    kept = rank < most
    grid, rank, coords = grid[kept], rank[kept], coords[kept]
    present = np.zeros((num_grids, rank.max(initial=0) + 1), bool)
    present[grid, rank] = True
    padded = np.zeros((*present.shape, 3))
    padded[grid, rank] = coords
    return present, padded


def _drop_near(space: Space, coords: Array, present: npt.NDArray[np.bool_], nearest: Array) -> None:
    """Leaves out of each grid what is nearer than that to one before it."""
    for rank in range(1, present.shape[1]):
        squared = space.squared_distances(coords[:, :rank] - coords[:, rank : rank + 1])
        present[:, rank] &= ~((squared < nearest[:, np.newaxis] ** 2) & present[:, :rank]).any(axis=1)
