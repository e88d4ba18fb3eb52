"""The lines of a PDB file, made sure of before they are parsed: numbers, elements, occupancies, and what follows END.

Columns are those of the format's description, version 3.3 (wwPDB, 2012), counted from 1 in messages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from pg_tf.elements import SYMBOLS
from pg_tf.formats.element_names import named, number_of_symbol
from pg_tf.formats.rules import OCCUPANCY_SLACK

_RECORDS = ("ATOM  ", "HETATM")

# Residues whose atoms are of C, H, N, O, P and S alone, and named by the element first.
_AMINO_ACIDS = (
    "ALA ARG ASN ASP ASX CYS GLN GLU GLX GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL UNK ACE NME NH2 HID HIE "
    "HIP HSD HSE HSP CYX CYM ASH GLH LYN SEP TPO PTR MLY CSO"
)
_NUCLEOTIDES = "A C G U I DA DC DG DT DU DI ADE CYT GUA THY URA"
_WATERS = "HOH WAT DOD H2O TIP TIP3 TIP4 SOL SPC"
_STANDARD = frozenset(f"{_AMINO_ACIDS} {_NUCLEOTIDES} {_WATERS}".split())
_ELEMENTS_OF_STANDARD = frozenset("CHNOPS")


def checked_lines(text: str, elements: Mapping[str, str] | None, doubt: Callable[[str], None]) -> str:
    """The text with an element in columns 77 and 78 of every atom, and an occupancy.

    Args:
      text: of the file.
      elements: symbols by the names of atoms or residues, in place of what the file says.
      doubt: is called with what is odd.

    Raises:
      ValueError: if an atom has no coordinates, no element or an impossible occupancy.
    """
    lines = text.split("\n")
    lines = lines[: _end(lines, doubt)]
    if planes := sum(map(_is_plane, lines)):
        doubt(f"{planes} atoms of residue DUM mark the planes of a membrane, and are left out")
        # A remark in the place of each, so that the numbers of the other lines stay.
        lines = ["REMARK" if _is_plane(line) else line for line in lines]
    guessed: dict[str, str] = {}  # the first atom of each element
    for index, line in enumerate(lines):
        if not line.startswith(_RECORDS):
            continue
        number = index + 1
        # What is no number the parser takes for 0.
        if not _has_coordinates(line):
            raise ValueError(f"line {number} has no coordinates in columns 31 to 54: {line.rstrip()!r}")
        if not _has_occupancy(line):
            raise ValueError(f"line {number} has no occupancy from 0 to 1 in columns 55 to 60: {line.rstrip()!r}")
        symbol, guess = _element(line, number, elements)
        if guess:
            name, residue = line[12:16].strip(), line[17:20].strip()
            guessed.setdefault(symbol, f"atom {name} of {residue} (line {number}) as {symbol}")
        occupancy = line[54:60] if line[54:60].strip() else "  1.00"
        # Files of the first version have their code and the number of the line in columns 73 to 80.
        charge = line[78:80] if re.fullmatch(r"[0-9][+-]", line[78:80]) else ""
        lines[index] = f"{line[:54]:54}{occupancy}{line[60:76]:16}{symbol:>2}{charge}"
    if guessed:
        doubt(
            f"atoms have no element in columns 77 and 78, or one that their names contradict, and are read by their "
            f"names: {', '.join(list(guessed.values())[:6])}"
        )
    return "\n".join(_with_occupancies(lines, doubt))


def _is_plane(line: str) -> bool:
    return line.startswith(_RECORDS) and line[17:20].strip().upper() == "DUM"


def _end(lines: list[str], doubt: Callable[[str], None]) -> int:
    """How many lines there are up to END; atoms after it are told of."""
    for index, line in enumerate(lines):
        if line.rstrip() == "END":
            rest = sum(other.startswith(_RECORDS) for other in lines[index + 1 :])
            if rest:
                doubt(f"{rest} atoms after END in line {index + 1} are not read")
            return index + 1
    return len(lines)


def _element(line: str, number: int, elements: Mapping[str, str] | None) -> tuple[str, bool]:
    """The element of an atom, and whether it was concluded from its name."""
    name, residue = line[12:16], line[17:20].strip().upper()
    if (given := named(elements, name.strip(), line[17:20].strip())) is not None:
        return SYMBOLS[given], False
    stated = number_of_symbol(line[76:78])
    # An ion's residue has the name of its atom.
    ion = number_of_symbol(name) if len(residue) == 2 and name.strip().upper() == residue else 0
    doubtful = ion not in (0, stated) or (residue in _STANDARD and stated and _contradicts(SYMBOLS[stated], name))
    if stated and not doubtful:
        return SYMBOLS[stated], False
    concluded = _by_name(name, residue)
    if not concluded:
        raise ValueError(
            f"line {number}: atom {name.strip()} of {residue or 'no residue'} is no element, and columns 77 and 78 "
            f"have {line[76:78].strip() or 'none'!r}; name it in elements"
        )
    return concluded, True


def _contradicts(symbol: str, name: str) -> bool:
    """Whether an element cannot be that of a standard residue's atom of this name, such as Ca of an alpha carbon."""
    letter = name.strip(" 0123456789'\"*")[:1].upper()
    if symbol == "H":
        return letter not in "HDQ"
    return symbol != "Se" and (len(symbol) == 2 or (letter in _ELEMENTS_OF_STANDARD and letter != symbol))


