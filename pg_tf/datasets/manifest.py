"""The table of contents of a folder of shards, written last: where it is, the folder is complete."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

_NAME = "manifest.json"
_VERSION = 1


class ShardEntry(NamedTuple):
    """What the manifest knows of one shard: its file, what is in it, and `pg_tf.datasets.shards.fingerprint`."""

    file: str
    split: str
    molecules: int
    atoms: int
    bytes: int
    fingerprint: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What is in a folder of shards, and what they were made from.

    Attributes:
      source: what it was made from and how: kind, files with their sizes, options.
      label: name of the label in the source; None without labels.
      unit: of the labels.
      molecules, atoms: in all shards.
      elements: atoms of each element, by symbol.
      label_statistics: mean, std, min and max of all labels; empty without labels.
      skipped: records of the source that are not here, by reason; `skipped.txt` names them.
      questions: what is odd about the labels and should be looked at.
      shards: in order.
      notes: what was doubtful about records that are here, by reason; `notes.txt` names them.
    """

    source: Mapping[str, Any]
    label: str | None
    unit: str
    molecules: int
    atoms: int
    elements: Mapping[str, int]
    label_statistics: Mapping[str, float]
    skipped: Mapping[str, int]
    questions: Sequence[str]
    shards: Sequence[ShardEntry]
    notes: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the parts that the source itself is split into, in their order."""
        return tuple(dict.fromkeys(shard.split for shard in self.shards))

    def to_json(self) -> str:
        """The content of the file: the same for the same data, whenever and however often it was made."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields["shards"] = [shard._asdict() for shard in self.shards]
        return (
            json.dumps({"format": "pg_tf shards", "version": _VERSION, **fields}, indent=1, ensure_ascii=False) + "\n"
        )


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Reads the manifest of a folder, on any of TensorFlow's file systems.

    Raises:
      ValueError: if there is none, it is damaged or of another version, or does not fit the shards.
    """
    path = os.path.join(os.fspath(folder), _NAME)
    try:
        with tf.io.gfile.GFile(path) as file:
            fields = json.loads(file.read())
    except tf.errors.NotFoundError:
        raise ValueError(
            f"source: {folder} has no {_NAME}: make it with `pg-tf prepare`, or, where that was interrupted, give the "
            f"same command again"
        ) from None
    except ValueError as error:
        raise ValueError(f"source: {path} is damaged ({error}); delete it and give the `pg-tf prepare` again") from None
    if not isinstance(fields, dict) or fields.pop("format", None) != "pg_tf shards":
        raise ValueError(f"source: {path} is no manifest of pg_tf")
    if (version := fields.pop("version", None)) != _VERSION:
        raise ValueError(
            f"source: {path} is of version {version}; this pg_tf reads version {_VERSION}: prepare it anew"
        )
    try:
        fields["shards"] = [ShardEntry(**shard) for shard in fields["shards"]]
        manifest = Manifest(**fields)
        sums = sum(shard.molecules for shard in manifest.shards), sum(shard.atoms for shard in manifest.shards)
    except (KeyError, TypeError) as error:
        raise ValueError(f"source: {path} is damaged ({error}); delete it and give the `pg-tf prepare` again") from None
    if sums != (manifest.molecules, manifest.atoms):
        raise ValueError(
            f"source: {path} says {manifest.molecules} molecules and {manifest.atoms} atoms, but its shards have "
            f"{sums[0]} and {sums[1]}"
        )
    return manifest


def check_shards(folder: str | os.PathLike[str], manifest: Manifest) -> None:
    """Sees that all shards are there and as long as they should be; their content is checked where they are read.

    Raises:
      ValueError: and names the first shard that is not.
    """
    for shard in manifest.shards:
        path = os.path.join(os.fspath(folder), shard.file)
        try:
            length = tf.io.gfile.stat(path).length
        except tf.errors.NotFoundError:
            raise ValueError(f"source: {path} is missing; give the same `pg-tf prepare` again") from None
        if length != shard.bytes:
            raise ValueError(
                f"source: {path} has {length} bytes where the manifest says {shard.bytes}: it is cut off or another's; "
                f"give the same `pg-tf prepare` again"
            )


def manifest_path(folder: str | os.PathLike[str]) -> str:
    """Where the manifest of a folder is."""
    return os.path.join(os.fspath(folder), _NAME)
