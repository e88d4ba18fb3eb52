"""How noisy a grid is, and whether what the atoms leave of it is white noise or more."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.special import erfinv

from pg_tf.inversion.atoms import Array
from pg_tf.inversion.problem import Problem
from pg_tf.inversion.sharpen import Sharpener
from pg_tf.inversion.waves import waves

# White noise is not expected to be this many standard deviations high anywhere in a grid.
SIGNIFICANT = 5.5

# If noise alone makes the best-fitting amplitude of an atom vary by more than this (standard deviation, in atoms), an
# atom could hide in it, and a grid does not count as explained.
_FAINTEST = 0.2
# The same where a model of the noise was fitted to the residual: where it is larger than this, atoms are miscounted.
_FAINTEST_FITTED = 0.045

# A residual in which no place would be better explained by so much of an atom hides none.
_PART = 0.03

# The shortest waves of a grid, as a part of all its waves, are taken to be noise alone.
_SHORT_WAVES = 0.1


def noise_level(problem: Problem, rounding: float) -> Array:
    """Standard deviation of white noise in grids, before anything is known of their atoms: `[K]`.

    A box with open faces is empty in most places, and second differences along all axes show only noise there: the
    level is that of the quarter of the voxels with the smallest ones. A crystal has no empty places. But its grid is
    periodic and so a sum of plane waves, and Gaussians have next to nothing of the shortest of those: what these hold
    is noise.

    Args:
      rounding: of the grid's numbers, relative to the largest voxel. The result is at least that.
    """
    grids = problem.grids
    largest = np.abs(grids).max(axis=(1, 2, 3), initial=0)
    level = _noise_of_short_waves(problem) if problem.space.closed else _noise_of_empty_space(grids)
    return np.maximum(level, rounding * largest) + np.finfo(np.float32).tiny


class Roughness(NamedTuple):
    """What the shortest waves of grids tell of their noise, before any atom is known. `[K]` each, standard deviations.

    Attributes:
      dense: of a voxel where there is density, the mean over all voxels, weighted by their values.
      mean: root mean square over all voxels.
      leak: what `mean` is without any noise, for atoms have something of the shortest waves too.
    """

    dense: Array
    mean: Array
    leak: Array


def roughness(problem: Problem, sigma: Array, scale: Array) -> Roughness:
    """A grid is a sum of waves, and Gaussians have next to nothing of the shortest of them: what those hold is noise.
    Transformed back, they tell where it is.

    Args:
      sigma: `[K]`, Å.
      scale: `[K]`, integral of an atom.
    """
    grids, axes = problem.grids, (1, 2, 3)
    if problem.space.closed:
        transform, back = scipy.fft.fftn, scipy.fft.ifftn
        _, numbers = waves(problem.space.vectors, problem.shape)
        squares = numbers**2
    else:
        # Cosines do not take the step from one open face to the other for short waves.
        transform, back = scipy.fft.dctn, scipy.fft.idctn
        x, y, z = (np.pi * np.arange(n) / problem.space.heights[:, d, np.newaxis] for d, n in enumerate(problem.shape))
        squares = (
            x[:, :, np.newaxis, np.newaxis] ** 2
            + y[:, np.newaxis, :, np.newaxis] ** 2
            + z[:, np.newaxis, np.newaxis] ** 2
        )
    short = squares >= np.quantile(squares, 1 - _SHORT_WAVES, axis=axes, keepdims=True)
    number = short.sum(axis=axes)
    spectrum = transform(grids, axes=axes, norm="ortho") * short
    mean = np.sqrt((np.abs(spectrum) ** 2).sum(axis=axes) / number)
    rough = back(spectrum, axes=axes, norm="ortho").real
    smooth = np.maximum(grids - rough, 0)
    total = np.maximum(smooth.sum(axis=axes), np.finfo(float).tiny)
    dense = np.sqrt((rough**2 * smooth).sum(axis=axes) / total * grids[0].size / number)
    of_atom = (np.exp(-squares * (sigma**2)[:, np.newaxis, np.newaxis, np.newaxis]) * short).sum(axis=axes) / number
    atoms = np.maximum(total / scale, 1)
    return Roughness(dense, mean, scale * np.sqrt(atoms * of_atom / grids[0].size))


def _noise_of_empty_space(grids: Array) -> Array:
    rough, norm = grids, 1.0
    for axis in (1, 2, 3):
        if grids.shape[axis] >= 3:
            rough, norm = np.diff(rough, 2, axis=axis), norm * np.sqrt(6)
    part = 0.25
    quantile = np.quantile(np.abs(rough).reshape(len(grids), -1), part, axis=1) / norm
    return quantile / (np.sqrt(2) * erfinv(part))


def _noise_of_short_waves(problem: Problem) -> Array:
    power = np.abs(scipy.fft.fftn(problem.grids, axes=(1, 2, 3))) ** 2 / problem.grids[0].size
    _, wave_numbers = waves(problem.space.vectors, problem.shape)
    shortest = wave_numbers >= np.quantile(wave_numbers, 1 - _SHORT_WAVES, axis=(1, 2, 3), keepdims=True)
    # The power of a wave is distributed exponentially.
    return np.sqrt([np.median(p[s]) / np.log(2) for p, s in zip(power, shortest, strict=True)])


def residual_noise(residuals: Array) -> Array:
    """Standard deviation of white noise in residuals, `[K]`. It comes from the median, which few voxels with missed
    atoms hardly change."""
    centred = residuals - np.median(residuals, axis=(1, 2, 3), keepdims=True)  # a constant background is no noise
    return np.median(np.abs(centred), axis=(1, 2, 3)) / (np.sqrt(2) * erfinv(0.5))


def is_white(residuals: Array, noise: Array, sharpener: Sharpener) -> npt.NDArray[np.bool_]:
    """Whether residuals are white noise in which no atom could hide: neighbouring voxels are not correlated, and at no
    place would one atom more or less explain much."""
    square = np.einsum("kxyz,kxyz->k", residuals, residuals)
    voxels = residuals[0].size
    white = square > 0
    for axis in (1, 2, 3):
        if residuals.shape[axis] < 2:
            continue
        ahead = np.take(residuals, range(1, residuals.shape[axis]), axis)
        behind = np.take(residuals, range(residuals.shape[axis] - 1), axis)
        correlation = np.einsum("kxyz,kxyz->k", ahead, behind) / np.maximum(square, np.finfo(float).tiny)
        white &= np.abs(correlation) < SIGNIFICANT / np.sqrt(voxels)
    if not white.any():
        return white
    amplitude, deviation = sharpener.matched(residuals)
    white &= np.abs(amplitude).max(axis=(1, 2, 3)) < SIGNIFICANT * deviation * noise
    return white & (deviation * noise < _FAINTEST)


def hides_nothing(residuals: Array, noise: Array, sharpener: Sharpener) -> npt.NDArray[np.bool_]:
    """Whether at no place one atom more or less would explain much of residuals, whose noise may not be white: not more
    than that noise can do, or not more than a small part of an atom."""
    amplitude, deviation = sharpener.matched(residuals)
    largest = np.abs(amplitude).max(axis=(1, 2, 3))
    return (largest < np.maximum(SIGNIFICANT * deviation * noise, _PART)) & (deviation * noise < _FAINTEST_FITTED)


def above_noise(residuals: Array, noise: Array) -> Array:
    """Sum of absolute residuals above that of white noise, `[K]`."""
    of_noise = np.sqrt(2 / np.pi) * noise * residuals[0].size
    return np.maximum(np.abs(residuals).sum(axis=(1, 2, 3)) - of_noise, 0)
