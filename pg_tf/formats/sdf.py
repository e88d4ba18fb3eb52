"""Records of SDF files: a molfile, V2000 or V3000, and data fields (Dassault Systèmes, "CTfile Formats", 2020).

Atoms and coordinates are taken as they stand. Bonds are not looked at: wrong bond orders (a tenth of PCQM4Mv2 has them)
do no harm, and hydrogens that are not in the file are not made up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from pg_tf.formats.atoms import FileAtoms
from pg_tf.formats.element_names import named, number_of_symbol
from pg_tf.formats.numbers import number_in, whole_number_in
from pg_tf.formats.streams import delimited

# A damaged record cannot swallow the next ones.
# Matches to the end of the line, which must be there: after a bare "$$$$" the file may be cut off.
_RECORD_END = re.compile(rb"^\$\$\$\$[^\n]*\n", re.MULTILINE)

Symbols = list[tuple[int, str]]
"""The line of each atom and what it is called there."""


def records(content: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The records of a file, each with its closing line `$$$$` but the last of a file that is cut off."""
    return delimited(content, _RECORD_END, name)


def title(record: bytes) -> str:
    """The first line of a record."""
    first = record.partition(b"\n")[0].decode("utf-8", "replace").strip()
    return "" if first.startswith("$$$$") else first


def parsed(record: bytes, elements: Mapping[str, str] | None, doubt: Callable[[str], None]) -> FileAtoms:
    """The atoms and data fields of a record.

    Args:
      record: as `records` yields it.
      elements: symbols by what the file calls its atoms, such as `{"R#": "H"}`.
      doubt: is called with what is odd.

    Returns:
      The atoms; `values` are the data fields, of which a multiple one has the first value.

    Raises:
      ValueError: if it is no such record, has an atom that is no element, or no 3D geometry. The text names the line,
        counted from the first of the record.
    """
    lines = record.decode("utf-8", "replace").rstrip("\n").split("\n")
    if not lines[-1].startswith("$$$$"):
        raise ValueError("the file ends before the record's closing line $$$$")
    del lines[-1]
    if len(lines) < 4:
        raise ValueError(f"it has {len(lines)} lines, and no line 4 with the numbers of atoms and bonds")
    version = lines[3][33:39].strip().upper()
    if version not in ("V2000", "V3000") and (version or re.search(r"V[23]000", lines[3])):
        raise ValueError(f"line 4 must have V2000 or V3000 in columns 35 to 39, and is {lines[3].strip()[:60]!r}")
    symbols, coords, end = _v3000(lines) if version == "V3000" else _v2000(lines)
    for number, line in enumerate(lines[end:], end + 1):
        if re.match(r"M {1,2}END", line):
            raise ValueError(f"line {number} is a second M  END: the closing line $$$$ before it is missing")
    if not symbols:
        raise ValueError("it has no atoms")
    numbers = []
    for number, symbol in symbols:
        atomic_number = named(elements, symbol)
        atomic_number = number_of_symbol(symbol) if atomic_number is None else atomic_number
        if not atomic_number:
            raise ValueError(f"line {number} has an atom {symbol!r}, which is no element")
        numbers.append(atomic_number)
    places = np.array(coords, np.float64).reshape(-1, 3)
    if len(places) > 1 and not places[:, 2].any() and lines[1][20:22].upper() != "3D":
        raise ValueError("it is flat and not marked as 3D: a drawing, not a geometry")
    return FileAtoms(np.array(numbers, np.int32), places, title=lines[0].strip(), values=_fields(lines[end:]))


