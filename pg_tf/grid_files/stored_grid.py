"""A grid with where it is in space, as files hold it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf.boxes import Box

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class StoredGrid:
    """The channels of one grid, and the block of space that its voxels divide.

    Attributes:
      values: float32 or float64 `[C, nx, ny, nz]`.
      origin: corner of the first voxel, Å, `[3]`.
      edges: rows are the vectors that the grid covers, Å, `[3, 3]`: the edges of a box or the vectors of a cell.
      periodic: along which of them the structure repeats.
      names: of the channels.
      unit: what a voxel holds: "atoms" for integrals, "K" for energies.
      sigma: standard deviation of an atom's Gaussian, Å; None where it is not known.
      atomic_numbers: int32 `[A]` of the atoms that the grid was made of; none where they are not known.
      coords: of these atoms, Å, `[A, 3]`.
    """

    values: npt.NDArray[Any]
    origin: Floats
    edges: Floats
    periodic: tuple[bool, bool, bool] = (False, False, False)
    names: tuple[str, ...] = ()
    unit: str = "atoms"
    sigma: float | None = None
    atomic_numbers: npt.NDArray[np.int32] = dataclasses.field(default_factory=lambda: np.zeros(0, np.int32))
    coords: Floats = dataclasses.field(default_factory=lambda: np.zeros((0, 3)))

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.ndim == 3:
            values = values[None]
        if values.ndim != 4 or not values.size or values.dtype.kind not in "fiu":
            raise ValueError(f"grid: must be numbers [C, nx, ny, nz], got {values.dtype} {list(values.shape)}")
        if (bad := np.argwhere(~np.isfinite(values))).size:
            raise ValueError(f"grid: {values[tuple(bad[0])]} at {bad[0].tolist()}; all must be finite")
        names = tuple(str(name) for name in self.names) or tuple(f"channel{i}" for i in range(len(values)))
        if len(names) != len(values):
            raise ValueError(f"names: there must be one a channel, {len(values)}; got {len(names)}")
        numbers = np.asarray(self.atomic_numbers, np.int32)
        fields = {
            "values": values if values.dtype == np.float64 else values.astype(np.float32),
            "origin": _floats("origin", self.origin, (3,)),
            "edges": _floats("edges", self.edges, (3, 3)),
            "periodic": tuple(bool(flag) for flag in self.periodic),
            "names": names,
            "atomic_numbers": numbers,
            "coords": _floats("coords", self.coords, (len(numbers), 3)),
        }
        for field, value in fields.items():
            object.__setattr__(self, field, value)
        edges = self.edges
        if not abs(np.linalg.det(edges)) > 1e-8 * np.prod(np.linalg.norm(edges, axis=1)):
            raise ValueError(f"edges: the vectors of the grid lie in one plane, or one of them is 0: {edges.tolist()}")

    @classmethod
    def of(
        cls,
        grid: Any,
        box: Sequence[Any] | None = None,
        cell: npt.ArrayLike | None = None,
        periodic: bool | Sequence[bool] | None = None,
        data_format: str = "channels_first",
        **more: Any,
    ) -> StoredGrid:
        """A grid as `pg_tf.voxelize` and `pg_tf.lennard_jones` return it, in the box or cell it was made with.

        Raises:
          ValueError: if box and cell are both given or both missing, or a shape does not fit.
        """
        if (box is None) == (cell is None):
            raise ValueError("box, cell: give the one that the grid was made with")
        values = np.asarray(grid)
        values = values if values.dtype == np.float64 else values.astype(np.float32)
        if data_format == "channels_last" and values.ndim == 4:
            values = np.moveaxis(values, -1, 0)
        if box is not None:
            origin, lengths, rotation = Box(*(None if part is None else np.asarray(part, np.float64) for part in box))
            for name, part in (("origin", origin), ("lengths", lengths)):
                if part.shape != (3,):
                    raise ValueError(
                        f"box: its {name} must have shape [3], got {list(part.shape)}; give one grid and its box"
                    )
            edges = np.diag(lengths) if rotation is None else lengths[:, None] * rotation
        else:
            origin, edges = np.zeros(3), np.asarray(cell, np.float64)
        flags = np.asarray(cell is not None if periodic is None else periodic, bool)
        return cls(values, origin, edges, tuple(np.broadcast_to(flags, 3).tolist()), **more)

    @property
    def steps(self) -> Floats:
        """From one voxel to the next along each of the three vectors, Å, `[3, 3]`."""
        return self.edges / np.array(self.values.shape[1:])[:, None]

    @property
    def first_centre(self) -> Floats:
        """The middle of the first voxel, Å, which is where formats of sampled points have their origin."""
        return self.origin + self.steps.sum(axis=0) / 2

    @property
    def is_rectangular(self) -> bool:
        """Whether the voxels lie along x, y and z."""
        return bool((np.diag(np.diag(self.edges)) == self.edges).all() and (np.diag(self.edges) > 0).all())

    def channel(self, index: int) -> StoredGrid:
        """One channel of it."""
        return dataclasses.replace(self, values=self.values[index : index + 1], names=self.names[index : index + 1])


def _floats(name: str, value: Any, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(value, np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name}: must be finite numbers {list(shape)}, got {list(array.shape)}")
    return array
