"""The caller's frame of reference: from a box or cell anywhere, turned anyhow, to a `Space` with a corner at the origin
and, where possible, edges along x, y and z; and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf import boxes, cells
from pg_tf._arguments import checked_periodic
from pg_tf._atoms import AtomLayout
from pg_tf._limits import LEAST_SIGMA, LEAST_VOLUME
from pg_tf.inversion.atoms import Array
from pg_tf.inversion.oblique import Oblique
from pg_tf.inversion.orthogonal import Orthogonal
from pg_tf.inversion.space import Space

# Cosines of angles below this are right angles: over a hundred Å they move nothing by 1e-8 Å.
_RIGHT_ANGLE = 1e-10


@dataclasses.dataclass(frozen=True)
class Frame:
    """The frames of `B` structures.

    Attributes:
      space: what their grids cover.
      origin: `[B, 3]`, where its corner is in the caller's frame, Å.
      axes: `[B, 3, 3]`, rows are the space's unit vectors in the caller's frame; None where these are the same.
    """

    space: Space
    origin: Array
    axes: Array | None

    @classmethod
    def of(cls, box: Any, cell: Any, periodic: Any, batch_size: int, dtype: str) -> Frame:
        """From the arguments of `grid_to_coords`, for grids of that dtype.

        Raises:
          ValueError: if there is neither box nor cell, or both, a shape does not fit, a number is not finite, or there
            is no volume.
        """
        check_one_given(box, cell)
        repeats = checked_periodic(periodic, default=cell is not None)
        if box is not None:
            origin, lengths, axes = checked_box(box, batch_size)
            return cls(Orthogonal(lengths, repeats), origin, axes)
        lattice = _cell(cell, batch_size)
        edges = np.linalg.norm(lattice, axis=2, keepdims=True)
        axes = lattice / edges
        origin = np.zeros((batch_size, 3))
        if (np.abs(axes @ axes.transpose(0, 2, 1) - np.eye(3)) < _RIGHT_ANGLE).all():
            return cls(Orthogonal(edges[:, :, 0], repeats), origin, axes)
        return cls(Oblique(lattice, repeats, dtype), origin, None)

    def check_sigma(self, sigma: Array, shape: tuple[int, ...]) -> None:
        """Raises ValueError where a sigma `[C]` is too small for voxels of oblique cells, or so large that its images
        fill a structure evenly."""
        edges = np.linalg.norm(self.space.vectors, axis=2)
        longest = (edges / np.array(shape)).max(axis=1, initial=0)
        if isinstance(self.space, Oblique) and (longest * LEAST_SIGMA > sigma.min()).any():
            bad = int(np.argmax(longest))
            raise ValueError(
                f"sigma must be at least a twelfth of the edges of oblique voxels: molecule {bad} has an edge of "
                f"{longest[bad]:.4g} Å, sigma is {sigma.min():.4g} Å"
            )
        period = np.where(self.space.periodic, edges, np.inf).min(axis=1, initial=np.inf)
        if (period < sigma.max()).any():
            bad = int(np.argmin(period))
            raise ValueError(
                f"sigma must be less than the period of the structure, or nothing shows where the atoms are: molecule "
                f"{bad} repeats after {period[bad]:.4g} Å, sigma is {sigma.max():.4g} Å"
            )

    @property
    def cell(self) -> Array:
        """`[B, 3, 3]`, rows are the vectors that the grid covers, in the caller's frame, Å."""
        return self.space.vectors if self.axes is None else self.space.vectors @ self.axes

    def turned_in(self, vectors: Array) -> Array:
        """Vectors `[B, A, 3]` of the caller's frame along the axes of the space."""
        return vectors if self.axes is None else vectors @ self.axes.transpose(0, 2, 1)

    def turned_back(self, vectors: Array) -> Array:
        """The inverse of `turned_in`."""
        return vectors if self.axes is None else vectors @ self.axes

    def placed(
        self, coords: Array, molecule: npt.NDArray[np.int64], dtype: npt.DTypeLike
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """From coordinates `[N, 3]` in the space: those in the caller's frame, Å, and fractional ones, in units of
        `cell` from its corner. Both are wrapped along periodic vectors and of that dtype."""
        space = self.space[molecule]
        fractional = space.fractional(coords[:, np.newaxis])[:, 0]
        fractional = fractional - np.where(self.space.periodic, np.floor(fractional), 0)
        # Just below a face, rounding to the dtype gives 1, which is 0 again.
        fractional = np.where((fractional.astype(dtype) == 1) & self.space.periodic, 0, fractional)
        placed = self.origin[molecule] + np.einsum("nd,nde->ne", fractional, self.cell[molecule])
        return placed.astype(dtype), fractional.astype(dtype)


def check_one_given(box: Any, cell: Any) -> None:
    """Raises ValueError unless either a box or a cell is given."""
    if box is not None and cell is not None:
        raise ValueError(
            "box, cell: give one of them: the cell for voxels along lattice vectors, the box alone for a window"
        )
    if box is None and cell is None:
        raise ValueError("box, cell: one of them must be given: that with which the grid was made")


def checked_box(box: Any, batch_size: int) -> tuple[Array, Array, Array | None]:
    """Origin `[B, 3]`, lengths `[B, 3]` and rotation `[B, 3, 3]`, Å."""
    layout = AtomLayout("padded", tf.zeros(batch_size + 1, tf.int64), None, batch_size)
    parts = boxes.batched(box, layout, tf.float64)
    origin, lengths = (np.broadcast_to(part.numpy(), (batch_size, 3)) for part in parts[:2])
    for name, value, fits in (("origin", origin, np.isfinite(origin)), ("lengths", lengths, lengths > 0)):
        if not (fits & np.isfinite(value)).all():
            bad = int(np.argwhere(~(fits & np.isfinite(value)))[0, 0])
            raise ValueError(
                f"box: {name} must be finite{' and greater than 0' if name == 'lengths' else ''}: "
                f"molecule {bad} has {value[bad]}"
            )
    if parts.rotation is None:
        return origin, lengths, None
    return origin, lengths, np.broadcast_to(parts.rotation.numpy(), (batch_size, 3, 3))


def _cell(cell: Any, batch_size: int) -> Array:
    """`[B, 3, 3]`, Å."""
    layout = AtomLayout("padded", tf.zeros(batch_size + 1, tf.int64), None, batch_size)
    lattice = np.broadcast_to(cells.batched(cell, layout, tf.float64).numpy(), (batch_size, 3, 3))
    with np.errstate(divide="ignore", invalid="ignore"):
        volume = np.abs(np.linalg.det(lattice / np.linalg.norm(lattice, axis=2, keepdims=True)))
    if not (volume >= LEAST_VOLUME).all():
        bad = int(np.argmin(volume >= LEAST_VOLUME))
        raise ValueError(
            f"cell: must be finite, and its volume at least {LEAST_VOLUME} of the product of its edges: molecule "
            f"{bad} has {lattice[bad].tolist()}"
        )
    return lattice
