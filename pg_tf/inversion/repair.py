"""What else the atoms of a grid may be, where those found do not explain it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pg_tf.inversion import evidence
from pg_tf.inversion.factors import Array
from pg_tf.inversion.problem import Atoms, Problem
from pg_tf.inversion.seeds import LOWEST_PEAK, most_atoms, sharp_peaks
from pg_tf.inversion.sharpen import Sharpener

# An atom that explains less than this part of what a right one does is in a wrong place.
_LEAST_SUPPORT = 0.2

# New atoms are put off their place by this much, in sigma: two in one place would never part.
_JITTER = 0.1

# Proposals are gone through while they fail. First all that the residual suggests at once; then single atoms and
# places, by rank: (the worst atom, the best place), (the second worst, the best), ...
SCHEDULE = 5
_RANKS = {1: (0, 0), 2: (1, 0), 3: (0, 1), 4: (2, 0)}


def propose(
    problem: Problem,
    sharpener: Sharpener,
    atoms: Atoms,
    counts: npt.NDArray[np.int64],
    failures: npt.NDArray[np.int64],
    price: Array,
) -> tuple[npt.NDArray[np.int64], Atoms]:
    """Other atoms to start a descent from.

    Args:
      counts: `[K]`, the numbers of atoms wanted, -1 where any will do.
      failures: `[K]`, how many proposals in a row were no better.
      price: `[K]`, what an atom must save of sum r^2 to be worth its place.

    Returns:
      Which grid each proposal is for, `[T]`, and the proposals.
    """
    residuals = problem.residual(atoms)
    support, of_right_atom = evidence.support(problem, atoms, residuals)
    least = np.where(counts < 0, price, _LEAST_SUPPORT * of_right_atom)
    places = _places(sharpener, residuals, atoms.scale)
    random = np.random.default_rng(0)
    member, coords = [], []
    for k in range(len(counts)):
        mine = atoms.coords[k][atoms.present[k]]
        by_support = np.argsort(support[k][atoms.present[k]])
        weak = int((support[k] < least[k]).sum())
        where, strong = places[k]
        for drop, add in _exchanges(len(mine), weak, strong, len(where), int(counts[k]), int(failures[k])):
            jitter = random.normal(scale=_JITTER * atoms.sigma[k], size=(len(add), 3))
            kept = np.delete(mine, by_support[drop], axis=0)
            member.append(k)
            coords.append(np.concatenate([kept, where[add] + jitter]))
    size = max((len(c) for c in coords), default=1)
    rows = np.array(member, np.int64)
    present = np.arange(max(size, 1)) < np.array([len(c) for c in coords], np.int64)[:, np.newaxis]
    padded = np.zeros((*present.shape, 3))
    padded[present] = np.concatenate(coords) if coords else np.zeros((0, 3))
    chosen = atoms[rows]
    return rows, Atoms(padded, present, chosen.sigma, chosen.scale, chosen.background)


def _exchanges(
    num_atoms: int, weak: int, strong: int, num_places: int, wanted: int, failures: int
) -> list[tuple[list[int], list[int]]]:
    """Ranks of atoms to drop, the worst being 0, and of places to fill, the best being 0.

    Args:
      weak: how many of the atoms seem wrong.
      strong: how many of the places seem to hold an atom.
      wanted: number of atoms, -1 for any.
    """
    missing = wanted - num_atoms
    if wanted >= 0 and missing > 0:  # some places more than once, if need be
        return [([], [(i + failures) % num_places for i in range(missing)])]
    if wanted >= 0 and missing < 0:
        return [(list(range(first, first - missing)), []) for first in (0, 1) if first - missing <= num_atoms]
    if failures == 0:
        if wanted >= 0:
            moved = min(max(weak, 1), num_atoms, num_places)
            return [(list(range(moved)), list(range(moved)))]
        weak = min(weak, num_atoms)
        return [(list(range(weak)), list(range(strong)))] if weak or strong else [([], [0])]
    worst, place = _RANKS[failures]
    moves = [([worst], [place])] if worst < num_atoms and place < num_places else []
    if wanted < 0:
        moves += [([], [place])] if place < num_places else []
        moves += [([worst], [])] if worst < num_atoms else []
    return moves


def _places(sharpener: Sharpener, residuals: Array, scale: Array) -> list[tuple[Array, int]]:
    """For each grid, where an atom may be missing `[places, 3]`, Å, the best place first; and how many of them are as
    good as the seeds were."""
    lowest = np.maximum(LOWEST_PEAK, evidence.SIGNIFICANT * sharpener.noise)
    peaks = sharp_peaks(sharpener, residuals, 0.3)
    score = peaks.height * peaks.persistence
    # What the box cuts is less than an atom.
    limit = most_atoms(residuals, scale).astype(int)
    result = []
    for k in range(len(residuals)):
        mine = np.flatnonzero(peaks.grid == k)
        mine = mine[np.argsort(-score[mine])]
        where = sharpener.place(peaks.position[mine], peaks.grid[mine])
        strong = int((peaks.height[mine] > lowest[k]).sum())
        matched, _ = sharpener[np.array([k])].matched(residuals[k : k + 1])
        highest = np.array(np.unravel_index(matched[0].argmax(), sharpener.shape))
        best_match = sharpener.place(highest[np.newaxis] + 0.5, np.array([k]))
        result.append((np.concatenate([where, best_match]), min(strong, limit[k])))
    return result
