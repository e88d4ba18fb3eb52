"""The plane waves that a periodic grid is a sum of."""

import itertools
from typing import Any

import numpy as np

from pg_tf.inversion.atoms import Array


def waves(vectors: Array, shape: Any) -> tuple[Array, Array]:
    """The waves of `np.fft.fftn` of grids that repeat along vectors `[K, 3, 3]`, rows, Å.

    Of all waves that are the same on the voxels, the longest: between vectors at 60 degrees it is often not the one of
    the lowest orders.

    Returns:
      Their orders along the three vectors, `[K, 3, nx, ny, nz]`, and wave numbers, `[K, nx, ny, nz]`, 1/Å.
    """
    units = 2 * np.pi * np.linalg.inv(vectors)
    metric = units.transpose(0, 2, 1) @ units
    numbers = np.ogrid[tuple(slice(n) for n in shape)]
    along = [(number + n // 2) % n - n // 2 for number, n in zip(numbers, shape, strict=True)]
    orders = np.stack(np.broadcast_arrays(*along)).astype(np.float64)
    squares = np.einsum("dxyz,kde,exyz->kxyz", orders, metric, orders, optimize=True)
    shortest, shift = squares, np.zeros((*squares.shape, 3))
    for cells in itertools.product((-1, 0, 1), repeat=3):
        step = np.array(cells) * shape
        if not any(cells) or not (metric != metric * np.eye(3)).any():
            continue
        slope = 2 * metric @ step
        change = squares + (step @ metric @ step)[:, np.newaxis, np.newaxis, np.newaxis]
        for d in range(3):
            change = change + slope[:, d, np.newaxis, np.newaxis, np.newaxis] * along[d]
        better = change < shortest * (1 - 1e-9)
        shortest, shift = np.where(better, change, shortest), np.where(better[..., np.newaxis], step, shift)
    return orders + np.moveaxis(shift, -1, 1), np.sqrt(np.maximum(shortest, 0))