def _v2000(lines: Sequence[str]) -> tuple[Symbols, list[list[float]], int]:
    """Symbols, coordinates, and the index of the line after the molfile."""
    counts = [whole_number_in(lines[3][start : start + 3]) for start in (0, 3)]
    if counts[0] is None or counts[1] is None:
        raise ValueError(f"line 4 must begin with the numbers of atoms and bonds, and is {lines[3].strip()[:60]!r}")
    atoms, bonds = counts[0], counts[1]
    end = next((index for index, line in enumerate(lines) if re.match(r"M {1,2}END", line)), None)
    if end is None or end < 4 + atoms:
        before = "M  END comes before" if end else "the record ends before, without M  END"
        raise ValueError(f"line 4 promises {atoms} atoms and {bonds} bonds; {before}")
    symbols, coords = [], []
    for number, line in enumerate(lines[4 : 4 + atoms], 5):
        coords.append(_place([line[start : start + 10] for start in (0, 10, 20)], line, number))
        # Some programs begin the symbol one column early, or write no blanks after it.
        symbols.append((number, (line[30:34].split() or [""])[0]))
    for number, line in enumerate(lines[4 + atoms : end], 5 + atoms):
        is_bond = number <= 4 + atoms + bonds
        ends = [whole_number_in(line[start : start + 3]) for start in (0, 3)]
        if is_bond and not all(one is not None and 1 <= one <= atoms for one in ends):
            raise ValueError(f"line {number} must be a bond of two of the {atoms} atoms, and is {line.strip()[:60]!r}")
        if not is_bond and (not line.strip() or line.startswith((" ", ">"))):
            raise ValueError(f"line {number} must be a property or M  END, and is {line.strip()[:60]!r}")
    return symbols, coords, end + 1


def _v3000(lines: Sequence[str]) -> tuple[Symbols, list[list[float]], int]:
    """The same of a V3000 molfile, whose lines may go on in the next after a hyphen."""
    entries: list[tuple[int, list[str]]] = []
    carried, end = "", len(lines)
    for number, line in enumerate(lines[4:], 5):
        if re.match(r"M {1,2}END", line):
            end = number
            break
        text = carried + line.removeprefix("M  V30 ").rstrip() if carried else line.rstrip()
        carried = text[:-1] if text.endswith("-") else ""
        if not carried and text.startswith("M  V30 "):
            entries.append((number, text[7:].split()))
    else:
        raise ValueError("its line M  END is missing")
    starts = [[word.upper() for word in words[:2]] for _, words in entries]
    counts = next((words for _, words in entries if words and words[0].upper() == "COUNTS"), [])
    promised = whole_number_in(counts[1]) if len(counts) > 1 else None
    if promised is None or ["BEGIN", "ATOM"] not in starts or ["END", "ATOM"] not in starts:
        raise ValueError("it has no counts, or no block of atoms that begins and ends")
    block = entries[starts.index(["BEGIN", "ATOM"]) + 1 : starts.index(["END", "ATOM"])]
    if len(block) != promised:
        raise ValueError(f"its counts promise {promised} atoms, and {len(block)} are there")
    symbols, coords = [], []
    for number, words in block:
        if len(words) < 5:
            raise ValueError(
                f"line {number} must be an atom: number, symbol, x, y and z; it is {' '.join(words)[:60]!r}"
            )
        coords.append(_place(words[2:5], " ".join(words), number))
        symbols.append((number, words[1]))
    return symbols, coords, end


def _place(texts: Sequence[str], line: str, number: int) -> list[float]:
    place = [number_in(text) for text in texts]
    if not all(map(math.isfinite, place)):
        raise ValueError(f"line {number} must be an atom with three coordinates, and is {line.strip()[:60]!r}")
    return place


def _fields(lines: Sequence[str]) -> dict[str, str]:
    """Data fields by their names: lines after a header `> <name>`, up to an empty one. One that is there twice has both
    values, unless they are the same."""
    found: list[tuple[str, list[str]]] = []
    value: list[str] | None = None
    for line in lines:
        if header := re.match(r">.*?<(.*)>", line):
            value = []
            found.append((header[1].strip(), value))
        elif not line.strip():
            value = None
        elif value is not None:
            value.append(line.strip())
    fields: dict[str, list[str]] = {}
    for name, parts in found:
        values = fields.setdefault(name, [])
        if (text := "\n".join(parts)) not in values:
            values.append(text)
    return {name: "\n".join(values) for name, values in fields.items()}
