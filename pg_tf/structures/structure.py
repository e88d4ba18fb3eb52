"""One structure: atoms, and the lattice on which they repeat."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rdkit import Chem

from pg_tf.elements import SYMBOLS, ElementChannels


@dataclasses.dataclass(frozen=True, eq=False)
class Structure:
    """The atoms of a molecule or of one cell of a crystal.

    Args:
      atomic_numbers: int32 `[A]`, 1 to 118.
      coords: float64 `[A, 3]`, Cartesian, Å. In a crystal they may lie outside of the cell.
      cell: float64 `[3, 3]`, rows are lattice vectors, Å; None where there is no lattice.
      periodic: for each lattice vector, whether the structure repeats along it; one flag stands for three. None: True
        with a cell, False without.
      weights: float64 `[A]`, occupancies; None is 1 for all. A place shared by several elements has one atom for each.
      name: a title.
      notes: what a reader found doubtful in a file or had to assume, a sentence each.

    Raises:
      ValueError: if shapes do not fit, an atomic number is no element, a number is not finite, a weight is negative or
        the cell has no volume. The text names the argument, the atom and the value.
    """

    atomic_numbers: npt.NDArray[np.int32]
    coords: npt.NDArray[np.float64]
    cell: npt.NDArray[np.float64] | None = None
    periodic: tuple[bool, bool, bool] | None = None
    weights: npt.NDArray[np.float64] | None = None
    name: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers = np.asarray(self.atomic_numbers)
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
            raise ValueError(f"atomic_numbers: must be integers [A], got {numbers.dtype} {list(numbers.shape)}")
        if (bad := np.flatnonzero((numbers < 1) | (numbers >= len(SYMBOLS)))).size:
            raise ValueError(
                f"atomic_numbers: atom {bad[0]} has {numbers[bad[0]]}; an atomic number is 1 to {len(SYMBOLS) - 1}"
            )
        coords = self._numbers("coords", self.coords, (len(numbers), 3))
        weights = self._numbers(
            "weights", np.ones(len(numbers)) if self.weights is None else self.weights, (len(numbers),)
        )
        if (bad := np.flatnonzero(weights < 0)).size:
            raise ValueError(f"weights: atom {bad[0]} has {weights[bad[0]]}; an occupancy is at least 0")
        cell = None if self.cell is None else self._numbers("cell", self.cell, (3, 3))
        flags = np.asarray(cell is not None if self.periodic is None else self.periodic)
        if flags.dtype != bool or flags.shape not in ((), (3,)):
            raise ValueError(f"periodic: must be a flag or three flags, got {self.periodic!r}")
        if cell is None and flags.any():
            raise ValueError("periodic: a structure can only repeat along the vectors of a cell; give cell as well")
        if cell is not None and not abs(np.linalg.det(cell)) > 1e-8 * np.prod(np.linalg.norm(cell, axis=1)):
            raise ValueError(f"cell: its vectors lie in one plane, or one of them is 0: {cell.tolist()}")
        x, y, z = (bool(flag) for flag in np.broadcast_to(flags, 3))
        fields = {
            "atomic_numbers": numbers.astype(np.int32),
            "coords": coords,
            "cell": cell,
            "periodic": (x, y, z),
            "weights": weights,
        }
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    @staticmethod
    def _numbers(name: str, value: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        array = np.asarray(value)
        if array.size == 0 and 0 in shape:
            return np.zeros(shape)
        if array.dtype.kind not in "fiu" or array.shape != shape:
            raise ValueError(f"{name}: must be numbers {list(shape)}, got {array.dtype} {list(array.shape)}")
        if (bad := np.argwhere(~np.isfinite(array))).size:
            raise ValueError(f"{name}: {array[tuple(bad[0])]} at {bad[0].tolist()}; all must be finite")
        return array.astype(np.float64)

    def __len__(self) -> int:
        return len(self.atomic_numbers)

    def __repr__(self) -> str:
        lattice = "no lattice" if self.cell is None else f"periodic {self.periodic}"
        return f"<{self.name or 'structure'}: {self.formula or 'no atoms'}, {lattice}>"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element symbols of the atoms."""
        return tuple(SYMBOLS[number] for number in self.atomic_numbers)

    @property
    def fractional(self) -> npt.NDArray[np.float64]:
        """Coordinates in units of the lattice vectors, `[A, 3]`; not wrapped.

        Raises:
          ValueError: if there is no cell.
        """
        return np.linalg.solve(self._lattice().T, self.coords.T).T

    @property
    def volume(self) -> float:
        """Volume of the cell, Å^3.

        Raises:
          ValueError: if there is no cell.
        """
        return float(abs(np.linalg.det(self._lattice())))

    @property
    def mass(self) -> float:
        """Mass of the atoms, weighted by their occupancies, g/mol (standard atomic weights)."""
        table = Chem.GetPeriodicTable()
        return float(
            sum(w * table.GetAtomicWeight(int(n)) for n, w in zip(self.atomic_numbers, self._weights(), strict=True))
        )

    @property
    def composition(self) -> dict[str, float]:
        """How many atoms of each element there are, weighted by their occupancies, in the order of the elements."""
        counts = np.bincount(self.atomic_numbers, self._weights(), minlength=len(SYMBOLS))
        return {SYMBOLS[z]: float(counts[z]) for z in np.flatnonzero(np.bincount(self.atomic_numbers))}

    @property
    def formula(self) -> str:
        """The composition as text, carbon and hydrogen first (Hill order)."""
        counts = self.composition
        first = [symbol for symbol in ("C", "H") if "C" in counts and symbol in counts]
        order = [*first, *sorted(set(counts) - set(first))]
        return " ".join(f"{symbol}{counts[symbol]:.6g}" if counts[symbol] != 1 else symbol for symbol in order)

    def atoms(self) -> dict[str, Any]:
        """What `lennard_jones` takes: `pg_tf.lennard_jones(**structure.atoms(), probe="CH4")`."""
        return {name: getattr(self, name) for name in ("coords", "atomic_numbers", "cell", "periodic", "weights")}

    def points(self, channels: ElementChannels | Sequence[str]) -> npt.NDArray[np.float64]:
        """Points `[A, 4]` with columns channel, x, y, z (Å). They hold no weights: give those to `voxelize`.

        Raises:
          ValueError: if an element has no channel.
        """
        return np.column_stack([ElementChannels.of(channels).channels(self.atomic_numbers), self.coords])

    def wrapped(self) -> Structure:
        """The same structure with all atoms inside of the cell, along the periodic axes."""
        fractional = self.fractional
        shifts = np.where(np.array(self.periodic), np.floor(fractional), 0.0)
        return dataclasses.replace(self, coords=self.coords - shifts @ self._lattice())

    def supercell(self, repeats: npt.ArrayLike) -> Structure:
        """The same crystal in a larger cell.

        Args:
          repeats: how often the cell is repeated along each vector, or for all; or a whole-numbered matrix `[3, 3]`
            whose rows are the new vectors in units of the old ones.

        Raises:
          ValueError: if there is no cell, the matrix is singular or of other than whole numbers, or it takes vectors
            that do not repeat anywhere but to themselves.
        """
        lattice, matrix = self._lattice(), np.asarray(repeats)
        if matrix.shape in ((), (3,)):
            matrix = np.diag(np.broadcast_to(matrix, 3))
        if matrix.shape != (3, 3) or matrix.dtype.kind not in "iu" or round(abs(np.linalg.det(matrix))) == 0:
            raise ValueError(
                f"repeats: must be one or three whole numbers or a whole-numbered matrix [3, 3] that is not singular, "
                f"got {repeats!r}"
            )
        still = ~np.array(self.periodic)
        if (matrix != np.eye(3, dtype=int))[still[:, None] | still].any():
            raise ValueError(f"repeats: {matrix.tolist()} repeats or mixes vectors along which periodic is False")
        # Old lattice points in the new cell, a row each: all that its corners enclose, less those outside.
        corners = np.array(list(itertools.product((0, 1), repeat=3))) @ matrix
        ranges = [np.arange(low, high + 1) for low, high in zip(corners.min(axis=0), corners.max(axis=0), strict=True)]
        points = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
        inside = points @ np.linalg.inv(matrix)
        points = points[((inside > -1e-9) & (inside < 1 - 1e-9)).all(axis=1)]
        return dataclasses.replace(
            self,
            atomic_numbers=np.tile(self.atomic_numbers, len(points)),
            coords=((points @ lattice)[:, None] + self.coords).reshape(-1, 3),
            cell=matrix @ lattice,
            weights=np.tile(self._weights(), len(points)),
        )

    def _lattice(self) -> npt.NDArray[np.float64]:
        if self.cell is None:
            raise ValueError("cell: this structure has none")
        return self.cell

    def _weights(self) -> npt.NDArray[np.float64]:
        assert self.weights is not None
        return self.weights
