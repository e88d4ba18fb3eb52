"""Tables of SMILES, with geometries by RDKit and labels from a column or by GFN2-xTB."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from functools import partial

from pg_tf.datasets._collect import DAMAGE, BadRecord, Path, Record, damage_of, parse_label
from pg_tf.datasets.prepare.recipe import Chunk, Outcome, Recipe, chunked
from pg_tf.datasets.prepare.streams import unpacked
from pg_tf.datasets.smiles import check_seed, conformer
from pg_tf.datasets.xtb import homo_lumo_gap, require_tblite

XTB = "xtb"
"""Label that asks for a computed gap."""


def smiles(
    files: Sequence[Path], label: str | None = None, unit: str = "", smiles_column: str = "smiles", seed: int = 0
) -> Recipe:
    """CSV tables with a header, or .smi files with a SMILES and perhaps a name in each line; plain, .gz or .bz2.

    A molecule takes some 30 ms, with "xtb" about a second.

    Args:
      files: the tables.
      label: the column with the labels; "xtb" computes the HOMO-LUMO gap of each geometry with GFN2-xTB
        (doi:10.1021/acs.jctc.8b01176), in eV.
      unit: of the labels.
      smiles_column: the column with the SMILES.
      seed: of the conformers, 0 to 2**31 - 1.

    Raises:
      ValueError: if a table lacks a column, or the seed is out of range.
      ImportError: if "xtb" is asked for and tblite is not installed.
    """
    check_seed(seed)
    if label == XTB:
        require_tblite()
        unit = "eV"
    for path in files:
        _check_columns(path, smiles_column, label)
    return Recipe(
        "smiles",
        files,
        {"smiles_column": smiles_column, "seed": seed},
        partial(_chunks, files, smiles_column, label),
        partial(parse_smiles, label, seed),
        records_per_shard=1024,
        label="gfn2_xtb_gap" if label == XTB else label,
        unit=unit,
    )


def parse_smiles(label: str | None, seed: int, chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk of (SMILES, text of the label)."""
    for number, (text, value) in zip(chunk.indices, chunk.records, strict=True):
        place = f"record {number} ({text[:60]})"
        try:
            known = None if label in (None, XTB) else parse_label(str(label), value)
            numbers, coords = conformer(text, seed)
            if label == XTB:
                try:
                    known = homo_lumo_gap(numbers, coords)
                except RuntimeError as error:
                    raise BadRecord(f"GFN2-xTB fails: {error}") from error
            yield place, Record(numbers, coords, known, text)
        except BadRecord as error:
            yield place, error


def _is_table(path: Path) -> bool:
    return ".csv" in os.path.basename(os.fspath(path)).lower()


def _check_columns(path: Path, smiles_column: str, label: str | None) -> None:
    wanted = {"smiles_column": smiles_column} | ({} if label in (None, XTB) else {"label": str(label)})
    if not _is_table(path):
        if "label" in wanted:
            raise ValueError(f"label: {path} has no columns; write a .csv file with a header, or take {XTB!r}")
        return
    try:
        with unpacked(path) as (stream, _):
            columns = next(csv.reader(io.TextIOWrapper(stream, "utf-8-sig", "replace")), [])
    except DAMAGE as error:
        raise ValueError(f"{path} has no header that can be read: {damage_of(error)}") from error
    for argument, column in wanted.items():
        if column not in columns:
            raise ValueError(f"{argument}: {path} has no column {column!r}; its columns are: {', '.join(columns)}")


def _chunks(files: Sequence[Path], smiles_column: str, label: str | None, count: int) -> Iterator[Chunk]:
    first = 0
    for path in files:
        with unpacked(path) as (stream, position):
            text = io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="")
            rows = _rows(text, smiles_column, label) if _is_table(path) else _lines(text)
            for chunk in chunked(path, rows, count, first, position):
                yield chunk
                first += len(chunk.records)


def _rows(text: io.TextIOWrapper, smiles_column: str, label: str | None) -> Iterator[tuple[str, str | None]]:
    for row in csv.DictReader(text):
        yield (row[smiles_column] or "").strip(), None if label in (None, XTB) else row[str(label)]


def _lines(text: io.TextIOWrapper) -> Iterator[tuple[str, None]]:
    for line in text:
        if words := line.split():
            yield words[0], None
