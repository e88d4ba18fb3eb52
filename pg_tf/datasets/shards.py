"""The file that prepared molecules are kept in: one shard, thousands of molecules, a column after the other.

A shard is read whole, in one request, and its columns are then copied into tensors: no parsing, and nothing to do for
each molecule. All numbers are little-endian, and lengths follow from the header:

    header          8 bytes b"pg_tf\\x00\\x00\\x01", then B, A and the length of the journal as uint64
    labels          float32 [B]; NaN where a molecule has none
    indices         uint32 [B]: the number of the record in its source
    sizes           uint16 [B]: atoms of each molecule
    coords          float32 [A, 3], Å
    atomic numbers  uint8 [A]
    journal         JSON: how many records of the source this shard stands for, and which were skipped and why
    digest          SHA-256 of all the above

That is 13 bytes an atom and 10 a molecule.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf._files import write_whole
from pg_tf.datasets.molecules import Molecules

_HEADER = struct.Struct("<8sQQQ")
_MAGIC = b"pg_tf\x00\x00\x01"
_DIGEST_BYTES = 32
_LARGEST_HASH = 2**63 - 1
MOST_ATOMS = 2**16 - 1
"""The largest molecule that a shard can hold."""


@dataclasses.dataclass(frozen=True, eq=False)
class Shard:
    """What one shard holds; molecule i has `sizes[i]` atoms.

    Attributes:
      labels: float32 `[B]`; NaN for none.
      indices: uint32 `[B]`, numbers of the records in the source.
      sizes: uint16 `[B]`.
      coords: float32 `[A, 3]`, Å.
      atomic_numbers: uint8 `[A]`.
      journal: what else is to be known of the records that the shard was made of.
    """

    labels: npt.NDArray[np.float32]
    indices: npt.NDArray[np.uint32]
    sizes: npt.NDArray[np.uint16]
    coords: npt.NDArray[np.float32]
    atomic_numbers: npt.NDArray[np.uint8]
    journal: Mapping[str, Any]

    def molecules(self, unit: str = "") -> Molecules:
        """The same as `Molecules`, named by their indices."""
        labels = None if len(self.labels) and np.isnan(self.labels).all() else self.labels
        splits = np.concatenate([[0], np.cumsum(self.sizes, dtype=np.int64)])
        names = tuple(map(str, self.indices.tolist()))
        return Molecules(self.atomic_numbers.astype(np.int32), self.coords, splits, labels, names, unit=unit)

    def to_bytes(self) -> bytes:
        """The content of the file."""
        journal = json.dumps(self.journal, ensure_ascii=False, sort_keys=True).encode()
        columns = [
            np.ascontiguousarray(self.labels, "<f4"),
            np.ascontiguousarray(self.indices, "<u4"),
            np.ascontiguousarray(self.sizes, "<u2"),
            np.ascontiguousarray(self.coords, "<f4"),
            np.ascontiguousarray(self.atomic_numbers, "u1"),
        ]
        header = _HEADER.pack(_MAGIC, len(self.sizes), len(self.atomic_numbers), len(journal))
        content = b"".join([header, *(column.tobytes() for column in columns), journal])
        return content + hashlib.sha256(content).digest()

    @classmethod
    def from_bytes(cls, content: bytes, path: str) -> Shard:
        """Reads the content of a file.

        Raises:
          ValueError: if it is cut off, damaged, of another version or no shard; `path` is for the text.
        """
        if content[: len(_MAGIC) - 1] != _MAGIC[:-1] or len(content) < _HEADER.size + _DIGEST_BYTES:
            raise ValueError(f"{path} is no shard of pg_tf, or is cut off within its header")
        magic, molecules, atoms, journal = _HEADER.unpack_from(content)
        if magic != _MAGIC:
            raise ValueError(
                f"{path} is of version {magic[-1]}; this pg_tf reads version {_MAGIC[-1]}: prepare it anew"
            )
        if len(content) != (expected := shard_bytes(molecules, atoms) + journal):
            raise ValueError(f"{path} has {len(content)} bytes where its header says {expected}: it is cut off")
        if hashlib.sha256(content[:-_DIGEST_BYTES]).digest() != content[-_DIGEST_BYTES:]:
            raise ValueError(f"{path} is damaged: its SHA-256 is not the one it was written with")
        arrays, offset = {}, _HEADER.size
        for name, dtype, count in (
            ("labels", "<f4", molecules),
            ("indices", "<u4", molecules),
            ("sizes", "<u2", molecules),
            ("coords", "<f4", 3 * atoms),
            ("atomic_numbers", "u1", atoms),
        ):
            arrays[name] = np.frombuffer(content, dtype, count, offset)
            offset += arrays[name].nbytes
        arrays["coords"] = arrays["coords"].reshape(-1, 3)
        return cls(**arrays, journal=json.loads(content[offset : offset + journal]))


def shard_bytes(molecules: int, atoms: int) -> int:
    """Bytes of a shard without its journal."""
    return _HEADER.size + 10 * molecules + 13 * atoms + _DIGEST_BYTES


def write_shard(shard: Shard, path: str) -> None:
    """Puts a shard in its place in one step: after a crash at any moment it is there whole or not at all.

    Raises:
      OSError: if it cannot be written, such as on a full disk; what was there before stays.
    """
    write_whole(path, shard.to_bytes())


def fingerprint(content: tf.Tensor) -> tf.Tensor:
    """FarmHash of strings, int64 below 2**63: what TensorFlow can check at some GB/s while it reads."""
    return tf.strings.to_hash_bucket_fast(content, _LARGEST_HASH)


def read_labels(path: str, molecules: int) -> npt.NDArray[np.float32]:
    """The labels `[molecules]` of a shard, and nothing else of it; on any of TensorFlow's file systems. Not checked.

    Raises:
      ValueError: if the file is too short.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        return _read_column(file, _HEADER.size, molecules, "<f4")


