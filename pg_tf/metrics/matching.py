"""Pairing the atoms of one set with those of another."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist


@dataclasses.dataclass(frozen=True)
class Match:
    """Atoms of two sets paired off, channel by channel, so that the sum of squared distances is least.

    Attributes:
      num_true: atoms of the first set.
      num_found: atoms of the second set.
      count_error: by how many atoms the two differ, summed over the channels: an atom in the wrong channel is missing
        in one and too many in the other.
      distances: of the pairs, Å.
    """

    num_true: int
    num_found: int
    count_error: int
    distances: npt.NDArray[np.float64]

    @property
    def same_counts(self) -> bool:
        """Whether every channel has as many atoms in both."""
        return self.count_error == 0

    @property
    def largest_error(self) -> float:
        """Å; infinite where some atom has no partner."""
        if not self.same_counts or len(self.distances) < self.num_true:
            return float("inf")
        return float(self.distances.max(initial=0.0))


def pair_atoms(
    true: npt.NDArray[Any], found: npt.NDArray[Any], within: float | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Pairs atoms so that the sum of squared distances is least (Hungarian algorithm).

    Args:
      true: coordinates `[A, 3]`, Å.
      found: coordinates `[F, 3]`, Å.
      within: None pairs as many atoms as there are. A distance in Å makes as many pairs as there can be that are no
        farther apart, and of all ways to do so takes the one with the least sum of squares. Without it, one missing
        atom can shift the partners of a whole row of atoms.

    Returns:
      Indices into `true`, indices into `found`, and the distances in Å, each `[pairs]`.
    """
    distances = cdist(true, found)
    cost = distances**2
    if within is not None:
        # A pair that is too far apart costs more than all good pairs together, so that as many good ones as possible
        # are made.
        cost = np.where(distances <= within, cost, (min(distances.shape) + 1) * within**2)
    rows, columns = linear_sum_assignment(cost)
    distances = distances[rows, columns]
    kept = np.full(len(rows), True) if within is None else distances <= within
    return rows[kept], columns[kept], distances[kept]


def match_points(true: Any, found: Any, within: float | None = None) -> Match:
    """Pairs atoms of the same channel.

    Args:
      true: points `[A, 4]`, columns channel, x, y, z in Å; negative channels are padding and left out.
      found: points `[A', 4]`.
      within: as in `pair_atoms`.

    Raises:
      ValueError: if a shape does not fit or an atom has a coordinate that is not finite.
    """
    sets = []
    for name, points in (("true", true), ("found", found)):
        array = np.asarray(points, np.float64)
        if array.ndim != 2 or array.shape[1] != 4:
            raise ValueError(f"{name} must have shape [atoms, 4], got {list(array.shape)}")
        if (bad := np.flatnonzero(~np.isfinite(array).all(axis=1) & ~(array[:, 0] < 0))).size:
            raise ValueError(f"{name}: atom {bad[0]} is {array[bad[0]].tolist()}; points must be finite")
        sets.append(array[array[:, 0] >= 0])
    a, b = sets
    channels = np.union1d(a[:, 0], b[:, 0])
    parts = [(a[a[:, 0] == channel, 1:], b[b[:, 0] == channel, 1:]) for channel in channels]
    distances = [pair_atoms(*part, within)[2] for part in parts]
    count_error = sum(abs(len(x) - len(y)) for x, y in parts)
    return Match(len(a), len(b), count_error, np.concatenate([np.zeros(0), *distances]))
