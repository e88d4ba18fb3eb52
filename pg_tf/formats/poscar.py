"""POSCAR and CONTCAR files of VASP, versions 4 to 6 (https://www.vasp.at/wiki/index.php/POSCAR)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pg_tf.elements import SYMBOLS
from pg_tf.formats.atoms import FileAtoms
from pg_tf.formats.element_names import named, number_of_symbol
from pg_tf.formats.numbers import number_in, whole_number_in


def parsed_poscar(
    text: str, elements: Sequence[str] | Mapping[str, str] | None, doubt: Callable[[str], None]
) -> FileAtoms:
    """The crystal of a file.

    Args:
      text: of the file.
      elements: symbols of the groups of atoms, in their order, for files that name none; or symbols by the names that
        the file has.
      doubt: is called with what is odd.

    Raises:
      ValueError: if it is no such file; the text names the line.
    """
    lines = text.rstrip("\n").split("\n")
    if len(lines) < 7:
        raise ValueError(f"it has {len(lines)} lines; a scale, three lattice vectors, counts and atoms are wanted")
    cell = _cell(lines)
    # Since version 5 the elements come before their counts.
    names = None if whole_number_in(_words(lines[5])[0] if _words(lines[5]) else "") else _words(lines[5])
    at = 5 if names is None else 6
    counts = _counts(lines, at)
    if names is not None and len(names) != len(counts):
        raise ValueError(f"line 6 names {len(names)} elements, and line 7 has {len(counts)} whole numbers of atoms")
    mode = at + 1 + (lines[at + 1].strip()[:1].lower() == "s" if len(lines) > at + 1 else 0)  # selective dynamics
    total = sum(counts)
    if (missing := mode + 1 + total - len(lines)) > 0:
        raise ValueError(f"line {at + 1} promises {total} atoms; {missing} of its lines are missing")
    rows = [_words(line) for line in lines[mode + 1 : mode + 1 + total]]
    # Velocities may follow, after an empty line or a word that says of what they are.
    rest = lines[mode + 1 + total :]
    if rest and rest[0].strip() and rest[0].strip()[0].lower() not in "lcdk":
        doubt(f"line {mode + 2 + total} follows the {total} atoms that line {at + 1} promises; it is not read")
    places = np.array([_place(row, mode + 2 + index) for index, row in enumerate(rows)], np.float64).reshape(-1, 3)
    scale = _scale(lines[1], cell)
    cartesian = lines[mode].strip()[:1].lower() in ("c", "k")
    coords = places * scale if cartesian else places @ (cell * scale)
    of_groups = _atomic_numbers(names, lines[0], counts, rows, elements, doubt)
    return FileAtoms(np.repeat(np.array(of_groups, np.int32), counts), coords, cell=cell * scale)


def _words(line: str) -> list[str]:
    return re.split(r"[!#](?=\s)|\s[!#]", line)[0].split()


def _cell(lines: list[str]) -> npt.NDArray[np.float64]:
    vectors = [[number_in(word) for word in _words(line)[:3]] for line in lines[2:5]]
    for number, vector in enumerate(vectors, 3):
        if len(vector) != 3 or not all(map(math.isfinite, vector)):
            raise ValueError(f"line {number} must be a lattice vector, and is {lines[number - 1].strip()[:60]!r}")
    cell = np.array(vectors)
    if not abs(np.linalg.det(cell)) > 1e-8 * np.prod(np.linalg.norm(cell, axis=1)):
        raise ValueError(f"its lattice vectors lie in one plane, or one of them is 0: {cell.tolist()}")
    return cell


def _scale(line: str, cell: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Factors of x, y and z; one that is negative is minus the volume of the cell, Å^3."""
    factors = np.array([number_in(word) for word in _words(line)])
    if factors.shape not in ((1,), (3,)) or not np.isfinite(factors).all() or not factors.all():
        raise ValueError(f"line 2 must be one scale or three, and is {line.strip()[:60]!r}")
    if len(factors) == 1 and factors[0] < 0:
        factors = np.cbrt(-factors / abs(np.linalg.det(cell)))
    if (factors < 0).any():
        raise ValueError(f"line 2 has a negative scale among three, {line.strip()[:60]!r}")
    return np.broadcast_to(factors, 3)


def _counts(lines: list[str], at: int) -> list[int]:
    counts = []
    for word in _words(lines[at]) if len(lines) > at else []:
        if (count := whole_number_in(word)) is None:
            break  # a remark
        counts.append(count)
    if not counts or sum(counts) == 0:
        raise ValueError(f"line {at + 1} must be numbers of atoms, and is {lines[at].strip()[:60]!r}")
    return counts


def _place(words: list[str], number: int) -> list[float]:
    place = [number_in(word) for word in words[:3]]
    if len(place) != 3 or not all(map(math.isfinite, place)):
        raise ValueError(f"line {number} must be three coordinates, and is {' '.join(words)[:60]!r}")
    return place


def _atomic_numbers(
    names: list[str] | None,
    comment: str,
    counts: list[int],
    rows: list[list[str]],
    elements: Sequence[str] | Mapping[str, str] | None,
    doubt: Callable[[str], None],
) -> list[int]:
    """The element of each group of atoms."""
    if elements is not None and not isinstance(elements, Mapping):
        if isinstance(elements, str) or len(elements) != len(counts):
            raise ValueError(f"elements: must be a symbol for each of the {len(counts)} groups of atoms")
        return [_checked(symbol, f"elements: {symbol!r} is no element symbol") for symbol in elements]
    if names is None:
        names = _names_elsewhere(comment, counts, rows, doubt)
    return [
        # As potentials are called: Na_pv, Si/1a2b3c, Fe_sv#5d.
        given
        if (given := named(elements, name)) is not None
        else _checked(re.split(r"[_/#.]", name)[0], f"line 6 names {name!r}, which is no element; name it in elements")
        for name in names
    ]


def _checked(symbol: str, error: str) -> int:
    if not (number := number_of_symbol(symbol)):
        raise ValueError(error)
    return number


def _names_elsewhere(comment: str, counts: list[int], rows: list[list[str]], doubt: Callable[[str], None]) -> list[str]:
    """Elements of a file without a line for them: behind the coordinates, or the whole comment."""
    starts = np.cumsum([0, *counts[:-1]])
    behind = [[row[-1] for row in rows[start : start + count]] for start, count in zip(starts, counts, strict=True)]
    if all(group and len({*group}) == 1 and group[0] in SYMBOLS[1:] for group in behind):
        names, where = [group[0] for group in behind], "behind the coordinates"
    elif len(words := comment.split()) == len(counts) and all(word in SYMBOLS[1:] for word in words):
        names, where = words, "in the first line"
    else:
        raise ValueError(
            f"it names no elements (version 4 of the format); give one for each of the {len(counts)} groups in elements"
        )
    doubt(f"it names no elements in line 6; those {where} are taken, {', '.join(names)}")
    return names