def read_elements(path: str, molecules: int, atoms: int) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """The sizes `[molecules]` and atomic numbers `[atoms]` of a shard, as `read_labels`.

    Raises:
      ValueError: if the file is too short, or the sizes are not those of so many atoms.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        sizes = _read_column(file, _HEADER.size + 8 * molecules, molecules, "<u2")
        numbers = _read_column(file, _HEADER.size + 10 * molecules + 12 * atoms, atoms, "u1")
    if (total := int(sizes.sum(dtype=np.int64))) != atoms:
        raise ValueError(f"{path} is damaged: its molecules have {total} atoms together, and there are {atoms}")
    return sizes, numbers


def _read_column(file: tf.io.gfile.GFile, start: int, count: int, dtype: str) -> npt.NDArray[Any]:
    file.seek(start)
    content = file.read(count * np.dtype(dtype).itemsize)
    if len(content) != count * np.dtype(dtype).itemsize:
        raise ValueError(f"{file.name} is cut off")
    return np.frombuffer(content, dtype)


def read_columns(
    paths: tf.Tensor, molecules: tf.Tensor, atoms: tf.Tensor, fingerprints: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Several shards as one, inside a TensorFlow graph; on any of TensorFlow's file systems.

    Args:
      paths: strings `[S]`.
      molecules, atoms, fingerprints: int64 `[S]`, as the manifest has them.

    Returns:
      labels float32 `[B]`, sizes int64 `[B]`, coords float32 `[A, 3]` and atomic numbers int32 `[A]`.

    Raises:
      tf.errors.NotFoundError: if a shard is missing.
      tf.errors.InvalidArgumentError: if a shard is not the one of the manifest; its path is in the text.
    """
    content = tf.map_fn(tf.io.read_file, paths, parallel_iterations=16)
    sound = tf.equal(fingerprint(content), fingerprints)
    damaged = tf.boolean_mask(paths, ~sound)
    intact = tf.debugging.Assert(
        tf.reduce_all(sound), ["shards that are damaged, or not those of the manifest:", damaged], summarize=5
    )
    with tf.control_dependencies([intact]):
        content = tf.identity(content)
    start = tf.fill(tf.shape(molecules), tf.constant(_HEADER.size, tf.int64))

    def column(first: tf.Tensor, count: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        return tf.io.decode_raw(tf.strings.reduce_join(tf.strings.substr(content, first, count * dtype.size)), dtype)

    labels = column(start, molecules, tf.float32)
    start += 8 * molecules
    sizes = column(start, molecules, tf.uint16)
    start += 2 * molecules
    coords = column(start, 3 * atoms, tf.float32)
    start += 12 * atoms
    numbers = column(start, atoms, tf.uint8)
    return labels, tf.cast(sizes, tf.int64), tf.reshape(coords, [-1, 3]), tf.cast(numbers, tf.int32)
