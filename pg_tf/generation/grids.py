"""The grids that a generator works with: made of molecules, and turned back into them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from pg_tf._autograph import plain
from pg_tf.boxes import Box, centered_box
from pg_tf.datasets import Molecules
from pg_tf.elements import ElementChannels, atomic_number
from pg_tf.inversion import grid_to_coords
from pg_tf.points import Voxelizer


@dataclasses.dataclass(frozen=True)
class GridFormat:
    """Cubic grids with a channel for each element, scaled so that an atom in the middle of a voxel gives it 1.

    Args:
      symbols: the element of each channel.
      grid_size: voxels along each side.
      voxel: edge of a voxel, Å.
      sigma: standard deviation of the Gaussians, Å. Between about 0.6 and 1 voxels a grid says all about its atoms in
        as few voxels as possible (docs/inversion.md).
    """

    symbols: tuple[str, ...]
    grid_size: int = 12
    voxel: float = 0.85
    sigma: float = 0.5

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of one grid, `(nx, ny, nz, C)`."""
        return (self.grid_size,) * 3 + (len(self.symbols),)

    @property
    def box(self) -> float:
        """Edge of the cube, Å."""
        return self.grid_size * self.voxel

    @property
    def peak(self) -> float:
        """The share of an atom in a voxel around it: what a grid of `pg_tf.voxelize` is divided by."""
        return math.erf(self.voxel / (2 * math.sqrt(2) * self.sigma)) ** 3

    @property
    def channels(self) -> ElementChannels:
        return ElementChannels(self.symbols)

    def grids(self, points: Any) -> tf.Tensor:
        """Scaled grids `[B, nx, ny, nz, C]` of points, ragged `[B, (A), 4]`, each in a box around its middle."""
        make = Voxelizer(
            num_channels=len(self.symbols),
            grid_shape=self.grid_size,
            sigma=self.sigma,
            data_format="channels_last",
            box=lambda coords, channels: centered_box(coords, channels=channels, lengths=self.box),
        )
        return make(points) / self.peak

    def to_dataset(self, points: tf.data.Dataset) -> tf.data.Dataset:
        """Batches of points, or tuples that begin with them, as batches of scaled grids and the rest."""

        @plain
        def to_grids(points: Any, *rest: Any) -> Any:
            return (self.grids(points), *rest) if rest else self.grids(points)

        return points.map(to_grids, num_parallel_calls=tf.data.AUTOTUNE)

    def molecules(self, grids: Any, **options: Any) -> Molecules:
        """The molecules of scaled grids `[B, nx, ny, nz, C]`, by `pg_tf.grid_to_coords` with the options.

        A grid in which no atom is found is a molecule without atoms. The origin is the middle of the grid.
        """
        corner = np.full(3, -self.box / 2)
        found = grid_to_coords(
            tf.convert_to_tensor(grids) * self.peak,
            box=Box(corner, np.full(3, self.box)),
            sigma=self.sigma,
            data_format="channels_last",
            **options,
        )
        numbers = np.array([atomic_number(symbol) for symbol in self.symbols], np.int32)
        rows = [row[row[:, 0] >= 0] for row in (np.asarray(points) for points in found.points)]
        return Molecules.from_arrays([numbers[row[:, 0].astype(int)] for row in rows], [row[:, 1:] for row in rows])
