"""SDF files, also packed: the geometry and the labels that are in them.

Atoms and coordinates are taken as they stand. Nothing is added or corrected: hydrogens that are not in the file are not
made up, and wrong bond orders (a tenth of PCQM4Mv2 has them) do no harm, because bonds are not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from pg_tf.datasets.readers.quiet import quiet
from pg_tf.datasets.readers.reader import Chunk, Reader, chunked
from pg_tf.datasets.readers.record import BadRecord, Outcome, Path, Record, parse_label, record
from pg_tf.datasets.readers.streams import delimited, unpacked

# Cut into records here, not by RDKit's supplier: a damaged record then cannot swallow the next ones.
# Matches to the end of the line, which must be there: after a bare "$$$$" the file may be cut off.
RECORD_END = re.compile(rb"^\$\$\$\$[^\n]*\n", re.MULTILINE)


def sdf(files: Sequence[Path], label: str | None = None, unit: str = "") -> Reader:
    """SDF files with geometries: .sdf, .sdf.gz, .sdf.bz2, or a tar archive with one of them.

    A record is bad if it is damaged or cut off, if it has no atoms, no 3D geometry or an atom that is no element, or if
    its label is missing or not finite.

    Args:
      files: in the order in which their records are numbered.
      label: the property with the labels.
      unit: of the labels.
    """
    return Reader("sdf", files, {}, partial(_chunks, files), partial(parse_sdf, label), label=label, unit=unit)


def _chunks(files: Sequence[Path], count: int) -> Iterator[Chunk]:
    first = 0
    for path in files:
        with unpacked(path, ".sdf") as (stream, position):
            for chunk in chunked(path, delimited(stream, RECORD_END), count, first, position):
                yield chunk
                first += len(chunk.records)


def parse_sdf(label: str | None, chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk of SDF records."""
    for number, raw in zip(chunk.indices, chunk.records, strict=True):
        yield sdf_outcome(number, raw, label)


def sdf_outcome(number: int, raw: bytes, label: str | None) -> Outcome:
    """The molecule of one record of an SDF file, with its closing line."""
    lines = raw.decode("utf-8-sig", "replace").splitlines(keepends=True)
    title = lines[0].strip() if lines and not lines[0].startswith("$$$$") else ""
    place = f"record {number}" + (f" ({title[:60]})" if title else "")
    try:
        if not lines or not lines[-1].startswith("$$$$"):
            raise BadRecord("the file ends before the record's closing line $$$$")
        return place, _record(title, "".join(lines[:-1]), label)
    except BadRecord as error:
        return place, error


@quiet
def _record(title: str, text: str, label: str | None) -> Record:
    from rdkit import Chem

    supplier = Chem.SDMolSupplier()
    supplier.SetData(f"{text}$$$$\n", sanitize=False, removeHs=False)
    molecule = supplier[0] if len(supplier) == 1 else None
    if molecule is None:
        raise BadRecord("RDKit cannot read it")
    if molecule.GetNumAtoms() == 0:
        raise BadRecord("it has no atoms")
    conformer = molecule.GetConformer()
    coords = conformer.GetPositions()
    if len(coords) > 1 and np.ptp(coords, axis=0).max() == 0.0:
        raise BadRecord("all atoms are at one point: it has no geometry")
    if not conformer.Is3D():
        raise BadRecord("it is flat and not marked as 3D: a drawing, not a geometry")
    value = None
    if label is not None:
        if not molecule.HasProp(label):
            there = ", ".join(molecule.GetPropNames()) or "none"
            raise BadRecord(f"label {label!r} is missing; its properties are: {there}")
        value = parse_label(label, molecule.GetProp(label))
    return record([atom.GetAtomicNum() for atom in molecule.GetAtoms()], coords, value, title)
