"""QM9 as it was published: one file a molecule in its own dialect of XYZ, in a tar archive.

Ramakrishnan et al., Sci. Data 1, 140022 (2014), doi:10.1038/sdata.2014.22, Table 2.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from pg_tf.datasets.readers.npz import npz
from pg_tf.datasets.readers.reader import Chunk, Reader, chunked
from pg_tf.datasets.readers.record import BadRecord, Outcome, Path, Record, parse_label, record
from pg_tf.datasets.readers.streams import is_tar, tar_members
from pg_tf.elements import atomic_number

PROPERTIES = ("A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv")
"""The columns of the second line, after the molecule's tag and number."""

_HARTREE = ("homo", "lumo", "gap", "zpve", "U0", "U", "H", "G")


def qm9(files: Sequence[Path], label: str = "gap") -> Reader:
    """`dsgdb9nsd.xyz.tar.bz2`, single .xyz files out of it, or an .npz file as in `npz`.

    Args:
      files: the archive or the files.
      label: one of PROPERTIES; energies become eV. For an .npz file the name of an array.

    Raises:
      ValueError: if there is no such property.
    """
    if all(os.fspath(path).lower().endswith(".npz") for path in files):
        return npz(files, label, "hartree" if label.endswith("hartree") else "eV")
    if label not in PROPERTIES:
        raise ValueError(f"label: must be one of {', '.join(PROPERTIES)}, got {label!r}")
    unit = "hartree" if label in _HARTREE else ""
    return Reader("qm9", files, {}, partial(_chunks, files), partial(parse_qm9, label), label=label, unit=unit)


def _chunks(files: Sequence[Path], count: int) -> Iterator[Chunk]:
    first = 0
    for path in files:
        read = [0]
        for chunk in chunked(path, _texts(path, read), count, first, lambda read=read: read[0]):  # type: ignore[misc]
            yield chunk
            first += len(chunk.records)


def _texts(path: Path, read: list[int]) -> Iterator[tuple[str, bytes]]:
    if is_tar(path):
        for name, text, read[0] in tar_members(path, ".xyz"):
            yield os.path.basename(name), text
    else:
        with open(path, "rb") as file:
            yield os.path.basename(os.fspath(path)), file.read()


def parse_qm9(label: str, chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk of (name, text)."""
    for name, raw in chunk.records:
        try:
            yield name, _molecule(raw.decode("utf-8", "replace"), label, name)
        except BadRecord as error:
            yield name, error


def _molecule(text: str, label: str, name: str) -> Record:
    lines = text.splitlines()
    if not lines or not lines[0].strip().isdigit() or len(lines) < int(lines[0]) + 2 or int(lines[0]) == 0:
        raise BadRecord("it is cut off, or its first line is no number of atoms")
    atoms = [line.split() for line in lines[2 : int(lines[0]) + 2]]
    try:
        numbers = np.array([atomic_number(words[0]) for words in atoms], np.int32)
        coords = np.array([[_number(word) for word in words[1:4]] for words in atoms])
    except (ValueError, IndexError) as error:
        raise BadRecord(f"an atom cannot be read: {error}") from error
    if coords.shape != (len(atoms), 3):
        raise BadRecord("an atom has no three coordinates")
    properties = lines[1].split()[2:]
    if len(properties) != len(PROPERTIES):
        raise BadRecord(f"its second line has {len(properties)} properties, not {len(PROPERTIES)}")
    value = properties[PROPERTIES.index(label)].replace("*^", "e")
    return record(numbers, coords, parse_label(label, value), name)


def _number(text: str) -> float:
    """QM9 has numbers such as `2.1997*^-6`, as Mathematica writes them."""
    return float(text.replace("*^", "e"))
