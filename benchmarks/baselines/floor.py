"""Writing the memory that grids need, and nothing else."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.native import SIMD_FLAGS, compile_library

_LINE = 64  # bytes of a cache line


class Floor:
    """Fills of the memory that grids need."""

    # Far more than any last-level cache, so that a buffer is not in it when its turn comes again.
    POOL_BYTES = 1 << 28

    def __init__(self, folder: Path, pool_bytes: int = POOL_BYTES) -> None:
        library = compile_library(Path(__file__).with_suffix(".cc"), folder / "floor.so", SIMD_FLAGS)
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
