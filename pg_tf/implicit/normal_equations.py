"""The normal equations of a grid's squared residual, and the descent and linear systems that use them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf import dense

# Normal equations square the condition number: float32 would not be enough.
FLOAT = tf.float64

# The descent ends when no atom moves farther than this, Å.
_SMALLEST_STEP = 1e-10


class Derivatives(NamedTuple):
    """Of |G' - G|^2 / 2, with respect to the coordinates."""

    value: tf.Tensor  # [B]
    gradient: tf.Tensor  # [B, A, 3]
    gauss_newton: tf.Tensor  # [B, A, 3, A, 3], J^T J
    of_residual: tf.Tensor  # [B, A, 3, 3], the rest of the Hessian: an atom's grid depends on no other atom


def derivatives_of(
    grid: tf.Tensor, coords: tf.Tensor, features: tf.Tensor, sigma: tf.Tensor, lengths: tf.Tensor
) -> Derivatives:
    """Value and derivatives of |G' - G|^2 / 2.

    A voxel is a product of three factors, so the inner products of the columns of J = dG'/dx are products of three
    inner products over one axis each, and the Hessian costs no sum over voxels but the residual's own.

    Args:
      grid: G, `[B, C, nx, ny, nz]`.
      coords: `[B, A, 3]`, from the corner of the box, Å.
      features: `[B, A, C]`, what each atom adds to each channel; zeros for padding.
      sigma: `[B, A]`, Å.
      lengths: `[B, 3]`, Å.

    Returns:
      `Derivatives`, themselves differentiable with respect to all arguments.
    """
    x, y, z = (_factors(coords[..., d], sigma, lengths[:, d], grid.shape[2 + d]) for d in range(3))
    feature_x = tf.einsum("bac,bax->bacx", features, x[0])
    residual = tf.einsum("bacx,bayz->bcxyz", feature_x, tf.einsum("bay,baz->bayz", y[0], z[0])) - grid

    # What each atom's derivatives of order (o, p, q) along x, y, z have in common with the residual.
    feature_x = tf.einsum("bac,baox->baocx", features, tf.stack(x, axis=2))
    moments = tf.einsum("baocx,bcxyz->baoyz", feature_x, residual)
    moments = tf.einsum("baoyz,bapy->baopz", moments, tf.stack(y, axis=2))
    moments = tf.einsum("baopz,baqz->baopq", moments, tf.stack(z, axis=2))
    order = np.eye(3, dtype=np.int64)

    def moment(orders: npt.NDArray[np.int64]) -> tf.Tensor:
        o, p, q = orders
        return moments[:, :, o, p, q]

    overlaps = [
        [[tf.einsum("ban,bcn->bac", one, other) for other in factors[:2]] for one in factors[:2]]
        for factors in (x, y, z)
    ]
    same_channel = tf.einsum("baf,bcf->bac", features, features)

    def product(i: int, j: int) -> tf.Tensor:
        a, b, c = (overlap[order[i, d]][order[j, d]] for d, overlap in enumerate(overlaps))
        return same_channel * a * b * c

    return Derivatives(
        tf.reduce_sum(residual**2, axis=[1, 2, 3, 4]) / 2,
        tf.stack([moment(order[i]) for i in range(3)], axis=-1),
        tf.stack([tf.stack([product(i, j) for j in range(3)], axis=-1) for i in range(3)], axis=2),
        tf.stack([tf.stack([moment(order[i] + order[j]) for j in range(3)], -1) for i in range(3)], axis=2),
    )


