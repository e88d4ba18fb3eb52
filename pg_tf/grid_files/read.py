"""A grid from a file, by its name."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pg_tf.grid_files import arrays, cube, dx, mrc
from pg_tf.grid_files.stored_grid import StoredGrid

_READERS: dict[str, Callable[[str | os.PathLike[str]], StoredGrid]] = {
    ".npz": arrays.read_npz,
    ".cube": cube.read,
    ".cub": cube.read,
    ".dx": dx.read,
    ".mrc": mrc.read,
    ".map": mrc.read,
    ".ccp4": mrc.read,
}
READABLE = (*_READERS, ".npy")
"""Suffixes of the formats that `read_grid` knows."""


def read_grid(path: str | os.PathLike[str], box: Sequence[Any] | None = None) -> StoredGrid:
    """Reads a grid that `write_grid` or another program wrote: .npz, .npy, .cube, .dx, .mrc, .map or .ccp4.

    Args:
      path: the suffix tells the format.
      box: of a .npy file, which does not hold it: `(origin, lengths)`, each `[3]`, Å.

    Returns:
      The grid; a format of one channel has the file's name as that of the channel, and what a format does not hold is
      left out.

    Raises:
      ValueError: if the format is not known, the file is damaged, or its box is missing.
      ImportError: if the format needs a package that is not installed.
      OSError: if the file cannot be opened.
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in READABLE:
        raise ValueError(f"path: the format of {path} is not known; it must end in {', '.join(READABLE)}")
    if suffix == ".npy":
        if box is None:
            raise ValueError(f"box: {path} holds numbers alone; give the origin and the lengths of its box, Å")
        with _saying(path):
            return StoredGrid.of(arrays.read_npy(path), box)
    with _saying(path):
        grid = _READERS[suffix](path)
        named = suffix == ".npz"
        return grid if named else dataclasses.replace(grid, names=(os.path.basename(path)[: -len(suffix)],))


@contextlib.contextmanager
def _saying(path: str | os.PathLike[str]) -> Iterator[None]:
    """Names the file in what a damaged one makes the libraries raise: each has errors of its own kinds."""
    try:
        yield
    except (OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"path: {path}: {str(error) or type(error).__name__}") from error
