"""Units of labels, and labels that cannot be what they are said to be."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

TO_EV = {
    "eV": 1.0,
    "meV": 1e-3,
    "hartree": 27.211386245988,
    "kcal/mol": 0.0433641042,
    "kJ/mol": 0.0103642688,
    "cm-1": 1.239841984e-4,
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

# A gap above that of helium (24.6 eV is its first ionisation energy) is no gap of a molecule.
_LARGEST_GAP = 30.0
# The mean gap of any set of organic molecules is some eV: 5 in PCQM4Mv2, 7 in QM9.
_SMALLEST_MEAN_GAP = 0.7
_USUAL_MEAN_GAP = 6.0


def unit_named(text: str) -> str:
    """The unit that is meant: a key of TO_EV, or "" for labels that are no energies.

    Args:
      text: in any of the usual spellings, in upper or lower case: "Hartree", "a.u.", "kcal mol^-1".

    Raises:
      ValueError: if it is none of them.
    """
    found = _BY_SPELLING.get(re.sub(r"[\s^{}()]", "", text).replace("·", "*").replace("−", "-").casefold())
    if found is None:
        raise ValueError(
            f"unit: must be one of {', '.join(TO_EV)}, or {NO_UNIT!r} for labels that are no energies, got {text!r}"
        )
    return found


def odd_label(label: str | None, unit: str, value: float | None) -> str | None:
    """What is wrong with one label that is a gap in eV; None if nothing is, or it is something else.

    Args:
      label: its name.
      unit: of the source, as in TO_EV.
      value: in eV, if the unit is one of energy.
    """
    if value is None or unit not in TO_EV or not _is_gap(label):
        return None
    if not 0 <= value <= _LARGEST_GAP:
        return f"{label} is {value:.4g} eV; a HOMO-LUMO gap is 0 to {_LARGEST_GAP:.0f} eV"
    return None


def odd_labels(label: str | None, unit: str, statistics: Mapping[str, float]) -> list[str]:
    """What is wrong with all labels together."""
    if unit not in TO_EV or not _is_gap(label) or not statistics:
        return []
    mean = statistics["mean"]
    if _SMALLEST_MEAN_GAP <= mean <= _LARGEST_GAP:
        return []
    question = f"the mean of {label} is {mean:.4g} eV, which no set of molecules has"
    if mean <= 0:
        return [f"{question}: is it a gap?"]
    # As the values were given, which may be in another unit than eV already.
    given = mean / TO_EV[unit]
    likely = min(TO_EV, key=lambda name: abs(math.log(given * TO_EV[name] / _USUAL_MEAN_GAP)))
    return [
        f"{question}: were the values in {likely} ({given * TO_EV[likely]:.3g} eV)? Then delete the folder and give "
        f"--unit {likely}"
    ]


def _is_gap(label: str | None) -> bool:
    return label is not None and re.search(r"gap|homo[\W_]*lumo", label, re.IGNORECASE) is not None
