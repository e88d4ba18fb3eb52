"""The search in grids with noise: candidates, a fit under a model of the noise, and repair until only noise is left.

Each candidate costs minus twice the logarithm of its likelihood (`likelihood.py`) and a price for each of its atoms;
the cheapest is kept. Seeds come from sharpening as strongly as the noise allows, and less; the descent and the estimate
of the noise take turns; atoms are added, moved and dropped while that lowers the cost; and where atoms of equal weight
leave more than noise, each gets a weight of its own.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.least_squares import Free, refine
from pg_tf.inversion.likelihood import Cut, Expected, expected
from pg_tf.inversion.noise import hides_nothing, residual_noise, roughness
from pg_tf.inversion.problem import Problem
from pg_tf.inversion.proposals import propose
from pg_tf.inversion.repair import Options, Solution, price_of
from pg_tf.inversion.seeds import best_scale, seed
from pg_tf.inversion.sharpen import Sharpener

# Noise that grids are sharpened for, in units of that which they seem to have.
_STRENGTHS = (1.0, 3.0)
# Where sigma is fitted, also for Gaussians so much wider or narrower.
_WIDTHS = (1.0, 1.25, 0.8)
# How far outside of open faces atoms are looked for where the box may cut some, in sigma.
_REACH = 2.0
# Steps of the descent of a candidate, and of a turn of descent and noise; how many turns.
_FIRST_STEPS, _STEPS, _TURNS = 8, 6, 3
# Descents of the chosen atoms end when a step promises less than this, as a share of the loss.
_PRECISION = 1e-6
# How much more noise than the shortest waves tell of a fit may leave.
_MOST_NOISE = 5.0
# The standard deviation of the weights that atoms may have of their own.
_SPREAD = 0.25


@dataclasses.dataclass
class _State:
    """What is thought of `K` grids."""

    atoms: Atoms
    steps: npt.NDArray[np.int64]
    fit: Expected
    cost: Array
    accounted: npt.NDArray[np.bool_]


def find_noisy(problem: Problem, start: Atoms, given: npt.NDArray[np.int64], options: Options) -> Solution:
    """Finds atoms in grids with noise; arguments as of `find_atoms`, the start with its background."""
    if not len(problem.grids):
        return Solution.empty(start)
    search = _Search.of(dataclasses.replace(problem, integral=start.scale), start, given, options)
    rows = np.arange(len(problem.grids))
    atoms = search.cheapest_seeds()
    state = search.settled(rows, atoms, np.zeros(len(rows), np.int64))
    search.repair(state)
    search.weigh(state)
    return search.solution(state)


@dataclasses.dataclass
class _Search:
    problem: Problem
    start: Atoms
    given: npt.NDArray[np.int64]
    options: Options
    cut: Cut
    noise: Array
    mass: Array
    rough: Array
    reach: float

    @classmethod
    def of(cls, problem: Problem, start: Atoms, given: npt.NDArray[np.int64], options: Options) -> _Search:
        above = dataclasses.replace(problem, grids=problem.grids - problem.background(start))
        rough = roughness(above, start.sigma, start.scale)
        largest = np.abs(problem.grids).max(axis=(1, 2, 3))
        noise = np.maximum(rough.dense, 1e-4 * largest)
        measured = np.maximum(rough.dense, options.rounding * largest)
        mass = np.maximum(above.grids.sum(axis=(1, 2, 3)) / start.scale, 1)
        faces = [np.abs(np.take(above.grids, [0, -1], axis)).max(axis=(1, 2, 3)) for axis in (1, 2, 3)]
        faces = [f for f, repeats in zip(faces, problem.space.periodic, strict=True) if not repeats]
        cuts = bool(faces) and (np.max(faces, axis=0) > 0.1 * largest + 6 * rough.mean).any()
        return cls(
            problem, start, given, options, Cut.of(problem.grids), noise, mass, measured, _REACH if cuts else 0.0
        )

    def sharpener(self, rows: npt.NDArray[np.int64], sigma: Array, scale: Array, strength: float = 1.0) -> Sharpener:
        return self.problem.space[rows].sharpener(
            self.problem.shape,
            sigma,
            scale,
            noise=strength * self.noise[rows],
            num_atoms=self.mass[rows],
            reach=self.reach,
        )

    def cheapest_seeds(self) -> Atoms:
        """Seeds of several kinds after a short descent; the best of each grid."""
        free, rows = self.options.free, np.arange(len(self.noise))
        kinds = [(strength, 1.0) for strength in _STRENGTHS]
        kinds += [(1.0, width) for width in _WIDTHS[1:]] if free.sigma else []
        best, best_cost = self.start, np.full(len(rows), np.inf)
        for strength, width in kinds:
            start = dataclasses.replace(self.start, sigma=self.start.sigma * width)
            sharpener = self.sharpener(rows, start.sigma, start.scale, strength)
            relative = free.scale or free.sigma
            seeds = seed(self.problem, start, sharpener, self.given, relative=relative, by=self.options.seeds)
            if free.scale:
                seeds = dataclasses.replace(seeds, scale=best_scale(self.problem, seeds))
            found = refine(self.problem, seeds, free, max_steps=_FIRST_STEPS, precision=1e-4)
            cost = self._unweighted_cost(found.atoms, found.loss)
            better = np.flatnonzero(cost < best_cost)
            best = best.put(better, found.atoms[better])
            best_cost[better] = cost[better]
        return best

    def _unweighted_cost(self, atoms: Atoms, loss: Array) -> Array:
        """As if the noise were the same in all voxels with density, and of unknown strength."""
        grids = np.maximum(self.problem.grids, 0)
        dense = grids.sum(axis=(1, 2, 3)) ** 2 / np.maximum((grids**2).sum(axis=(1, 2, 3)), np.finfo(float).tiny)
        return dense * np.log(loss + dense * self.noise**2) + price_of(self.problem, np.ones(1)) * atoms.counts

    def settled(
        self, rows: npt.NDArray[np.int64], atoms: Atoms, steps: npt.NDArray[np.int64], free: Free | None = None
    ) -> _State:
        """Descent and noise in turns."""
        problem, cut, free = self.problem[rows], self.cut.rows(rows), free or self.options.free
        for _ in range(_TURNS):
            fit = expected(problem, atoms, cut, self.options.noise, self.options.rounding)
            found = refine(fit.problem, atoms, free, max_steps=_STEPS, precision=_PRECISION)
            atoms, steps = found.atoms, steps + found.steps
        fit = expected(problem, atoms, cut, self.options.noise, self.options.rounding)
        return self._state(rows, atoms, steps, fit)

    def _state(self, rows: npt.NDArray[np.int64], atoms: Atoms, steps: npt.NDArray[np.int64], fit: Expected) -> _State:
        price = price_of(self.problem, np.ones(1))
        cost = fit.cost + price * atoms.counts
        sharpener = self.sharpener(rows, atoms.sigma, _typical(atoms))
        # What the fit takes for noise and short waves know nothing of is something else.
        accounted = hides_nothing(fit.residuals, fit.noise, sharpener) & (fit.noise < _MOST_NOISE * self.rough[rows])
        return _State(atoms, steps, fit, cost, accounted)

    def repair(self, state: _State) -> None:
        failures = np.zeros(len(self.noise), np.int64)
        for _ in range(self.options.max_repairs):
            rows = np.flatnonzero(~state.accounted & (failures < 3))
            if not len(rows):
                return
            part = state.fit.problem[rows]
            atoms = state.atoms[rows]
            price = price_of(part, np.ones(len(rows)))
            sharpener = self.sharpener(rows, atoms.sigma, _typical(atoms))
            member, trials = propose(part, sharpener, atoms, self.given[rows], failures[rows], price)
            failures[rows] += 1
            if not len(member):
                continue
            found = refine(part[member], trials, self.options.free, max_steps=_FIRST_STEPS, precision=1e-5)
            cost = found.loss + price[member] * found.atoms.counts
            standing = part.loss(part.residual(atoms)) + price * atoms.counts
            order = np.lexsort((cost, member))
            won, first = np.unique(member[order], return_index=True)
            chosen = order[first]
            better = cost[chosen] < standing[won] - 1
            won, chosen = won[better], chosen[better]
            if not len(won):
                continue
            again = self.settled(rows[won], found.atoms[chosen], state.steps[rows[won]] + found.steps[chosen])
            lower = np.flatnonzero(again.cost < state.cost[rows[won]])
            self._put(state, rows[won[lower]], again, lower)
            failures[rows[won[lower]]] = 0

    def weigh(self, state: _State) -> None:
        """Gives each atom a weight of its own, where that makes grids which are not accounted for more likely."""
        rows = np.flatnonzero(~state.accounted & (state.atoms.counts > 0))
        if not len(rows) or self.options.free.scale:
            return
        equal = state.atoms[rows]
        atoms = dataclasses.replace(equal, scale=np.repeat(equal.scale[:, np.newaxis], equal.present.shape[1], axis=1))
        free = Free(sigma=self.options.free.sigma, weights=_SPREAD)
        own = self.settled(rows, atoms, state.steps[rows], free)
        # One more number for each atom, by the Bayesian information criterion.
        own.cost += np.log(self.problem.grids[0].size) * equal.counts
        lower = np.flatnonzero(own.cost < state.cost[rows])
        if not len(lower):
            return
        if state.atoms.scale.ndim == 1:
            size = state.atoms.present.shape[1]
            state.atoms = dataclasses.replace(state.atoms, scale=np.repeat(state.atoms.scale[:, np.newaxis], size, 1))
        self._put(state, rows[lower], own, lower)

    def _put(self, state: _State, rows: npt.NDArray[np.int64], other: _State, chosen: npt.NDArray[np.int64]) -> None:
        state.atoms = state.atoms.put(rows, other.atoms[chosen])
        for name in ("steps", "cost", "accounted"):
            getattr(state, name)[rows] = getattr(other, name)[chosen]
        for mine, theirs in zip(state.fit[1:], other.fit[1:], strict=True):
            mine[rows] = theirs[chosen]
        for name in ("grids", "precision", "trust"):
            getattr(state.fit.problem, name)[rows] = getattr(other.fit.problem, name)[chosen]

    def solution(self, state: _State) -> Solution:
        raw = self.problem.residual(state.atoms)
        loss = np.einsum("kxyz,kxyz->k", raw, raw)
        explained = state.accounted | (
            loss <= self.options.epsilon * np.einsum("kxyz,kxyz->k", self.problem.grids, self.problem.grids)
        )
        explained &= (self.given < 0) | (state.atoms.counts == self.given)
        noise = np.where(explained, state.fit.noise, residual_noise(raw))
        # The weights of single atoms served to find their places.
        atoms = state.atoms if state.atoms.scale.ndim == 1 else dataclasses.replace(state.atoms, scale=self.start.scale)
        return Solution(atoms, loss, explained, noise, state.steps)


def _typical(atoms: Atoms) -> Array:
    """The scale of each grid, `[K]`."""
    if atoms.scale.ndim == 1:
        return atoms.scale
    return (atoms.scale * atoms.present).sum(axis=1) / np.maximum(atoms.counts, 1)
