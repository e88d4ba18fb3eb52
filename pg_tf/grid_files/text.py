"""Numbers as text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def rows_of(values: npt.NDArray[np.floating], in_a_row: int, form: str) -> str:
    """Numbers, so many in a line, each in the form given; the last line may be shorter."""
    whole, rest = divmod(len(values), in_a_row)
    lines = f"{' '.join([form] * in_a_row)}\n" * whole + (f"{' '.join([form] * rest)}\n" if rest else "")
    return lines % tuple(values.tolist())
