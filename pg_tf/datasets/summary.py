"""A summary of a data set: molecular weights, sizes, elements, labels."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from pg_tf.datasets.molecules import Molecules
from pg_tf.datasets.source import Source
from pg_tf.datasets.stored import Shards
from pg_tf.elements import SYMBOLS

_PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
_CUBES = (8, 10, 12, 14, 16, 20, 24, 32)
_HEADER = ("", "mean", "std", "min", "5 %", "25 %", "median", "75 %", "95 %", "max")


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """The distributions of a data set.

    Attributes:
      weights: float32 `[B]`, molecular weights in u, with the mean masses of the elements on Earth.
      sizes: int32 `[B]`, atoms of each molecule.
      heavy: int32 `[B]`, atoms of each molecule that are not hydrogen.
      diameters: float32 `[B]`, the largest distance between two atoms of each molecule, Å.
      labels: float32 `[B]`, or None.
      unit: of the labels.
      atoms: atoms of each element, by symbol.
      holders: molecules with at least one atom of each element, by symbol.
    """

    weights: npt.NDArray[np.float32]
    sizes: npt.NDArray[np.int32]
    heavy: npt.NDArray[np.int32]
    diameters: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32] | None
    unit: str
    atoms: Mapping[str, int]
    holders: Mapping[str, int]

    def distributions(self) -> list[tuple[str, ...]]:
        """A table, its first row the header: mean, standard deviation and percentiles of each quantity."""
        rows = {
            "molecular weight (u)": self.weights,
            "atoms": self.sizes,
            "heavy atoms": self.heavy,
            "diameter (Å)": self.diameters,
        }
        if self.labels is not None:
            rows[f"label ({self.unit})" if self.unit else "label"] = self.labels
        table: list[tuple[str, ...]] = [_HEADER]
        for name, values in rows.items():
            figures = [
                values.mean(dtype=np.float64),
                values.std(dtype=np.float64),
                *np.percentile(values, _PERCENTILES),
            ]
            table.append((name, *(f"{figure:.4g}" for figure in figures)))
        return table

    def fits(self) -> list[tuple[str, ...]]:
        """A table, its first row the header: how many molecules have all atoms in a cube, however they are turned.

        A grid loses what reaches over its box: besides larger molecules, the tails of atoms at less than some sigma
        from a face.
        """
        table: list[tuple[str, ...]] = [("edge of a cube (Å)", "molecules that fit", "that do not")]
        for edge in _CUBES:
            larger = int((self.diameters > edge).sum())
            table.append((str(edge), f"{1 - larger / len(self.sizes):.3%}", f"{larger:,}"))
        return table

    def elements(self) -> list[tuple[str, ...]]:
        """A table, its first row the header: how many atoms are of each element, and how many molecules have it."""
        table: list[tuple[str, ...]] = [("element", "atoms", "of all atoms", "molecules with it")]
        for symbol, count in sorted(self.atoms.items(), key=lambda item: -item[1]):
            held = self.holders[symbol] / len(self.sizes)
            table.append((symbol, f"{count:,}", f"{count / self.sizes.sum():.3%}", f"{held:.3%}"))
        return table


def summarize(source: Source) -> Summary:
    """Reads a whole data set once and summarizes it. Takes 20 bytes of memory for each molecule.

    Raises:
      ValueError: if it is empty, or a shard is damaged.
      TypeError: if it is neither `Molecules` nor `Shards`.
    """
    from rdkit import Chem

    masses = np.array([0.0, *(Chem.GetPeriodicTable().GetAtomicWeight(z) for z in range(1, len(SYMBOLS)))])
    weights, sizes, heavy, diameters, labels = [], [], [], [], []
    atoms, holders = np.zeros(len(SYMBOLS), np.int64), np.zeros(len(SYMBOLS), np.int64)
    for part in _parts(source):
        count = np.diff(part.row_splits)
        molecule = np.repeat(np.arange(len(part)), count)
        weights.append(np.bincount(molecule, masses[part.atomic_numbers], len(part)).astype(np.float32))
        sizes.append(count.astype(np.int32))
        heavy.append(np.bincount(molecule, part.atomic_numbers > 1, len(part)).astype(np.int32))
        diameters.append(part.diameters())
        labels.append(part.labels)
        atoms += np.bincount(part.atomic_numbers, minlength=len(SYMBOLS))
        pairs = np.unique(molecule * len(SYMBOLS) + part.atomic_numbers)
        holders += np.bincount(pairs % len(SYMBOLS), minlength=len(SYMBOLS))
    if not sizes:
        raise ValueError("source: there is no molecule in it")
    present = np.flatnonzero(atoms)
    return Summary(
        np.concatenate(weights),
        np.concatenate(sizes),
        np.concatenate(heavy),
        np.concatenate(diameters),
        None if labels[0] is None else np.concatenate([values for values in labels if values is not None]),
        source.unit,
        {SYMBOLS[z]: int(atoms[z]) for z in present},
        {SYMBOLS[z]: int(holders[z]) for z in present},
    )


def _parts(source: Source) -> Iterator[Molecules]:
    if isinstance(source, Molecules):
        parts = iter([source])
    elif isinstance(source, Shards):
        parts = source.molecules()
    else:
        raise TypeError(f"source: must be Molecules or Shards, got {type(source).__name__}")
    yield from (part for part in parts if len(part))
