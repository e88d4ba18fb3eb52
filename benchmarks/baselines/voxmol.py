"""VoxMol's way from a grid to atoms, written anew: threshold, strict maxima, L-BFGS.

VoxMol (Pinheiro et al., 3D molecule generation by denoising voxel grids, NeurIPS 2023, arXiv:2306.07473) puts voxels
below a quarter of a lone atom's peak to zero, takes each voxel above all its 26 neighbours for an atom, and moves all
atoms by L-BFGS to the least squared error. Here the optimiser is SciPy's and the grids are pg_tf's, with exact
gradients in float64, which VoxMol does not have. VoxMol's own grids have a channel for each element and voxels of
0.25 Å, where strict maxima do well.
"""

from typing import Any

import numpy as np
import tensorflow as tf
from scipy import ndimage, optimize

import pg_tf

THRESHOLD = 0.25

_NEIGHBOURS = np.ones((1, 3, 3, 3), bool)
_NEIGHBOURS[0, 1, 1, 1] = False


def invert(grid: np.ndarray, origin: np.ndarray, lengths: np.ndarray, sigma: float) -> tuple[np.ndarray, bool]:
    """Atoms of one grid `[C, nx, ny, nz]`: points `[A, 4]`, and whether they explain the grid as `pg_tf.grid_to_coords`
    means it (VoxMol itself does not ask)."""
    lone = pg_tf.voxelize([lengths / 2], grid_shape=grid.shape[1:], sigma=sigma, box=([0.0] * 3, lengths))
    density = np.where(grid < THRESHOLD * lone.numpy().max(), 0, grid)
    channels, *voxels = np.nonzero(density > ndimage.maximum_filter(density, footprint=_NEIGHBOURS))
    coords = origin + (np.column_stack(voxels) + 0.5) * lengths / grid.shape[1:]
    channels, box = channels.astype(np.int32), (origin, lengths)
    coords = _least_squares(grid, channels, coords, box, sigma)
    residual = grid - _grid_of(coords, channels, grid, box, sigma).numpy()
    return np.column_stack([channels, coords]), bool((residual**2).sum() < 1e-9 * (grid**2).sum())


def _grid_of(coords: Any, channels: np.ndarray, like: np.ndarray, box: Any, sigma: float) -> tf.Tensor:
    return pg_tf.voxelize(
        coords,
        channels,
        num_channels=like.shape[0],
        grid_shape=like.shape[1:],
        sigma=sigma,
        box=box,
        dtype="float64",
    )


def _least_squares(grid: np.ndarray, channels: np.ndarray, start: np.ndarray, box: Any, sigma: float) -> np.ndarray:
    if not len(start):
        return start
    target = tf.constant(grid, tf.float64)

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coords = tf.constant(flat.reshape(-1, 3))
        with tf.GradientTape() as tape:
            tape.watch(coords)
            loss = tf.reduce_sum((_grid_of(coords, channels, grid, box, sigma) - target) ** 2)
        return float(loss), tape.gradient(loss, coords).numpy().ravel()

    found = optimize.minimize(
        value_and_gradient,
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-10},
    )
    return found.x.reshape(-1, 3)
