"""XYZ and extended XYZ: frames of a number of atoms, a line of remarks and a line an atom.

The second line of an extended XYZ frame holds `key=value` pairs, among them `Lattice`, `pbc` and `Properties`, the
columns of the atoms (https://github.com/libAtoms/extxyz).
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pg_tf.elements import SYMBOLS
from pg_tf.formats.atoms import FileAtoms
from pg_tf.formats.element_names import named, number_of_symbol
from pg_tf.formats.limits import TooLarge, longest_record
from pg_tf.formats.numbers import number_in, whole_number_in
from pg_tf.formats.streams import lines

_PAIR = re.compile(r"""([A-Za-z_][\w.-]*)\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]|[^\s"'={}\[\]]+)""")
_TRUE, _FALSE = ("t", "true", "1", ".true."), ("f", "false", "0", ".false.")
_PLAIN = {"species": slice(0, 1), "pos": slice(1, 4), "all": slice(0, 4)}


@dataclasses.dataclass(frozen=True)
class RawFrame:
    """The lines of one frame, the first of them numbered from 1."""

    number: int
    lines: list[str]


def records(content: Iterable[bytes], name: str) -> Iterator[RawFrame]:
    """The frames of a file; empty lines between them do not count.

    One whose first line is not a number of atoms is the last: nothing says where the next one begins.
    """
    numbered = enumerate(lines(content, name), 1)
    limit = longest_record()
    pending: list[tuple[int, str]] = []
    while True:
        number, head = pending.pop() if pending else next(numbered, (0, ""))
        if not number:
            return
        if not head.strip():
            continue
        if (count := whole_number_in(head)) is None:
            yield RawFrame(number, [head])
            return
        frame, size = [head], 0
        for _, line in numbered:
            frame.append(line)
            size += len(line) + 1
            if size > limit:
                raise TooLarge(f"{name}: the frame from line {number} on", "record", limit)
            if len(frame) == count + 2:
                break
        # Lattice vectors after the atoms, as some programs write them.
        for at, line in numbered:
            if not line.startswith("VEC"):
                pending = [(at, line)]
                break
            frame.append(line)
        yield RawFrame(number, frame)


def parsed(raw: RawFrame, elements: Mapping[str, str] | None, doubt: Callable[[str], None]) -> FileAtoms:
    """The atoms of a frame.

    Args:
      raw: its lines.
      elements: symbols by what the file calls the atoms, in place of what that says.
      doubt: is called with what is odd.

    Raises:
      ValueError: if it is none; the text names the line, numbered in the file, and what is wrong there.
    """
    count = _checked_count(raw)
    values = _values(raw.lines[1], raw.number + 1)
    atoms = [line.split() for line in raw.lines[2 : count + 2]]
    columns = _columns(values, atoms, raw.number + 1)
    numbers, coords, occupancies = [], [], []
    for number, words in enumerate(atoms, raw.number + 2):
        if len(words) < columns["all"].stop:
            raise ValueError(f"line {number} must be an atom with its coordinates, and is {' '.join(words)[:60]!r}")
        numbers.append(_atomic_number(words[columns["species"]][0], number, elements))
        place = [number_in(word) for word in words[columns["pos"]]]
        if not all(map(math.isfinite, place)):
            raise ValueError(f"line {number} has coordinates that are no numbers, {' '.join(words[columns['pos']])!r}")
        coords.append(place)
        if "occupancy" in columns:
            occupancies.append(number_in(words[columns["occupancy"]][0]))
    cell = _cell(values, raw.lines[count + 2 :], raw.number + 1)
    return FileAtoms(
        np.array(numbers, np.int32),
        np.array(coords, np.float64).reshape(-1, 3),
        cell=_completed(cell),
        periodic=_periodic(values, cell, raw.number + 1),
        weights=np.array(occupancies) if occupancies else None,
        values=values,
    )


def complete(raw: RawFrame) -> RawFrame:
    """The frame, if it has a number of atoms and their lines; raises ValueError otherwise."""
    _checked_count(raw)
    return raw


def _checked_count(raw: RawFrame) -> int:
    """The number of atoms of a frame; raises ValueError unless it is one and the lines of the atoms are there."""
    head = raw.lines[0].strip()
    count = whole_number_in(head)
    if count is None:
        raise ValueError(
            f"line {raw.number} must be a number of atoms, and is {head[:40]!r}; what follows in the file is lost"
        )
    if (missing := count + 2 - len(raw.lines)) > 0:
        raise ValueError(f"line {raw.number} promises {count} atoms; {missing} of its lines are missing")
    return count


def _values(comment: str, number: int) -> dict[str, str]:
    """The pairs of the second line."""
    values: dict[str, str] = {}
    for match in _PAIR.finditer(comment):
        value = match[2].strip("\"'{}[]").strip()
        if values.setdefault(match[1], value) != value:
            raise ValueError(f"line {number}: {match[1]} is there twice, as {values[match[1]]!r} and as {value!r}")
    if comment.startswith("Atoms. Timestep:"):
        raise ValueError(f"line {number} is LAMMPS's: its atoms have numbers of types, and not of elements")
    return values


