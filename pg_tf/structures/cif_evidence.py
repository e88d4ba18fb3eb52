"""What a CIF file says about its composition, held against the atoms that were read from it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import gemmi

from pg_tf.elements import SYMBOLS
from pg_tf.formats.element_names import HEAVIEST
from pg_tf.structures.cif_items import Items
from pg_tf.structures.cif_sites import Site
from pg_tf.structures.structure import Structure

# Relative deviation of the composition from the formula that rounded occupancies explain.
_FORMULA_SLACK = 0.02


def doubts_of_labels(items: Items, sites: Sequence[Site]) -> Iterator[str]:
    """Labels and types that more likely mean something else than the element that they spell: Cn, No, W, CA1."""
    formula = _parsed_formula(items.value("_chemical_formula_sum") or "")
    for number, site in {site.atomic_number: site for site in sites}.items():
        symbol, may_be = SYMBOLS[number], ""
        if number > HEAVIEST:
            yield f"site {site.label} is read as {symbol}, an element too short-lived for crystals"
        elif symbol == "W" and re.fullmatch(r"W\d*[A-Za-z']?", site.label):
            may_be = "water"
        elif len(symbol) == 2 and re.match(
            r"[BCFHNOPS][A-HO]", site.label
        ):  # an atom of that element, with a letter to tell it apart
            may_be = site.label[0]
        if may_be and not site.typed and symbol not in formula:
            yield f"site {site.label} has no type and is read as {symbol}; where it is {may_be}, say so by elements"


def doubts_of_formula(items: Items, structure: Structure) -> Iterator[str]:
    """Where the atoms are not those of the formula, or not as many formula units as the file says."""
    attached = items.column("_atom_site_attached_hydrogens")
    if "H" not in structure.composition and any(text not in (None, "0") for text in attached):
        yield "hydrogen atoms are counted at its sites and have no coordinates"
    text = items.value("_chemical_formula_sum") or ""
    formula = _parsed_formula(text)
    if not formula:
        return
    found = structure.composition
    formulas = sorted(found[symbol] / count for symbol, count in formula.items() if symbol in found)
    units = formulas[len(formulas) // 2] if formulas else math.nan
    if set(found) != set(formula) or not all(
        math.isclose(found[symbol], units * count, rel_tol=_FORMULA_SLACK) for symbol, count in formula.items()
    ):
        missing = ", ".join(symbol for symbol in formula if symbol not in found)
        yield f"its formula is {text}, and its atoms give {structure.formula}" + (
            f": there are no coordinates of {missing}" if missing else ""
        )
        return
    given = gemmi.cif.as_number(items.value("_cell_formula_units_z") or "?")
    if given > 0 and not math.isclose(given, units, rel_tol=_FORMULA_SLACK):
        yield f"it says that there are {given:g} formula units of {text} in the cell, and its atoms make {units:g}"


def _parsed_formula(text: str) -> dict[str, float]:
    """Counts of a formula such as 'C10 H10 Fe' or 'SiO2'; empty where it is none."""
    counts: dict[str, float] = {}
    part = r"([A-Z][a-z]?)(\d+\.?\d*|\.\d+)?"
    if re.fullmatch(rf"({part}\s*)*", text) is None:
        return {}
    for match in re.finditer(part, text):
        symbol = "H" if match[1] in ("D", "T") else match[1]
        if symbol not in SYMBOLS:
            return {}
        counts[symbol] = counts.get(symbol, 0.0) + float(match[2] or 1)
    return {symbol: count for symbol, count in counts.items() if count > 0}
