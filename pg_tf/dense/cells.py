"""Grids along lattice vectors as Fourier sums, in TensorFlow's own ops.

The sum over the images of a Gaussian is periodic, and its Fourier components are Gaussians too (Poisson's summation
formula). Integrated over a voxel, component K = 2 pi (h, k, l) gains a factor sinc along each lattice vector, whatever
the angles between them; so the grid is exact once all K are summed for which exp(-sigma^2 K^2 / 2) can be seen:

  G = 1 / (nx ny nz) sum_K exp(-sigma^2 K^2 / 2) sinc(h / nx) sinc(k / ny) sinc(l / nz) exp(2 pi i (h, k, l) (s - s_0))

with s the fractional coordinates of the voxel's centre and s_0 those of the atom. A vector along which the structure
does not repeat is made so long that no image reaches the grid.

It costs atoms x components, and no accuracy; the compiled op is faster. But it differentiates to any order, compiles
with XLA and runs on accelerators.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pg_tf import cells
from pg_tf._limits import LEAST_VOLUME, REACH_FLOAT32, REACH_FLOAT64

# How far a Gaussian reaches, in sigma; and its Fourier components, by K sigma.
REACH = {tf.float32: REACH_FLOAT32, tf.float64: REACH_FLOAT64}

# More along one vector would not fit into any memory.
_MOST_ORDERS = 1e5

# What XLA assumes where it is not told the values: no voxel edge longer than 1 / _NARROWEST sigma, ...
_NARROWEST = 0.5
# ... and no open vector longer than this many times the height of the cell above the other two.
_MOST_OBLIQUE = 4.0


def voxelize(
    coords: tf.Tensor,
    features: tf.Tensor,
    sigma: tf.Tensor,
    cell: tf.Tensor,
    grid_shape: tuple[int, int, int],
    data_format: str,
    periodic: Sequence[bool],
    strain: tf.Tensor | None = None,
    orders: Sequence[int] | None = None,
) -> tf.Tensor:
    """Grids of a dense batch.

    Args:
      coords: `[B, A, 3]`, Å.
      features: `[B, A, C]`, what each atom adds to each channel; zeros for padding.
      sigma: `[B, A]`, Å.
      cell: `[B, 3, 3]`, rows are lattice vectors, Å.
      grid_shape: `(nx, ny, nz)`, voxels along the lattice vectors.
      data_format: "channels_first" or "channels_last".
      periodic: the vectors along which the structure repeats.
      strain: `[B, A, 6]`, in the order xx, yy, zz, yz, xz, xy, to first order: what each atom sees of space is strained
        by it. The derivative to it is the virial.
      orders: the largest h, k and l to sum, where shapes have to be known before values are; None for all that count.

    Returns:
      `[B, C, nx, ny, nz]` or `[B, nx, ny, nz, C]` of the dtype of `features`; NaN where a cell has no volume or
      `orders` are not enough.
    """
    result = features.dtype
    reach = REACH[result]
    coords, features, sigma, cell = (tf.cast(values, tf.float64) for values in (coords, features, sigma, cell))
    units = cells.inverse(cell)
    periods = _periods(sigma, units, periodic, reach)
    wanted = _orders(cell, sigma, periods, reach)
    if orders is None:
        # Infinite and NaN orders are replaced by 1, so that no memory is asked for; `enough` then makes the grid NaN.
        finite = tf.where(tf.math.is_finite(wanted), tf.minimum(wanted, _MOST_ORDERS), tf.ones_like(wanted))
        sizes = tf.unstack(tf.cast(finite, tf.int32))
    else:
        sizes = list(orders)
    enough = tf.reduce_all(wanted <= tf.cast(tf.stack(sizes), tf.float64))
    sound = enough & tf.reduce_all(cells.volume_ratio(cell) >= LEAST_VOLUME)

    fractional = tf.einsum("bad,bde->bae", coords, units)
    for d in range(3):
        if periodic[d]:
            continue
        # An open vector has a long but finite period. An atom more than half of it from the middle does not reach the
        # grid, but its images one period away could: it is left out.
        out = tf.abs(fractional[..., d] - 0.5) > periods[:, tf.newaxis, d] / 2
        features = tf.where(out[..., tf.newaxis], tf.zeros_like(features), features)
    fractional /= periods[:, tf.newaxis]

    # Components come in pairs of conjugates: half of them along z will do.
    numbers = [tf.range(-sizes[0], sizes[0] + 1), tf.range(-sizes[1], sizes[1] + 1), tf.range(sizes[2] + 1)]
    waves = [tf.cast(n, tf.float64) for n in numbers]
    k_along = [2 * math.pi * units[:, tf.newaxis, :, d] / periods[:, tf.newaxis, tf.newaxis, d] * n[:, tf.newaxis]
               for d, n in enumerate(waves)]  # fmt: skip
    k = k_along[0][:, :, tf.newaxis, tf.newaxis] + k_along[1][:, tf.newaxis, :, tf.newaxis]
    k += k_along[2][:, tf.newaxis, tf.newaxis]  # [B, h, k, l, 3]
    exponent = -0.5 * tf.einsum("ba,bhkl->bahkl", sigma**2, tf.reduce_sum(k**2, axis=-1))
    if strain is not None:
        x, y, z = tf.unstack(k, axis=-1)
        products = tf.stack([x * x, y * y, z * z, y * z, x * z, x * y], axis=-1)
        exponent += tf.einsum("ba,bai,bhkli->bahkl", sigma**2, tf.cast(strain, tf.float64), products)
    phase = (
        -2
        * math.pi
        * (
            (fractional[..., 0, tf.newaxis] * waves[0])[:, :, :, tf.newaxis, tf.newaxis]
            + (fractional[..., 1, tf.newaxis] * waves[1])[:, :, tf.newaxis, :, tf.newaxis]
            + (fractional[..., 2, tf.newaxis] * waves[2])[:, :, tf.newaxis, tf.newaxis]
        )
    )
    damping = tf.exp(exponent)
    structure = tf.complex(
        tf.einsum("bac,bahkl->bchkl", features, damping * tf.cos(phase)),
        tf.einsum("bac,bahkl->bchkl", features, damping * tf.sin(phase)),
    )
    twice = tf.where(numbers[2] > 0, tf.constant(2.0, tf.float64), 1.0)
    basis = [_voxel_waves(n, periods[:, d], grid_shape[d]) for d, n in enumerate(waves)]
    structure = tf.einsum("bchkl,blz->bchkz", structure, basis[2] * tf.cast(twice, tf.complex128)[:, tf.newaxis])
    structure = tf.einsum("bchkz,bky->bchyz", structure, basis[1])
    out = "bcxyz" if data_format == "channels_first" else "bxyzc"
    grid = tf.math.real(tf.einsum(f"bchyz,bhx->{out}", structure, basis[0]))
    scale = tf.reduce_prod(periods, axis=1) * float(math.prod(grid_shape))
    grid /= tf.reshape(scale, [-1, 1, 1, 1, 1])
    return tf.cast(tf.where(sound, grid, math.nan), result)


def _periods(sigma: tf.Tensor, units: tf.Tensor, periodic: Sequence[bool], reach: float) -> tf.Tensor:
    """`[B, 3]`: after how many lattice vectors the sums repeat: one, or so many that no image reaches the grid."""
    widest = tf.reduce_max(sigma, axis=1, keepdims=True) if sigma.shape[1] != 0 else tf.ones_like(units[:, 0, :1])
    open_periods = 1 + 2.001 * reach * widest * tf.norm(units, axis=1)
    return tf.stop_gradient(tf.where(tf.constant(periodic), tf.ones_like(open_periods), open_periods))


def _orders(cell: tf.Tensor, sigma: tf.Tensor, periods: tf.Tensor, reach: float) -> tf.Tensor:
    """float64 `[3]`: the largest h, k and l needed. |K| <= reach / sigma, and K times a lattice vector is 2 pi h."""
    if sigma.shape[1] == 0:
        return tf.ones([3], tf.float64)
    narrowest = tf.reduce_min(sigma, axis=1, keepdims=True)
    orders = tf.math.ceil(reach / (2 * math.pi) * tf.norm(cell, axis=-1) * periods / narrowest)
    return tf.stop_gradient(tf.reduce_max(orders, axis=0))


def static_orders(
    cell: Any,
    sigma: Any,
    grid_shape: tuple[int, int, int],
    periodic: Sequence[bool],
    dtype: tf.DType,
) -> list[int]:
    """The `orders` of `voxelize` for XLA, which fixes shapes before it knows values.

    Args:
      cell: `[..., 3, 3]`, Å; its values count where they are constants.
      sigma: of any shape, Å; likewise.
      grid_shape: as in `voxelize`.
      periodic: as in `voxelize`.
      dtype: of the grid's arithmetic.

    Returns:
      What the values need; without them, what is enough for sigma of at least half a voxel edge.
    """
    cell, sigma = (tf.get_static_value(value) if tf.is_tensor(value) else np.asarray(value) for value in (cell, sigma))
    reach, result = REACH[dtype], []
    for d, extent in enumerate(grid_shape):
        if cell is None or sigma is None or not np.size(sigma):
            periods_over_sigma = extent / _NARROWEST + (0 if periodic[d] else 2.001 * reach * _MOST_OBLIQUE)
        else:
            vectors, widths = np.reshape(cell, [-1, 3, 3]).astype(np.float64), np.ravel(sigma).astype(np.float64)
            widths = widths[np.isfinite(widths) & (widths > 0)]
            edges = np.linalg.norm(vectors[:, d], axis=1)
            sides = np.cross(vectors[:, d - 2], vectors[:, d - 1])
            heights = np.abs(np.sum(vectors[:, d] * sides, axis=1)) / np.linalg.norm(sides, axis=1)
            periods = 1 if periodic[d] else 1 + 2.001 * reach * np.max(widths, initial=0) / heights
            periods_over_sigma = np.max(edges * periods) / np.min(widths, initial=np.inf)
        result.append(max(1, math.ceil(reach / (2 * math.pi) * periods_over_sigma)))
    return result


def _voxel_waves(orders: tf.Tensor, period: tf.Tensor, extent: int) -> tf.Tensor:
    """`[B, h, extent]`: exp(2 pi i h s / period) averaged over each voxel."""
    waves = orders / period[:, tf.newaxis]
    half = waves * (math.pi / extent)
    mean = tf.where(orders == 0, tf.ones_like(half), tf.sin(half) / tf.where(orders == 0, tf.ones_like(half), half))
    centres = (tf.range(extent, dtype=tf.float64) + 0.5) / extent
    phase = 2 * math.pi * waves[..., tf.newaxis] * centres
    return tf.complex(mean[..., tf.newaxis] * tf.cos(phase), mean[..., tf.newaxis] * tf.sin(phase))
