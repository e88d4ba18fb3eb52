"""Units of labels, and labels that cannot be what they are said to be."""

from __future__ import annotations

import re
from collections.abc import Mapping

TO_EV = {
    "eV": 1.0,
    "meV": 1e-3,
    "hartree": 27.211386245988,
    "kcal/mol": 0.0433641042,
    "kJ/mol": 0.0103642688,
}
"""Factor of each unit of energy that is stored as eV. CODATA 2018."""

# A gap above that of helium (24.6 eV is its first ionisation energy) is no gap of a molecule.
_LARGEST_GAP = 30.0
# The mean gap of any set of organic molecules is some eV: 5 in PCQM4Mv2, 7 in QM9.
_SMALLEST_MEAN_GAP = 0.7


def odd_label(label: str | None, unit: str, value: float | None) -> str | None:
    """What is wrong with one label that is a gap in eV; None if nothing is, or it is something else.

    Args:
      label: its name.
      unit: as given.
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
    if 0 < mean < _SMALLEST_MEAN_GAP:
        return [
            f"the mean of {label} is {mean:.3g} eV, which no set of molecules has: were the values in hartree "
            f"({mean * TO_EV['hartree']:.3g} eV)? Then give --unit hartree"
        ]
    if mean > _LARGEST_GAP:
        likely = "kcal/mol" if mean < 300 else "kJ/mol"
        return [
            f"the mean of {label} is {mean:.4g} eV, which no set of molecules has: were the values in {likely} "
            f"({mean * TO_EV[likely]:.3g} eV)? Then give --unit {likely}"
        ]
    return []


def _is_gap(label: str | None) -> bool:
    return label is not None and re.search("gap|homo_?lumo", label, re.IGNORECASE) is not None
