"""Which format a file has, by its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from pg_tf.datasets.readers.npz import npz
from pg_tf.datasets.readers.reader import Reader
from pg_tf.datasets.readers.record import Path
from pg_tf.datasets.readers.sdf import sdf
from pg_tf.datasets.readers.smiles import smiles
from pg_tf.datasets.readers.streams import unpacked_name
from pg_tf.datasets.readers.xyz import xyz

SUFFIXES: Mapping[str, Callable[[Sequence[Path], str | None], Reader]] = {
    ".sdf": sdf,
    ".sd": sdf,
    ".csv": smiles,
    ".smi": smiles,
    ".xyz": xyz,
    ".extxyz": xyz,
    ".npz": npz,
}
"""Readers by the end of a file's name, before that of how it is packed."""


def by_suffix(path: Path, label: str | None = None, argument: str = "path") -> Reader:
    """The reader of a file.

    Args:
      path: the file.
      label: the property, column, key or array that holds each molecule's label.
      argument: what an error calls `path`.

    Raises:
      ValueError: if the suffix is not known.
      FileNotFoundError: if there is no such file.
    """
    make = SUFFIXES.get(os.path.splitext(unpacked_name(path).lower())[1])
    if make is None:
        raise ValueError(
            f"{argument}: {path} must end in {', '.join(SUFFIXES)}, each with or without .gz, .bz2, .xz or .zip"
        )
    if not os.path.exists(path):
        raise FileNotFoundError(f"{argument}: there is no file {path}")
    return make([path], label)
