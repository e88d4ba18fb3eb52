"""The grid of one molecule in float64, straight from Eq. 1-5 of the paper: what errors are measured against."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr


def factors(coords: npt.NDArray[Any], sigma: float, origin: npt.NDArray[Any], edge: float, extent: int) -> Any:
    """`[3, A, extent]`, float64: the part of each atom's Gaussian between neighbouring voxel edges of each axis."""
    edges = origin.astype(np.float64)[:, None] + edge * np.arange(extent + 1) / extent
    scaled = (edges[:, None, :] - coords.T[:, :, None]) / sigma
    low, high = scaled[..., :-1], scaled[..., 1:]
    # Differences of the small tails, not of numbers close to one.
    return np.where(low + high > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))


def grid(coords: npt.NDArray[Any], sigma: float, origin: npt.NDArray[Any], edge: float, extent: int) -> Any:
    """The grid in float64, `[extent, extent, extent]`."""
    return np.einsum("ax,ay,az->xyz", *factors(coords, sigma, origin, edge, extent), optimize=True)


def error_of(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Largest deviation, of the largest expected voxel; infinite where something is not finite."""
    deviation = np.abs(found.astype(np.float64) - expected).max()
    return float(deviation / np.abs(expected).max()) if np.isfinite(deviation) else math.inf
