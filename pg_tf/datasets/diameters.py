"""How large molecules are, whichever way they are turned."""

import numpy as np
import numpy.typing as npt

_PAIRS = 1 << 22
"""Distances computed at once: 16 MB for each of the arrays in between."""


def diameters(coords: npt.NDArray[np.float32], row_splits: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The largest distance between two atoms of each molecule, Å; 0 where there are less than two.

    It is the shortest edge of a cube, centred on the molecule's bounding box, that holds all atoms in any orientation.

    Args:
      coords: `[N, 3]`, Å.
      row_splits: `[B + 1]`.

    Returns:
      `[B]`.
    """
    sizes = np.diff(row_splits)
    found = np.zeros(len(sizes), np.float32)
    for size in np.unique(sizes[sizes > 1]).tolist():
        alike = np.flatnonzero(sizes == size)
        at_once, rows = max(_PAIRS // size**2, 1), max(_PAIRS // size, 1)
        for first in range(0, len(alike), at_once):
            chosen = alike[first : first + at_once]
            atoms = coords[row_splits[chosen][:, None] + np.arange(size)]
            for row in range(0, size, rows):
                squares = sum(
                    np.square(atoms[:, row : row + rows, None, axis] - atoms[:, None, :, axis]) for axis in range(3)
                )
                np.maximum.at(found, chosen, np.sqrt(squares.max(axis=(1, 2))))
    return found
