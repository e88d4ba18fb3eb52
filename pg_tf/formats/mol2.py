"""Tripos mol2 files: molecules with SYBYL atom types (Tripos, "Mol2 File Format", 2005)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from pg_tf.elements import SYMBOLS
from pg_tf.formats.atoms import FileAtoms
from pg_tf.formats.element_names import named, number_of_symbol
from pg_tf.formats.limits import TooLarge, longest_record
from pg_tf.formats.numbers import number_in, whole_number_in
from pg_tf.formats.streams import lines

# Types that stand for no atom: dummies, lone pairs, and what only queries have.
_NO_ATOMS = ("Du", "LP", "Any", "Hal", "Het", "Hev")

Numbered = tuple[int, str]
"""A line and its number in the file, from 1."""


def records(content: Iterable[bytes], name: str) -> Iterator[list[Numbered]]:
    """The lines of each molecule of a file; remarks and what stands before the first molecule do not count."""
    molecule: list[Numbered] = []
    size, limit = 0, longest_record()
    for number, line in enumerate(lines(content, name), 1):
        if line.strip().upper() == "@<TRIPOS>MOLECULE":
            if molecule:
                yield molecule
            molecule, size = [(number, line)], 0
        elif molecule and not line.startswith("#"):
            molecule.append((number, line))
            size += len(line) + 1
            if size > limit:
                raise TooLarge(f"{name}: the molecule from line {molecule[0][0]} on", "record", limit)
    if molecule:
        yield molecule


def title(molecule: list[Numbered]) -> str:
    """The name of a molecule."""
    return molecule[1][1].strip() if len(molecule) > 1 else ""


def parsed(molecule: list[Numbered], elements: Mapping[str, str] | None, doubt: Callable[[str], None]) -> FileAtoms:
    """The atoms of a molecule.

    Args:
      molecule: as `records` yields it.
      elements: symbols by the names or types of atoms, in place of what the file says.
      doubt: is called with what is odd.

    Raises:
      ValueError: if an atom has no coordinates or is no element, or there are not as many as promised; the text names
        the line.
    """
    sections = _sections(molecule)
    header = sections["MOLECULE"]
    if len(header) < 2:
        raise ValueError(f"line {molecule[0][0]} begins a molecule without a number of atoms")
    number, counts = header[1]
    promised = whole_number_in(counts.split()[0]) if counts.split() else None
    if promised is None:
        raise ValueError(f"line {number} must begin with a number of atoms, and is {counts.strip()[:40]!r}")
    rows = [(at, line.split()) for at, line in sections.get("ATOM", []) if line.strip()]
    if len(rows) != promised:
        raise ValueError(f"line {number} promises {promised} atoms, and {len(rows)} are there")
    numbers, coords, names, dummies = [], [], [], []
    for at, words in rows:
        if len(words) < 6:
            raise ValueError(f"line {at} must be an atom: number, name, x, y, z and type; it is {' '.join(words)!r}")
        name, kind = words[1], words[5]
        place = [number_in(word) for word in words[2:5]]
        if not all(map(math.isfinite, place)):
            raise ValueError(f"line {at}: atom {name} has coordinates that are no numbers, {' '.join(words[2:5])!r}")
        if named(elements, name, kind) is None and kind.split(".")[0] in _NO_ATOMS:
            dummies.append(name)
            continue
        numbers.append(_atomic_number(name, kind, at, elements))
        coords.append(place)
        names.append(name)
    if dummies:
        doubt(f"{', '.join(dummies[:6])} are dummies or lone pairs, and are left out")
    return FileAtoms(
        np.array(numbers, np.int32),
        np.array(coords, np.float64).reshape(-1, 3),
        tuple(names),
        cell=_cell(sections.get("CRYSIN", []), doubt),
        title=header[0][1].strip(),
    )


def _sections(molecule: list[Numbered]) -> dict[str, list[Numbered]]:
    """The lines of each section; a line that ends in a backslash goes on in the next."""
    sections: dict[str, list[Numbered]] = {}
    section: list[Numbered] = []
    carried = ""
    for number, line in molecule:
        if match := re.fullmatch(r"@<TRIPOS>(\w+)\s*", line.strip(), re.IGNORECASE):
            section = sections.setdefault(match[1].upper(), [])
        elif line.rstrip().endswith("\\"):
            carried += line.rstrip()[:-1] + " "
        else:
            section.append((number, carried + line))
            carried = ""
    return sections


def _atomic_number(name: str, kind: str, number: int, elements: Mapping[str, str] | None) -> int:
    """The element of a type such as C.ar, N.pl3 or Cl. Types of force fields are none of this format: ca for an
    aromatic carbon begins with a small letter, and CA, HO or OS has two capitals."""
    given = named(elements, name, kind)
    if given is not None:
        return given
    symbol = kind.split(".")[0]
    of_force_field = re.fullmatch(r"[CHNOPS][A-Z]", symbol) and symbol not in ("CL", "SI")
    result = number_of_symbol(symbol) if symbol[:1].isupper() and not of_force_field else 0
    if not 1 <= result < len(SYMBOLS):
        raise ValueError(
            f"line {number}: atom {name} has the type {kind!r}, which tells no element; name it in elements"
        )
    return result


def _cell(lines: list[Numbered], doubt: Callable[[str], None]) -> np.ndarray | None:
    rows = [(number, line.split()) for number, line in lines if line.strip()]
    if not rows:
        return None
    import gemmi

    number, words = rows[0]
    parameters = [number_in(word) for word in words[:6]]
    if len(parameters) < 6 or not all(map(math.isfinite, parameters)):
        raise ValueError(f"line {number} must be three lengths and three angles of a cell, and is {' '.join(words)!r}")
    if words[6:7] not in ([], ["1"]):
        doubt(f"its space group, number {words[6]}, is not applied: the atoms are taken for those of the whole cell")
    return np.array(gemmi.UnitCell(*parameters).orth.mat.tolist()).T
