"""What the atoms of any file must keep to, and what about them is odd: one set of rules for molecules and crystals."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pg_tf.elements import SYMBOLS

CLOSEST = 0.4
"""Two atoms closer than this are two descriptions of one, Å. No bond is as short."""

OCCUPANCY_SLACK = 0.02
"""How far occupancies may add up beyond 1 by rounding."""

# Bonds shorter than this share of the sum of the covalent radii (Cordero et al., doi:10.1039/b801115j) are of other
# elements or in another unit: the shortest of all, in uranyl and between chromium atoms, have 0.66.
_SHORTEST_BOND = 0.55

# An atom further from all others than this is none of the molecule, Å.
_STRAY = 50.0

# Room of an atom in a crystal, Å^3: carbon has 5.7 in diamond, hydrogen in hydrides at a million bar 2.
_LEAST_ROOM = 1.5

# Up to so many atoms all distances are computed at once.
_FEW = 64


def closest_pair(places: npt.NDArray[np.floating]) -> tuple[int, int, float] | None:
    """The first two of the places `[A, 3]` that are closer than `CLOSEST`, and their distance."""
    if len(places) <= _FEW:
        squares = _squares(places)
        if not len(places) or squares.min() >= CLOSEST**2:
            return None
        first, second = (int(index) for index in np.unravel_index(squares.argmin(), squares.shape))
    else:
        from scipy.spatial import cKDTree

        pairs = cKDTree(places).query_pairs(CLOSEST)
        if not pairs:
            return None
        first, second = min(pairs)
    return first, second, float(np.linalg.norm(places[first] - places[second]))


def odd_distances(
    atomic_numbers: npt.NDArray[np.integer],
    places: npt.NDArray[np.floating],
    occupancies: npt.NDArray[np.floating] | None = None,
) -> Iterator[str]:
    """What is odd about the distances in one molecule, a sentence each.

    Args:
      atomic_numbers: `[A]`.
      places: `[A, 3]`, Å.
      occupancies: `[A]`; None is 1 for all. Two atoms that are not both there at once are no pair.
    """
    if len(places) < 2:
        return
    radii = covalent_radii()[atomic_numbers]
    if len(places) <= _FEW and occupancies is None:
        distances = np.sqrt(_squares(places))
        nearest = distances.min(axis=1)
        shares = distances / (radii[:, np.newaxis] + radii)
        first, second = (int(index) for index in np.unravel_index(shares.argmin(), shares.shape))
        if shares[first, second] < _SHORTEST_BOND:
            yield short_bond(atomic_numbers[first], atomic_numbers[second], float(distances[first, second]))
    else:
        from scipy.spatial import cKDTree

        tree = cKDTree(places)
        nearest = tree.query(places, 2)[0][:, 1]
        yield from short_bonds(atomic_numbers, places, places, np.arange(len(places)), occupancies)
    if nearest.max() > _STRAY:
        atom = int(nearest.argmax())
        yield (
            f"atom {atom} ({SYMBOLS[atomic_numbers[atom]]}) is {nearest[atom]:.5g} Å away from all others: a damaged "
            f"coordinate, or lengths in another unit than Å"
        )


def short_bonds(
    atomic_numbers: npt.NDArray[np.integer],
    places: npt.NDArray[np.floating],
    points: npt.NDArray[np.floating],
    owners: npt.NDArray[np.int64],
    occupancies: npt.NDArray[np.floating] | None = None,
) -> Iterator[str]:
    """The bond that is the shortest for its elements, if it is too short for any.

    Args:
      atomic_numbers: `[A]`.
      places: `[A, 3]`, Å.
      points: `[B, 3]`, the same atoms with their images.
      owners: `[B]`, whose images those are.
      occupancies: `[A]`; two atoms that are not both there at once are no pair.
    """
    from scipy.spatial import cKDTree

    radii, reach = covalent_radii()[atomic_numbers], longest_reach(atomic_numbers)
    pairs = cKDTree(places).sparse_distance_matrix(cKDTree(points), reach, output_type="ndarray")
    first, second, distance = pairs["i"], owners[pairs["j"]], pairs["v"]
    kept = distance > CLOSEST
    if occupancies is not None:
        kept &= occupancies[first] + occupancies[second] > 1 + OCCUPANCY_SLACK
    shares = np.where(kept, distance, np.inf) / (radii[first] + radii[second])
    if shares.size and shares.min() < _SHORTEST_BOND:
        at = int(shares.argmin())
        yield short_bond(atomic_numbers[first[at]], atomic_numbers[second[at]], float(distance[at]))


def longest_reach(atomic_numbers: npt.NDArray[np.integer]) -> float:
    """Atoms further apart than this are never too close for their elements, Å."""
    return 2 * _SHORTEST_BOND * float(covalent_radii()[atomic_numbers].max())


def short_bond(first: int, second: int, distance: float) -> str:
    """What is said of two atoms that are too close for their elements."""
    one, other = SYMBOLS[first], SYMBOLS[second]
    letters = "".join(f", {symbol.upper()} may be a name" for symbol in sorted({one, other}) if len(symbol) == 2)
    return (
        f"atoms {one} and {other} are {distance:.3g} Å apart, too close for these elements{letters}; or lengths are in "
        f"another unit than Å"
    )


def odd_room(volume: float, atoms: float) -> Iterator[str]:
    """What is odd about so many atoms in a cell of this volume, Å^3."""
    if atoms * _LEAST_ROOM > volume:
        yield (
            f"its cell has {volume / atoms:.2g} Å^3 for an atom, and the densest crystals have 2: lengths are in "
            f"another unit than Å, or atoms are there more than once"
        )


@functools.cache
def covalent_radii() -> npt.NDArray[np.float64]:
    """Covalent radii, Å, by atomic number (Cordero et al., doi:10.1039/b801115j)."""
    from rdkit import Chem

    table = Chem.GetPeriodicTable()
    return np.array([0.0, *(table.GetRcovalent(number) for number in range(1, len(SYMBOLS)))])


def _squares(places: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    squares = ((places[:, np.newaxis] - places) ** 2).sum(axis=2)
    squares[np.diag_indices(len(places))] = np.inf
    return squares
