"""Figures of merit of found atoms, as plain functions. Each is a ratio of two sums over molecules."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf._atoms import flat_atoms
from pg_tf.metrics.matching import Match, match_points

Parts = Callable[[Match], tuple[float, float]]
"""What one molecule adds to the numerator and to the denominator of a figure."""


def count_parts(match: Match) -> tuple[float, float]:
    return match.count_error, 1


def recovered_parts(match: Match) -> tuple[float, float]:
    return len(match.distances), match.num_true


def exact_parts(match: Match) -> tuple[float, float]:
    return float(match.largest_error < math.inf), 1


def square_parts(match: Match) -> tuple[float, float]:
    return float((match.distances**2).sum()), len(match.distances)


def atom_count_error(true_points: Any, found_points: Any, *, channel: int | None = None) -> float:
    """By how many atoms a molecule is wrong, on average: see `Match.count_error`.

    Args:
      true_points: points of one or several molecules: `[A, 4]`, padded `[B, A, 4]` or ragged `[B, (A), 4]`.
      found_points: points of as many molecules.
      channel: looks at this channel only; None at all of them.

    Returns:
      Atoms per molecule; NaN if there is no molecule.

    Raises:
      ValueError: if a shape does not fit, the numbers of molecules differ, or a coordinate is not finite.
    """
    return _ratio(count_parts, true_points, found_points, None, channel)


def recovered_fraction(
    true_points: Any, found_points: Any, *, within: float = 0.5, channel: int | None = None
) -> float:
    """Fraction of all true atoms that have a found atom of the same channel to themselves within a distance.

    Args:
      true_points: as in `atom_count_error`.
      found_points: as in `atom_count_error`.
      within: the distance, Å.
      channel: as in `atom_count_error`.

    Returns:
      0 to 1; NaN if there is no true atom. Atoms found in excess do not count against it: see `atom_count_error`.

    Raises:
      ValueError: as `atom_count_error`, and if `within` is not a positive number.
    """
    return _ratio(recovered_parts, true_points, found_points, within, channel)


def exact_fraction(true_points: Any, found_points: Any, *, within: float = 1e-3, channel: int | None = None) -> float:
    """Fraction of molecules with the right number of atoms in every channel, each within a distance of its own.

    Args:
      true_points: as in `atom_count_error`.
      found_points: as in `atom_count_error`.
      within: the largest error allowed, Å.
      channel: as in `atom_count_error`.

    Returns:
      0 to 1; NaN if there is no molecule.

    Raises:
      ValueError: as `recovered_fraction`.
    """
    return _ratio(exact_parts, true_points, found_points, within, channel)


def matched_rmsd(
    true_points: Any, found_points: Any, *, within: float | None = None, channel: int | None = None
) -> float:
    """Root of the mean squared distance over all pairs of a true and a found atom.

    Args:
      true_points: as in `atom_count_error`.
      found_points: as in `atom_count_error`.
      within: Å; atoms farther apart are no pair. None pairs as many atoms as there are.
      channel: as in `atom_count_error`.

    Returns:
      Å; NaN if there is no pair. Atoms without a partner do not count: see `atom_count_error`.

    Raises:
      ValueError: as `recovered_fraction`.
    """
    return math.sqrt(_ratio(square_parts, true_points, found_points, within, channel))


def compare_points(
    true_points: Any,
    found_points: Any,
    *,
    channel_names: Sequence[str] = (),
    within: Sequence[float] = (0.1, 0.5),
) -> dict[str, float]:
    """All figures of this module at once.

    Args:
      true_points: as in `atom_count_error`.
      found_points: as in `atom_count_error`.
      channel_names: names of channels, in their order; gives the figures of each of them too.
      within: the distances of `recovered_fraction`, Å.

    Returns:
      "count_error", "exact", "recovered_0.1A" for each distance, and "rmsd"; with a channel's name at the end, such as
      "rmsd_C", for the channel.

    Raises:
      ValueError: as `recovered_fraction`.
    """
    figures: dict[str, float] = {}
    channels: list[tuple[int | None, str]] = [(None, ""), *((i, f"_{name}") for i, name in enumerate(channel_names))]
    for channel, suffix in channels:
        figures[f"count_error{suffix}"] = atom_count_error(true_points, found_points, channel=channel)
        figures[f"exact{suffix}"] = exact_fraction(true_points, found_points, channel=channel)
        for distance in within:
            figures[f"recovered_{distance:g}A{suffix}"] = recovered_fraction(
                true_points, found_points, within=distance, channel=channel
            )
        figures[f"rmsd{suffix}"] = matched_rmsd(true_points, found_points, channel=channel)
    return figures


def checked_distance(within: float | None) -> float | None:
    if within is not None and not 0 < within < math.inf:
        raise ValueError(f"within must be a distance greater than 0 Å, got {within}")
    return within


def flat_batches(true_points: Any, found_points: Any) -> list[Any]:
    """True points `[N, 4]`, their row splits `[B + 1]`, and the same of the found ones."""
    parts: list[Any] = []
    for name, points in (("true_points", true_points), ("found_points", found_points)):
        layout, flat = flat_atoms(name, points, 4)
        parts += [flat, layout.row_splits]
    return parts


def parts_of_molecules(
    parts: Parts,
    batches: Sequence[npt.NDArray[Any]],
    within: float | None,
    channel: int | None,
) -> npt.NDArray[np.float64]:
    """Numerator and denominator for each molecule of what `flat_batches` returns: `[B, 2]`."""
    true, true_splits, found, found_splits = batches
    if len(true_splits) != len(found_splits):
        raise ValueError(
            f"true_points and found_points must have as many molecules, got {len(true_splits) - 1} and "
            f"{len(found_splits) - 1}"
        )
    result = np.zeros((len(true_splits) - 1, 2))
    for molecule in range(len(result)):
        ours = true[true_splits[molecule] : true_splits[molecule + 1]]
        theirs = found[found_splits[molecule] : found_splits[molecule + 1]]
        if channel is not None:
            ours, theirs = (points[points[:, 0] == channel] for points in (ours, theirs))
        try:
            result[molecule] = parts(match_points(ours, theirs, within))
        except ValueError as error:
            raise ValueError(f"molecule {molecule}: {error}") from None
    return result


def _ratio(parts: Parts, true_points: Any, found_points: Any, within: float | None, channel: int | None) -> float:
    batches = [np.asarray(part) for part in flat_batches(true_points, found_points)]
    numerator, denominator = parts_of_molecules(parts, batches, checked_distance(within), channel).sum(axis=0)
    return float(numerator / denominator) if denominator else math.nan
