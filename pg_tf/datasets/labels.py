"""Finds labels that cannot be right, such as gaps in another unit."""

import math
import re

from pg_tf.datasets.units import TO_EV

# A gap above that of helium (24.6 eV is its first ionisation energy) is no gap of a molecule.
_LARGEST_GAP = 30.0
# The mean gap of any set of organic molecules is some eV: 5 in PCQM4Mv2, 7 in QM9.
_SMALLEST_MEAN_GAP = 0.7
_USUAL_MEAN_GAP = 6.0


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


def odd_labels(label: str | None, unit: str, mean: float) -> str | None:
    """What is wrong with all labels together; None as `odd_label`.

    Args:
      label: their name.
      unit: of the source, as in TO_EV.
      mean: of the labels in eV, if the unit is one of energy.
    """
    if unit not in TO_EV or not _is_gap(label) or _SMALLEST_MEAN_GAP <= mean <= _LARGEST_GAP:
        return None
    question = f"the mean of {label} is {mean:.4g} eV, which no set of molecules has"
    if mean <= 0:
        return f"{question}: is it a gap?"
    # As the values were given, which may be in another unit than eV already.
    given = mean / TO_EV[unit]
    likely = min(TO_EV, key=lambda name: abs(math.log(given * TO_EV[name] / _USUAL_MEAN_GAP)))
    likely_mean = given * TO_EV[likely]
    return f"{question}: were the values in {likely} ({likely_mean:.3g} eV)? Then start anew with --unit {likely}"


def _is_gap(label: str | None) -> bool:
    return label is not None and re.search(r"gap|homo[\W_]*lumo", label, re.IGNORECASE) is not None
