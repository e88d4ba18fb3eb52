"""The one-dimensional factors of the separable model, and the least-squares matrices that are made of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import erf

Array = npt.NDArray[np.float64]


class AxisFactors(NamedTuple):
    """Of every atom on one axis: `[K, A, n]` each.

    Attributes:
      value: P, the part of the Gaussian in each voxel (ParticleGrid paper, Eq. 4).
      shift: dP / dmu, 1/Å (Eq. 15 with its sign corrected).
      spread: dP / dsigma, 1/Å.
    """

    value: Array
    shift: Array
    spread: Array


def axis_factors(position: Array, sigma: Array, length: Array, extent: int) -> AxisFactors:
    """Args:
    position: `[K, A]`, from the lower end of the axis, Å.
    sigma: `[K]`, Å.
    length: `[K]`, of the axis, Å.
    extent: voxels of the axis.
    """
    edges = np.arange(extent + 1) / extent * length[:, np.newaxis, np.newaxis]
    spread = sigma[:, np.newaxis, np.newaxis]
    t = (edges - position[:, :, np.newaxis]) / spread
    density = np.exp(-0.5 * t * t) / (np.sqrt(2 * np.pi) * spread)
    value = 0.5 * np.diff(erf(t * np.sqrt(0.5)), axis=-1)
    return AxisFactors(value, -np.diff(density, axis=-1), -np.diff(t * density, axis=-1))


def dot(a: Array, b: Array) -> Array:
    """Inner products of the rows of `[K, A, n]` and `[K, B, n]`: `[K, A, B]`."""
    return a @ b.transpose(0, 2, 1)
