"""Units of labels."""

import re

TO_EV = {
    "eV": 1.0,
    "meV": 1e-3,
    "hartree": 27.211386245988,
    "kcal/mol": 0.0433641042418,
    "kJ/mol": 0.0103642696563,
    "cm-1": 1.2398419843e-4,
}
"""Factor of each unit of energy that is stored as eV. CODATA 2018."""

NO_UNIT = "none"
"""What is given as the unit of labels that are no energies."""

_SPELLINGS = {
    "eV": ("ev", "electronvolt", "electronvolts"),
    "meV": ("mev",),
    "hartree": ("hartree", "hartrees", "ha", "eh", "e_h", "au", "a.u."),
    "kcal/mol": ("kcal/mol", "kcal", "kcalmol-1", "kcal*mol-1"),
    "kJ/mol": ("kj/mol", "kj", "kjmol-1", "kj*mol-1"),
    "cm-1": ("cm-1", "1/cm"),
    "": ("", NO_UNIT),
}
_BY_SPELLING = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}


def unit_named(text: str) -> str:
    """The unit that is meant: a key of TO_EV, or "" for labels that are no energies.

    Args:
      text: in any of the usual spellings, in upper or lower case: "Hartree", "a.u.", "kcal mol^-1".

    Raises:
      ValueError: if it is none of them.
    """
    found = _BY_SPELLING.get(re.sub(r"[\s^{}()]", "", text).replace("·", "*").replace("−", "-").casefold())
    if found is None or "MeV" in text:  # which is 10^9 meV
        raise ValueError(
            f"unit: must be one of {', '.join(TO_EV)}, or {NO_UNIT!r} for labels that are no energies, got {text!r}"
        )
    return found
