"""The atoms of one molecule or crystal as a file has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class FileAtoms:
    """One molecule, frame or cell of a file.

    Attributes:
      atomic_numbers: int32 `[A]`, 1 to 118.
      coords: float64 `[A, 3]`, Cartesian, Å.
      names: what the file calls the atoms, for messages; empty where it does not.
      cell: float64 `[3, 3]`, rows are lattice vectors, Å; None where there is none.
      periodic: along which of them the structure repeats.
      weights: occupancies, float64 `[A]`; None is 1 for all.
      title: of the molecule.
      values: named values that come with it, as text, such as labels.
    """

    atomic_numbers: npt.NDArray[np.int32]
    coords: npt.NDArray[np.float64]
    names: tuple[str, ...] = ()
    cell: npt.NDArray[np.float64] | None = None
    periodic: tuple[bool, bool, bool] | None = None
    weights: npt.NDArray[np.float64] | None = None
    title: str = ""
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
