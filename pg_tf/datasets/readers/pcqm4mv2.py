"""PCQM4Mv2 as OGB hands it out: a table of SMILES and gaps, a split, and the geometries of the training molecules.

    root/pcqm4m-v2/RELEASE_v1.txt
    root/pcqm4m-v2/raw/data.csv.gz          idx, smiles, homolumogap (eV; empty for test molecules)
    root/pcqm4m-v2/split_dict.pt            indices of train, valid, test-dev and test-challenge
    root/pcqm4m-v2-train.sdf.tar.gz         a download of its own; record i is the molecule train[i] of the split

Only training molecules have a DFT geometry, and the SDF has no labels: they come from the table. Whether the two belong
together is seen from each molecule's heavy atoms. https://ogb.stanford.edu/docs/lsc/pcqm4mv2/, Hu et al., OGB-LSC
(2021), arXiv:2103.09430.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pg_tf.datasets.readers.molecule_files import outcome as sdf_outcome
from pg_tf.datasets.readers.quiet import quiet
from pg_tf.datasets.readers.reader import Chunk, Reader, chunked
from pg_tf.datasets.readers.record import BadRecord, Outcome, parse_label, record
from pg_tf.datasets.readers.smiles import conformer
from pg_tf.datasets.readers.split_dict import read_split
from pg_tf.elements import SYMBOLS
from pg_tf.formats.molecule_files import FORMATS
from pg_tf.formats.streams import DAMAGE, blocks, digest, unpacked

URL = "http://ogb-data.stanford.edu/data/lsc/pcqm4m-v2-train.sdf.tar.gz"
MD5 = "fd72bce606e7ddf36c2a832badeec6ab"
LABEL = "homolumogap"

_SDF_NAMES = ("pcqm4m-v2-train.sdf.tar.gz", "pcqm4m-v2-train.sdf.gz", "pcqm4m-v2-train.sdf")


def pcqm4mv2(root: str | os.PathLike[str], *, download: bool = True, validation: bool = False) -> Reader:
    """The training molecules of PCQM4Mv2 with their DFT geometry, and their HOMO-LUMO gaps in eV.

    Args:
      root: folder as above; what is missing is downloaded through `ogb` (two files, 1.6 GB).
      download: False makes missing files an error.
      validation: the official validation molecules too, as the part "valid" besides "train". They have no DFT geometry:
        conformers by RDKit, 30 ms each.

    Raises:
      ValueError: if the files do not fit each other.
      OSError: if files are missing and are not to be, or cannot be, downloaded.
      ImportError: if files are missing and ogb is not installed.
    """
    folder = Path(root) / "pcqm4m-v2"
    table, split = folder / "raw" / "data.csv.gz", folder / "split_dict.pt"
    if not (table.exists() and split.exists()):
        _allow(download, table)
        _ogb()
        from ogb.lsc import PCQM4Mv2Dataset

        PCQM4Mv2Dataset(root=os.fspath(root), only_smiles=True)
    places = [base / name for base in (Path(root), folder, folder / "raw") for name in _SDF_NAMES]
    sdf = next((path for path in places if path.exists()), None)
    if sdf is None:
        _allow(download, places[0])
        sdf = _downloaded(places[0])
    parts = read_split(split)
    for name in ("train", "valid"):
        if name not in parts or np.any(np.diff(parts[name]) <= 0):
            raise ValueError(f"root: {split} has no part {name!r} of rising indices, in which OGB writes it")
    return Reader(
        "pcqm4mv2",
        [sdf, table, split],
        {"validation": validation},
        partial(_chunks, sdf, table, parts, validation),
        parse_pcqm4mv2,
        label=LABEL,
        unit="eV",
    )


def _allow(download: bool, path: Path) -> None:
    if not download:
        raise FileNotFoundError(f"root: {path} is missing; let it be downloaded, or put it there")


def _ogb() -> Any:
    try:
        import ogb.utils.url
    except ImportError as error:
        raise ImportError("downloading PCQM4Mv2 needs OGB and torch: pip install 'pg_tf[ogb]'") from error
    return ogb.utils.url


def _downloaded(target: Path) -> Path:
    """The archive of geometries: put in its place when it is whole."""
    download_url = _ogb().download_url
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="download-") as scratch:
        path = Path(download_url(URL, scratch))
        if (found := digest("md5", path)) != MD5:
            raise OSError(f"{URL} has the MD5 {found}, not {MD5}: the download is damaged; try again")
        os.replace(path, target)
    return target


def _chunks(sdf: Path, table: Path, parts: dict[str, np.ndarray], validation: bool, count: int) -> Iterator[Chunk]:
    """Records are (SDF record or None, SMILES, text of the label); their numbers are OGB's idx."""
    train = parts["train"]
    with unpacked(sdf, ".sdf") as (stream, position), _rows(table, train) as rows:
        pairs = _paired(FORMATS["sdf"].records(blocks(stream), str(sdf)), rows, sdf, len(train))
        for chunk in chunked(sdf, pairs, count, 0, position, "train"):
            yield _numbered(chunk, train)
    if validation:
        with _rows(table, parts["valid"]) as rows:
            records = ((None, *row) for row in rows)
            # Geometries take a hundred times as long to make as to read.
            for chunk in chunked(table, records, max(count // 8, 1), 0, lambda: 0, "valid"):
                yield _numbered(chunk, parts["valid"])


def _numbered(chunk: Chunk, indices: np.ndarray) -> Chunk:
    numbers = indices[chunk.first : chunk.first + len(chunk.records)].tolist()
    return dataclasses.replace(chunk, numbers=numbers)


def _paired(
    records: Iterator[bytes], rows: Iterator[tuple[str, str]], sdf: Path, expected: int
) -> Iterator[tuple[bytes, str, str]]:
    count, damage = 0, None
    try:
        for raw in records:
            row = next(rows, None)
            if row is None:
                count += 1 + sum(1 for _ in records)
                break
            count += 1
            yield raw, *row
    except DAMAGE as error:
        damage = error
    if count != expected:
        cause = f" and is cut off or damaged ({damage})" if damage else ""
        raise ValueError(
            f"root: {sdf} has {count} records{cause}, but the split has {expected} training molecules: "
            "download it again"
        ) from damage
    if damage:
        raise damage


class _rows:
    """(SMILES, text of the label) of the rows of the table with the given idx, which rise."""

    def __init__(self, table: Path, indices: np.ndarray) -> None:
        self.table, self.indices = table, indices

    def __enter__(self) -> Iterator[tuple[str, str]]:
        self.file = gzip.open(self.table, "rt", encoding="utf-8", newline="")
        return self._found(self.file)

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def _found(self, file: Any) -> Iterator[tuple[str, str]]:
        wanted = iter(self.indices.tolist())
        index = next(wanted, None)
        try:
            rows = csv.DictReader(file)
            for row in rows:
                if index is None:
                    return
                if int(row["idx"]) == index:
                    yield row["smiles"], row[LABEL]
                    index = next(wanted, None)
        except (*DAMAGE, KeyError, ValueError, TypeError) as error:
            raise ValueError(f"root: {self.table} is cut off, damaged or not OGB's table: {error!r}") from error
        if index is not None:
            raise ValueError(f"root: {self.table} has no molecule {index}, which the split names")


def parse_pcqm4mv2(chunk: Chunk) -> Iterator[Outcome]:
    """The molecules of a chunk."""
    for index, (raw, smiles, text) in zip(chunk.indices, chunk.records, strict=True):
        place = f"idx {index} ({smiles[:60]})"
        try:
            value = parse_label(LABEL, text)
            if raw is None:
                yield place, record(*conformer(smiles, 0), value, smiles)
                continue
            outcome = sdf_outcome(FORMATS["sdf"], index, raw, None)[1]
            if isinstance(outcome, BadRecord):
                raise outcome
            _check_elements(outcome.atomic_numbers, smiles)
            yield place, outcome._replace(label=value, name=smiles)
        except BadRecord as error:
            yield place, error


@quiet
def _check_elements(atomic_numbers: np.ndarray, smiles: str) -> None:
    """Sees whether a geometry and a SMILES have the same heavy atoms; the hydrogens of one in ten SMILES are wrong."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles, sanitize=False)
    if molecule is None:
        raise BadRecord("RDKit cannot read its SMILES, so that nothing shows whether the geometry is its own")
    heavy = Counter(atom.GetAtomicNum() for atom in molecule.GetAtoms() if atom.GetAtomicNum() > 1)
    found = Counter(number for number in atomic_numbers.tolist() if number > 1)
    if heavy != found:
        raise BadRecord(f"its geometry has the heavy atoms {_formula(found)} and its SMILES {_formula(heavy)}")


def _formula(counts: Counter[int]) -> str:
    return "".join(f"{SYMBOLS[number]}{count}" for number, count in sorted(counts.items())) or "none"
