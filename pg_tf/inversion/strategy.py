"""The strategy: seed, descend, judge; then repair, descend and judge again, until a grid is explained."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.gradient_descent import descend
from pg_tf.inversion.least_squares import refine
from pg_tf.inversion.noise import noise_level, roughness
from pg_tf.inversion.noisy import find_noisy
from pg_tf.inversion.problem import Problem
from pg_tf.inversion.repair import Options, Solution, judged, repair
from pg_tf.inversion.seeds import best_scale, seed
from pg_tf.inversion.sharpen import Sharpener

# How far outside of open faces atoms are looked for where the box may cut some, in sigma.
_REACH = 2.0

# A mass with an error below this, in atoms, tells the number of atoms.
_WHOLE = 0.05


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
        atoms = dataclasses.replace(atoms, scale=best_scale(problem, atoms))
    if optimizer is None:
        fit = refine(problem, atoms, options.free, max_steps=options.max_steps)
    else:
        fit = descend(problem, atoms, optimizer, max_steps=options.max_steps, epsilon=options.epsilon)
    solution = judged(problem, sharpener, fit, counts, options)
    first, searched = solution[np.arange(len(counts))], np.zeros(len(counts), bool)
    searching = optimizer is None and options.max_repairs > 0
    if searching:
        searched = _search_noisy(problem, start, given, options, solution, mass)
    rows = np.flatnonzero(~solution.explained & ~searched)
    part, mended = problem[rows], first[rows]
    repair(part, sharpener[rows], mended, counts[rows], options)
    # Where the mass told the number of atoms, and that many do not explain the grid, the box may cut some of them:
    # repair again, with any number of atoms, which may lie outside of the box.
    doubtful = np.flatnonzero(~mended.explained & (counts[rows] >= 0) & (given[rows] < 0))
    if len(doubtful) and options.max_repairs and not problem.space.closed:
        part, again = part[doubtful], mended[doubtful]
        further = sharpener_of(part, fit.atoms[rows[doubtful]], rows[doubtful], _REACH)
        repair(part, further, again, np.full(len(doubtful), -1), options)
        mended.put(doubtful[again.explained], again[np.flatnonzero(again.explained)])
    better = mended.explained if searching else np.ones(len(rows), bool)
    solution.put(rows[better], mended[np.flatnonzero(better)])
    solution.explained &= (given < 0) | (solution.atoms.counts == given)
    return solution


def _search_noisy(
    problem: Problem,
    start: Atoms,
    given: npt.NDArray[np.int64],
    options: Options,
    solution: Solution,
    mass: Array,
) -> npt.NDArray[np.bool_]:
    """Puts what a model of the noise finds into the solutions of grids that are not explained.

    Returns:
      Where that is the answer, `[K]`: it explains the grid, or the grid has so much noise that nothing else can.
    """
    above = problem.grids - problem.background(start)
    largest = np.abs(above).max(axis=(1, 2, 3))
    rough = roughness(dataclasses.replace(problem, grids=above), start.sigma, start.scale)
    # Of exact grids the shortest waves tell of atoms and rounding alone.
    noisy = rough.mean > 3 * rough.leak + 4 * options.rounding * largest
    done = np.zeros(len(mass), bool)
    left = np.flatnonzero(~solution.explained & (mass > 0.2) & (largest > 0))
    found = find_noisy(problem[left], start[left], given[left], options)
    solution.put(left, found)
    done[left] = found.explained | noisy[left]
    return done


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