def element_by_name(name: str, residue: str) -> str:
    """The element that the name of an atom alone tells, wherever it stands: that of an atom of a standard residue, and
    of an ion, whose residue has its name; "" for others."""
    alone = re.sub(r"[0-9+-]+$", "", name.strip())
    if residue.upper() in _STANDARD or (number_of_symbol(alone) and alone.upper() == residue.upper()):
        return _by_name(name, residue.upper())
    return ""


def _by_name(name: str, residue: str) -> str:
    """The element that the name of an atom tells; "" where it tells none.

    Names begin with the element, right-justified in columns 13 and 14; hydrogens with four characters begin one column
    early, and many programs begin all names there. What kind of residue it is tells those apart.
    """
    plain = name.strip()
    letters = re.sub(r"^[0-9'\"*]+", "", plain)
    first = letters[:1].upper()
    if residue in _STANDARD:
        return first if first in _ELEMENTS_OF_STANDARD else {"D": "H", "Q": "H"}.get(first, "")
    alone = re.sub(r"[0-9+-]+$", "", plain)
    if alone.upper() == re.sub(r"[0-9+-]+$", "", residue) and (ion := number_of_symbol(alone)):
        return SYMBOLS[ion]
    two = number_of_symbol(letters[:2]) if len(letters) > 1 else 0
    # A name in column 13 is of an element with two letters, or a hydrogen that needs all four columns.
    if name[:1] not in " 0123456789" and two and not (len(plain) == 4 and first == "H"):
        return SYMBOLS[two]
    return SYMBOLS[number_of_symbol(first)] if first and number_of_symbol(first) else ""


def _with_occupancies(lines: list[str], doubt: Callable[[str], None]) -> list[str]:
    """Where no atom has an occupancy other than 0, the column was not used: 1 for all then."""
    atoms = [index for index, line in enumerate(lines) if line.startswith(_RECORDS)]
    if atoms and not any(float(lines[index][54:60]) for index in atoms):
        doubt("all atoms have the occupancy 0; they are taken for 1")
        for index in atoms:
            lines[index] = f"{lines[index][:54]}  1.00{lines[index][60:]}"
    elif unseen := sum(not float(lines[index][54:60]) for index in atoms):
        doubt(f"{unseen} of {len(atoms)} atoms have the occupancy 0, and weigh nothing")
    return lines


def _has_coordinates(line: str) -> bool:
    try:
        return all(math.isfinite(float(line[start : start + 8])) for start in (30, 38, 46))
    except ValueError:
        return False


def _has_occupancy(line: str) -> bool:
    text = line[54:60].strip()
    try:
        return not text or 0 <= float(text) <= 1 + OCCUPANCY_SLACK
    except ValueError:
        return False
