"""Random splits that need no list: whether a molecule is in a part follows from its number."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.datasets.source import shuffled

NAMES = ("train", "validation", "test")
PAPER = (0.9, 0.05, 0.05)
"""The paper's 90-5-5."""

_PIECE = 2**20
_SPELLINGS = {"valid": "validation", "val": "validation"}


def official_name(name: str) -> str:
    """What a part of an official split is called here, from what its source calls it: OGB's "valid" is "validation"."""
    return _SPELLINGS.get(name, name)


@dataclasses.dataclass(frozen=True)
class Part:
    """The molecules whose places in a random order of all are `low` to `high - 1`.

    Args:
      low, high: places.
      total: molecules of all parts together.
      seed: of the order.
    """

    low: int
    high: int
    total: int
    seed: int

    def contains(self, ordinals: tf.Tensor) -> tf.Tensor:
        """Whether molecules are in it, by their ordinals (int64 vector) among all."""
        places = shuffled(ordinals, tf.constant(self.total, tf.int64), (self.seed, 0, -1))
        return (places >= self.low) & (places < self.high)

    def counts(self, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many of each of several successive runs of molecules are in it, from the lengths of the runs."""
        inside = np.concatenate(
            [
                np.zeros(0, bool),
                *(
                    self.contains(tf.range(start, min(start + _PIECE, self.total), dtype=tf.int64)).numpy()
                    for start in range(0, self.total, _PIECE)
                ),
            ]
        )
        ends = np.cumsum(sizes)
        before = np.concatenate([[0], np.cumsum(inside)])
        return (before[ends] - before[ends - sizes]).astype(np.int64)


def random_part(split: str, total: int, fractions: Sequence[float], seed: int) -> Part:
    """One part of a random split into train, validation and test.

    Args:
      split: its name, one of NAMES.
      total: molecules in all.
      fractions: of the three; they sum to 1.
      seed: the same seed gives the same parts.

    Raises:
      ValueError: if there is no such part or the fractions are none.
    """
    if split not in NAMES:
        raise ValueError(f"split: must be one of {', '.join(NAMES)} or None, got {split!r}")
    if len(fractions) != 3 or min(fractions) < 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise ValueError(f"splits: must be three fractions that sum to 1, such as {PAPER}, got {tuple(fractions)}")
    bounds = [0, round(fractions[0] * total), round((fractions[0] + fractions[1]) * total), total]
    number = NAMES.index(split)
    return Part(bounds[number], bounds[number + 1], total, seed)
