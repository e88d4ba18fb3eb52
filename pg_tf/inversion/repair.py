"""Judging what a descent has found, and repair: other atoms to try where those found do not explain a grid."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.least_squares import Fit, Free, refine
from pg_tf.inversion.likelihood import Noise
from pg_tf.inversion.noise import is_white, residual_noise
from pg_tf.inversion.problem import Problem
from pg_tf.inversion.proposals import MOST_FAILURES, propose
from pg_tf.inversion.sharpen import Sharpener

# By how much an additional atom must lower the logarithm of sum r^2, in a grid with more than noise left.
_GAIN = 0.1


@dataclasses.dataclass(frozen=True)
class Options:
    """Attributes:
    free: what is fitted beside the coordinates.
    epsilon: a grid counts as explained when no more than this part of its sum of squares is left.
    rounding: of the grid's numbers, relative to the largest voxel.
    max_steps: of one descent.
    max_repairs: rounds of repair.
    seeds: "op" or "cripser", see `persistent_peaks`.
    """

    free: Free
    epsilon: float
    rounding: float
    max_steps: int
    max_repairs: int
    seeds: str
    noise: Noise | None = None


@dataclasses.dataclass
class Solution:
    """Of `K` grids.

    Attributes:
      atoms: the best found.
      loss: sum of the squared residual, `[K]`.
      explained: whether nothing but rounding or white noise is left, `[K]`.
      noise: standard deviation of the residual's white noise, `[K]`.
      steps: of descent, `[K]`.
    """

    atoms: Atoms
    loss: Array
    explained: npt.NDArray[np.bool_]
    noise: Array
    steps: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, start: Atoms) -> Solution:
        """Of grids without anything in them."""
        size = len(start.sigma)
        return cls(start, np.zeros(size), np.ones(size, bool), np.zeros(size), np.zeros(size, np.int64))

    def put(self, rows: npt.NDArray[np.int64], found: Solution) -> None:
        """Replaces rows."""
        self.atoms = self.atoms.put(rows, found.atoms)
        for field in dataclasses.fields(self)[1:]:
            getattr(self, field.name)[rows] = getattr(found, field.name)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> Solution:
        return Solution(self.atoms[rows], self.loss[rows], self.explained[rows], self.noise[rows], self.steps[rows])


def judged(
    problem: Problem, sharpener: Sharpener, fit: Fit, counts: npt.NDArray[np.int64], options: Options
) -> Solution:
    """What a descent has found, without atoms that explain nothing; arguments as of `repair`."""
    atoms, loss, steps = fit
    explained = loss <= options.epsilon * np.einsum("kxyz,kxyz->k", problem.grids, problem.grids)
    noise = np.sqrt(loss / problem.grids[0].size)
    rest = np.flatnonzero(~explained)
    if len(rest):
        part = problem[rest]
        residuals = part.residual(atoms[rest])
        noise[rest] = residual_noise(residuals)
        # An atom so far outside of the box that noise hides it explains nothing, and is dropped.
        traceless = (
            part.columns(atoms[rest]).norms() * atoms.scale[rest, np.newaxis] ** 2
            < price_of(part, noise[rest])[:, np.newaxis]
        )
        present = atoms.present.copy()
        present[rest] &= ~(traceless & (counts[rest] < 0)[:, np.newaxis])
        atoms = dataclasses.replace(atoms, present=present)
        explained[rest] = is_white(residuals, noise[rest], sharpener[rest])
    return Solution(atoms, loss, explained, noise, steps)


def rank(
    atoms: Atoms, loss: Array, wanted: npt.NDArray[np.int64], price: Array, structured: npt.NDArray[np.bool_]
) -> tuple[Array, Array]:
    """What to compare solutions by, the lower the better: first how many atoms are missing or too many, then the loss
    with what the atoms cost: `[K]` both."""
    number, loss = atoms.counts, np.maximum(loss, np.finfo(np.float64).tiny)
    free = np.where(structured, np.log(loss) + _GAIN * number, np.log(loss + price * number))
    return np.where(wanted < 0, 0, np.abs(number - wanted)), np.where(wanted < 0, free, np.log(loss))


def price_of(problem: Problem, noise: Array) -> Array:
    """By how much an atom must lower sum r^2 to be kept, `[K]`: the Bayesian information criterion for four parameters,
    its three coordinates and its presence."""
    return 4 * np.log(problem.grids[0].size) * noise**2


def repair(
    problem: Problem, sharpener: Sharpener, solution: Solution, counts: npt.NDArray[np.int64], options: Options
) -> None:
    """Tries proposals on all grids that are not explained, all grids at once; puts what is better into `solution`.

    Args:
      counts: `[K]`, the numbers of atoms to reach, -1 for that which explains the grid best.
    """
    failures = np.zeros(len(problem.grids), np.int64)
    floor = options.rounding * np.abs(problem.grids).max(axis=(1, 2, 3))
    for _ in range(options.max_repairs):
        rows = np.flatnonzero(~solution.explained & (failures < MOST_FAILURES))
        if not len(rows):
            return
        part, sharp, best, wanted = problem[rows], sharpener[rows], solution[rows], counts[rows]
        price = price_of(part, np.maximum(best.noise, floor[rows]))
        member, trials = propose(part, sharp, best.atoms, counts[rows], failures[rows], price)
        failures[rows] += 1
        if not len(member):
            continue
        fit = refine(part[member], trials, options.free, max_steps=options.max_steps)
        # Where more than noise is left, any additional atom improves the fit: only much better fits count.
        structured = best.loss > 2 * part.grids[0].size * best.noise**2

        missing, cost = rank(fit.atoms, fit.loss, wanted[member], price[member], structured[member])
        standing_missing, standing_cost = rank(best.atoms, best.loss, wanted, price, structured)
        less = missing - standing_missing[member]
        better = (less < 0) | ((less == 0) & (cost < standing_cost[member] - 1e-9))
        order = np.lexsort((cost, missing, ~better))
        won, chosen = np.unique(member[order], return_index=True)
        chosen = order[chosen]
        won, chosen = won[better[chosen]], chosen[better[chosen]]
        if not len(won):
            continue
        fit = Fit(fit.atoms[chosen], fit.loss[chosen], best.steps[won] + fit.steps[chosen])
        better = judged(part[won], sharp[won], fit, counts[rows[won]], options)
        solution.put(rows[won], better)
        failures[rows[won]] = 0
