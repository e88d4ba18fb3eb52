"""Dictionaries of atoms, as datasets and models hold them: one rule for what their keys mean."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

KEYS = ("points", "coords", "channels", "atomic_numbers", "weights", "features", "sigma", "box", "cell", "center")
"""What describes atoms, and where their grid is. Nothing else does."""

# What other libraries call them.
_ELSEWHERE = {
    "coords": ("coord", "coordinates", "positions", "position", "pos", "xyz"),
    "atomic_numbers": ("numbers", "z", "atom_types", "species", "elements", "symbols"),
    "weights": ("occupancy", "occupancies"),
    "sigma": ("sigmas", "radii", "variance"),
    "box": ("boxes", "bbox"),
    "cell": ("lattice", "cells"),
    "center": ("centre", "centers", "centres"),
}
_KEY_OF = {name: key for key, names in _ELSEWHERE.items() for name in names}
_ALIKE = 0.8


def split(
    element: Mapping[str, Any], keys: Iterable[str] = KEYS, *, passthrough: Iterable[str] = (), rest: bool = True
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a dictionary holds of atoms, without what is None, and the rest of it, such as labels.

    Args:
      element: the dictionary.
      keys: those of KEYS that are used here; others of them are refused.
      passthrough: keys that belong to the rest, whatever they look like.
      rest: whether there may be a rest at all.

    Raises:
      ValueError: if there are neither points nor coords, or both; if a key is not used here, or is not one of KEYS and
        looks like one, so that it may be a slip or another library's word.
    """
    used, handed_on = tuple(keys), tuple(passthrough)
    atoms: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in element.items():
        if name in handed_on:
            others[name] = value
        elif name in used:
            atoms[name] = value
        elif not rest or name in KEYS or (meant := _meant(name)):
            taken = f"keys: {name!r} is none of {', '.join(used)}"
            if rest and name not in KEYS:
                taken = f"keys: {name!r} looks like {meant!r}, and is none of {', '.join(used)}"
            hint = f"; rename it, or hand it on as it is by passthrough=({name!r},)" if rest else ""
            raise ValueError(f"{taken}{hint}")
        else:
            others[name] = value
    atoms = {name: value for name, value in atoms.items() if value is not None}
    names = ", ".join(map(str, element)) or "nothing"
    if ("points" in atoms) == ("coords" in atoms):
        first = [name for name in ("points", "coords") if name in used]
        both = "both 'points' and 'coords'" if "points" in atoms else f"no {' or '.join(map(repr, first))}"
        raise ValueError(f"keys: the dictionary has {both}; it has {names}")
    if "points" in atoms and "channels" in atoms:
        raise ValueError("keys: give 'points', which hold channels, or 'coords' and 'channels'")
    return atoms, others


def _meant(name: str) -> str | None:
    """The key that a name looks like, or None."""
    if not isinstance(name, str):
        return None
    plain = name.lower()
    if plain in KEYS:
        return plain
    close = difflib.get_close_matches(plain, KEYS, 1, _ALIKE)
    return _KEY_OF.get(plain) or (close[0] if close else None)
