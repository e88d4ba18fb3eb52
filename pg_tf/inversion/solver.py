"""From grids to atoms: seeds, refinement, and repair of what seeding got wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from pg_tf.inversion.evidence import SIGNIFICANT, amplitudes, is_white, noise_level, residual_noise
from pg_tf.inversion.factors import Array
from pg_tf.inversion.least_squares import Free, refine
from pg_tf.inversion.problem import Atoms, Problem
from pg_tf.inversion.seeds import Peaks, persistent_peaks
from pg_tf.inversion.sharpen import Sharpener

# A peak of the sharpened grid below this many atoms is no atom.
_LOWEST_PEAK = 0.3

# An atom that its neighbours and the residual leave with less than this part of its weight is none.
_LOWEST_AMPLITUDE = 0.4

# A mass this close to a whole number, in atoms, is a number of atoms.
_WHOLE = 0.05


@dataclasses.dataclass(frozen=True)
class Options:
    """Attributes:
    free: what is fitted beside the coordinates.
    epsilon: the part of the sum of squares at which a grid counts as explained.
    rounding: of the grid's numbers, relative.
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
    """Of `K` grids; arrays are changed in place as better atoms are found.

    Attributes:
      atoms: the best found.
      loss: sum of the squared residual, `[K]`.
      noise: standard deviation of the residual's white noise, `[K]`.
      explained: whether nothing but rounding or white noise is left, `[K]`.
      steps: of descent, `[K]`.
    """

    atoms: Atoms
    loss: Array
    noise: Array
    explained: npt.NDArray[np.bool_]
    steps: npt.NDArray[np.int64]


def seed(
    problem: Problem, start: Atoms, counts: npt.NDArray[np.int64], options: Options
) -> tuple[Atoms, Sharpener, npt.NDArray[np.int64]]:
    """Atoms at the peaks of the sharpened grids.

    Args:
      start: sigma, scale and background; its atoms are ignored.
      counts: atoms of each grid `[K]`, -1 where unknown.

    Returns:
      The atoms; what sharpened; and the number of atoms as far as it is sure, -1 where it is not.
    """
    grids = problem.grids - problem.background(start)
    noise = noise_level(grids, options.rounding)
    mass = grids.sum(axis=(1, 2, 3)) / start.scale
    sharpener = Sharpener.of(problem.shape, problem.lengths, start.sigma, start.scale, noise, np.maximum(mass, 1))
    # Eq. 6. Noise and a background add up over all voxels, and a wrong scale makes mass of nothing.
    deviation = noise / start.scale * np.sqrt(grids[0].size)
    whole = np.rint(mass).astype(np.int64)
    sure = (np.abs(mass - whole) < _WHOLE) & (deviation < _WHOLE) & (whole >= 0)
    if options.free.scale or len(problem.exponents):
        sure[:] = False
    known = np.where(counts >= 0, counts, np.where(sure, whole, -1))
    sharp = sharpener(grids)
    highest = np.quantile(sharp.reshape(len(sharp), -1), 1.0, axis=1)
    lowest = np.maximum(_LOWEST_PEAK, (SIGNIFICANT - 1) * sharpener.noise)
    if options.free.scale:
        lowest = np.maximum(_LOWEST_PEAK * highest, (SIGNIFICANT - 1) * sharpener.noise)
    # Where the number is known, take lower ones too, for the highest of them count.
    floors = np.where(known >= 0, 0.25 * lowest, lowest)
    peaks = persistent_peaks(sharp, floors, by=options.seeds)
    size = int(np.bincount(peaks.grid, minlength=1).max(initial=0)) if known.max(initial=-1) < 0 else 0
    size = max(size, int(known.max(initial=0)), 1)
    return _at_peaks(problem, start, peaks, sharpener.shape, known, lowest, size), sharpener, known


def _at_peaks(
    problem: Problem,
    start: Atoms,
    peaks: Peaks,
    shape: tuple[int, int, int],
    known: npt.NDArray[np.int64],
    lowest: Array,
    size: int,
) -> Atoms:
    score = peaks.height * peaks.persistence
    order = np.lexsort((-score, peaks.grid))
    grid = peaks.grid[order]
    first = np.searchsorted(grid, np.arange(len(problem.grids)))
    rank = np.arange(len(grid)) - first[grid]
    taken = np.where(known[grid] >= 0, rank < known[grid], peaks.height[order] >= lowest[grid])
    order, grid, rank = order[taken], grid[taken], rank[taken]
    size = max(size, int(rank.max(initial=0)) + 1)
    coords, present = np.zeros((len(problem.grids), size, 3)), np.zeros((len(problem.grids), size), bool)
    coords[grid, rank] = peaks.position[order] / shape * problem.lengths[grid]
    present[grid, rank] = True
    return dataclasses.replace(start, coords=coords, present=present)


