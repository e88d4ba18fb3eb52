"""Boxes whose edges are at right angles: there every Gaussian is a product of one factor along each axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.columns import Columns
from pg_tf.inversion.factors import AxisFactors, SeparableColumns, axis_factors
from pg_tf.inversion.sharpen import Sharpener
from pg_tf.inversion.sharpen_orthogonal import SeparableSharpener
from pg_tf.inversion.space import OPEN, Flags, Space
from pg_tf.voxelization import voxelize


class Orthogonal(Space):
    """Boxes along x, y, z with a corner at the origin."""

    def __init__(self, lengths: Array, periodic: Flags = OPEN) -> None:
        """Args:
        lengths: `[K, 3]`, Å.
        """
        self.lengths, self.periodic = lengths, periodic

    @property
    def vectors(self) -> Array:
        return self.lengths[:, :, np.newaxis] * np.eye(3)

    @property
    def heights(self) -> Array:
        return self.lengths

    def __getitem__(self, rows: Any) -> Orthogonal:
        return Orthogonal(self.lengths[rows], self.periodic)

    def fractional(self, coords: Array) -> Array:
        return coords / self.lengths[:, np.newaxis]

    def cartesian(self, fractional: Array) -> Array:
        return fractional * self.lengths[:, np.newaxis]

    def voxelize(self, coords: Any, channels: Any, sigma: Any, weights: Any, shape: tuple[int, ...]) -> tf.Tensor:
        grid = voxelize(
            coords,
            channels,
            grid_shape=shape,
            sigma=sigma,
            weights=weights,
            box=(np.zeros(3), self.lengths),
            periodic=self.periodic,
            dtype="float64",
        )
        return tf.squeeze(grid, 1)

    def columns(self, atoms: Atoms, shape: tuple[int, int, int], with_sigma: bool, exact: bool = False) -> Columns:
        factors = []
        for axis in range(3):
            position, length = atoms.coords[:, :, axis], self.lengths[:, axis]
            along = axis_factors(position, atoms.sigma, length, shape[axis], self.periodic[axis])
            factors.append(AxisFactors(*(values * atoms.present[:, :, np.newaxis] for values in along)))
        return SeparableColumns(factors, with_sigma)

    def sharpener(self, shape: tuple[int, int, int], sigma: Array, scale: Array, **options: Any) -> Sharpener:
        return SeparableSharpener.of(shape, self.lengths, sigma, scale, periodic=self.periodic, **options)