def _factors(coords: tf.Tensor, sigma: tf.Tensor, lengths: tf.Tensor, extent: int) -> tuple[tf.Tensor, ...]:
    """The factor of one axis and its first and second derivative with respect to the coordinate, `[B, A, extent]` each.

    Args:
      coords: `[B, A]`, from the corner of the box, Å.
      sigma: `[B, A]`, Å.
      lengths: `[B]`, Å.
      extent: number of voxels.
    """
    factor = dense.axis_factors(coords, sigma, tf.zeros_like(lengths), lengths, extent)
    edges = tf.range(extent + 1, dtype=FLOAT) * lengths[:, tf.newaxis] / extent
    scaled = (edges[:, tf.newaxis] - coords[..., tf.newaxis]) / sigma[..., tf.newaxis]
    density = tf.exp(-(scaled**2) / 2) / (math.sqrt(2 * math.pi) * sigma[..., tf.newaxis])
    slope = density * scaled / sigma[..., tf.newaxis]
    return factor, density[..., :-1] - density[..., 1:], slope[..., :-1] - slope[..., 1:]


def descend(
    derivatives: Callable[[tf.Tensor], Derivatives], start: tf.Tensor, sigma: tf.Tensor, max_steps: int
) -> tf.Tensor:
    """Levenberg and Marquardt's method for every molecule at once, each with its own damping."""

    def unfinished(step: tf.Tensor, moved: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return (step < max_steps) & (moved > _SMALLEST_STEP)

    def advance(
        step: tf.Tensor, moved: tf.Tensor, damping: tf.Tensor, coords: tf.Tensor, *at: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        here = Derivatives(*at)
        matrix = _square(here.gauss_newton)
        diagonal = tf.linalg.diag_part(matrix)
        # Padding and atoms outside of the box have nothing on the diagonal.
        smallest = 1e-12 * tf.reduce_max(diagonal, axis=1, keepdims=True) + np.finfo(np.float64).tiny
        matrix = tf.linalg.set_diag(matrix, diagonal * (1 + damping[:, tf.newaxis]) + smallest)
        right = tf.reshape(here.gradient, tf.shape(diagonal))[..., tf.newaxis]
        change = -tf.reshape(tf.linalg.cholesky_solve(tf.linalg.cholesky(matrix), right), tf.shape(coords))
        # Beyond a sigma the squares say nothing about the function any more.
        length = tf.maximum(tf.norm(change, axis=-1), 1e-300)
        change *= tf.minimum(sigma / length, 1)[..., tf.newaxis]
        there = derivatives(coords + change)
        better = there.value <= here.value
        merged = [
            tf.where(tf.reshape(better, [-1] + [1] * (len(new.shape) - 1)), new, old)
            for new, old in zip((coords + change, *there), (coords, *here), strict=True)
        ]
        damping = tf.clip_by_value(tf.where(better, damping / 10, damping * 10), 1e-15, 1e15)
        return (step + 1, tf.reduce_max(tf.abs(change)), damping, *merged)

    damping = tf.fill(tf.shape(start)[:1], tf.constant(1e-3, FLOAT))
    state = (tf.constant(0), tf.constant(math.inf, FLOAT), damping, start, *derivatives(start))
    if not max_steps or start.shape[1] == 0:
        return start
    return tf.while_loop(unfinished, advance, state)[3]


def solve(at: Derivatives, upstream: tf.Tensor, full: bool, floor: float) -> tf.Tensor:
    """H^-1 `upstream`, `[B, A, 3]`."""
    hessian = at.gauss_newton
    if full:
        atoms = tf.shape(upstream)[1]
        same_atom = tf.eye(atoms, dtype=FLOAT)[:, tf.newaxis, :, tf.newaxis]
        hessian += at.of_residual[:, :, :, tf.newaxis] * same_atom
    values, vectors = tf.linalg.eigh(_square(hessian))
    values = tf.maximum(values, floor * tf.reduce_max(values, axis=1, keepdims=True))
    right = tf.reshape(upstream, tf.shape(values))
    solved = tf.math.divide_no_nan(tf.linalg.matvec(vectors, right, transpose_a=True), values)
    return tf.reshape(tf.linalg.matvec(vectors, solved), tf.shape(upstream))


def _square(matrix: tf.Tensor) -> tf.Tensor:
    shape = tf.shape(matrix)
    return tf.reshape(matrix, [shape[0], 3 * shape[1], 3 * shape[1]])
