"""Molecules from a table of SMILES, with a geometry made by RDKit."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from pg_tf.datasets._collect import BadRecord, Path, Record, collect, open_text, parse_label
from pg_tf.datasets.molecules import Molecules

MOST_SEED = 2**31 - 1
"""Of RDKit's."""


def read_smiles_csv(
    path: Path,
    label: str | None = None,
    *,
    smiles_column: str = "smiles",
    seed: int = 0,
    strict: bool = False,
    limit: int | None = None,
) -> Molecules:
    """Reads a CSV table with a header, and gives each SMILES its hydrogens and one conformer.

    The conformer is ETKDGv3's (doi:10.1021/acs.jcim.0c00025), relaxed with MMFF94, or with UFF where MMFF94
    has no parameters. This takes some 30 ms a molecule.

    Args:
      path: `.csv` or `.csv.gz`.
      label: the column that holds each molecule's label.
      smiles_column: the column that holds the SMILES.
      seed: of the conformers, 0 to 2**31 - 1; the same seed gives the same geometry.
      strict: raise at the first bad row, instead of skipping it with a warning. Bad are: SMILES that RDKit
        cannot read, that hold several molecules (salts) or an atom that is no element, or that get no
        conformer; a label that is missing or not finite.
      limit: read no more than this many molecules.

    Returns:
      Molecules; `names` are the SMILES and `skipped` lists the rows left out.

    Raises:
      ValueError: if a column is missing, the seed is out of range, not a single molecule could be read, or, where
        `strict`, at the first bad row.
      OSError: if the file cannot be opened.
    """
    check_seed(seed)
    with open_text(path) as file, rdBase.BlockLogs():
        return collect(path, _outcomes(path, file, label, smiles_column, seed), strict, limit)


def _outcomes(
    path: Path, file: IO[str], label: str | None, smiles_column: str, seed: int
) -> Iterator[tuple[str, Record | BadRecord]]:
    table = csv.DictReader(file)
    columns = table.fieldnames or ()
    for argument, column in (("smiles_column", smiles_column), ("label", label)):
        if columns and column is not None and column not in columns:
            raise ValueError(f"{argument}: {path} has no column {column!r}; its columns are: {', '.join(columns)}")
    for row in table:
        smiles = (row[smiles_column] or "").strip()
        place = f"line {table.line_num} ({smiles[:60]})"
        try:
            value = None if label is None else parse_label(label, row[label])
            yield place, Record(*conformer(smiles, seed), value, smiles)
        except BadRecord as error:
            yield place, error


def check_seed(seed: int) -> None:
    """Refuses what RDKit cannot hold, and -1, for which it draws another geometry every time.

    Raises:
      ValueError: and says what it must be.
    """
    if not 0 <= seed <= MOST_SEED:
        raise ValueError(f"seed: must be 0 to {MOST_SEED}, got {seed}")


def conformer(smiles: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
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
    coords = molecule.GetConformer().GetPositions()
    if not np.isfinite(coords).all():
        raise BadRecord("its relaxed geometry is not finite")
    return atomic_numbers, coords
