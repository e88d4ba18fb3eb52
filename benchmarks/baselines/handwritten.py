"""Voxelizers that this project wrote to measure itself against, from what one writes first to what the ParticleGrid
paper did. All compute Eq. 1-5 of the paper with float32 grids, in this process."""

import ctypes
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import exact
from benchmarks.native import PLAIN_FLAGS, SIMD_FLAGS, compile_library
from benchmarks.workload import Workload

Grid = npt.NDArray[np.float32]
# Takes coordinates [A, 3], sigma, the origin [3] and the edge of the cubic box, and fills the grid [n, n, n].
Voxelize = Callable[[npt.NDArray[np.float32], float, npt.NDArray[np.float32], float, Grid], None]

NUMPY, NUMBA, EINSUM = "NumPy, a pass an atom", "Numba, Eq. 2 at every voxel", "NumPy einsum of factors"
PLAIN, SPARSE, SIMD, BOTH, SEPARABLE = (
    "C++ dense",
    "C++ sparse",
    "C++ dense + SIMD",
    "C++ sparse + SIMD",
    "C++ sparse + SIMD, factors once",
)


def available(folder: Path) -> tuple[dict[str, Voxelize], dict[str, str]]:
    """The voxelizers that this machine can run, and why not for those it cannot.

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
        source = Path(__file__).with_suffix(".cc")
        plain = compile_library(source, folder / "handwritten_plain.so", PLAIN_FLAGS)
        simd = compile_library(source, folder / "handwritten_simd.so", (*SIMD_FLAGS, "-DVECTOR_ERF"))
        found[PLAIN], found[SPARSE] = _compiled(plain, "dense"), _compiled(plain, "sparse")
        found[SIMD], found[BOTH] = _compiled(simd, "dense"), _compiled(simd, "sparse")
        found[SEPARABLE] = _compiled(simd, "separable")
    except RuntimeError as error:
        missing["C++"] = str(error)
    return found, missing


def numpy_pass_per_atom(coords: Any, sigma: float, origin: Any, edge: float, grid: Grid) -> None:
    """One dense NumPy pass an atom: what one would write first."""
    x, y, z = exact.factors(coords, sigma, origin, edge, len(grid)).astype(np.float32)
    grid.fill(0)
    for a in range(len(coords)):
        grid += x[a, :, None, None] * y[a, :, None] * z[a]


def numpy_einsum(coords: Any, sigma: float, origin: Any, edge: float, grid: Grid) -> None:
    """All atoms in one contraction, a matrix product at its heart."""
    x, y, z = exact.factors(coords, sigma, origin, edge, len(grid)).astype(np.float32)
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


def _compiled(library: ctypes.CDLL, name: str) -> Voxelize:
    """A function of handwritten.cc."""
    function = library[name]
    function.restype = None
    function.argtypes = [
        np.ctypeslib.ndpointer(np.float32, ndim=2, flags="C"),
        ctypes.c_int64,
        ctypes.c_float,
        np.ctypeslib.ndpointer(np.float32, ndim=1, flags="C"),
        ctypes.c_float,
        ctypes.c_int,
        np.ctypeslib.ndpointer(np.float32, ndim=3, flags="C"),
    ]

    def voxelize(
        coords: npt.NDArray[np.float32], sigma: float, origin: npt.NDArray[np.float32], edge: float, grid: Grid
    ) -> None:
        function(coords, len(coords), sigma, origin, edge, len(grid), grid)

    return voxelize


def over(workload: Workload, voxelize: Voxelize, sigma: float, extent: int, grids: int) -> Callable[[], None]:
    """A function that voxelizes each molecule of `workload` in its box. They go to one after another of `grids` grids,
    as those of a batch do, and not all to the same place in memory."""
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
    return exact.error_of(grid, exact.grid(coords, sigma, origin[0], edge, extent))
