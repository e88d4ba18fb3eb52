"""Generated molecules in an SDF file that grows a batch at a time and can be gone on with after a kill."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf._files import naming
from pg_tf.datasets import Molecules
from pg_tf.metrics.generation.molecules import assembled, each, sanitized

END = b"$$$$\n"


def record(
    atomic_numbers: npt.NDArray[np.int32], coords: npt.NDArray[np.float64], properties: Mapping[str, Any]
) -> str:
    """A molecule as a record of an SDF file, with the bonds that its distances tell.

    One that RDKit finds impossible, or that has no atoms, is written as it is, with its reason as property "failure".
    """
    from rdkit import Chem  # loads long

    molecule = assembled(atomic_numbers, coords)
    try:
        valid = sanitized(molecule)
        block = Chem.MolToMolBlock(valid)
        outcome = {"smiles": Chem.MolToSmiles(Chem.RemoveHs(valid))}
    except ValueError as error:
        block = Chem.MolToMolBlock(molecule, kekulize=False)
        outcome = {"failure": str(error)}
    facts = {**properties, **outcome}
    return block + "".join(f">  <{name}>\n{value}\n\n" for name, value in facts.items()) + END.decode()


def append(path: str | os.PathLike[str], molecules: Molecules, start: int, properties: Mapping[str, Any]) -> None:
    """Adds molecules to the end of a file; when it returns, they are on the disk.

    Args:
      path: of the file; made if it is not there.
      molecules: the records.
      start: number of the first one, which becomes property "number".
      properties: of all of them.
    """
    text = "".join(
        record(*atoms, {"number": start + index, **properties}) for index, atoms in enumerate(each(molecules))
    )
    with naming(path), open(path, "ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def whole_records(path: str | os.PathLike[str], most: int) -> int:
    """Cuts a file after its last whole record, at most after so many, and returns how many are left; 0 for none."""
    target = Path(path)
    if not target.exists():
        return 0
    count, end = 0, 0
    with open(target, "r+b") as file:
        for place in _ends(file):
            if count == most:
                break
            count, end = count + 1, place
        file.truncate(end)
    return count


def _ends(file: Any) -> Iterator[int]:
    place = 0
    for line in file:
        place += len(line)
        if line == END:
            yield place
