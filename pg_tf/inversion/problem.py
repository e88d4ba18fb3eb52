"""The least-squares problem: grids of one channel that atoms should add up to."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy import ndimage

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.columns import Columns
from pg_tf.inversion.space import Space


@dataclasses.dataclass(frozen=True)
class Problem:
    """`K` grids, each a problem of its own. Indexing by rows makes a smaller problem, whose grids are float64.

    Attributes:
      grids: `[K, nx, ny, nz]`, float32 or float64.
      space: what they cover.
      exponents: `[Q, 3]`, the powers of x, y, z (from -1 to 1 across the grid) of the background's polynomials.
      precision: `[K, nx, ny, nz]`, one over the variance of each voxel; None where all voxels count the same.
      trust: `[K, nx, ny, nz]`, what an atom at a voxel sees of `precision`: see `weighted`.
      integral: `[K]`, what an atom's own scale is expected to be, where those are fitted.
    """

    grids: npt.NDArray[Any]
    space: Space
    exponents: npt.NDArray[np.int64]
    precision: Array | None = None
    trust: Array | None = None
    integral: Array | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        _, nx, ny, nz = self.grids.shape
        return nx, ny, nz

    def __getitem__(self, rows: Any) -> Problem:
        grids = self.grids[rows].astype(np.float64, copy=False)
        more = (values if values is None else values[rows] for values in (self.precision, self.trust, self.integral))
        return Problem(grids, self.space[rows], self.exponents, *more)

    def weighted(self, grids: Array, variance: Array, atoms: Atoms) -> Problem:
        """The problem of other grids, whose voxels count by their variance `[K, nx, ny, nz]` (infinite: not at all)."""
        precision = 1 / variance
        width = (atoms.sigma[:, np.newaxis] / self.space.heights).mean(axis=0) * self.shape
        modes = ["wrap" if repeats else "nearest" for repeats in self.space.periodic]
        trust = ndimage.gaussian_filter(precision, (0, *width), mode=("nearest", *modes), truncate=2.0)
        return dataclasses.replace(self, grids=grids, precision=precision, trust=trust)

    def loss(self, residuals: Array) -> Array:
        """Sum of the squared residual, `[K]`, each voxel by its precision."""
        weighted = residuals if self.precision is None else residuals * self.precision
        return np.einsum("kxyz,kxyz->k", residuals, weighted)

    def trusted(self, atoms: Atoms) -> Array:
        """How much the voxels around each atom count, `[K, A]`."""
        if self.trust is None:
            return np.ones(atoms.present.shape)
        voxels = np.floor(self.space.fractional(atoms.coords) * self.shape).astype(np.int64)
        x, y, z = np.moveaxis(np.clip(voxels, 0, np.array(self.shape) - 1), 2, 0)
        return self.trust[np.arange(len(self.grids))[:, np.newaxis], x, y, z]

    def polynomials(self, axis: int) -> Array:
        """The background's factors on an axis: `[Q, n]`."""
        extent = self.shape[axis]
        middle = (2 * np.arange(extent) + 1) / extent - 1
        return middle ** self.exponents[:, axis, np.newaxis]

    def background(self, atoms: Atoms) -> Array:
        if not len(self.exponents):
            return np.zeros((len(self.grids), 1, 1, 1))
        x, y, z = (self.polynomials(axis) for axis in range(3))
        return np.einsum("kq,qx,qy,qz->kxyz", atoms.background, x, y, z, optimize=True)

    def residual(self, atoms: Atoms) -> Array:
        """The grids less those of the atoms and the background, `[K, nx, ny, nz]`."""
        return (
            self.grids
            - self.model(atoms, atoms.coords, atoms.sigma, tf.constant(atoms.scale)).numpy()
            - self.background(atoms)
        )

    def slopes(self, atoms: Atoms, with_sigma: bool) -> tuple[Array, Array, Array | None, Array]:
        """The residual r, and J^T W r with J the derivatives of the model and W the precision: to the coordinates
        `[K, A, 3]`, to sigma (None unless asked for) and to the scale, each of the shape that it has in `atoms`."""
        coords, sigma, scale = (tf.constant(v) for v in (atoms.coords, atoms.sigma, atoms.scale))
        sources = [coords, scale, sigma] if with_sigma else [coords, scale]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            model = self.model(atoms, coords, sigma, scale)
        residual = self.grids - model.numpy() - self.background(atoms)
        above = residual if self.precision is None else residual * self.precision
        to_coords, to_scale, *to_sigma = tape.gradient(model, sources, tf.constant(above))
        return residual, to_coords.numpy(), to_sigma[0].numpy() if with_sigma else None, to_scale.numpy()

    def overlap(self, atoms: Atoms, values: Array) -> Array:
        """Inner products of grids with each atom of integral 1, `[K, A]`."""
        weights = tf.constant(atoms.present.astype(np.float64))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            model = self.model(atoms, atoms.coords, atoms.sigma, weights)
        return tape.gradient(model, weights, tf.constant(values)).numpy() * atoms.present

    def curvature(self, atoms: Atoms) -> Array:
        """Sum over the voxels of the residual times the second derivatives of the model, `[K, A, 3, 3]`. An atom's grid
        depends on no other atom, so there are none between two atoms."""
        coords, sigma, scale = (tf.constant(v) for v in (atoms.coords, atoms.sigma, atoms.scale))
        residual = tf.constant(self.residual(atoms))
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as outer:
            outer.watch(coords)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(coords)
                model = self.model(atoms, coords, sigma, scale)
            slopes = tf.unstack(inner.gradient(model, coords, residual), axis=2)
        return np.stack([outer.gradient(slope, coords).numpy() for slope in slopes], axis=2)

    def columns(self, atoms: Atoms, with_sigma: bool = False, exact: bool = False) -> Columns:
        """What the atoms add to the Jacobian, but for their scale; arguments as of `Space.columns`."""
        return self.space.columns(atoms, self.shape, with_sigma, exact)

    def model(self, atoms: Atoms, coords: Any, sigma: Any, scale: Any) -> tf.Tensor:
        """The grids of the atoms, float64 `[K, nx, ny, nz]`, differentiable.

        Args:
          atoms: says which are present.
          coords: `[K, A, 3]`, Å.
          sigma: `[K]` or `[K, A]`, Å.
          scale: integral of an atom, `[K]` or `[K, A]`.
        """
        shape = atoms.present.shape
        return self.space.voxelize(
            coords,
            np.where(atoms.present, 0, -1).astype(np.int32),
            tf.broadcast_to(sigma[:, np.newaxis], shape) if len(sigma.shape) == 1 else sigma,
            tf.broadcast_to(scale[:, np.newaxis], shape) if len(scale.shape) == 1 else scale,
            self.shape,
        )
