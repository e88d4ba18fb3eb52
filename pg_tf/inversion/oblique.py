"""Cells whose vectors are not at right angles.

There an atom's grid is no product of three factors. But a voxel, which averages over a parallelepiped, does little more
than widen the Gaussian by the parallelepiped's second moments, as long as it is not much wider than sigma. The sum over
voxels of a product of two widened Gaussians is close to an integral, which is a Gaussian of the displacement d between
the two atoms:

  sum_voxels G_i G_j = v N(d; C),   C = 2 sigma^2 1 + H^T H / 6,

v the volume of a voxel and H its edges (rows). Its derivatives, summed over the images of d, are the entries of J^T J.
They are some thousandths off where voxels are as wide as sigma. This costs steps but no accuracy, for the residual and
J^T r come from the compiled op and are exact. Where J^T J has to be exact too, `VoxelColumns` takes over.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.special import erf

from pg_tf._limits import REACH_FLOAT64
from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.columns import COORDINATES, Columns, Kind, VoxelColumns
from pg_tf.inversion.sharpen import Sharpener
from pg_tf.inversion.sharpen_oblique import FourierSharpener
from pg_tf.inversion.space import Flags, Space
from pg_tf.voxelization import voxelize


class Oblique(Space):
    """Cells of any shape with a corner at the origin, a `Space`."""

    def __init__(self, cell: Array, periodic: Flags, dtype: str = "float64") -> None:
        """Args:
        cell: `[K, 3, 3]`, rows are lattice vectors, Å.
        dtype: that the grids of atoms are made in. Quadrature that is good to float64 takes up to a hundred times as
          long as one that is good to float32.
        """
        self.cell, self.periodic, self.dtype = cell, periodic, dtype
        self.units = np.linalg.inv(cell)
        self.resolution = 0.0 if dtype == "float64" else float(np.finfo(dtype).eps * np.abs(cell).max(initial=0))

    @property
    def vectors(self) -> Array:
        return self.cell

    def __getitem__(self, rows: Any) -> Oblique:
        return Oblique(self.cell[rows], self.periodic, self.dtype)

    def fractional(self, coords: Array) -> Array:
        return coords @ self.units

    def cartesian(self, fractional: Array) -> Array:
        return fractional @ self.cell

    def voxelize(self, coords: Any, channels: Any, sigma: Any, weights: Any, shape: tuple[int, ...]) -> tf.Tensor:
        grid = voxelize(
            coords,
            channels,
            grid_shape=shape,
            sigma=sigma,
            weights=weights,
            cell=self.cell,
            periodic=self.periodic,
            dtype=self.dtype,
        )
        return tf.cast(tf.squeeze(grid, 1), tf.float64)

    def columns(self, atoms: Atoms, shape: tuple[int, int, int], with_sigma: bool, exact: bool = False) -> Columns:
        kind = VoxelColumns if exact or atoms.sigma.ndim == 2 else GaussianColumns
        return kind(self, atoms, shape, with_sigma)

    def sharpener(self, shape: tuple[int, int, int], sigma: Array, scale: Array, **options: Any) -> Sharpener:
        return FourierSharpener.of(shape, self.cell, sigma, scale, periodic=self.periodic, **options)


class GaussianColumns:
    """Approximate columns, known by their inner products alone: those are functions of the atoms' displacements."""

    def __init__(self, space: Oblique, atoms: Atoms, shape: tuple[int, int, int], with_sigma: bool) -> None:
        self._space, self._coords, self._present, self._sigma = space, atoms.coords, atoms.present, atoms.sigma
        self._shape, self._with_sigma = shape, with_sigma
        edges = space.cell / np.array(shape)[:, np.newaxis]
        self._volume = np.abs(np.linalg.det(edges))
        sigma = atoms.sigma[:, np.newaxis, np.newaxis]
        self._covariance = 2 * sigma**2 * np.eye(3) + edges.transpose(0, 2, 1) @ edges / 6

    def inner(self, one: Kind, other: Kind) -> Array:
        # Columns are derivatives at the atom's own end of d = r_one - r_other.
        if one > other:
            return self.inner(other, one).transpose(0, 2, 1)
        # The other end's coordinates change d the other way. A Gaussian spreads with sigma as heat does with time:
        # d/dsigma = sigma times the Laplacian.
        name = "".join(
            "" if kind is Kind.VALUE else "D" if kind is Kind.SIGMA else f"{kind:d}" for kind in (other, one)
        )
        sign = -1 if other in COORDINATES else 1
        powers = (one is Kind.SIGMA) + (other is Kind.SIGMA)
        return sign * self._sigma[:, np.newaxis, np.newaxis] ** powers * self._moments[name]

    def projected(self, basis: list[Array]) -> list[Array]:
        coords = tf.constant(self._coords)
        weights = tf.constant(self._present.astype(np.float64))
        sigma = tf.broadcast_to(tf.constant(self._sigma)[:, np.newaxis], weights.shape)
        channels = np.where(self._present, 0, -1).astype(np.int32)
        x, y, z = basis
        upstream = x[:, np.newaxis, np.newaxis] * y[:, np.newaxis] * z
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([coords, weights, sigma])
            grid = self._space.voxelize(coords, channels, sigma, weights, self._shape)
        to_coords, to_weights, to_sigma = tape.gradient(
            grid, [coords, weights, sigma], tf.broadcast_to(tf.constant(upstream), grid.shape)
        )
        result = [to_weights.numpy() * self._present, *np.moveaxis(to_coords.numpy(), 2, 0)]
        return [*result, to_sigma.numpy() * self._present] if self._with_sigma else result

    def norms(self) -> Array:
        return np.einsum("kaa->ka", self.inner(Kind.VALUE, Kind.VALUE))

    @functools.cached_property
    def _moments(self) -> dict[str, Array]:
        """v N(d; C) summed over images, and its derivatives: to the components 1, 2, 3 of d, and D, the Laplacian. Each
        `[K, A, A]`."""
        inverse = np.linalg.inv(self._covariance)
        trace = np.trace(inverse, axis1=1, axis2=2)[:, np.newaxis, np.newaxis]
        square = (inverse**2).sum(axis=(1, 2))[:, np.newaxis, np.newaxis]
        peak = self._volume / np.sqrt(np.linalg.det(2 * np.pi * self._covariance))
        peak = peak[:, np.newaxis, np.newaxis] * self._inside[:, :, np.newaxis] * self._inside[:, np.newaxis]
        inverse = inverse[:, np.newaxis]
        total: dict[str, Array] = {}
        for d in self._displacements():
            u = d @ inverse
            value = peak * np.exp(-0.5 * np.einsum("kabe,kabe->kab", d, u))
            terms = {"": value}
            for i, one in enumerate(COORDINATES):
                terms[f"{one:d}"] = -u[..., i] * value
                for j, other in enumerate(COORDINATES[i:], i):
                    terms[f"{other:d}{one:d}"] = (u[..., i] * u[..., j] - inverse[..., i, j, np.newaxis]) * value
            if self._with_sigma:
                w = u @ inverse
                laplacian = np.einsum("kabe,kabe->kab", u, u) - trace
                terms["D"] = laplacian * value
                terms["DD"] = (laplacian**2 + 2 * square - 4 * np.einsum("kabe,kabe->kab", u, w)) * value
                for i, one in enumerate(COORDINATES):
                    terms[f"D{one:d}"] = (2 * w[..., i] - laplacian * u[..., i]) * value
            total = {name: total[name] + term if total else term for name, term in terms.items()}
        return total

    def _displacements(self) -> Any:
        """`[K, A, A, 3]`, of each atom from each, for all images that matter."""
        space = self._space
        num_grids = len(self._coords)
        fractional = space.fractional(self._coords)
        apart = fractional[:, :, np.newaxis] - fractional[:, np.newaxis]
        apart -= np.where(space.periodic, np.rint(apart), 0)
        widths = np.sqrt(np.einsum("kea,kef,kfa->ka", space.units, self._covariance, space.units))
        furthest = np.floor(0.5 + REACH_FLOAT64 * widths.max(axis=0, initial=0)).astype(int) * np.array(space.periodic)
        nearest = (apart.reshape(num_grids, -1, 3) @ space.cell).reshape(apart.shape)
        for image in itertools.product(*(range(-n, n + 1) for n in furthest.tolist())):
            yield nearest + (np.array(image, np.float64) @ space.cell)[:, np.newaxis, np.newaxis]

    @property
    def _inside(self) -> Array:
        """The root of the part of each atom's squared Gaussian between the open faces, `[K, A]`; 0 for padding."""
        result = self._present.astype(np.float64)
        fractional = self._space.fractional(self._coords)
        for axis in np.flatnonzero(~np.array(self._space.periodic)):
            sigma = self._sigma * np.linalg.norm(self._space.units[:, :, axis], axis=1)  # in units of the vector
            low = fractional[:, :, axis] / sigma[:, np.newaxis]
            result *= np.sqrt(0.5 * (erf(low) + erf(1 / sigma[:, np.newaxis] - low)))
        return result
