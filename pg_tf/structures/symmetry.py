"""Symmetry operations of a crystal in fractional coordinates, and checks: whether they map the lattice onto itself,
whether they form a group, and whether the lengths of the lattice vectors are plausible."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi
import numpy as np
import numpy.typing as npt

Operation = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

# How far an operation may change lengths in a cell, as a share: measured cells obey their symmetry to better.
_METRIC_SLACK = 0.02

# Of lattice vectors, Å.
_SHORTEST, _LONGEST = 0.5, 1e5


def check_lengths(lengths: Sequence[float]) -> None:
    """Makes sure that these can be the lengths of lattice vectors in Å.

    Raises:
      ValueError: if one cannot.
    """
    if not all(_SHORTEST <= length <= _LONGEST for length in lengths):  # NaN as well
        shown = tuple(float(length) for length in lengths)
        raise ValueError(f"its cell has the lengths {shown}; they must be from {_SHORTEST:g} to {_LONGEST:g} Å")


def operations_of(operations: Sequence[gemmi.Op]) -> list[Operation]:
    """Rotation `[3, 3]` and translation `[3]` of each."""
    scale = 1.0 / gemmi.Op.DEN
    return [(np.array(op.rot, float) * scale, np.array(op.tran, float) * scale) for op in operations]


def check_symmetry(operations: Sequence[Operation], cell: npt.NDArray[np.float64]) -> None:
    """Makes sure that the operations map the lattice onto itself.

    Raises:
      ValueError: if one is singular or changes lengths.
    """
    metric = cell @ cell.T
    scale = np.sqrt(np.outer(metric.diagonal(), metric.diagonal()))
    for number, (rotation, _) in enumerate(operations, 1):
        if abs(abs(np.linalg.det(rotation)) - 1) > 1e-6:
            raise ValueError(f"its symmetry operation {number} has the determinant {np.linalg.det(rotation):g}")
        if (np.abs(rotation.T @ metric @ rotation - metric) > _METRIC_SLACK * scale).any():
            raise ValueError(
                f"its symmetry operation {number} is none of its cell: it maps the lattice vectors onto others of "
                "other lengths or angles"
            )


def is_group(operations: Sequence[Operation]) -> bool:
    """Whether the product of any two operations is among them, up to lattice vectors."""
    rotations, shifts = (np.stack(parts) for parts in zip(*operations, strict=True))
    known = distinct(operations)
    return all(known >= _keys(turn @ rotations, shifts @ turn.T + shift) for turn, shift in operations)


def distinct(operations: Sequence[Operation]) -> set[bytes]:
    """One key for each operation, the same for those that differ by lattice vectors."""
    rotations, shifts = zip(*operations, strict=True)
    return _keys(np.stack(rotations), np.stack(shifts))


def _keys(rotations: npt.NDArray[np.float64], shifts: npt.NDArray[np.float64]) -> set[bytes]:
    # All entries are multiples of 1/24.
    parts = np.concatenate([24 * rotations.reshape(-1, 9), np.rint(24 * shifts) % 24], axis=1)
    return {row.tobytes() for row in np.rint(parts).astype(np.int32)}
