"""Repair: other atoms to try where those found do not explain a grid. Some are added, moved or left out."""

import numpy as np
import numpy.typing as npt

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.confidence import support
from pg_tf.inversion.noise import SIGNIFICANT
from pg_tf.inversion.peaks import LOWEST_PEAK, sharp_peaks
from pg_tf.inversion.problem import Problem
from pg_tf.inversion.seeds import most_atoms
from pg_tf.inversion.sharpen import Sharpener

# Where the number of atoms is known: an atom whose support is below this share of that of a correctly placed atom is
# taken to be in a wrong place. (Elsewhere the price of an atom decides.)
_LEAST_SUPPORT = 0.2

# New atoms are put beside their place by this much, in sigma: two in one place have the same gradient and never part.
_JITTER = 0.1

# How many proposals in a row may fail. The first exchanges all atoms that seem wrong for all places that seem to miss
# one. The others exchange a single atom for a single place, by rank: the worst atom for the best place, then the second
# worst for the best, and so on.
MOST_FAILURES = 5
_RANKS = {1: (0, 0), 2: (1, 0), 3: (0, 1), 4: (2, 0)}


def propose(
    problem: Problem,
    sharpener: Sharpener,
    atoms: Atoms,
    counts: npt.NDArray[np.int64],
    failures: npt.NDArray[np.int64],
    price: Array,
) -> tuple[npt.NDArray[np.int64], Atoms]:
    """Other atoms to start a descent from, none or several for each grid.

    Args:
      counts: `[K]`, the numbers of atoms wanted, -1 where any will do.
      failures: `[K]`, how many proposals in a row were no better.
      price: `[K]`, what an atom must save of sum r^2 to be worth its place.

    Returns:
      Which grid each proposal is for, `[T]`, and the proposals.
    """
    residuals = problem.residual(atoms)
    gains, of_right_atom = support(problem, atoms, residuals)
    least = np.where(counts < 0, price, _LEAST_SUPPORT * of_right_atom)
    places = _places(sharpener, residuals, atoms.scale)
    random = np.random.default_rng(0)
    member, coords = [], []
    for k in range(len(counts)):
        mine = atoms.coords[k][atoms.present[k]]
        by_support = np.argsort(gains[k][atoms.present[k]])
        weak = int((gains[k] < least[k]).sum())
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
    lowest = np.maximum(LOWEST_PEAK, SIGNIFICANT * sharpener.noise)
    peaks = sharp_peaks(sharpener, residuals, 0.3)
    score = peaks.height * peaks.persistence
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
