"""Formats of files with one molecule after the other: how a file is cut into records, and how a record is parsed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pg_tf.formats import mol2, pdbqt, sdf, xyz
from pg_tf.formats.atoms import FileAtoms


def _itself(raw: Any) -> Any:
    return raw


@dataclasses.dataclass(frozen=True)
class MoleculeFormat:
    """One format.

    Attributes:
      kind: its name.
      record: what a record is called.
      suffixes: of files.
      records: yields raw records, which can be pickled, of the blocks of a file (`pg_tf.formats.streams.blocks`) and
        its name.
      parsed: the atoms of a raw record, by the symbols that the caller gives for names, and a function that is called
        with what is odd; raises ValueError for a damaged one.
      complete: a raw record itself; raises ValueError if it shows that what follows it in the file is lost.
      title: what a raw record calls itself, as far as it can be read; None where they have no titles.
    """

    kind: str
    record: str
    suffixes: tuple[str, ...]
    records: Callable[[Iterator[bytes], str], Iterator[Any]]
    parsed: Callable[[Any, Mapping[str, str] | None, Callable[[str], None]], FileAtoms]
    complete: Callable[[Any], Any] = _itself
    title: Callable[[Any], str] | None = None


FORMATS: Mapping[str, MoleculeFormat] = {
    format.kind: format
    for format in (
        MoleculeFormat("sdf", "record", (".sdf", ".sd"), sdf.records, sdf.parsed, title=sdf.title),
        MoleculeFormat("xyz", "frame", (".xyz", ".extxyz"), xyz.records, xyz.parsed, xyz.complete),
        MoleculeFormat("mol2", "molecule", (".mol2",), mol2.records, mol2.parsed, title=mol2.title),
        MoleculeFormat("pdbqt", "model", (".pdbqt",), pdbqt.records, pdbqt.parsed),
    )
}
"""By their names."""

BY_SUFFIX: Mapping[str, MoleculeFormat] = {suffix: format for format in FORMATS.values() for suffix in format.suffixes}
"""By the ends of the names of files, before that of how they are packed."""