def solve(problem: Problem, start: Atoms, counts: npt.NDArray[np.int64], options: Options) -> Solution:
    """Seeds, then Levenberg-Marquardt, then repair, until each grid is explained or the moves are exhausted.

    Args:
      start: sigma, scale and background to start from.
      counts: atoms of each grid `[K]`, -1 where unknown.
    """
    atoms, sharpener, known = seed(problem, start, counts, options)
    if options.free.scale:
        model = problem.grids - problem.background(atoms) - problem.residual(atoms)
        grids = problem.grids - problem.background(atoms)
        norm = np.maximum((model**2).sum(axis=(1, 2, 3)), np.finfo(float).tiny)
        scale = atoms.scale * (model * grids).sum(axis=(1, 2, 3)) / norm
        atoms = dataclasses.replace(atoms, scale=np.where(scale > 0, scale, atoms.scale))
    # While atoms are missing, a free sigma would spread to make up for them.
    fit = refine(problem, atoms, options.free, max_steps=options.max_steps)
    solution = Solution(fit.atoms, fit.loss, np.zeros(len(fit.loss)), np.zeros(len(fit.loss), bool), fit.steps)
    _judge(problem, sharpener, solution, np.arange(len(fit.loss)), options)
    _repair(problem, sharpener, solution, known, counts, options)
    return solution


def _judge(
    problem: Problem, sharpener: Sharpener, solution: Solution, rows: npt.NDArray[np.int64], options: Options
) -> None:
    part = problem[rows]
    energy = np.einsum("kxyz,kxyz->k", part.grids, part.grids)
    exact = solution.loss[rows] <= options.epsilon * energy
    solution.explained[rows] = exact
    solution.noise[rows] = np.sqrt(solution.loss[rows] / part.grids[0].size)
    rest = np.flatnonzero(~exact)
    if len(rest):
        residuals = part[rest].residual(solution.atoms[rows[rest]])
        noise = residual_noise(residuals)
        solution.noise[rows[rest]] = noise
        solution.explained[rows[rest]] = is_white(
            residuals, noise, sharpener[rows[rest]], solution.atoms.counts[rows[rest]]
        )


def _repair(
    problem: Problem,
    sharpener: Sharpener,
    solution: Solution,
    known: npt.NDArray[np.int64],
    given: npt.NDArray[np.int64],
    options: Options,
) -> None:
    """Tries, on all grids that are not explained at once, atoms more, atoms less and atoms elsewhere."""
    failures = np.zeros(len(problem.grids), np.int64)
    penalty = 4 * np.log(problem.grids[0].size)  # of an atom: BIC with its four numbers
    for _ in range(options.max_repairs):
        rows = np.flatnonzero(~solution.explained & (failures < 4))
        if not len(rows):
            return
        part, sharp, atoms = problem[rows], sharpener[rows], solution.atoms[rows]
        residuals = part.residual(atoms)
        variants = _variants(part, sharp, atoms, residuals, known[rows], failures[rows], options)
        if not variants:
            return
        member = np.concatenate([chosen for chosen, _ in variants])
        size = max(variant.present.shape[1] for _, variant in variants)
        joined = _concatenate([variant.padded(size) for _, variant in variants])
        fit = refine(part[member], joined, options.free, max_steps=options.max_steps)
        # What an atom may cost; not less than the rounding of the grid.
        noise = np.maximum(solution.noise[rows], options.rounding * np.abs(part.grids).max(axis=(1, 2, 3)))
        cost = penalty * noise**2
        fixed = known[rows] >= 0
        shortfall = np.where(fixed, np.abs(solution.atoms.counts[rows] - known[rows]), 0)
        best = np.where(fixed, 0, cost * atoms.counts) + solution.loss[rows]
        winner = np.full(len(rows), -1)
        trial_cost = np.where(fixed[member], 0, cost[member] * fit.atoms.counts) + fit.loss
        for i, k in enumerate(member):
            missing = abs(int(fit.atoms.counts[i]) - known[rows[k]]) if fixed[k] else 0
            if (missing, trial_cost[i]) < (shortfall[k], best[k] * (1 - 1e-9)):
                shortfall[k], best[k], winner[k] = missing, trial_cost[i], i
        won = np.flatnonzero(winner >= 0)
        failures[rows] += 1
        if len(won):
            failures[rows[won]] = 0
            found = fit.atoms[winner[won]]
            size = max(found.present.shape[1], solution.atoms.present.shape[1])
            solution.atoms, found = solution.atoms.padded(size), found.padded(size)
            for field in dataclasses.fields(found):
                getattr(solution.atoms, field.name)[rows[won]] = getattr(found, field.name)
            solution.loss[rows[won]] = fit.loss[winner[won]]
            solution.steps[rows[won]] += fit.steps[winner[won]]
            _judge(problem, sharpener, solution, rows[won], options)
        # A number of atoms that was read from the mass may be wrong after all: the box may cut some.
        known[(failures >= 3) & (given < 0)] = -1


