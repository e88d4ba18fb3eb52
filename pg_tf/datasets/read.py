"""Molecules from a file, by its suffix."""

from __future__ import annotations

import os

from pg_tf.datasets._collect import Path
from pg_tf.datasets.molecules import Molecules
from pg_tf.datasets.sdf import read_sdf
from pg_tf.datasets.smiles import read_smiles_csv

_READERS = {".sdf": read_sdf, ".sd": read_sdf, ".csv": read_smiles_csv}


def read_molecules(
    path: Path, label: str | None = None, *, strict: bool = False, limit: int | None = None
) -> Molecules:
    """Reads `.sdf` with `read_sdf`, `.csv` (column "smiles") with `read_smiles_csv`; either may end in `.gz`.

    Args:
      path: the file.
      label: the property or column that holds each molecule's label.
      strict: raise at the first bad record, instead of skipping it with a warning.
      limit: read no more than this many molecules.

    Raises:
      ValueError: if the suffix is not known, or as the two readers.
    """
    plain = os.fspath(path).lower().removesuffix(".gz")
    try:
        reader = _READERS[os.path.splitext(plain)[1]]
    except KeyError:
        raise ValueError(f"path: {path} must end in {', '.join(_READERS)}, each with or without .gz") from None
    return reader(path, label, strict=strict, limit=limit)