def _columns(values: Mapping[str, str], atoms: list[list[str]], number: int) -> dict[str, slice]:
    """Which words of an atom's line are its species, its place and its occupancy."""
    if "Properties" not in values:
        return _PLAIN
    text = values["Properties"]
    parts = re.findall(r"([^:\s]+):([A-Za-z]):([0-9]{1,9})(?::|$)", text)
    columns, start = {}, 0
    for name, kind, size in parts:
        columns[f"{name}:{kind}:{size}"] = slice(start, start + int(size))
        start += int(size)
    species = next((key for key in ("species:S:1", "Z:I:1") if key in columns), None)
    if "pos:R:3" not in columns or species is None:
        raise ValueError(f"line {number}: Properties must have pos:R:3 and species:S:1, and are {text!r}")
    if "Z:I:1" in columns and "species:S:1" in columns:
        for at, words in enumerate(atoms, number + 1):
            symbol, z = (words[columns[key]][0] if len(words) >= start else "" for key in ("species:S:1", "Z:I:1"))
            if number_of_symbol(symbol) and number_of_symbol(symbol) != whole_number_in(z):
                raise ValueError(f"line {at}: species is {symbol}, and Z is {z}")
    if atoms and start > len(atoms[0]):
        raise ValueError(f"line {number}: Properties have more columns than the first atom, {text!r}")
    found = {"species": columns[species], "pos": columns["pos:R:3"], "all": slice(0, start)}
    for key, column in columns.items():
        if key.startswith("occupancy:"):
            if key not in ("occupancy:R:1", "occupancy:I:1"):
                raise ValueError(f"line {number}: occupancy must be numbers, occupancy:R:1, and is {key}")
            found["occupancy"] = column
    return found


def _atomic_number(text: str, number: int, elements: Mapping[str, str] | None) -> int:
    if (given := named(elements, text)) is not None:
        return given
    atomic_number = whole_number_in(text) or number_of_symbol(text)
    if not 1 <= atomic_number < len(SYMBOLS):
        raise ValueError(f"line {number} has {text!r}, which is no symbol of an element; name it in elements")
    return atomic_number


def _cell(values: Mapping[str, str], rest: list[str], number: int) -> npt.NDArray[np.float64] | None:
    for key in values:
        if key.lower() == "lattice" and key != "Lattice":
            raise ValueError(f"line {number}: {key} must be written Lattice")
    if "Lattice" in values:
        words = values["Lattice"].replace(",", " ").split()
        vectors = [number_in(word) for word in words]
        if len(vectors) != 9 or not all(map(math.isfinite, vectors)):
            raise ValueError(f"line {number}: Lattice must be nine numbers, and is {values['Lattice']!r}")
        return np.array(vectors).reshape(3, 3)
    if not rest:
        return None
    rows = [[number_in(word) for word in line.split()[1:4]] for line in rest]
    if len(rows) != 3 or not all(len(row) == 3 and all(map(math.isfinite, row)) for row in rows):
        raise ValueError(f"the lines after the atoms must be three lattice vectors, and are {rest}")
    return np.array(rows)


def _completed(cell: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64] | None:
    """Unit vectors across the others in place of lattice vectors that are zero, as along axes that do not repeat."""
    if cell is None or not cell.any():
        return None
    missing = ~cell.any(axis=1)
    if not missing.any():
        return cell
    across = np.linalg.svd(cell[~missing])[2][(~missing).sum() :]
    result = cell.copy()
    result[missing] = across
    return result if np.linalg.det(result) > 0 else result * np.where(missing, -1, 1)[:, np.newaxis]


def _periodic(
    values: Mapping[str, str], cell: npt.NDArray[np.float64] | None, number: int
) -> tuple[bool, bool, bool] | None:
    if "pbc" not in values:
        return None if cell is None else (True, True, True)
    words = values["pbc"].lower().replace(",", " ").split()
    if len(words) == 1:
        words *= 3
    if len(words) != 3 or not set(words) <= {*_TRUE, *_FALSE}:
        raise ValueError(f"line {number}: pbc must be three of T and F, and is {values['pbc']!r}")
    x, y, z = (word in _TRUE for word in words)
    for vector, flag in enumerate((x, y, z)):
        if flag and (cell is None or not cell[vector].any()):
            raise ValueError(f"line {number}: pbc is {values['pbc']}, and there is no lattice vector {vector}")
    return None if cell is None else (x, y, z)


def frame_text(symbols: Sequence[str], coords: npt.NDArray[np.float64], comment: str = "") -> str:
    """A frame: the number of atoms, a comment of one line, and a line with element and coordinates (Å) for each."""
    lines = [f"{symbol:2s} {x:15.8f} {y:15.8f} {z:15.8f}" for symbol, (x, y, z) in zip(symbols, coords, strict=True)]
    return "\n".join([str(len(lines)), comment, *lines]) + "\n"
