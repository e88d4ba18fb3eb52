"""Crystal structures from CIF files, symmetry expanded."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator

import gemmi
import numpy as np
import numpy.typing as npt

from pg_tf.datasets.readers.record import Path
from pg_tf.elements import SYMBOLS
from pg_tf.structures._text import read_text
from pg_tf.structures.overlaps import check_overlaps
from pg_tf.structures.space_group import operations_in
from pg_tf.structures.structure import CLOSEST, OCCUPANCY_SLACK, Structure
from pg_tf.structures.symmetry import Operation, check_lengths, check_symmetry

# Images of a partly occupied site that are further apart than this are two places of a disordered atom, Å.
_CLOSEST_PARTIAL = 0.1

# A smaller angle of a cell is more likely one in radians; degrees.
_SMALLEST_ANGLE = 5.0

# Einsteinium, the heaviest element of which there was ever enough to see.
_HEAVIEST = 99

# Fractional coordinates larger than this are none.
_FURTHEST = 1000.0

# Relative deviation of the composition from the formula that rounded occupancies explain.
_FORMULA_SLACK = 0.02


def read_cif(path: Path, *, block: str | None = None, strict: bool = False) -> Structure:
    """Reads one crystal structure of a CIF file: all atoms of one cell, by the symmetry operations in the file or,
    where it lists none, by those of the space group that it names.

    Partial occupancies become weights; a place that several elements share has one atom for each. Deuterium is
    hydrogen. The cell has a along x and b in the xy plane; coordinates are those of the file and its symmetry, not
    wrapped.

    Args:
      path: `.cif` or `.cif.gz`.
      block: name of the data block; None takes the first that has atoms.
      strict: raise where otherwise a warning is given: the composition is not what the formula in the file says
        (hydrogen atoms without coordinates are the usual cause), there is no symmetry in the file, or several blocks
        have atoms.

    Raises:
      ValueError: if the file is damaged, has no atoms with fractional coordinates, no cell, symmetry that cannot be
        read, an atom that is no element, or atoms that lie on one another and do not share their place by occupancy.
      OSError: if the file cannot be opened.
    """

    def doubt(cause: str) -> None:
        if strict:
            raise ValueError(f"path: {path}: {cause}")
        warnings.warn(f"{path}: {cause}", stacklevel=3)

    try:
        document = _document(path)
        chosen = _block(document, block, doubt)
        _fill_labels(chosen)
        small = gemmi.make_small_structure_from_block(chosen)
        cell = _cell(small, doubt)
        operations = operations_in(small, doubt)
        check_symmetry(operations, cell)
        typed = len(chosen.find_values("_atom_site_type_symbol")) > 0
        _check_occupancies(chosen)
        numbers, fractional, weights, labels = _expand(small, operations, cell, typed, _dummies(chosen))
        if not len(numbers):
            raise ValueError("it has no atoms: all sites are dummies or have an occupancy of 0")
        structure = Structure(numbers, fractional @ cell, cell, weights=weights, name=chosen.name)
        check_overlaps(structure, labels)
    except (ValueError, RuntimeError) as error:
        text = str(error)
        raise ValueError(text if text.startswith("path: ") else f"path: {path}: {text}") from error
    for cause in [*_label_doubts(structure, labels, typed), *_formula_doubts(chosen, structure)]:
        doubt(cause)
    return structure


def is_mmcif(path: Path) -> bool:
    """Whether a CIF file is a macromolecular one: with Cartesian coordinates under `_atom_site.`."""
    try:
        return any(block.find_values("_atom_site.Cartn_x") for block in _document(path))
    except ValueError:
        return False


def _document(path: Path) -> gemmi.cif.Document:
    text = read_text(path)
    try:
        return gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"path: {path} is not a CIF file: {error}") from error


def _block(document: gemmi.cif.Document, name: str | None, doubt: Callable[[str], None]) -> gemmi.cif.Block:
    if name is not None:
        block = document.find_block(name)
        if block is None:
            raise ValueError(f"it has no block {name!r}; it has {', '.join(b.name for b in document) or 'none'}")
        return block
    with_atoms = [b for b in document if len(b.find_values("_atom_site_fract_x"))]
    if not with_atoms:
        raise ValueError("no block of it has atoms with fractional coordinates")
    for axis in "yz":
        if not len(with_atoms[0].find_values(f"_atom_site_fract_{axis}")):
            raise ValueError(f"its atoms have no _atom_site_fract_{axis}")
    if len(with_atoms) > 1:
        names = ", ".join(b.name for b in with_atoms)
        doubt(f"several blocks have atoms, {names}; the first is read, or name one as block")
    return with_atoms[0]


def _fill_labels(block: gemmi.cif.Block) -> None:
    """Types for labels where a file has no labels: the parser would not see its atoms."""
    types = block.find_loop("_atom_site_type_symbol")
    if types.get_loop() is not None and not block.find_values("_atom_site_label"):
        loop, column = types.get_loop(), [*types]
        loop.add_columns(["_atom_site_label"], ".")
        values = block.find_loop("_atom_site_label")
        for index, symbol in enumerate(column):
            values[index] = symbol


def _cell(small: gemmi.SmallStructure, doubt: Callable[[str], None]) -> npt.NDArray[np.float64]:
    if not small.cell.is_crystal():
        raise ValueError("it has no cell lengths and angles")
    lengths, angles = small.cell.parameters[:3], small.cell.parameters[3:]
    cell = np.array(small.cell.orth.mat.tolist()).T
    check_lengths(lengths)
    if max(angles) < math.pi:
        raise ValueError(f"its cell has the angles {angles}; they must be in degrees")
    possible = all(0 < angle < 180 for angle in angles)
    if not (possible and np.isfinite(cell).all() and np.linalg.det(cell) > 1e-8 * np.prod(lengths)):
        raise ValueError(f"there is no cell with the lengths {lengths} and the angles {angles}: it has no volume")
    if min(angles) < _SMALLEST_ANGLE or max(angles) > 180 - _SMALLEST_ANGLE:
        doubt(f"its cell has the angles {angles}; they must be in degrees")
    return cell


def _check_occupancies(block: gemmi.cif.Block) -> None:
    """What is no number the parser takes for 1."""
    for row, text in enumerate(block.find_values("_atom_site_occupancy"), 1):
        if text not in ("?", ".") and not math.isfinite(gemmi.cif.as_number(text)):
            raise ValueError(f"row {row} of its sites has the occupancy {text!r}, which is no number")


def _dummies(block: gemmi.cif.Block) -> list[bool]:
    """Whether a site stands for no atom, for each."""
    rows = block.find("_atom_site_", ["label", "?calc_flag"])
    return [row.has(1) and gemmi.cif.as_string(row[1]).lower() == "dum" for row in rows]


def _expand(
    small: gemmi.SmallStructure,
    operations: list[Operation],
    cell: npt.NDArray[np.float64],
    typed: bool,
    dummies: list[bool],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.float64], list[str]]:
    numbers: list[int] = []
    places: list[npt.NDArray[np.float64]] = []
    weights: list[float] = []
    labels: list[str] = []
    for site, dummy in zip(small.sites, dummies, strict=True):
        if site.occ == 0 or dummy:
            continue
        position = np.array(site.fract.tolist())
        if not (np.abs(position) < _FURTHEST).all():  # NaN as well
            raise ValueError(f"site {site.label} has no coordinates in the file, or impossible ones: {position}")
        if not 0 < site.occ <= 1 + OCCUPANCY_SLACK:
            raise ValueError(f"site {site.label} has the occupancy {site.occ:g}; it must be from 0 to 1")
        closest = CLOSEST if site.occ >= 1 else _CLOSEST_PARTIAL
        images = np.array([rotation @ position + shift for rotation, shift in operations])
        kept: list[npt.NDArray[np.float64]] = []
        for image in images:
            apart = np.array(kept).reshape(-1, 3) - image
            if not (np.linalg.norm((apart - np.round(apart)) @ cell, axis=1) < closest).any():
                kept.append(image)
        numbers += [_atomic_number(site, typed)] * len(kept)
        places += kept
        weights += [round(site.occ, 6)] * len(kept)
        labels += [site.label] * len(kept)
    return np.array(numbers, np.int32), np.array(places).reshape(-1, 3), np.array(weights, float), labels


def _atomic_number(site: gemmi.SmallStructure.Site, typed: bool) -> int:
    # Where the type is left out, the label tells it; the water of the American Mineralogist's files is no tungsten.
    if not typed and re.match(r"(wat(er)?|hoh)\d*$", site.label, re.IGNORECASE):
        return 8
    number = site.element.atomic_number
    # An element and its charge; the parser reads silicon out of "Si/Al".
    if typed and re.fullmatch(r"[A-Za-z]{1,2}(\d*\.?\d*[+-]\d*|\d+)?", site.type_symbol) is None:
        number = 0
    if not 1 <= number < len(SYMBOLS):
        raise ValueError(
            f"site {site.label} ({f'type {site.type_symbol}' if typed else 'no type symbol'}) is no element"
        )
    return number


def _label_doubts(structure: Structure, labels: list[str], typed: bool) -> Iterator[str]:
    """Labels and types that more likely mean something else than the element that they spell: Cn, No, W."""
    for symbol, label in sorted(dict(zip(structure.symbols, labels, strict=True)).items()):
        if SYMBOLS.index(symbol) > _HEAVIEST:
            yield f"site {label} is read as {symbol}, an element too short-lived for crystals"
        elif symbol == "W" and not typed and re.fullmatch(r"W\d*[A-Za-z']?", label):
            yield f"site {label} has no type and is read as tungsten; where it is water, give it the type O"


def _formula_doubts(block: gemmi.cif.Block, structure: Structure) -> Iterator[str]:
    text = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "").strip()
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
    given = gemmi.cif.as_number(block.find_value("_cell_formula_units_Z") or "?")
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