def _variants(
    problem: Problem,
    sharpener: Sharpener,
    atoms: Atoms,
    residuals: Array,
    known: npt.NDArray[np.int64],
    failures: npt.NDArray[np.int64],
    options: Options,
) -> list[tuple[npt.NDArray[np.int64], Atoms]]:
    """Other atoms to try: which grids they are for, and the atoms."""
    sharp = sharpener(residuals)
    floors = np.maximum(0.3 * _LOWEST_PEAK, (SIGNIFICANT - 1) * sharpener.noise)
    peaks = persistent_peaks(sharp, floors, by="op")
    amplitude = amplitudes(problem, atoms, residuals)
    worst = np.argsort(amplitude, axis=1)
    counts = atoms.counts
    result = []

    def add(places: list[tuple[int, Array]], without: dict[int, int]) -> None:
        """Atoms at new places of grids, the worst ones of a rank left out."""
        chosen = np.array(sorted({k for k, _ in places} | set(without)), np.int64)
        if not len(chosen):
            return
        extra = max((len(x) for _, x in places), default=0)
        variant = atoms[chosen].padded(int(counts.max()) + extra)
        index = {k: i for i, k in enumerate(chosen)}
        for k, drop in without.items():
            order = np.argsort(~atoms.present[k], kind="stable")
            variant.present[index[k], int(np.flatnonzero(order == worst[k, drop])[0])] = False
        for k, x in places:
            variant.coords[index[k], counts[k] : counts[k] + len(x)] = x
            variant.present[index[k], counts[k] : counts[k] + len(x)] = True
        result.append((chosen, variant))

    candidates: list[Array] = []
    score = peaks.height * peaks.persistence
    for k in range(len(counts)):
        mine = np.flatnonzero(peaks.grid == k)
        mine = mine[np.argsort(-score[mine])]
        places = peaks.position[mine] / sharpener.shape * problem.lengths[k]
        strong = int((peaks.height[mine] > _LOWEST_PEAK).sum())
        if not len(places):
            places = _best_match(sharpener[[k]], residuals[k : k + 1], problem.lengths[k])
        candidates.append(places)
        missing = known[k] - counts[k]
        if known[k] >= 0 and missing > 0:
            chosen = np.resize(places[:missing], (min(missing, max(len(places), 1)), 3))
            add([(k, chosen)], {})
        elif known[k] < 0:
            add([(k, places[:1])], {})
            if strong > 1:
                add([(k, places[:strong])], {})
    ranks = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1)]
    moved = {k: ranks[failures[k] % len(ranks)] for k in range(len(counts)) if counts[k] > 2}
    add(
        [(k, candidates[k][q : q + 1]) for k, (r, q) in moved.items() if len(candidates[k]) > q],
        {k: r for k, (r, q) in moved.items() if len(candidates[k]) > q},
    )
    surplus = {k: int(failures[k] % 2) for k in range(len(counts)) if counts[k] > 1 + failures[k] % 2 and known[k] < 0}
    surplus |= {k: 0 for k in range(len(counts)) if 0 <= known[k] < counts[k]}
    add([], surplus)
    return result


def _best_match(sharpener: Sharpener, residuals: Array, lengths: Array) -> Array:
    amplitude, _ = sharpener.matched(residuals)
    voxel = np.unravel_index(amplitude[0].argmax(), sharpener.shape)
    return ((np.array(voxel) + 0.5) / sharpener.shape * lengths)[np.newaxis]


def _concatenate(parts: list[Atoms]) -> Atoms:
    return Atoms(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Atoms)))
