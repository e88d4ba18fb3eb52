"""How well one set of atoms reproduces another."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment


@dataclasses.dataclass(frozen=True)
class Match:
    """Atoms of two sets paired off, channel by channel, so that the sum of squared distances is least.

    Attributes:
      num_true: atoms of the first set.
      num_found: atoms of the second set.
      same_counts: whether every channel has as many atoms in both.
      distances: of the pairs, Å.
    """

    num_true: int
    num_found: int
    same_counts: bool
    distances: npt.NDArray[np.float64]

    @property
    def largest_error(self) -> float:
        """Å; infinite where the counts differ, for then some atom has no partner."""
        if not self.same_counts:
            return float("inf")
        return float(self.distances.max(initial=0.0))


def pair_atoms(
    true: npt.NDArray[Any], found: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Pairs atoms so that the sum of squared distances is least (Hungarian algorithm).

    Args:
      true: coordinates `[A, 3]`, Å.
      found: coordinates `[F, 3]`, Å.

    Returns:
      Indices into `true`, indices into `found`, and the distances in Å, each `[min(A, F)]`.
    """
    squared = ((true[:, np.newaxis] - found[np.newaxis]) ** 2).sum(axis=-1)
    rows, columns = linear_sum_assignment(squared)
    return rows, columns, np.sqrt(squared[rows, columns])


def match_points(true: Any, found: Any) -> Match:
    """Pairs atoms of the same channel.

    Args:
      true: points `[A, 4]`, columns channel, x, y, z in Å; negative channels are padding and left out.
      found: points `[A', 4]`.

    Raises:
      ValueError: if a shape does not fit.
    """
    sets = []
    for name, points in (("true", true), ("found", found)):
        array = np.asarray(points, np.float64)
        if array.ndim != 2 or array.shape[1] != 4:
            raise ValueError(f"{name} must have shape [atoms, 4], got {list(array.shape)}")
        sets.append(array[array[:, 0] >= 0])
    a, b = sets
    distances = [
        pair_atoms(a[a[:, 0] == channel, 1:], b[b[:, 0] == channel, 1:])[2] for channel in np.union1d(a[:, 0], b[:, 0])
    ]
    same = np.array_equal(np.sort(a[:, 0]), np.sort(b[:, 0]))
    return Match(len(a), len(b), same, np.concatenate([np.zeros(0), *distances]))
