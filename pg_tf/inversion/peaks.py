"""Peaks of grids that stand out from their surroundings: persistent homology (ParticleGrid paper, section IV)."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pg_tf import _library
from pg_tf.inversion.atoms import Array
from pg_tf.inversion.noise import SIGNIFICANT
from pg_tf.inversion.sharpen import Sharpener

_ops = _library.load()

# A peak of a sharpened grid below this many atoms is no atom.
LOWEST_PEAK = 0.3

_SHARP_VOXELS_AT_ONCE = 1 << 20


class Peaks(NamedTuple):
    """Peaks of grids, one grid after another. Of each grid, those that never meet a higher peak above the floor come
    first, the highest first; then the others, the most persistent first.

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
    """The peaks above the floors, by persistent homology: H0 of the superlevel filtration. Picture a flood that falls
    from above: an island is born at each peak, and dies where it joins an island with a higher one.

    Args:
      grids: `[K, nx, ny, nz]`, float32 or float64.
      floors: `[K]`, at least 0: lower peaks are left out.
      periodic: which axes are periodic.
      by: "op", pg_tf's own; or "cripser", the same from the package of that name, which knows no periodic axes, holds
        Python's lock while it computes and looks at all voxels, also those below the floors.
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
    import cripser  # an optional way, which most programs never go

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
    """Positions of peaks between the voxels: along each axis the top of a parabola through the logarithm of three
    voxels, which is exact for a single Gaussian much wider than a voxel."""
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
      lowest: `[K]` or one for all. At 1, a peak counts from the height at which it is believed to be an atom, which is
        `LOWEST_PEAK` of an atom's peak and above the noise; at 0.5, from half of that height, and so on.
      relative: compares peaks with the highest one instead of the peak that an atom would have.
      by: as in `persistent_peaks`.
    """
    lowest = np.broadcast_to(lowest, len(grids))
    found = []
    # A few at a time: sharpened grids have up to eight times as many voxels, and so their memory is used again.
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
