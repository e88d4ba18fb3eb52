"""What a grid covers, and all that depends on it.

That is a box or a cell, and each of its three vectors either ends at two open faces or is periodic. It decides how
atoms make a grid, which displacements are the same, where a step may lead, and how the grid is sharpened. `Space` says
what has to be known; `orthogonal.py` and `oblique.py` know it for vectors at right angles and for all others.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import tensorflow as tf

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.columns import Columns, of_atoms
from pg_tf.inversion.sharpen import Sharpener

Flags = tuple[bool, bool, bool]

OPEN: Flags = (False, False, False)


class Space(abc.ABC):
    """What each of `K` grids covers. Coordinates are in Å from its corner, along axes that the space may choose: see
    `frame.py`.

    Attributes:
      periodic: along which of the three vectors the grids repeat.
      resolution: displacements below this, Å, are lost in the rounding of the grids that `voxelize` makes.
    """

    periodic: Flags
    resolution: float = 0.0

    @property
    def closed(self) -> bool:
        """Whether there is no open face, so that no atom is ever cut."""
        return all(self.periodic)

    @property
    @abc.abstractmethod
    def vectors(self) -> Array:
        """`[K, 3, 3]`, Å: the rows are the three edges of what the grid covers."""

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
    def columns(self, atoms: Atoms, shape: tuple[int, int, int], with_sigma: bool, exact: bool = False) -> Columns:
        """What the atoms add to the Jacobian.

        Args:
          atoms: only where they are and their sigma count.
          shape: of the grids.
          with_sigma: whether inner products with the columns of `Kind.SIGMA` are wanted.
          exact: False allows an approximation that is good enough to choose a step by.
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
        """Coordinates `[K, A, 3]` wrapped along the periodic vectors, and no farther than `reach`, `[K]` or `[K, A]` in
        Å, beyond the open faces."""
        fractional = self.fractional(coords)
        margin = of_atoms(reach)[:, :, np.newaxis] / self.heights[:, np.newaxis]
        inside = np.where(self.periodic, fractional - np.floor(fractional), np.clip(fractional, -margin, 1 + margin))
        return np.where((inside == fractional).all(axis=2, keepdims=True), coords, self.cartesian(inside))

    def nearest_image(self, displacements: Array) -> Array:
        """Displacements `[K, A, 3]` without the whole periods in them: the shortest images, if short against the
        cell."""
        if not any(self.periodic):
            return displacements
        fractional = self.fractional(displacements)
        return self.cartesian(fractional - np.where(self.periodic, np.rint(fractional), 0))
