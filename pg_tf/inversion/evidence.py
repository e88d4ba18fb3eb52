"""What a residual tells: how noisy the grid is, whether anything but noise is left, and how far to trust an atom."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.special import erfinv

from pg_tf.inversion.factors import Array
from pg_tf.inversion.least_squares import Free, normal_matrix
from pg_tf.inversion.problem import Atoms, Problem
from pg_tf.inversion.sharpen import Sharpener
from pg_tf.inversion.space import waves

# Standard deviations that white noise is not expected to reach anywhere in a grid.
SIGNIFICANT = 5.5

# Above this standard deviation of an atom's amplitude, atoms cannot be told from noise.
_FAINTEST = 0.2

# The part of all waves that is short enough to show no atoms.
_SHORT_WAVES = 0.1


def noise_level(problem: Problem, rounding: float) -> Array:
    """Standard deviation of white noise in grids, before anything is known of their atoms: `[K]`.

    Where every face is open, or some are: what is left by second differences along all axes, where it is smallest, for
    most of a box is empty. A crystal is not; but without faces a grid is the sum of its waves, and of the shortest of
    them a Gaussian has none.

    Args:
      rounding: of the grid's numbers, relative to the largest voxel; the level is not below.
    """
    grids = problem.grids
    largest = np.abs(grids).max(axis=(1, 2, 3), initial=0)
    level = _noise_of_short_waves(problem) if problem.space.closed else _noise_of_empty_space(grids)
    return np.maximum(level, rounding * largest) + np.finfo(np.float32).tiny


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
    """Standard deviation of white noise in residuals, atoms that are missed being the exception: `[K]`."""
    centred = residuals - np.median(residuals, axis=(1, 2, 3), keepdims=True)  # a background is no noise
    return np.median(np.abs(centred), axis=(1, 2, 3)) / (np.sqrt(2) * erfinv(0.5))


def is_white(
    residuals: Array, noise: Array, sharpener: Sharpener, counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether residuals are but white noise, in which an atom could not hide: no correlation between neighbours, no
    place where an atom more or less would help."""
    square = np.einsum("kxyz,kxyz->k", residuals, residuals)
    voxels = residuals[0].size
    white = (square > 0) & (counts > 0)
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


def leftover(residuals: Array, noise: Array) -> Array:
    """Sum of absolute residuals above that of white noise, `[K]`."""
    of_noise = np.sqrt(2 / np.pi) * noise * residuals[0].size
    return np.maximum(np.abs(residuals).sum(axis=(1, 2, 3)) - of_noise, 0)


def uncertainty(problem: Problem, atoms: Atoms, free: Free, residuals: Array, rounding: float) -> Array:
    """Expected distance of each atom from the truth, Å: `[K, A]`.

    From the curvature, (J^T J)^-1, times the mean square of the residual where the atom is: what is not explained there
    counts as noise, and at least the rounding of the largest voxel.
    """
    shape = atoms.present.shape
    coordinates = 3 * shape[1]
    matrix = normal_matrix(problem, atoms, free)
    diagonal = np.einsum("kpp->kp", matrix)
    absent = diagonal <= 1e-12 * diagonal.max(axis=1, initial=0, keepdims=True)
    root = np.where(absent, 1, 1 / np.sqrt(np.where(absent, 1, diagonal)))
    matrix *= root[:, :, np.newaxis] * root[:, np.newaxis, :]
    diagonal[:] = 1 + 1e-12  # what cannot be told apart must not stop the inversion
    variance = np.einsum("kpp->kp", np.linalg.inv(matrix)) * root**2
    variance = np.where(absent, np.inf, variance)[:, :coordinates].reshape(*shape, 3).sum(axis=2)
    mass = np.maximum(problem.overlap(atoms, np.ones_like(residuals)), np.finfo(np.float64).tiny)
    floor = (rounding * problem.grids.max(axis=(1, 2, 3), initial=0)) ** 2 + np.finfo(np.float64).tiny
    local = np.maximum(problem.overlap(atoms, residuals**2) / mass, floor[:, np.newaxis])
    return np.where(atoms.present, np.sqrt(np.maximum(variance, 0) * local), 0)


def support(problem: Problem, atoms: Atoms, residuals: Array) -> tuple[Array, Array]:
    """What each atom is good for: by how much sum r^2 would grow without it, all others as they are, `[K, A]`; and what
    a lone and right atom in the middle of the box is good for, `[K]`. Two atoms where there is one have about 0."""
    norm = problem.columns(atoms).norms() * atoms.scale[:, np.newaxis] ** 2
    grown = norm + 2 * atoms.scale[:, np.newaxis] * problem.overlap(atoms, residuals)
    middle = atoms.padded(1)
    middle = dataclasses.replace(
        middle, coords=problem.space.middle[:, np.newaxis], present=np.ones_like(middle.present)
    )
    return np.where(atoms.present, grown, np.inf), problem.columns(middle).norms()[:, 0] * atoms.scale**2
