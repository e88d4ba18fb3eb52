"""The atoms that should add up to grids."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Atoms:
    """What is thought to be in `K` grids, padded to `A` atoms; coordinates in the frame of the `Space`.

    Attributes:
      coords: `[K, A, 3]`, Å.
      present: bool `[K, A]`, False for padding.
      sigma: `[K]`, Å; or `[K, A]` where atoms of one grid differ, which can then not be fitted.
      scale: integral of an atom, `[K]` or `[K, A]` likewise.
      background: `[K, Q]`, coefficients of the polynomials of `Problem.polynomials`.
    """

    coords: Array
    present: npt.NDArray[np.bool_]
    sigma: Array
    scale: Array
    background: Array

    @classmethod
    def concatenate(cls, parts: list[Atoms]) -> Atoms:
        """The rows of all parts, which have room for as many atoms."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(cls)))

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        return self.present.sum(axis=1)

    def __getitem__(self, rows: Any) -> Atoms:
        return Atoms(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))

    def where(self, chosen: npt.NDArray[np.bool_], other: Atoms) -> Atoms:
        """The rows that are chosen of this one, the others of `other`, which has as many atoms."""

        def select(mine: Any, theirs: Any) -> Any:
            return np.where(chosen.reshape(-1, *[1] * (mine.ndim - 1)), mine, theirs)

        return Atoms(*(select(getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self)))

    def put(self, rows: npt.NDArray[np.int64], found: Atoms) -> Atoms:
        """With rows replaced."""
        size = max(found.present.shape[1], self.present.shape[1])
        result, found = self.padded(size), found.padded(size)
        for field in dataclasses.fields(self):
            getattr(result, field.name)[rows] = getattr(found, field.name)
        return result

    def padded(self, size: int) -> Atoms:
        """A copy with room for `size` atoms; those present come first. It shares no array with this one."""
        order = np.argsort(~self.present, axis=1, kind="stable")
        missing = max(size - order.shape[1], 0)

        def arranged(values: npt.NDArray[Any], padding: float = 0) -> npt.NDArray[Any]:
            if values.ndim == 1:
                return values.copy()
            inner = values.ndim - 2
            values = np.take_along_axis(values, order.reshape(*order.shape, *[1] * inner), axis=1)[:, :size]
            return np.pad(values, [(0, 0), (0, missing), *[(0, 0)] * inner], constant_values=padding)

        return Atoms(
            arranged(self.coords),
            arranged(self.present),
            arranged(self.sigma, 1),
            arranged(self.scale),
            self.background.copy(),
        )
