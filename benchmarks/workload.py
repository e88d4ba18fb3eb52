"""The molecules that everything is measured with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

MARGIN = 2.0  # Å, around the atoms on every side
SIGMA = 0.4  # Å, where nothing else is said
ELEMENTS = ("C", "N", "O", "S", "F", "Cl", "Br", "H")  # one channel each
_ATOMIC_NUMBERS = (6, 7, 8, 16, 9, 17, 35, 1)


@dataclasses.dataclass(frozen=True)
class Workload:
    """Molecules one after another; molecule i has the atoms `row_splits[i]` to `row_splits[i + 1]`.

    Attributes:
      coords: float32 `[N, 3]`, Å.
      channels: int32 `[N]`, index into ELEMENTS.
      row_splits: int64 `[B + 1]`.
    """

    coords: npt.NDArray[np.float32]
    channels: npt.NDArray[np.int32]
    row_splits: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    @property
    def atoms(self) -> npt.NDArray[np.int64]:
        """Atoms of each molecule, `[B]`."""
        return np.diff(self.row_splits)

    def molecules(self) -> list[npt.NDArray[np.float32]]:
        """Coordinates of each molecule."""
        return [self.coords[self.row_splits[i] : self.row_splits[i + 1]] for i in range(len(self))]

    def take(self, indices: npt.ArrayLike) -> Workload:
        """Some of the molecules, in that order."""
        chosen = np.asarray(indices)
        atoms = np.concatenate([np.arange(self.row_splits[i], self.row_splits[i + 1]) for i in chosen])
        splits = np.concatenate([[0], np.cumsum(self.atoms[chosen])]).astype(np.int64)
        return Workload(self.coords[atoms], self.channels[atoms], splits)

    def repeat(self, count: int) -> Workload:
        """`count` molecules: these over and over."""
        return self.take(np.arange(count) % len(self))

    def typical(self, count: int) -> Workload:
        """The `count` molecules whose number of atoms is nearest to the mean, for what is too slow to do them all."""
        distance = np.abs(self.atoms - self.atoms.mean())
        return self.take(np.sort(np.argsort(distance, kind="stable")[:count]))

    def boxes(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Origins `[B, 3]` and edges `[B]` of the cubes around the molecules, Å, with MARGIN."""
        low = np.minimum.reduceat(self.coords, self.row_splits[:-1])
        high = np.maximum.reduceat(self.coords, self.row_splits[:-1])
        edges = (high - low).max(axis=1) + 2 * MARGIN
        return (low + high - edges[:, None]) / 2, edges

    def save(self, path: Path) -> None:
        """Writes what `load` reads, and the boxes, for processes that cannot import this package's dependencies."""
        origin, edges = self.boxes()
        np.savez(path, pos=self.coords, offsets=self.row_splits, channel=self.channels, origin=origin, edges=edges)


def load(path: Path | None) -> Workload:
    """Molecules of an npz file, or those of the test split of the shipped sample.

    Args:
      path: holds `pos` `[N, 3]` in Å and `offsets` `[B + 1]`; and `z` (atomic numbers) or `channel`, `[N]`, for what is
        measured with a channel for each element.

    Raises:
      ValueError: if the file has no `pos`, `offsets` and elements, or an element without a channel.
    """
    if path is None:
        from pg_tf.datasets import load_sample

        sample = load_sample("test")
        return Workload(sample.coords, _element_channels(sample.atomic_numbers), sample.row_splits)
    with np.load(path) as data:
        if not {"pos", "offsets"} <= set(data) or not {"z", "channel"} & set(data):
            raise ValueError(f"{path} must hold pos, offsets and one of z and channel; it holds {sorted(data)}")
        channels = data["channel"].astype(np.int32) if "channel" in data else _element_channels(data["z"])
        return Workload(data["pos"].astype(np.float32), channels, data["offsets"].astype(np.int64))


def globule(workload: Workload, atoms: int, edge: float) -> Workload:
    """One system as dense as a protein, 0.1 atoms/Å^3: a ball in the middle of a cube of `edge` Å whose corner is at 0,
    its atoms at random and of the elements of `workload`."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(atoms, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    radius = (3 * atoms / (4 * np.pi * 0.1) * rng.uniform(size=(atoms, 1))) ** (1 / 3)
    coords = (edge / 2 + radius * direction).astype(np.float32)
    return Workload(coords, rng.choice(workload.channels, atoms), np.array([0, atoms], np.int64))


def _element_channels(atomic_numbers: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    channels = np.full(256, -1, np.int32)
    channels[list(_ATOMIC_NUMBERS)] = np.arange(len(_ATOMIC_NUMBERS))
    result = channels[atomic_numbers]
    if (result < 0).any():
        unknown = sorted({int(z) for z in atomic_numbers[result < 0]})
        raise ValueError(
            f"z: no channel for the atomic numbers {unknown}; there are channels for {', '.join(ELEMENTS)}"
        )
    return result
