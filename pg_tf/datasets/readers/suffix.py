"""Which format a file has, by its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from pg_tf.datasets.readers.molecule_files import mol2, pdbqt, sdf, xyz
from pg_tf.datasets.readers.npz import npz
from pg_tf.datasets.readers.reader import Reader
from pg_tf.datasets.readers.smiles import smiles
from pg_tf.formats.molecule_files import BY_SUFFIX
from pg_tf.formats.sources import Input, full_name, repeatable, suffix_of

_READERS = {"sdf": sdf, "xyz": xyz, "mol2": mol2, "pdbqt": pdbqt}

SUFFIXES: Mapping[str, Callable[..., Reader]] = {
    **{suffix: _READERS[format.kind] for suffix, format in BY_SUFFIX.items()},
    ".csv": smiles,
    ".smi": smiles,
    ".npz": npz,
}
"""Readers by the end of a file's name, before that of how it is packed."""


def by_suffix(
    path: Input,
    label: str | None = None,
    argument: str = "path",
    *,
    elements: Mapping[str, str] | None = None,
    format: str | None = None,
) -> Reader:
    """The reader of a file.

    Args:
      path: the file: a path, an object that opens, or an open file, which is read to its end.
      label: the property, column, key or array that holds each molecule's label.
      argument: what an error calls `path`.
      elements: element symbols by what the file calls its atoms, in place of what that says.
      format: the suffix that tells the format in place of that of the name.

    Raises:
      ValueError: if the suffix is not known, or `elements` is given for a format whose atoms have no names.
      FileNotFoundError: if there is no such file.
    """
    source = repeatable(path)
    name = full_name(source)
    make = SUFFIXES.get(suffix_of(source, format))
    if make is None:
        known = ", ".join(SUFFIXES)
        if format is not None:
            raise ValueError(f"format: must be one of {known}; got {format!r}")
        raise ValueError(
            f"{argument}: {name} must end in {known}, each with or without .gz, .bz2, .xz or .zip; or say what it is "
            f"by format"
        )
    if isinstance(source, (str, os.PathLike)) and "://" not in name and not os.path.exists(name):
        raise FileNotFoundError(f"{argument}: there is no file {name}")
    options: dict[str, Any] = {}
    if elements is not None:
        if make not in _READERS.values():
            raise ValueError(f"elements: {name} gives elements by their numbers or by SMILES; leave it out")
        options["elements"] = elements
    return make([source], label, **options)
