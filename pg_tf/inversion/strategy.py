"""The strategy: seed, descend, judge; then repair, descend and judge again, until a grid is explained."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.gradient_descent import descend
from pg_tf.inversion.least_squares import Fit, Free, refine
from pg_tf.inversion.noise import is_white, noise_level, residual_noise
from pg_tf.inversion.problem import Problem
from pg_tf.inversion.proposals import MOST_FAILURES, propose
from pg_tf.inversion.seeds import seed
from pg_tf.inversion.sharpen import Sharpener

# By how much an additional atom must lower the logarithm of sum r^2, in a grid with more than noise left.
_GAIN = 0.1

# How far outside of open faces atoms are looked for where the box may cut some, in sigma.
_REACH = 2.0

# A mass with an error below this, in atoms, tells the number of atoms.
_WHOLE = 0.05


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


def find_atoms(
    problem: Problem,
    start: Atoms,
    given: npt.NDArray[np.int64],
    options: Options,
    optimizer: keras.optimizers.Optimizer | None = None,
) -> Solution:
    """Seeds, then descent, then repair, until each grid is explained or nothing is left to try.

    Args:
      start: sigma, scale and background to start from; its atoms do not matter.
      given: atoms of each grid `[K]`, -1 where unknown.
      optimizer: in place of Levenberg-Marquardt.
    """
    if len(problem.exponents):
        # Atoms fill a small part of a box, so the median over all voxels is a first guess at a constant background.
        start = dataclasses.replace(start, background=start.background.copy())
        start.background[:, 0] = np.median(problem.grids, axis=(1, 2, 3))
    noise = noise_level(problem, options.rounding)
    counts, mass = _counts(problem, start, given, noise, options)

    def sharpener_of(part: Problem, atoms: Atoms, rows: Any, reach: float) -> Sharpener:
        options = {"noise": noise[rows], "num_atoms": np.maximum(mass[rows], 1), "reach": reach}
        return part.space.sharpener(part.shape, atoms.sigma, atoms.scale, **options)

    all_whole = (counts >= 0).all() and (given < 0).all()
    sharpener = sharpener_of(problem, start, slice(None), 0.0 if all_whole else _REACH)
    atoms = seed(problem, start, sharpener, counts, relative=options.free.scale, by=options.seeds)
    if options.free.scale:
        atoms = dataclasses.replace(atoms, scale=_best_scale(problem, atoms))
    if optimizer is None:
        fit = refine(problem, atoms, options.free, max_steps=options.max_steps)
    else:
        fit = descend(problem, atoms, optimizer, max_steps=options.max_steps, epsilon=options.epsilon)
    solution = _judged(problem, sharpener, fit, counts, options)
    _repair(problem, sharpener, solution, counts, options)
    # Where the mass told the number of atoms, and that many do not explain the grid, the box may cut some of them:
    # repair again, with any number of atoms, which may lie outside of the box.
    doubtful = np.flatnonzero(~solution.explained & (counts >= 0) & (given < 0))
    if len(doubtful) and options.max_repairs and not problem.space.closed:
        part, again = problem[doubtful], solution[doubtful]
        further = sharpener_of(part, fit.atoms[doubtful], doubtful, _REACH)
        _repair(part, further, again, np.full(len(doubtful), -1), options)
        solution.put(doubtful[again.explained], again[np.flatnonzero(again.explained)])
    solution.explained &= (given < 0) | (solution.atoms.counts == given)
    return solution


def _counts(
    problem: Problem, start: Atoms, given: npt.NDArray[np.int64], noise: Array, options: Options
) -> tuple[npt.NDArray[np.int64], Array]:
    """Numbers of atoms where the mass tells them or they are given, otherwise -1; and the mass in atoms (Eq. 6): `[K]`
    both."""
    grids = problem.grids - problem.background(start)
    mass = grids.sum(axis=(1, 2, 3)) / start.scale
    whole = np.rint(mass)
    deviation = noise / start.scale * np.sqrt(grids[0].size)
    sure = (deviation < _WHOLE) & (whole >= 0)
    # The mass tells no number where a background is fitted, since even a small one adds up over all voxels, or where
    # the mass of an atom (its scale) is not known.
    sure &= not (options.free.scale or len(problem.exponents))
    return np.where(given >= 0, given, np.where(sure, whole, -1)).astype(np.int64), mass


def _best_scale(problem: Problem, atoms: Atoms) -> Array:
    grids = problem.grids - problem.background(atoms)
    model = grids - problem.residual(atoms)
    product, norm = (np.einsum("kxyz,kxyz->k", model, other) for other in (grids, model))
    scale = atoms.scale * product / np.maximum(norm, np.finfo(np.float64).tiny)
    return np.where(scale > 0, scale, atoms.scale)


def _judged(
    problem: Problem, sharpener: Sharpener, fit: Fit, counts: npt.NDArray[np.int64], options: Options
) -> Solution:
    """What a descent has found, without atoms that explain nothing; arguments as of `_repair`."""
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
            < _price(part, noise[rest])[:, np.newaxis]
        )
        present = atoms.present.copy()
        present[rest] &= ~(traceless & (counts[rest] < 0)[:, np.newaxis])
        atoms = dataclasses.replace(atoms, present=present)
        explained[rest] = is_white(residuals, noise[rest], sharpener[rest], atoms.counts[rest])
    return Solution(atoms, loss, explained, noise, steps)


def _rank(
    atoms: Atoms, loss: Array, wanted: npt.NDArray[np.int64], price: Array, structured: npt.NDArray[np.bool_]
) -> tuple[Array, Array]:
    """What to compare solutions by, the lower the better: first how many atoms are missing or too many, then the loss
    with what the atoms cost: `[K]` both."""
    number, loss = atoms.counts, np.maximum(loss, np.finfo(np.float64).tiny)
    free = np.where(structured, np.log(loss) + _GAIN * number, np.log(loss + price * number))
    return np.where(wanted < 0, 0, np.abs(number - wanted)), np.where(wanted < 0, free, np.log(loss))


def _price(problem: Problem, noise: Array) -> Array:
    """By how much an atom must lower sum r^2 to be kept, `[K]`: the Bayesian information criterion for four parameters,
    its three coordinates and its presence."""
    return 4 * np.log(problem.grids[0].size) * noise**2


def _repair(
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
        price = _price(part, np.maximum(best.noise, floor[rows]))
        member, trials = propose(part, sharp, best.atoms, counts[rows], failures[rows], price)
        failures[rows] += 1
        if not len(member):
            continue
        fit = refine(part[member], trials, options.free, max_steps=options.max_steps)
        # Where more than noise is left, any additional atom improves the fit: only much better fits count.
        structured = best.loss > 2 * part.grids[0].size * best.noise**2

        missing, cost = _rank(fit.atoms, fit.loss, wanted[member], price[member], structured[member])
        standing_missing, standing_cost = _rank(best.atoms, best.loss, wanted, price, structured)
        less = missing - standing_missing[member]
        better = (less < 0) | ((less == 0) & (cost < standing_cost[member] - 1e-9))
        order = np.lexsort((cost, missing, ~better))
        won, chosen = np.unique(member[order], return_index=True)
        chosen = order[chosen]
        won, chosen = won[better[chosen]], chosen[better[chosen]]
        if not len(won):
            continue
        fit = Fit(fit.atoms[chosen], fit.loss[chosen], best.steps[won] + fit.steps[chosen])
        better = _judged(part[won], sharp[won], fit, counts[rows[won]], options)
        solution.put(rows[won], better)
        failures[rows[won]] = 0
