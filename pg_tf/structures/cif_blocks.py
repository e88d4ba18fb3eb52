"""The blocks of a CIF file, of crystals or of macromolecules."""

from __future__ import annotations

import re
from collections.abc import Callable

import gemmi

from pg_tf.formats.sources import Source
from pg_tf.formats.streams import read_text

_PDB_RECORDS = ("HEADER", "TITLE ", "COMPND", "REMARK", "CRYST1", "MODEL ", "ATOM  ", "HETATM")


def parsed_cif(source: Source, doubt: Callable[[str], None]) -> gemmi.cif.Document:
    """The blocks of a CIF file. What stands before the first of them is skipped.

    Args:
      source: the file.
      doubt: is called with what is odd.

    Raises:
      ValueError: if it is not a CIF file; the text names the line.
      OSError: if it cannot be opened.
    """
    text = read_text(source)
    start = re.search(r"^\s*data_", text, re.IGNORECASE | re.MULTILINE)
    if start is not None:
        before = text[: start.start()]
        words = [line for line in before.split("\n") if line.strip() and not line.lstrip().startswith("#")]
        if words:
            doubt(f"{words[0].strip()[:40]!r} and what else stands before its first block is skipped")
            text = "\n" * before.count("\n") + text[start.start() :]
    elif re.search(r"^\s*(loop_|_[a-z])", text, re.IGNORECASE | re.MULTILINE):
        doubt("it has no line that begins a block, such as data_crystal; all of it is taken for one block")
        # On the same line, so that the numbers of the others stay.
        text = f"data_ {text}"
    else:
        raise ValueError(_no_cif(text))
    try:
        return gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise ValueError(_where(str(error), text)) from error


def is_mmcif(source: Source) -> bool:
    """Whether a CIF file is a macromolecular one: with Cartesian coordinates under `_atom_site.`."""
    return re.search(r"^\s*_atom_site\.Cartn_x", read_text(source), re.IGNORECASE | re.MULTILINE) is not None


def _no_cif(text: str) -> str:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            hint = "; a PDB file? Then say so by its name or format" if line.startswith(_PDB_RECORDS) else ""
            shown = line.strip()[:60]
            return f"it is not a CIF file: line {number} is {shown!r}, and none begins a block (data_){hint}"
    return "it is empty: no block of it has atoms"


def _where(error: str, text: str) -> str:
    """The parser's message with the line that it speaks of."""
    match = re.match(r"\w+:(\d+)(?::\d+\(\d+\))?:\s*(.*)", error, re.DOTALL)
    if match is None:
        return f"it is not a CIF file: {error}"
    lines, number = text.split("\n"), int(match[1])
    line = lines[number - 1].strip()[:60] if number <= len(lines) else ""
    version = (
        "; it is of CIF 2.0, of which lists, tables and strings in three quotes are not read"
        if text.lstrip().startswith("#\\#CIF_2")
        else ""
    )
    return f"it is not a CIF file: line {number}, {line!r}: {match[2]}{version}"
