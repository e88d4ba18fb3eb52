"""Molecules of a file, read into memory."""

import itertools
import warnings
from collections.abc import Iterator, Mapping

import numpy as np

from pg_tf.datasets.molecules import Molecules
from pg_tf.datasets.readers import Reader, by_suffix, sdf, smiles
from pg_tf.datasets.readers.record import BadRecord, Outcome, Record
from pg_tf.formats.sources import Input, full_name, repeatable

_RECORDS_AT_ONCE = 256

# A file of which so many records in a row are bad from the start on is not of that format.
_MOST_SKIPPED = 100_000


def read_molecules(
    path: Input,
    label: str | None = None,
    *,
    elements: Mapping[str, str] | None = None,
    strict: bool = False,
    limit: int | None = None,
    format: str | None = None,
) -> Molecules:
    """Reads .sdf, .xyz and .extxyz, .mol2 and .pdbqt, one molecule a record, frame or model; .csv (column "smiles") and
    .smi, with conformers by RDKit; .npz with flat arrays. `pg_tf.datasets.readers` describes each. All but .npz may be
    packed: .gz, .bz2, .xz, .zip.

    Args:
      path: the file: a path; an object that opens, such as `fsspec.open(url)`; or an open file, text or bytes, which is
        read to its end. A `str` is always a path: contents go in as `io.StringIO(text)`, with their `format`.
      label: the property, column, key or array that holds each molecule's label.
      elements: element symbols by what the file calls its atoms, such as `{"OW": "O"}`, in place of what that says.
      strict: raise at the first bad record, which is otherwise skipped, and at the first that is doubtful, which is
        otherwise kept; a warning tells of both.
      limit: read no more than this many molecules.
      format: the suffix that tells the format, such as "xyz", in place of that of the name.

    Returns:
      Molecules; `skipped` lists the records left out, `notes` what was doubtful or had to be assumed.

    Raises:
      ValueError: if the suffix is not known, not a single molecule could be read, a limit of `pg_tf.formats.limits` is
        passed, or, where `strict`, at the first bad or doubtful record.
      OSError: if the file cannot be opened.
    """
    return _read(path, by_suffix(path, label, elements=elements, format=format), strict, limit)


def read_sdf(path: Input, label: str | None = None, *, strict: bool = False, limit: int | None = None) -> Molecules:
    """Reads an SDF file whatever its suffix: see `pg_tf.datasets.readers.sdf` and `read_molecules`.

    `names` are the titles of the records.
    """
    return _read(path, sdf([repeatable(path)], label), strict, limit)


def read_smiles_csv(
    path: Input,
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
    return _read(path, smiles([repeatable(path)], label, "", smiles_column, seed), strict, limit)


def _read(path: Input, reader: Reader, strict: bool, limit: int | None) -> Molecules:
    name = full_name(reader.files[0])
    records: list[Record] = []
    skipped: list[str] = []
    notes: list[str] = []
    for place, outcome in _outcomes(reader):
        if strict and isinstance(outcome, Record) and outcome.notes:
            raise ValueError(f"{name}: {place}: {outcome.notes[0]}")
        if isinstance(outcome, BadRecord):
            if strict:
                raise ValueError(f"{name}: {place}: {outcome}") from outcome
            skipped.append(f"{place}: {outcome}")
            if len(skipped) > _MOST_SKIPPED and not records:
                raise ValueError(
                    f"path: not one of the first {_MOST_SKIPPED} records of {name} could be read: {skipped[0]}"
                )
            continue
        notes += [f"{place}: {note}" for note in outcome.notes]
        records.append(outcome)
        if limit is not None and len(records) >= limit:
            break
    if not records:
        reasons = "; ".join(itertools.islice(skipped, 3)) or "it is empty"
        raise ValueError(f"path: no molecule could be read from {name}: {reasons}")
    if skipped:
        warnings.warn(
            f"{name}: read {len(records)} molecules, skipped {len(skipped)} records ({_first(skipped)}); all are "
            f"listed in `.skipped`",
            stacklevel=3,
        )
    if notes:
        warnings.warn(f"{name}: {_first(notes)}; all that is doubtful is listed in `.notes`", stacklevel=3)
    return Molecules.from_arrays(
        [record.atomic_numbers for record in records],
        [record.coords for record in records],
        None if reader.label is None else np.array([record.label for record in records]),
        [record.name for record in records],
        skipped,
        notes=notes,
    )


def _first(sentences: list[str]) -> str:
    return "; ".join(sentences[:3]) + ("; ..." if len(sentences) > 3 else "")


def _outcomes(reader: Reader) -> Iterator[Outcome]:
    for chunk in reader.chunks(_RECORDS_AT_ONCE):
        yield from reader.parse(chunk)
        if chunk.damage:
            yield chunk.damage_place, BadRecord(chunk.damage)
