"""Compiles the C++ beside this file and calls it."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent
COMPILER = os.environ.get("CXX", "g++")
# What pg_tf's own kernels are compiled with, but for the machine at hand.
SIMD_FLAGS = (
    "-O3",
    "-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
)
PLAIN_FLAGS = ("-O2",)
_LINE = 64  # bytes of a cache line

Voxelize = Callable[[npt.NDArray[np.float32], float, npt.NDArray[np.float32], float, npt.NDArray[np.float32]], None]


def compile_library(source: str, library: Path, flags: tuple[str, ...]) -> ctypes.CDLL:
    """Compiles a source file of this folder to the shared library at `library`, and loads it.

    Raises:
      RuntimeError: with the compiler's words, if it fails or is not there.
    """
    library.parent.mkdir(parents=True, exist_ok=True)
    command = [COMPILER, "-std=c++17", "-shared", "-fPIC", *flags, str(HERE / source), "-o", str(library)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"{' '.join(command)}: {getattr(error, 'stderr', None) or error}") from error
    return ctypes.CDLL(str(library))


def voxelizer(library: ctypes.CDLL, name: str) -> Voxelize:
    """A function of baselines.cc, as `(coords, sigma, origin, edge, grid)`; it fills `grid`."""
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
        coords: npt.NDArray[np.float32],
        sigma: float,
        origin: npt.NDArray[np.float32],
        edge: float,
        grid: npt.NDArray[np.float32],
    ) -> None:
        function(coords, len(coords), sigma, origin, edge, len(grid), grid)

    return voxelize


class Floor:
    """Fills of the memory that grids need."""

    # Far more than any last-level cache, so that a buffer is not in it when its turn comes again.
    POOL_BYTES = 1 << 28

    def __init__(self, folder: Path, pool_bytes: int = POOL_BYTES) -> None:
        library = compile_library("floor.cc", folder / "floor.so", SIMD_FLAGS)
        self._stream, self._memset = library.stream_fill, library.memset_fill
        for function in (self._stream, self._memset):
            function.restype = None
            function.argtypes = [ctypes.c_void_p] + [ctypes.c_size_t] * 3
        self._stream.argtypes = [*self._stream.argtypes, ctypes.c_float]
        self._size = pool_bytes
        self._pool = np.empty(pool_bytes + _LINE, np.uint8)
        self._pool.fill(1)  # or the pages would not be there yet
        self._base = -(-self._pool.ctypes.data // _LINE) * _LINE

    def fill(
        self, grid_bytes: int, *, stream: bool, rotate: bool, value: float = 1.0
    ) -> tuple[Callable[[], None], int]:
        """A function that writes grids of `grid_bytes`, and how many it writes.

        Args:
          grid_bytes: rounded up to whole cache lines.
          stream: by non-temporal stores; else memset.
          rotate: each grid to another place; else all to the same one.
          value: what is written by non-temporal stores. Some memory takes zeros twice as fast as anything else.
        """
        grid_bytes = -(-grid_bytes // _LINE) * _LINE
        if grid_bytes > self._size:
            raise ValueError(f"grid_bytes must be at most the pool of {self._size}, got {grid_bytes}")
        buffers = self._size // grid_bytes if rotate else 64
        where = (self._base, grid_bytes, grid_bytes if rotate else 0, buffers)
        return (lambda: self._stream(*where, value)) if stream else (lambda: self._memset(*where)), buffers
