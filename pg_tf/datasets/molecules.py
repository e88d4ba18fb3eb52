"""Molecules in flat arrays: what every data source yields."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.datasets.diameters import diameters
from pg_tf.datasets.source import batches_of_epochs, check_stream, endless, epochs, shuffled
from pg_tf.datasets.statistics import mean_and_std
from pg_tf.elements import SYMBOLS, ElementChannels, atomic_number


@dataclasses.dataclass(frozen=True, eq=False)
class Molecules:
    """A list of molecules; molecule i holds the atoms from `row_splits[i]` to `row_splits[i + 1]`.

    Args:
      atomic_numbers: int32 `[N]`, 1 to 118.
      coords: float32 `[N, 3]`, Å.
      row_splits: int64 `[B + 1]`, from 0 to N.
      labels: float32 `[B]`, or None.
      names: B names such as SMILES or titles; "" where left out.
      skipped: a line for each record of the source that is not here: where it was and what is wrong with it.
      notes: a line for whatever was doubtful about a record that is here, or had to be assumed.
      unit: of the labels, such as "eV"; "" if not known.
      origin: what `fingerprint` returns where that is known from where they were read; "" computes it.

    Raises:
      ValueError: if shapes do not fit, row_splits fall, an atomic number is no element, or a coordinate or
        label is not finite. The text names the argument, the molecule and the value.
    """

    atomic_numbers: npt.NDArray[np.int32]
    coords: npt.NDArray[np.float32]
    row_splits: npt.NDArray[np.int64]
    labels: npt.NDArray[np.float32] | None = None
    names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    unit: str = ""
    origin: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        row_splits = _as_array("row_splits", self.row_splits, np.int64, "iu")
        if row_splits.ndim != 1 or len(row_splits) == 0:
            raise ValueError(f"row_splits: shape must be [B + 1], got {list(row_splits.shape)}")
        num_molecules, num_atoms = len(row_splits) - 1, int(row_splits[-1])
        if row_splits[0] != 0:
            raise ValueError(f"row_splits: must start at 0, got {row_splits[0]}")
        if (falls := np.flatnonzero(np.diff(row_splits) < 0)).size:
            i = falls[0]
            raise ValueError(f"row_splits: molecule {i} ends at {row_splits[i + 1]}, before its start {row_splits[i]}")

        def located(row: int) -> str:
            molecule = int(np.searchsorted(row_splits, row, side="right")) - 1
            name = f" ({self.names[molecule]})" if molecule < len(self.names) and self.names[molecule] else ""
            return f"molecule {molecule}{name}, atom {row - row_splits[molecule]}"

        atomic_numbers = _as_array("atomic_numbers", self.atomic_numbers, np.int64, "iu")
        if atomic_numbers.shape != (num_atoms,):
            raise ValueError(
                f"atomic_numbers: row_splits ends at {num_atoms}, so the shape must be [{num_atoms}], "
                f"got {list(atomic_numbers.shape)}"
            )
        if (bad := np.flatnonzero((atomic_numbers < 1) | (atomic_numbers >= len(SYMBOLS)))).size:
            raise ValueError(
                f"atomic_numbers: {located(bad[0])} has {atomic_numbers[bad[0]]}; "
                f"an atomic number is 1 to {len(SYMBOLS) - 1}"
            )
        coords = _as_array("coords", self.coords, np.float32, "fiu")
        if coords.shape != (num_atoms, 3):
            raise ValueError(f"coords: shape must be [{num_atoms}, 3], got {list(coords.shape)}")
        if (bad := np.flatnonzero(~np.isfinite(coords).all(axis=1))).size:
            raise ValueError(f"coords: {located(bad[0])} is at {coords[bad[0]].tolist()}; coordinates must be finite")
        if self.labels is not None:
            labels = _as_array("labels", self.labels, np.float32, "fiu")
            if labels.shape != (num_molecules,):
                raise ValueError(f"labels: shape must be [{num_molecules}], got {list(labels.shape)}")
            if (bad := np.flatnonzero(~np.isfinite(labels))).size:
                raise ValueError(f"labels: molecule {bad[0]} has {labels[bad[0]]}; labels must be finite")
            object.__setattr__(self, "labels", labels)
        names = tuple(self.names) or ("",) * num_molecules
        if len(names) != num_molecules:
            raise ValueError(f"names: there must be {num_molecules}, got {len(names)}")
        object.__setattr__(self, "row_splits", row_splits)
        object.__setattr__(self, "atomic_numbers", atomic_numbers.astype(np.int32))
        object.__setattr__(self, "coords", coords)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "skipped", tuple(self.skipped))
        object.__setattr__(self, "notes", tuple(self.notes))

    @classmethod
    def from_arrays(
        cls,
        atomic_numbers: Sequence[npt.ArrayLike],
        coords: Sequence[npt.ArrayLike],
        labels: npt.ArrayLike | None = None,
        names: Sequence[str] = (),
        skipped: Sequence[str] = (),
        unit: str = "",
        notes: Sequence[str] = (),
    ) -> Molecules:
        """Molecules from an array of atomic numbers `[A]` and one of coordinates `[A, 3]` (Å) for each."""
        if len(atomic_numbers) != len(coords):
            raise ValueError(f"coords: there are {len(coords)} arrays, but {len(atomic_numbers)} of atomic_numbers")
        numbers = [np.asarray(z) if np.size(z) else np.zeros(0, np.int32) for z in atomic_numbers]
        positions = [np.asarray(xyz) if np.size(xyz) else np.zeros((0, 3), np.float32) for xyz in coords]
        for molecule, (z, xyz) in enumerate(zip(numbers, positions, strict=True)):
            if z.ndim != 1 or xyz.shape != (len(z), 3):
                raise ValueError(
                    f"coords: molecule {molecule} needs atomic_numbers [A] and coords [A, 3], "
                    f"got {list(z.shape)} and {list(xyz.shape)}"
                )
        return cls(
            np.concatenate(numbers) if numbers else np.zeros(0, np.int32),
            np.concatenate(positions) if positions else np.zeros((0, 3), np.float32),
            np.cumsum([0, *map(len, numbers)]),
            None if labels is None else np.asarray(labels),
            tuple(names),
            tuple(skipped),
            unit,
            notes=tuple(notes),
        )

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    def __repr__(self) -> str:
        labelled = "without labels" if self.labels is None else "with labels"
        num_atoms, num_skipped = len(self.atomic_numbers), len(self.skipped)
        return f"<{len(self)} molecules, {num_atoms} atoms, {labelled}, {num_skipped} skipped>"

    def __getitem__(self, index: Any) -> Molecules:
        """The molecules of an index, a slice, an index array or a boolean mask; always `Molecules`."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        sizes = np.diff(self.row_splits)[chosen]
        row_splits = np.concatenate([[0], np.cumsum(sizes)])
        rows = np.arange(row_splits[-1]) + np.repeat(self.row_splits[chosen] - row_splits[:-1], sizes)
        return Molecules(
            self.atomic_numbers[rows],
            self.coords[rows],
            row_splits,
            None if self.labels is None else self.labels[chosen],
            tuple(self.names[i] for i in chosen),
            unit=self.unit,
        )

    def points(self, channels: ElementChannels | Sequence[str]) -> tf.RaggedTensor:
        """Float32 ragged `[B, (A), 4]` with columns channel, x, y, z (Å).

        Args:
          channels: the channel of each element, also as symbols such as `("C", "N", "O", "H")`.

        Raises:
          ValueError: if an element has no channel.
        """
        of_atoms = ElementChannels.of(channels).channels(self.atomic_numbers, self.row_splits).astype(np.float32)
        points = np.concatenate([of_atoms[:, None], self.coords], axis=1)
        return tf.RaggedTensor.from_row_splits(tf.constant(points), tf.constant(self.row_splits), validate=False)

    def composition(self, symbols: Sequence[str]) -> npt.NDArray[np.float64]:
        """How many atoms of each element each molecule has, `[B, len(symbols)]`."""
        molecule = np.repeat(np.arange(len(self)), np.diff(self.row_splits))
        counts = np.zeros((len(self), len(symbols)))
        for column, symbol in enumerate(symbols):
            of_element = molecule[self.atomic_numbers == atomic_number(symbol)]
            counts[:, column] = np.bincount(of_element, minlength=len(self))
        return counts

    @property
    def label_mean(self) -> float:
        """Mean of the labels, in `unit`; NaN without labels."""
        return self._label_statistics[0]

    @property
    def label_std(self) -> float:
        """Standard deviation of the labels, in `unit`; NaN without labels."""
        return self._label_statistics[1]

    @functools.cached_property
    def _label_statistics(self) -> tuple[float, float]:
        labels = self.labels
        return (math.nan, math.nan) if labels is None else mean_and_std(lambda: [labels])

    def fingerprint(self) -> str:
        """Hexadecimal digits that tell these molecules from others: see `pg_tf.datasets.Source.fingerprint`."""
        return self.origin or self._digest

    @functools.cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(self.unit.encode())
        for column in (self.row_splits, self.atomic_numbers, self.coords, self.labels):
            digest.update(b"" if column is None else np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def diameters(self) -> npt.NDArray[np.float32]:
        """The largest distance between two atoms of each molecule, `[B]`, Å."""
        return diameters(self.coords, self.row_splits)

    def count_larger_than(self, box: float) -> int:
        """How many molecules do not fit into a cube of this edge (Å) in every orientation."""
        full = np.flatnonzero(np.diff(self.row_splits))
        if not len(full):
            return 0
        # The box around a molecule settles most: the diameter is between its longest edge and its diagonal.
        starts = self.row_splits[full]
        edges = np.maximum.reduceat(self.coords, starts) - np.minimum.reduceat(self.coords, starts)
        larger = edges.max(axis=1) > box
        unsettled = full[~larger & (np.linalg.norm(edges, axis=1) > box)]
        return int(larger.sum() + (self[unsettled].diameters() > box).sum())

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the elements that occur, by atomic number."""
        return tuple(SYMBOLS[number] for number in np.flatnonzero(np.bincount(self.atomic_numbers)))

    def dataset(
        self,
        channels: ElementChannels | Sequence[str],
        *,
        batch_size: int = 256,
        shuffle: bool = False,
        seed: int | None = None,
        repeat: bool = False,
        start: int = 0,
        shard: tuple[int, int] = (0, 1),
        drop_remainder: bool = False,
    ) -> tf.data.Dataset:
        """A `tf.data.Dataset` of ragged batches: see `pg_tf.datasets.Source.dataset`.

        Only indices are permuted and batched, and the atoms gathered at the end, which is several times
        faster than batching molecules. For one molecule `[A, 4]` an element, where speed does not matter,
        take `tf.data.Dataset.from_tensor_slices((molecules.points(channels), molecules.labels))`.
        """
        check_stream(batch_size, start, shard)
        points = self.points(channels)
        labels = None if self.labels is None else tf.constant(self.labels)
        worker, workers = shard
        count = len(range(worker, len(self), workers))
        batches = count // batch_size if drop_remainder else -(-count // batch_size)
        stream = epochs(batches, shuffle=shuffle, seed=seed, repeat=repeat, start=start)

        def gathered(epoch: tf.Tensor, number: tf.Tensor) -> Any:
            mine = tf.range(number * batch_size, tf.minimum((number + 1) * batch_size, count))
            chosen = worker + workers * mine
            if shuffle:
                chosen = shuffled(chosen, tf.constant(len(self), tf.int64), (stream[2], epoch, 0))
            if labels is None:
                return tf.gather(points, chosen)
            return tf.gather(points, chosen), tf.gather(labels, chosen)

        if repeat and batches:
            return endless(batches, start).map(gathered, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        if not shuffle:
            plan = tf.data.Dataset.range(min(start, batches), batches).map(
                lambda number: (tf.zeros_like(number), number)
            )
            return plan.map(gathered, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return batches_of_epochs(stream, batches, gathered)


def concatenate(parts: Sequence[Molecules]) -> Molecules:
    """All molecules of several lists, in order. Either all have labels, in the same unit, or none has."""
    if len({part.labels is None for part in parts}) > 1:
        raise ValueError("parts: some have labels and some have none; drop them or read them with the same label")
    if len(units := {part.unit for part in parts}) > 1:
        raise ValueError(f"parts: their labels are in different units: {', '.join(map(repr, sorted(units)))}")
    labels = [part.labels for part in parts if part.labels is not None]
    sizes = [np.diff(part.row_splits) for part in parts]
    return Molecules(
        np.concatenate([np.zeros(0, np.int32), *(part.atomic_numbers for part in parts)]),
        np.concatenate([np.zeros((0, 3), np.float32), *(part.coords for part in parts)]),
        np.cumsum(np.concatenate([np.zeros(1, np.int64), *sizes])),
        np.concatenate(labels) if labels else None,
        tuple(name for part in parts for name in part.names),
        tuple(line for part in parts for line in part.skipped),
        parts[0].unit if parts else "",
        notes=tuple(line for part in parts for line in part.notes),
    )


def _as_array(argument: str, value: npt.ArrayLike, dtype: type, kinds: str) -> npt.NDArray[Any]:
    array = np.asarray(value)
    if array.size and array.dtype.kind not in kinds:
        wanted = "integers" if kinds == "iu" else "numbers"
        raise ValueError(f"{argument}: must be {wanted}, got dtype {array.dtype}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        return array.astype(dtype)
