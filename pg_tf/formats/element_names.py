"""Elements from what files call their atoms. A name tells an element only where the format says that it does."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pg_tf.elements import SYMBOLS

_BY_LOWER_CASE = {symbol.lower(): number for number, symbol in enumerate(SYMBOLS) if symbol} | {"d": 1, "t": 1}

# Einsteinium, the heaviest element of which there was ever enough to see.
HEAVIEST = 99

# An element and its charge or valence: Fe, Fe3+, O2-, O-, Nd+3, Fe2.5+.
_TYPE = re.compile(r"([A-Za-z]{1,2})(\d*\.?\d*[+-]\d*\.?\d*|\d+)?")

# Names of water and hydroxyl: OW1, Ow, O_w, OH2, Wat1, HOH, H2O1, water.
_WATER = re.compile(r"(o_?w|o_?h|wat(er)?|hoh|h2o|oh2)[-_()\d'a-d]*", re.IGNORECASE)


def number_of_symbol(symbol: str) -> int:
    """The atomic number of an element symbol in any case, deuterium and tritium included; 0 for anything else."""
    return _BY_LOWER_CASE.get(symbol.strip().lower(), 0)


def number_of_type(text: str) -> int:
    """The atomic number of an element symbol with or without a charge, such as `Fe3+`; 0 for anything else."""
    match = _TYPE.fullmatch(text.strip())
    return number_of_symbol(match[1]) if match else 0


def number_of_label(label: str) -> int:
    """The atomic number of the element that the label of a crystallographic site begins with; 0 for none.

    A label is an element symbol and then, without another letter in between, a number or a sign (IUCr, core
    dictionary, `_atom_site_label`). Refiners' names for the oxygen of water and hydroxyl are known too.
    """
    if _WATER.fullmatch(label):
        return 8
    letters = re.match(r"[A-Za-z]*", label)[0]  # type: ignore[index]
    if "/" in label or "," in label:  # a site of several elements
        return 0
    number = number_of_symbol(letters)
    return number if number <= HEAVIEST else 0


def named(elements: Mapping[str, str] | None, *names: str | None) -> int | None:
    """The atomic number that a caller's `elements` gives to the first of the names that is in it; None if none is.

    Raises:
      ValueError: if what it gives is no element.
    """
    for name in names:
        if elements is not None and name is not None and name in elements:
            number = number_of_symbol(elements[name])
            if not number:
                raise ValueError(f"elements: {elements[name]!r} for {name!r} is no element symbol")
            return number
    return None
