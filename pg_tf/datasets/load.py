"""Any source of molecules by its name, folder or file, whole or split."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.datasets.manifest import Manifest, ShardEntry, check_shards, read_manifest
from pg_tf.datasets.molecules import Molecules, concatenate
from pg_tf.datasets.read import read_molecules
from pg_tf.datasets.sample import LABEL as SAMPLE_LABEL
from pg_tf.datasets.sample import load_sample
from pg_tf.datasets.source import Source
from pg_tf.datasets.splits import PAPER, official_name, random_part
from pg_tf.datasets.stored import Shards

# Memory for an atom: its columns, twice, and once more as a point.
_BYTES_AN_ATOM = 48
_SHARE_OF_MEMORY = 0.25


class MissingPart(ValueError):
    """A folder has official parts, and the one that was asked for is not among them."""


def load(
    source: str | os.PathLike[str],
    split: str | None = "train",
    *,
    label: str | None = None,
    splits: str | Sequence[float] | None = None,
    seed: int = 0,
    in_memory: bool | None = None,
) -> Source:
    """Molecules to train on.

    Args:
      source: "sample"; a folder that `pg-tf prepare` made, on any file system of TensorFlow; or a file that
        `read_molecules` reads.
      split: "train", "validation" or "test" of a random split, a part of the official one, or None for all. Official
        parts go by the same names, whatever the source calls them ("valid" in OGB), or by those of the source.
      label: the property or column with the labels; for the sample ("gap") and a folder only to be sure that it holds
        that one.
      splits: "official" for the parts that the source itself comes in, or the three fractions of a random split. None:
        the official ones of the sample and of a folder that has more than one, and the paper's 90-5-5 else. A random
        split of a folder that has an official "train" is of that alone: in PCQM4Mv2 those are the molecules with a DFT
        geometry, which the paper split.
      seed: of a random split.
      in_memory: read it all now, or read shards while training. None: now, where it fits into a quarter of the
        machine's memory.

    Returns:
      `Molecules`, or `Shards`; both have `dataset(...)`.

    Raises:
      MissingPart: if there is no such official part.
      FileNotFoundError: if there is no such file or folder.
      ValueError: if there is no such split or label, or the folder is incomplete or damaged.
    """
    name = os.fspath(source)
    if name == "sample":
        if label not in (None, SAMPLE_LABEL):
            raise ValueError(f"label: the sample has the label {SAMPLE_LABEL!r}, not {label!r}")
        if splits not in (None, "official"):
            return _part(load_sample(), split, splits, seed)
        return load_sample(split)
    if tf.io.gfile.isdir(name):
        return _of_folder(name, split, label, splits, seed, in_memory)
    if not tf.io.gfile.exists(name):
        raise FileNotFoundError(f"source: there is no file or folder {name!r}")
    if splits == "official" and split is not None:
        raise ValueError(f"splits: {name} is one file and has no official split; leave it out, or give fractions")
    return _part(read_molecules(name, label), split, splits, seed)


def _part(molecules: Molecules, split: str | None, splits: str | Sequence[float] | None, seed: int) -> Molecules:
    if split is None:
        return molecules
    part = random_part(split, len(molecules), _fractions(splits), seed)
    return molecules[part.contains(tf.range(len(molecules), dtype=tf.int64)).numpy()] if len(molecules) else molecules


def _fractions(splits: str | Sequence[float] | None) -> Sequence[float]:
    if isinstance(splits, str):
        raise ValueError(f"splits: must be 'official' or three fractions, got {splits!r}")
    return PAPER if splits is None else splits


def _of_folder(
    folder: str,
    split: str | None,
    label: str | None,
    splits: str | Sequence[float] | None,
    seed: int,
    in_memory: bool | None,
) -> Source:
    manifest = read_manifest(folder)
    if label is not None and label != manifest.label:
        raise ValueError(f"label: {folder} was prepared with the label {manifest.label!r}, not {label!r}")
    check_shards(folder, manifest)
    official = splits == "official" or (splits is None and len(manifest.splits) > 1)
    stored = _official(folder, manifest, split) if official else _random(folder, manifest, split, splits, seed)
    if in_memory is None:
        atoms = sum(file.atoms for file in stored.files) * len(stored) / max(sum(f.molecules for f in stored.files), 1)
        in_memory = atoms * _BYTES_AN_ATOM < _SHARE_OF_MEMORY * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if not in_memory:
        return stored
    return dataclasses.replace(concatenate(list(stored.molecules())), origin=stored.fingerprint())


def _random(
    folder: str, manifest: Manifest, split: str | None, splits: str | Sequence[float] | None, seed: int
) -> Shards:
    if split is None:
        return _official(folder, manifest, None)
    files, first, sizes = _of_parts(manifest, ("train",) if "train" in manifest.splits else manifest.splits)
    part = random_part(split, int(sizes.sum()), _fractions(splits), seed)
    return Shards(folder, manifest, files, first, part.counts(sizes), part)


def _official(folder: str, manifest: Manifest, split: str | None) -> Shards:
    chosen = manifest.splits if split is None else tuple(n for n in manifest.splits if split in (n, official_name(n)))
    if split is not None and not chosen:
        names = ", ".join(official_name(name) for name in manifest.splits)
        raise MissingPart(
            f"split: of the official parts {folder} has {names}, or None for all; got {split!r}. Three fractions as "
            f"splits, such as {PAPER}, make a random split"
        )
    return Shards(folder, manifest, *_of_parts(manifest, chosen))


def _of_parts(
    manifest: Manifest, names: Sequence[str]
) -> tuple[tuple[ShardEntry, ...], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The shards of some official parts, the ordinal of the first molecule of each among them, and their sizes."""
    files = tuple(shard for shard in manifest.shards if shard.split in names)
    sizes = np.array([shard.molecules for shard in files], np.int64)
    return files, np.cumsum(sizes) - sizes, sizes
