"""Molecules from a file, by its suffix."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from pg_tf.datasets._collect import BadRecord, Path, collect
from pg_tf.datasets.molecules import Molecules
from pg_tf.datasets.prepare.npz import npz
from pg_tf.datasets.prepare.recipe import Outcome, Recipe
from pg_tf.datasets.prepare.xyz import xyz
from pg_tf.datasets.sdf import read_sdf
from pg_tf.datasets.smiles import read_smiles_csv


def read_molecules(
    path: Path, label: str | None = None, *, strict: bool = False, limit: int | None = None
) -> Molecules:
    """Reads .sdf by `read_sdf`, .csv (column "smiles") by `read_smiles_csv`; .xyz and .extxyz (one molecule a
    frame) and .npz (flat arrays) as `pg-tf prepare` reads them. All but .npz may end in .gz.

    Args:
      path: the file.
      label: the property, column, key or array that holds each molecule's label.
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


def _by(recipe: Callable[[Sequence[Path], str | None], Recipe]) -> Callable[..., Molecules]:
    def read(path: Path, label: str | None, *, strict: bool, limit: int | None) -> Molecules:
        return collect(path, _outcomes(recipe([path], label)), strict, limit)

    return read


def _outcomes(recipe: Recipe) -> Iterator[Outcome]:
    for chunk in recipe.chunks(recipe.records_per_shard):
        yield from recipe.parse(chunk)
        if chunk.damage:
            yield f"after record {chunk.first + len(chunk.records) - 1}", BadRecord(chunk.damage)


_READERS = {
    ".sdf": read_sdf,
    ".sd": read_sdf,
    ".csv": read_smiles_csv,
    ".xyz": _by(xyz),
    ".extxyz": _by(xyz),
    ".npz": _by(npz),
}
