"""The grid as an einsum of one-dimensional factors, in TensorFlow's own ops.

It costs atoms x voxels where the compiled op touches only the voxels that an atom reaches; but it differentiates to any
order, compiles with XLA (`jit_compile=True`) and runs on accelerators. Source: ParticleGrid paper, Eq. 2-5.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

from pg_tf._atoms import FlatAtoms
from pg_tf._limits import WIDEST_PERIODS

# Images to each side that count: a Gaussian of at most WIDEST_PERIODS periods reaches no further.
_IMAGES = 13


def sound_atoms(atoms: FlatAtoms, num_channels: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Flat atoms as the dense forms take them. XLA and accelerators cannot raise errors, so values that the ops refuse
    become NaN, and the grid with them.

    Args:
      atoms: padding may hold anything; `sigma` may also be `[N, 3]`, one for each axis.
      num_channels: channels of the grid.

    Returns:
      Coordinates `[N, 3]`, features `[N, num_channels]` and sigma `[N]` or `[N, 3]`; zeros, and ones for sigma, for
      padding.
    """
    coords, channels, weights, sigma = atoms.coords, atoms.channels, atoms.weights, atoms.sigma
    present = channels >= 0

    def atoms_only(values: tf.Tensor, padding: float, valid: tf.Tensor) -> tf.Tensor:
        # Padding is replaced before anything is computed from it: it may hold NaN, which no later factor of 0 removes.
        mask = present if values.shape.rank == 1 else present[:, tf.newaxis]
        return tf.where(mask, tf.where(valid, values, math.nan), padding)

    if weights.shape.rank == 2:
        features, known = weights, tf.ones_like(present)
    else:
        features = tf.one_hot(channels, num_channels, dtype=weights.dtype) * tf.reshape(weights, [-1, 1])
        known = channels < num_channels
    features = atoms_only(features, 0, tf.math.is_finite(features) & known[:, tf.newaxis])
    coords = atoms_only(coords, 0, tf.math.is_finite(coords))
    if sigma.shape.rank == 0:
        sigma = tf.fill(tf.shape(channels), sigma)
    return coords, features, atoms_only(sigma, 1, tf.math.is_finite(sigma) & (sigma > 0))


def axis_factors(
    coords: tf.Tensor,
    sigma: tf.Tensor,
    origin: tf.Tensor,
    lengths: tf.Tensor,
    extent: int,
    periodic: bool = False,
) -> tf.Tensor:
    """The part of each atom's Gaussian that lies between neighbouring voxel faces of one axis.

    Args:
      coords: `[B, A]`, Å.
      sigma: `[B, A]`, Å.
      origin: `[B]`, lower face of the box, Å.
      lengths: `[B]`, length of the box, Å.
      extent: number of voxels.
      periodic: whether the box repeats along this axis; the images of the atoms are summed then.

    Returns:
      `[B, A, extent]`, `P(i) = (erf((e_i+1 - mu) / (sqrt2 sigma)) - erf((e_i - mu) / (sqrt2 sigma))) / 2`.
    """
    # In float64 whatever comes in: it is the small part of the work, and float32 loses its digits where voxels are much
    # wider than sigma, or much narrower.
    result = coords.dtype
    coords, sigma, origin, lengths = (tf.cast(values, tf.float64) for values in (coords, sigma, origin, lengths))
    edges = origin[:, tf.newaxis] + tf.range(extent + 1, dtype=tf.float64) * lengths[:, tf.newaxis] / extent
    if not periodic:
        return tf.cast(_integrals(edges[:, tf.newaxis], coords, sigma), result)
    period = lengths[:, tf.newaxis]
    coords -= tf.floor((coords - origin[:, tf.newaxis]) / period) * period
    images = coords[..., tf.newaxis] + tf.range(-_IMAGES, _IMAGES + 1, dtype=tf.float64) * period[..., tf.newaxis]
    sigma = tf.minimum(sigma, WIDEST_PERIODS * period)[..., tf.newaxis]
    return tf.cast(tf.reduce_sum(_integrals(edges[:, tf.newaxis, tf.newaxis], images, sigma), axis=2), result)


def _integrals(edges: tf.Tensor, coords: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Of Gaussians `[...]` between neighbouring `edges` `[..., extent + 1]`."""
    scaled = (edges - coords[..., tf.newaxis]) / (sigma * math.sqrt(2))[..., tf.newaxis]
    # In a tail both erf are close to one and the difference of erfc keeps more digits.
    low, high = scaled[..., :-1], scaled[..., 1:]
    sign = tf.where(low + high < 0, -tf.ones_like(low), tf.ones_like(low))
    near, far = tf.where(sign < 0, -high, low), tf.where(sign < 0, -low, high)
    return tf.where(near > 0.5, tf.math.erfc(near) - tf.math.erfc(far), tf.math.erf(far) - tf.math.erf(near)) / 2


def voxelize(
    coords: tf.Tensor,
    features: tf.Tensor,
    sigma: tf.Tensor,
    origin: tf.Tensor,
    lengths: tf.Tensor,
    grid_shape: tuple[int, int, int],
    data_format: str,
    periodic: Sequence[bool] = (False, False, False),
) -> tf.Tensor:
    """Grids of a dense batch.

    Args:
      coords: `[B, A, 3]`, Å.
      features: `[B, A, C]`, what each atom adds to each channel; zeros for padding.
      sigma: `[B, A]`, or `[B, A, 3]` for one that differs between the axes, Å.
      origin: `[B, 3]`, Å.
      lengths: `[B, 3]`, Å.
      grid_shape: `(nx, ny, nz)`.
      data_format: "channels_first" or "channels_last".
      periodic: the axes along which the box repeats.

    Returns:
      `[B, C, nx, ny, nz]` or `[B, nx, ny, nz, C]` of the dtype of `features`.
    """
    if sigma.shape.rank == 2:
        sigma = tf.repeat(sigma[..., tf.newaxis], 3, axis=-1)
    x, y, z = (
        tf.cast(factor, features.dtype)
        for factor in (
            axis_factors(coords[..., d], sigma[..., d], origin[:, d], lengths[:, d], grid_shape[d], periodic[d])
            for d in range(3)
        )
    )
    # Two matrix products per molecule instead of one sum over four operands.
    left = "bacx" if data_format == "channels_first" else "baxc"
    feature_x = tf.einsum(f"bac,bax->{left}", features, x)
    yz = tf.einsum("bay,baz->bayz", y, z)
    out = "bcxyz" if data_format == "channels_first" else "bxyzc"
    return tf.einsum(f"{left},bayz->{out}", feature_x, yz)
