"""Where the atoms of a grid may be, and what the grid sees of them there.

A grid covers a box or a cell, and each of its three vectors may end at two faces or close to a circle. What depends on
that is here and nowhere else: how atoms make a grid, which displacements are the same, where a step may lead, and which
sharpening shows the atoms. `Orthogonal` is separable, closed or not; `Oblique` is in `oblique.py`.
"""

from __future__ import annotations

import abc
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.inversion.factors import Array, Columns, SeparableColumns, axis_factors
from pg_tf.inversion.sharpen import SeparableSharpener, Sharpener
from pg_tf.voxelization import voxelize

Flags = tuple[bool, bool, bool]

OPEN: Flags = (False, False, False)


class Space(abc.ABC):
    """The spaces of `K` grids.

    Attributes:
      periodic: which of the vectors repeat.
      resolution: displacements below this, Å, are lost in the rounding of the grids that `voxelize` makes.
    """

    periodic: Flags
    resolution: float = 0.0

    @property
    def closed(self) -> bool:
        """Whether there is no face at all: then no atom is ever cut."""
        return all(self.periodic)

    @property
    @abc.abstractmethod
    def vectors(self) -> Array:
        """`[K, 3, 3]`, rows span the grid from the origin, Å."""

    @abc.abstractmethod
    def __getitem__(self, rows: Any) -> Space: ...

    @abc.abstractmethod
    def fractional(self, coords: Array) -> Array:
        """Coordinates `[K, A, 3]` in units of the vectors."""

    @abc.abstractmethod
    def cartesian(self, fractional: Array) -> Array:
        """The inverse of `fractional`."""

    @abc.abstractmethod
    def voxelize(self, coords: Any, channels: Any, sigma: Any, weights: Any, shape: tuple[int, ...]) -> tf.Tensor:
        """The grids of the atoms, float64 `[K, nx, ny, nz]`; arguments as of `pg_tf.voxelize`, `[K, A, ...]`."""

    @abc.abstractmethod
    def columns(
        self,
        coords: Array,
        present: npt.NDArray[np.bool_],
        sigma: Array,
        shape: tuple[int, int, int],
        with_sigma: bool,
    ) -> Columns:
        """What the atoms add to the Jacobian.

        Args:
          coords: `[K, A, 3]`, Å.
          present: `[K, A]`, False for padding.
          sigma: `[K]`, Å.
          shape: of the grids.
          with_sigma: whether inner products with the columns of `Kind.SIGMA` are wanted.
        """

    @abc.abstractmethod
    def sharpener(
        self,
        shape: tuple[int, int, int],
        sigma: Array,
        scale: Array,
        *,
        noise: Array,
        num_atoms: Array,
        reach: float,
    ) -> Sharpener:
        """Arguments as of `SeparableSharpener.of`."""

    @property
    def heights(self) -> Array:
        """Distances of opposite faces, `[K, 3]`, Å."""
        return 1 / np.linalg.norm(np.linalg.inv(self.vectors), axis=1)

    @property
    def middle(self) -> Array:
        """`[K, 3]`."""
        return self.vectors.sum(axis=1) / 2

    def confined(self, coords: Array, reach: Array) -> Array:
        """Coordinates `[K, A, 3]` wrapped along the vectors that repeat, and no farther than `reach` `[K]`, Å, beyond
        the faces of the others."""
        fractional = self.fractional(coords)
        margin = (reach[:, np.newaxis] / self.heights)[:, np.newaxis]
        inside = np.where(self.periodic, fractional - np.floor(fractional), np.clip(fractional, -margin, 1 + margin))
        return np.where((inside == fractional).all(axis=2, keepdims=True), coords, self.cartesian(inside))

    def squared_distances(self, displacements: Array) -> Array:
        """Of `[K, A, 3]`, to the nearest image: `[K, A]`, as far as they are small against the cell."""
        if any(self.periodic):
            fractional = self.fractional(displacements)
            displacements = self.cartesian(fractional - np.where(self.periodic, np.rint(fractional), 0))
        return (displacements**2).sum(axis=2)


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

    def columns(
        self,
        coords: Array,
        present: npt.NDArray[np.bool_],
        sigma: Array,
        shape: tuple[int, int, int],
        with_sigma: bool,
    ) -> Columns:
        factors = []
        for axis in range(3):
            along = axis_factors(coords[:, :, axis], sigma, self.lengths[:, axis], shape[axis], self.periodic[axis])
            factors.append(type(along)(*(values * present[:, :, np.newaxis] for values in along)))
        return SeparableColumns(factors, with_sigma)

    def sharpener(self, shape: tuple[int, int, int], sigma: Array, scale: Array, **options: Any) -> Sharpener:
        return SeparableSharpener.of(shape, self.lengths, sigma, scale, periodic=self.periodic, **options)
