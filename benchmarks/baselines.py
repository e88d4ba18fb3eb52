"""What pg_tf is measured against in this process: voxelizers of this project's own writing, from what one writes first
to what the ParticleGrid paper did. All compute Eq. 1-5 of the paper with float32 grids."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from benchmarks.native import PLAIN_FLAGS, SIMD_FLAGS, Voxelize, compile_library, voxelizer
from benchmarks.workload import Workload

Grid = npt.NDArray[np.float32]

NUMPY, NUMBA, EINSUM = "NumPy, a pass an atom", "Numba, Eq. 2 at every voxel", "NumPy einsum of factors"
PLAIN, SPARSE, SIMD, BOTH, SEPARABLE = (
    "C++ dense",
    "C++ sparse",
    "C++ dense + SIMD",
    "C++ sparse + SIMD",
    "C++ sparse + SIMD, factors once",
)


def all_baselines(folder: Path) -> tuple[dict[str, Voxelize], dict[str, str]]:
    """The baselines that this machine can run, and why not for those it cannot.

    Args:
      folder: where the C++ ones are compiled to.
    """
    found: dict[str, Voxelize] = {NUMPY: numpy_pass_per_atom, EINSUM: numpy_einsum}
    missing = {}
    try:
        found[NUMBA] = numba_naive()
    except ImportError as error:
        missing[NUMBA] = str(error)
    try:
        plain = compile_library("baselines.cc", folder / "baselines_plain.so", PLAIN_FLAGS)
        simd = compile_library("baselines.cc", folder / "baselines_simd.so", (*SIMD_FLAGS, "-DVECTOR_ERF"))
        found[PLAIN], found[SPARSE] = voxelizer(plain, "dense"), voxelizer(plain, "sparse")
        found[SIMD], found[BOTH] = voxelizer(simd, "dense"), voxelizer(simd, "sparse")
        found[SEPARABLE] = voxelizer(simd, "separable")
    except RuntimeError as error:
        missing["C++"] = str(error)
    return found, missing


def factors(coords: npt.NDArray[Any], sigma: float, origin: npt.NDArray[Any], edge: float, extent: int) -> Any:
    """`[3, A, extent]`, float64: the part of each atom's Gaussian between neighbouring voxel edges of each axis."""
    edges = origin.astype(np.float64)[:, None] + edge * np.arange(extent + 1) / extent
    scaled = (edges[:, None, :] - coords.T[:, :, None]) / sigma
    low, high = scaled[..., :-1], scaled[..., 1:]
    # Differences of the small tails, not of numbers close to one.
    return np.where(low + high > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))


def truth(coords: npt.NDArray[Any], sigma: float, origin: npt.NDArray[Any], edge: float, extent: int) -> Any:
    """The grid in float64, `[extent, extent, extent]`."""
    return np.einsum("ax,ay,az->xyz", *factors(coords, sigma, origin, edge, extent), optimize=True)


def error_of(grid: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Largest deviation, of the largest expected voxel; infinite where something is not finite."""
    deviation = np.abs(grid.astype(np.float64) - expected).max()
    return float(deviation / np.abs(expected).max()) if np.isfinite(deviation) else math.inf


def numpy_pass_per_atom(coords: Any, sigma: float, origin: Any, edge: float, grid: Grid) -> None:
    """One dense NumPy pass an atom: what one would write first."""
    x, y, z = factors(coords, sigma, origin, edge, len(grid)).astype(np.float32)
    grid.fill(0)
    for a in range(len(coords)):
        grid += x[a, :, None, None] * y[a, :, None] * z[a]


def numpy_einsum(coords: Any, sigma: float, origin: Any, edge: float, grid: Grid) -> None:
    """All atoms in one contraction, a matrix product at its heart."""
    x, y, z = factors(coords, sigma, origin, edge, len(grid)).astype(np.float32)
    np.einsum("ax,ay,az->xyz", x, y, z, optimize=True, out=grid)


def numba_naive() -> Voxelize:
    """Eq. 2 as it stands: six error functions for every atom at every voxel, compiled, one thread.

    Raises:
      ImportError: if there is no Numba.
    """
    import numba

    @numba.njit
    def part(i: int, mu: float, origin: float, voxel: float, scale: float) -> float:
        low = (origin + i * voxel - mu) * scale
        return 0.5 * (math.erf(low + voxel * scale) - math.erf(low))

    @numba.njit
    def voxelize(coords: Any, sigma: float, origin: Any, edge: float, grid: Grid) -> None:
        n = len(grid)
        voxel, scale = edge / n, 1 / (math.sqrt(2) * sigma)
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    total = 0.0
                    for a in range(len(coords)):
                        total += (
                            part(i, coords[a, 0], origin[0], voxel, scale)
                            * part(j, coords[a, 1], origin[1], voxel, scale)
                            * part(k, coords[a, 2], origin[2], voxel, scale)
                        )
                    grid[i, j, k] = total

    return voxelize


def over(workload: Workload, voxelize: Voxelize, sigma: float, extent: int, grids: int) -> Callable[[], None]:
    """A function that voxelizes each molecule of `workload` in its box, into one after another of `grids` grids: as a
    batch is, not all into the same place."""
    origin, edges = workload.boxes()
    molecules = [np.ascontiguousarray(coords) for coords in workload.molecules()]
    batch = np.ones((grids, extent, extent, extent), np.float32)
    next_grid = itertools.cycle(batch)

    def run() -> None:
        for b, coords in enumerate(molecules):
            voxelize(coords, sigma, origin[b], float(edges[b]), next(next_grid))

    return run


def check(workload: Workload, voxelize: Voxelize, sigma: float, extent: int) -> float:
    """The error of the first molecule's grid."""
    origin, edges = workload.boxes()
    coords, edge = workload.molecules()[0], float(edges[0])
    grid = np.zeros((extent,) * 3, np.float32)
    voxelize(coords, sigma, origin[0], edge, grid)
    return error_of(grid, truth(coords, sigma, origin[0], edge, extent))
