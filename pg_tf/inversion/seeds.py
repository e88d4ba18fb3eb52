"""Seeds: atoms at the peaks of a sharpened grid, from which the descent begins."""

import dataclasses

import numpy as np
import numpy.typing as npt

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.peaks import sharp_peaks
from pg_tf.inversion.problem import Problem
from pg_tf.inversion.sharpen import Sharpener
from pg_tf.inversion.space import Space

# Two equal Gaussians nearer to each other than 2 sigma have one peak: if two are seen there, one of them is noise. In
# sigma of the sharpened grid.
_NEAREST = 2.2

# Looks at so many peaks for each atom that there may be; noise can have any number of peaks.
_CANDIDATES = 8


def most_atoms(grids: Array, scale: Array) -> Array:
    """The largest number of atoms to believe in, `[K]`: twice what the mass tells and a few more, as the box may cut
    many of them."""
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
      relative: as in `sharp_peaks`.
      by: as in `persistent_peaks`.
    """
    grids = problem.grids - problem.background(start)
    # Where the number is known, lower ones may be needed.
    peaks = sharp_peaks(sharpener, grids, np.where(counts >= 0, 0.25, 1.0), relative=relative, by=by)
    coords = sharpener.place(peaks.position, peaks.grid)
    # A good peak is both high and persistent: noise on the flank of a peak is high, and noise elsewhere is low.
    order = np.lexsort((-peaks.height * peaks.persistence, peaks.grid))
    most = np.where(counts >= 0, counts, most_atoms(grids, start.scale))
    present, padded = _padded(len(grids), peaks.grid[order], coords[order], int(_CANDIDATES * most.max(initial=1)))
    _drop_near(problem.space, padded, present, _NEAREST * sharpener.width)
    present &= present.cumsum(axis=1) <= most[:, np.newaxis]
    atoms = dataclasses.replace(start, coords=padded, present=present)
    return atoms.padded(max(int(atoms.counts.max(initial=0)), 1))


def best_scale(problem: Problem, atoms: Atoms) -> Array:
    """The scale with which the atoms fit best where they are, `[K]`."""
    grids = problem.grids - problem.background(atoms)
    model = grids - problem.residual(atoms)
    product, norm = (np.einsum("kxyz,kxyz->k", model, other) for other in (grids, model))
    scale = atoms.scale * product / np.maximum(norm, np.finfo(np.float64).tiny)
    return np.where(scale > 0, scale, atoms.scale)


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
    """Marks atoms of each grid as absent that are nearer than `nearest` to one before them."""
    for rank in range(1, present.shape[1]):
        apart = space.nearest_image(coords[:, :rank] - coords[:, rank : rank + 1])
        squared = (apart**2).sum(axis=2)
        present[:, rank] &= ~((squared < nearest[:, np.newaxis] ** 2) & present[:, :rank]).any(axis=1)
