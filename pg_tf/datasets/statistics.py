"""Mean and standard deviation of labels: the same bits however many pieces they come in."""

import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt


def mean_and_std(pieces: Callable[[], Iterable[npt.NDArray[np.float32]]]) -> tuple[float, float]:
    """Mean and standard deviation of float32 numbers in several arrays; NaN if there are none.

    A training that reads shards has to start from the same statistics as one in memory. Sums are rounded once
    (`math.fsum`), so that they do not depend on where the arrays are cut.

    Args:
      pieces: the arrays; called twice.
    """

    count = sum(len(piece) for piece in pieces())
    if not count:
        return math.nan, math.nan
    mean = math.fsum(itertools.chain.from_iterable(piece.tolist() for piece in pieces())) / count
    squares = (np.square(piece.astype(np.float64) - mean).tolist() for piece in pieces())
    return mean, math.sqrt(math.fsum(itertools.chain.from_iterable(squares)) / count)
