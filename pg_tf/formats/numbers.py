"""Numbers as files have them."""

from __future__ import annotations

import math
import re

# Digits, a point, an exponent by Fortran (1.5D-3) or Mathematica (1.5*^-3) as well as 1.5e-3.
_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:(?:[eEdD]|\*\^)([+-]?[0-9]{1,4}))?")


def number_in(text: str) -> float:
    """The value of a number; NaN for anything else, such as `nan`, `****`, `0x10` or `1_000`."""
    match = _NUMBER.fullmatch(text.strip())
    value = float(f"{match[1]}e{match[2] or 0}") if match else math.nan
    return value if math.isfinite(value) else math.nan


def whole_number_in(text: str) -> int | None:
    """The value of a whole number that is not negative, with at most 18 digits; None for anything else."""
    text = text.strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
