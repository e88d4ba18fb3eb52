"""Molecules from SDF files, with the geometry and the labels that are in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np
from rdkit import Chem, rdBase

from pg_tf.datasets._collect import BadRecord, Path, Record, collect, open_text, parse_label
from pg_tf.datasets.molecules import Molecules


def read_sdf(path: Path, label: str | None = None, *, strict: bool = False, limit: int | None = None) -> Molecules:
    """Reads the molecules of an SDF file: the atoms and coordinates as they stand.

    Nothing is added or corrected: hydrogens that are not in the file are not made up, and wrong bond orders
    (a tenth of PCQM4Mv2 has them) do no harm, because bonds are not used.

    Args:
      path: `.sdf` or `.sdf.gz`.
      label: the property that holds each molecule's label, such as "homolumogap".
      strict: raise at the first bad record, instead of skipping it with a warning. Bad are: a record that is
        damaged or cut off, has no atoms, no 3D geometry or an atom that is no element, or whose label is
        missing or not finite.
      limit: read no more than this many molecules.

    Returns:
      Molecules; `names` are the titles and `skipped` lists the records left out.

    Raises:
      ValueError: if not a single molecule could be read, or, where `strict`, at the first bad record.
      OSError: if the file cannot be opened.
    """
    with open_text(path) as file, rdBase.BlockLogs():
        return collect(path, _outcomes(file, label), strict, limit)


def _outcomes(file: IO[str], label: str | None) -> Iterator[tuple[str, Record | BadRecord]]:
    # Cut into records here, not by RDKit's supplier: a damaged record then cannot swallow the next ones.
    lines: list[str] = []
    number = 0
    for line in file:
        if line.startswith("$$$$"):
            yield parse_record(number, lines, label)
            lines, number = [], number + 1
        else:
            lines.append(line)
    if any(line.strip() for line in lines):
        yield f"record {number}", BadRecord("the file ends before the record's closing line $$$$")


def parse_record(number: int, lines: list[str], label: str | None) -> tuple[str, Record | BadRecord]:
    title = lines[0].strip() if lines else ""
    place = f"record {number}" + (f" ({title[:60]})" if title else "")
    try:
        return place, _record(title, lines, label)
    except BadRecord as error:
        return place, error


def _record(title: str, lines: list[str], label: str | None) -> Record:
    supplier = Chem.SDMolSupplier()
    supplier.SetData("".join(lines) + "$$$$\n", sanitize=False, removeHs=False)
    molecule = supplier[0] if len(supplier) == 1 else None
    if molecule is None:
        raise BadRecord("RDKit cannot read it")
    if molecule.GetNumAtoms() == 0:
        raise BadRecord("it has no atoms")
    conformer = molecule.GetConformer()
    coords = conformer.GetPositions()
    if not np.isfinite(coords).all():
        raise BadRecord(f"atom {np.argmin(np.isfinite(coords).all(axis=1))} has coordinates that are not finite")
    if len(coords) > 1 and np.ptp(coords, axis=0).max() == 0.0:
        raise BadRecord("all atoms are at one point: it has no geometry")
    if not conformer.Is3D():
        raise BadRecord("it is flat and not marked as 3D: a drawing, not a geometry")
    atomic_numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], np.int32)
    if not atomic_numbers.all():
        raise BadRecord(f"atom {np.argmin(atomic_numbers)} is no element")
    value = None
    if label is not None:
        if not molecule.HasProp(label):
            there = ", ".join(molecule.GetPropNames()) or "none"
            raise BadRecord(f"label {label!r} is missing; its properties are: {there}")
        value = parse_label(label, molecule.GetProp(label))
    return Record(atomic_numbers, coords, value, title)
