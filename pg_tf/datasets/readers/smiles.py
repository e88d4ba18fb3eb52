"""Tables of SMILES, with geometries by RDKit and labels from a column or by GFN2-xTB."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import IO, Any

import numpy as np

from pg_tf.datasets.readers.quiet import quiet
from pg_tf.datasets.readers.reader import Chunk, Reader, chunked
from pg_tf.datasets.readers.record import BadRecord, Outcome, parse_label, record
from pg_tf.datasets.xtb import homo_lumo_gap, require_tblite
from pg_tf.formats.sources import Source, full_name, name_of
from pg_tf.formats.streams import DAMAGE, blocks, damage_of, lines, unpacked

XTB = "xtb"
"""The label that stands for a computed gap."""
LARGEST_SEED = 2**31 - 1
"""The largest seed that RDKit takes; with -1 it would draw another geometry every time."""


def smiles(
    files: Sequence[Source], label: str | None = None, unit: str = "", smiles_column: str = "smiles", seed: int = 0
) -> Reader:
    """CSV tables with a header, or .smi files with a SMILES and perhaps a name in each line; plain, .gz or .bz2.

    A molecule gets its hydrogens and one conformer: ETKDGv3's (doi:10.1021/acs.jcim.0c00025), relaxed with MMFF94, or
    with UFF where MMFF94 has no parameters. This takes some 30 ms, with "xtb" about a second.

    A record is bad if RDKit cannot read its SMILES or finds no conformer, if it holds several molecules (salts) or an
    atom that is no element, or if its label is missing or not finite.

    Args:
      files: the tables.
      label: the column with the labels; "xtb" computes the HOMO-LUMO gap of each geometry with GFN2-xTB
        (doi:10.1021/acs.jctc.8b01176), in eV.
      unit: of the labels.
      smiles_column: the column with the SMILES.
      seed: of the conformers, 0 to 2**31 - 1; the same seed gives the same geometry.

    Raises:
      ValueError: if a table lacks a column, or the seed is out of range.
      ImportError: if "xtb" is asked for and tblite is not installed.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed: must be 0 to {LARGEST_SEED}, got {seed}")
    if label == XTB:
        require_tblite()
        unit = "eV"
    for path in files:
        _check_columns(path, smiles_column, label)
    return Reader(
        "smiles",
        files,
        {"smiles_column": smiles_column, "seed": seed},
        partial(_chunks, files, smiles_column, label),
        partial(parse_smiles, label, seed),
        records_per_shard=1024,
        label="gfn2_xtb_gap" if label == XTB else label,
        unit=unit,
    )


def _is_table(path: Source) -> bool:
    return ".csv" in name_of(path).lower()


def _check_columns(source: Source, smiles_column: str, label: str | None) -> None:
    path = full_name(source)
    wanted = {"smiles_column": smiles_column} | ({} if label in (None, XTB) else {"label": str(label)})
    if not _is_table(source):
        if "label" in wanted:
            raise ValueError(f"label: {path} has no columns; write a .csv file with a header, or take {XTB!r}")
        return
    try:
        with unpacked(source) as (stream, _):
            columns = next(csv.reader(_table_lines(stream, source)), [])
    except DAMAGE as error:
        raise ValueError(f"{path} has no header that can be read: {damage_of(error)}") from error
    for argument, column in wanted.items():
        if columns.count(column) > 1:
            raise ValueError(
                f"{argument}: {path} has {columns.count(column)} columns {column!r}; keep the one that is meant"
            )
        if columns and column not in columns:
            raise ValueError(f"{argument}: {path} has no column {column!r}; its columns are: {', '.join(columns)}")


def _chunks(files: Sequence[Source], smiles_column: str, label: str | None, count: int) -> Iterator[Chunk]:
    first = 0
    for path in files:
        with unpacked(path) as (stream, position):
            text = _table_lines(stream, path)
            rows = _rows(text, smiles_column, label) if _is_table(path) else _lines(text)
            for chunk in chunked(path, rows, count, first, position):
                yield chunk
                first += len(chunk.records)


def _table_lines(stream: IO[bytes], path: Source) -> Iterator[str]:
    # The csv module wants the ends of lines, which may be inside of quotes.
    return (f"{line}\n" for line in lines(blocks(stream), full_name(path)))


def _rows(text: Iterable[str], smiles_column: str, label: str | None) -> Iterator[tuple[int, str, str | None]]:
    table = csv.DictReader(text)
    for row in table:
        value = None if label in (None, XTB) else row[str(label)]
        yield table.line_num, (row[smiles_column] or "").strip(), value


def _lines(text: Iterable[str]) -> Iterator[tuple[int, str, None]]:
    for number, line in enumerate(text, 1):
        if words := line.split():
            yield number, words[0], None


def parse_smiles(label: str | None, seed: int, chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk of (number of the line, SMILES, text of the label)."""
    for line, text, value in chunk.records:
        place = f"line {line} ({text[:60]})"
        try:
            known = None if label in (None, XTB) else parse_label(str(label), value)
            numbers, coords = conformer(text, seed)
            if label == XTB:
                try:
                    known = homo_lumo_gap(numbers, coords)
                except RuntimeError as error:
                    raise BadRecord(f"GFN2-xTB fails: {error}") from error
            yield place, record(numbers, coords, known, text)
        except BadRecord as error:
            yield place, error


@quiet
def conformer(smiles: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and a relaxed geometry, hydrogens included.

    Raises:
      BadRecord: if there is none.
    """
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

    molecule = Chem.MolFromSmiles(smiles) if smiles else None
    if molecule is None:
        raise BadRecord("RDKit cannot read the SMILES" if smiles else "there is no SMILES")
    if len(Chem.GetMolFrags(molecule)) > 1:
        raise BadRecord("there are several molecules in it; keep one in a row")
    molecule = Chem.AddHs(molecule)
    atomic_numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], np.int32)
    if not atomic_numbers.all():
        raise BadRecord(f"atom {np.argmin(atomic_numbers)} is no element")
    parameters: Any = rdDistGeom.ETKDGv3()  # RDKit's own stubs know no writable attribute
    parameters.randomSeed = seed
    if rdDistGeom.EmbedMolecule(molecule, parameters) != 0:
        # Crowded cages need a start from random coordinates.
        parameters.useRandomCoords = True
        if rdDistGeom.EmbedMolecule(molecule, parameters) != 0:
            raise BadRecord("ETKDG finds no conformer")
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
        rdForceFieldHelpers.MMFFOptimizeMolecule(molecule, maxIters=2000)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule):
        rdForceFieldHelpers.UFFOptimizeMolecule(molecule, maxIters=2000)
    return atomic_numbers, molecule.GetConformer().GetPositions()
