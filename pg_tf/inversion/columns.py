"""The columns of the Jacobian J of a sum of Gaussians. Their inner products are the entries of J^T J."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

import numpy as np
import tensorflow as tf

from pg_tf.inversion.atoms import Array, Atoms

if TYPE_CHECKING:
    from pg_tf.inversion.space import Space


class Kind(enum.IntEnum):
    """The columns that an atom has: its own grid, and the derivatives of that."""

    VALUE = 0
    X = 1
    Y = 2
    Z = 3
    SIGMA = 4


COORDINATES = (Kind.X, Kind.Y, Kind.Z)


class Columns(Protocol):
    """The columns of `K` grids with `A` atoms each. Atoms have the integral 1, and padding has the integral 0."""

    def inner(self, one: Kind, other: Kind) -> Array:
        """Inner products of the columns of two kinds, of each atom with each, `[K, A, A]`."""

    def projected(self, basis: list[Array]) -> list[Array]:
        """For each kind, the inner products of its columns with one grid, `[K, A]`. That grid is the outer product of
        `[nx]`, `[ny]` and `[nz]`."""

    def norms(self) -> Array:
        """Sum of squares of each atom's own grid, `[K, A]`."""


class VoxelColumns:
    """Columns voxel by voxel, from the gradients of the op. They are exact for any `Space` and any sigma of each atom,
    but take as much memory as a grid for every atom and kind."""

    def __init__(self, space: Space, atoms: Atoms, shape: tuple[int, int, int], with_sigma: bool) -> None:
        """Arguments as of `Space.columns`."""
        present = atoms.present
        num_grids, num_atoms = present.shape
        alone = space[np.repeat(np.arange(num_grids), num_atoms)]  # every atom has a grid to itself
        channels = np.where(present, 0, -1).astype(np.int32).reshape(-1, 1)
        widths = np.broadcast_to(of_atoms(atoms.sigma), present.shape)
        sources = [tf.constant(atoms.coords.reshape(-1, 1, 3)), tf.constant(widths.reshape(-1, 1))]
        # The gradient of sum(grid * above) to a coordinate is linear in `above`, and its derivative to `above` is the
        # derivative of the grid to that coordinate: a column of the Jacobian.
        above = tf.zeros([len(channels), *shape], tf.float64)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as outer:
            outer.watch(above)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(sources)
                value = alone.voxelize(sources[0], channels, sources[1], tf.ones_like(sources[1]), shape)
            to_coords, to_sigma = inner.gradient(value, sources, above)
            slopes = [*tf.unstack(to_coords, axis=2), *([to_sigma] if with_sigma else [])]
        columns = [value, *(outer.gradient(slope, above) for slope in slopes)]
        self._columns = [column.numpy().reshape(num_grids, num_atoms, *shape) for column in columns]

    def inner(self, one: Kind, other: Kind) -> Array:
        a, b = (self._columns[kind].reshape(*self._columns[kind].shape[:2], -1) for kind in (one, other))
        return a @ b.transpose(0, 2, 1)

    def projected(self, basis: list[Array]) -> list[Array]:
        return [np.einsum("kaxyz,x,y,z->ka", column, *basis, optimize=True) for column in self._columns]

    def norms(self) -> Array:
        return (self._columns[Kind.VALUE] ** 2).sum(axis=(2, 3, 4))


def of_atoms(values: Array) -> Array:
    """Values of each grid `[K]` or of each of its atoms `[K, A]`, as `[K, 1]` or `[K, A]`."""
    return values[:, np.newaxis] if values.ndim == 1 else values
