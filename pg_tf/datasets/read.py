"""Molecules of a file, read into memory."""

import itertools
import warnings
from collections.abc import Iterator

import numpy as np

from pg_tf.datasets.molecules import Molecules
from pg_tf.datasets.readers import Reader, by_suffix, sdf, smiles
from pg_tf.datasets.readers.record import BadRecord, Outcome, Path, Record

_RECORDS_AT_ONCE = 256


def read_molecules(
    path: Path, label: str | None = None, *, strict: bool = False, limit: int | None = None
) -> Molecules:
    """Reads .sdf; .csv (column "smiles") and .smi, with conformers by RDKit; .xyz and .extxyz, one molecule a frame;
    .npz with flat arrays. `pg_tf.datasets.readers` describes each. All but .npz may end in .gz or .bz2.

    Args:
      path: the file.
      label: the property, column, key or array that holds each molecule's label.
      strict: raise at the first bad record, instead of skipping it with a warning.
      limit: read no more than this many molecules.

    Returns:
      Molecules; `skipped` lists the records left out.

    Raises:
      ValueError: if the suffix is not known, not a single molecule could be read, or, where `strict`, at the first bad
        record.
      OSError: if the file cannot be opened.
    """
    return _read(path, by_suffix(path, label), strict, limit)


def read_sdf(path: Path, label: str | None = None, *, strict: bool = False, limit: int | None = None) -> Molecules:
    """Reads an SDF file whatever its suffix: see `pg_tf.datasets.readers.sdf` and `read_molecules`.

    `names` are the titles of the records.
    """
    return _read(path, sdf([path], label), strict, limit)


def read_smiles_csv(
    path: Path,
    label: str | None = None,
    *,
    smiles_column: str = "smiles",
    seed: int = 0,
    strict: bool = False,
    limit: int | None = None,
) -> Molecules:
    """Reads a CSV table and makes a conformer of each SMILES: see `pg_tf.datasets.readers.smiles` and `read_molecules`.

    `names` are the SMILES.
    """
    return _read(path, smiles([path], label, "", smiles_column, seed), strict, limit)


def _read(path: Path, reader: Reader, strict: bool, limit: int | None) -> Molecules:
    records: list[Record] = []
    skipped: list[str] = []
    for place, outcome in _outcomes(reader):
        if isinstance(outcome, BadRecord):
            if strict:
                raise ValueError(f"{path}: {place}: {outcome}") from outcome
            skipped.append(f"{place}: {outcome}")
            continue
        records.append(outcome)
        if limit is not None and len(records) >= limit:
            break
    if not records:
        reasons = "; ".join(itertools.islice(skipped, 3)) or "it is empty"
        raise ValueError(f"path: no molecule could be read from {path}: {reasons}")
    if skipped:
        warnings.warn(
            f"{path}: read {len(records)} molecules, skipped {len(skipped)} records ({'; '.join(skipped[:3])}"
            f"{'; ...' if len(skipped) > 3 else ''}); all are listed in `.skipped`",
            stacklevel=3,
        )
    return Molecules.from_arrays(
        [record.atomic_numbers for record in records],
        [record.coords for record in records],
        None if reader.label is None else np.array([record.label for record in records]),
        [record.name for record in records],
        skipped,
    )


def _outcomes(reader: Reader) -> Iterator[Outcome]:
    for chunk in reader.chunks(_RECORDS_AT_ONCE):
        yield from reader.parse(chunk)
        if chunk.damage:
            yield chunk.damage_place, BadRecord(chunk.damage)
