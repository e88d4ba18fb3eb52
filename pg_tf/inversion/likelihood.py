"""How likely grids are, given atoms: the variance of each voxel, and what is not known of voxels that were cut off.

A weighted least-squares problem stands for the likelihood near given atoms. It has a target and a precision for each
voxel; its gradient and curvature there are those of the logarithm of the likelihood. `expected` makes it, and the
descent and this step take turns.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize
from scipy.special import log_ndtr

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.problem import Problem

# Voxels below this share of the largest one are counted as empty.
_EMPTY = 1e-3
# How many bins the values of the others are sorted into.
_BINS = 16
# The median of a squared normal variable.
_MEDIAN = 0.4549
# The variance of no voxel is below this share of that of a voxel with a typical atom's density: where noise is in
# proportion to the value, the faintest voxels would else decide alone.
_LEAST = 1e-3
# A value that so large a share of the voxels has, exactly, is where something cut them off.
_CUT = 0.05


@dataclasses.dataclass(frozen=True)
class Noise:
    """Normal noise of a voxel of the value v, without noise: its variance is white^2 + shot v + (relative v)^2.

    Attributes:
      white: standard deviation of the part that is the same everywhere, in the grid's units.
      shot: variance in proportion to the value, as of counts; in the grid's units.
      relative: standard deviation as a share of the value, as of rounded floating-point numbers.
    """

    white: float = 0.0
    shot: float = 0.0
    relative: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"noise: {field.name} must be finite and at least 0, got {value}")

    @property
    def parts(self) -> Array:
        """The three variances, `[3]`."""
        return np.array([self.white**2, self.shot, self.relative**2])


class Cut(NamedTuple):
    """Voxels whose values were cut off or masked, so that little is known of them.

    Attributes:
      blank: bool `[K, nx, ny, nz]`, those that hold the value that all voxels below a limit were set to.
      below: `[K]`, the limit, where no value lies below that of the blanks; else NaN, and they were chosen otherwise.
      unknown: bool `[K, nx, ny, nz]`, those of which nothing is known; None if there are none.
    """

    blank: npt.NDArray[np.bool_]
    below: Array
    unknown: npt.NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, grids: Array, unknown: npt.NDArray[np.bool_] | None = None) -> Cut:
        lowest = grids.min(axis=(1, 2, 3))
        at_zero = (grids == 0).mean(axis=(1, 2, 3)) > _CUT
        value = np.where(at_zero, 0, lowest)[:, np.newaxis, np.newaxis, np.newaxis]
        blank = grids == value
        if unknown is not None:
            blank &= ~unknown
        blank &= (blank.mean(axis=(1, 2, 3)) > _CUT)[:, np.newaxis, np.newaxis, np.newaxis]
        above = np.where(grids > value, grids, np.inf).min(axis=(1, 2, 3))
        below = np.where((lowest >= value[:, 0, 0, 0]) & np.isfinite(above), above, np.nan)
        return cls(blank, below, unknown)

    def rows(self, rows: npt.NDArray[np.int64]) -> Cut:
        return Cut(self.blank[rows], self.below[rows], None if self.unknown is None else self.unknown[rows])

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """Which voxels have values of their own."""
        return ~self.blank if self.unknown is None else ~(self.blank | self.unknown)


class Expected(NamedTuple):
    """What `expected` finds.

    Attributes:
      problem: weighted, with the targets that stand for the likelihood near the atoms.
      residuals: what is left of the grids, `[K, nx, ny, nz]`; where they were cut off, what is to be expected.
      variance: of the voxels, `[K, nx, ny, nz]`.
      cost: minus twice the logarithm of the likelihood, but for a constant, `[K]`.
      noise: standard deviation of the noise where there is density, `[K]`.
    """

    problem: Problem
    residuals: Array
    variance: Array
    cost: Array
    noise: Array


def expected(problem: Problem, atoms: Atoms, cut: Cut, given: Noise | None, rounding: float) -> Expected:
    """The problem that stands for the likelihood of grids near atoms.

    Args:
      problem: with the grids as they are.
      cut: of these grids.
      given: the noise, if it is known.
      rounding: of the grid's numbers, relative to the largest voxel.
    """
    axes = (1, 2, 3)
    raw = problem.residual(atoms)
    model = np.maximum(problem.grids - raw - problem.background(atoms), 0)
    seen = cut.seen
    typical = (model**2).sum(axis=axes) / np.maximum(model.sum(axis=axes), np.finfo(float).tiny)
    variance, pure = np.empty_like(raw), np.empty_like(raw)
    for k in range(len(raw)):
        parts = given.parts if given is not None else variances(raw[k][seen[k]], model[k][seen[k]])
        at = parts @ np.array([1, typical[k], typical[k] ** 2])
        tiny = (rounding * np.abs(problem.grids[k]).max()) ** 2 + np.finfo(np.float32).tiny ** 2
        least = _LEAST * at + tiny
        pure[k] = parts[0] + (parts[1] + parts[2] * model[k]) * model[k] + tiny
        variance[k] = np.maximum(pure[k], least)
    noise = np.sqrt((variance * model).sum(axis=axes) / np.maximum(model.sum(axis=axes), np.finfo(float).tiny))
    log_likelihood = np.where(seen, raw**2 / variance + np.log(variance), 0)
    residuals, target, effective = raw, problem.grids, variance
    if cut.blank.any():
        residuals, target, effective = raw.copy(), problem.grids.copy(), variance.copy()
        for k in np.flatnonzero(cut.blank.any(axis=axes)).tolist():
            blank = cut.blank[k]
            deviation, density = np.sqrt(pure[k][blank]), model[k][blank]
            below = float(cut.below[k])
            if np.isnan(below):
                # Chosen by their density: nothing is known but that it is below some limit.
                below = _limit(density, model[k][seen[k]])
                deviation = np.full_like(deviation, 1e-3 * noise[k])
            z = (below - density) / deviation
            log_below = log_ndtr(z)
            hazard = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_below)
            information = np.clip(hazard * (hazard + z), 1e-9, 1)
            log_likelihood[k][blank] = -2 * log_below
            # What the descent is to see: the gradient and the curvature of the logarithm.
            effective[k][blank] = variance[k][blank] / information
            target[k][blank] = problem.grids[k][blank] - raw[k][blank] - deviation * hazard / information
            residuals[k][blank] = -deviation * hazard
    if cut.unknown is not None:
        residuals, target, effective = (values.copy() for values in (residuals, target, effective))
        residuals[cut.unknown] = 0
        target[cut.unknown] = (problem.grids - raw)[cut.unknown]
        effective[cut.unknown] = np.inf
    cost = log_likelihood.sum(axis=axes)
    return Expected(problem.weighted(target, effective, atoms), residuals, variance, cost, noise)


def _limit(blank: Array, seen: Array) -> float:
    """The density that parts voxels that are blank from those that are not, with the fewest on the wrong side."""
    blank, seen = np.sort(blank), np.sort(seen)
    limits = max(blank[-1], seen[-1]) * np.logspace(-6, 0, 61)
    wrong = len(blank) - np.searchsorted(blank, limits) + np.searchsorted(seen, limits)
    return float(limits[int(np.argmin(wrong))])


def variances(residuals: Array, model: Array) -> Array:
    """The three variances of a `Noise`, `[3]`, from residuals `[N]` and what the grid would be without noise, `[N]`.

    Voxels are sorted into bins by their values. In each, the median of the squared residual tells the variance, which
    a few voxels with missed atoms hardly change; the three parts are fitted to them by non-negative least squares.
    """
    if not len(residuals):
        return np.zeros(3)
    largest = model.max(initial=0)
    dense = np.flatnonzero(model > _EMPTY * largest)
    dense = dense[np.argsort(model[dense])]
    bins = [part for part in np.array_split(dense, _BINS) if len(part)]
    empty = np.flatnonzero(model <= _EMPTY * largest)
    bins += [empty] if len(empty) else []
    squares = residuals**2
    weights = np.sqrt([len(part) for part in bins])
    terms = np.array([[1.0, model[part].mean(), (model[part] ** 2).mean()] for part in bins])
    # Within a bin the variance is not the same everywhere; what the last round found tells how it differs.
    parts, found = np.array([1.0, 0, 0]), np.ones(len(bins))
    tiny = np.finfo(float).tiny
    for _ in range(3):
        shape = np.maximum(parts[0] + (parts[1] + parts[2] * model) * model, 1e-6 * (terms @ parts).max() + tiny)
        found = np.array([np.median(squares[part] / shape[part]) / _MEDIAN * shape[part].mean() for part in bins])
        least = 1e-6 * found.max() + tiny
        relative = weights / np.maximum(found, least)
        unit = terms.max(axis=0) + tiny
        parts = optimize.nnls(terms / unit * relative[:, np.newaxis], np.maximum(found, least) * relative)[0] / unit
    return parts
