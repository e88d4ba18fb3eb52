"""Atoms that lie on one another: places described twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from pg_tf.formats.rules import CLOSEST, OCCUPANCY_SLACK, longest_reach, short_bonds
from pg_tf.structures.structure import Structure

# How many atoms a message names.
_NAMED = 4


def check_overlaps(
    structure: Structure, labels: Sequence[str], occupancies: npt.NDArray[np.float64] | None = None
) -> None:
    """Makes sure that no place is occupied more than once.

    Args:
      structure: images along its periodic axes are looked at as well.
      labels: `[A]`, what the file calls the atoms.
      occupancies: `[A]`; None takes the weights.

    Raises:
      ValueError: if atoms closer than `CLOSEST` have occupancies that add up to more than 1.
    """
    if len(structure) < 2:
        return
    occupied = np.asarray(structure.weights if occupancies is None else occupancies)
    places, points, owners = _with_neighbouring_images(structure, CLOSEST)
    tree = cKDTree(points)
    # Counted first: of thousands of atoms at one place the lists would not fit into the memory.
    for atom in np.flatnonzero(tree.query_ball_point(places, CLOSEST, return_length=True) > 1):
        others = sorted({atom, *owners[tree.query_ball_point(places[atom], CLOSEST)].tolist()})
        total = float(occupied[others].sum())
        if len(others) > 1 and total > 1 + OCCUPANCY_SLACK:
            names = sorted({labels[index] for index in others})
            more = ", ..." if len(names) > _NAMED else ""
            raise ValueError(
                f"{len(others)} atoms of {', '.join(names[:_NAMED])}{more} lie within {CLOSEST} Å of one another with "
                f"occupancies that add up to {total:g}: a place listed twice, alternatives without occupancies, or "
                f"symmetry that does not fit"
            )


def odd_bonds(structure: Structure) -> Iterator[str]:
    """What is odd about the distances of atoms, images along the periodic axes included: see `short_bonds`."""
    reach = longest_reach(structure.atomic_numbers)
    places, points, owners = _with_neighbouring_images(structure, reach)
    return short_bonds(structure.atomic_numbers, places, points, owners, np.asarray(structure.weights))


def _with_neighbouring_images(
    structure: Structure, reach: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Places `[A, 3]` of the atoms inside of the cell; and of them with all images within `reach` (Å) of its faces, but
    no further than the next cells, `[B, 3]`, and whose images those are, `[B]`."""
    owner = np.arange(len(structure))
    if structure.cell is None:
        return structure.coords, structure.coords, owner
    wrapped = structure.wrapped().fractional
    margin = reach * np.linalg.norm(np.linalg.inv(structure.cell), axis=0)
    repeats = np.array(structure.periodic)
    points, owners = [wrapped], [owner]
    for index in np.ndindex(3, 3, 3):
        shift = np.array(index) - 1
        moved = wrapped + shift
        near = (~repeats | ((moved > -margin) & (moved < 1 + margin))).all(axis=1)
        if shift.any() and not shift[~repeats].any() and near.any():
            points.append(moved[near])
            owners.append(owner[near])
    return wrapped @ structure.cell, np.concatenate(points) @ structure.cell, np.concatenate(owners)
