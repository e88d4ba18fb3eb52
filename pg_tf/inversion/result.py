"""What an inversion returns."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.elements import ElementChannels
from pg_tf.inversion import export


@dataclasses.dataclass(frozen=True)
class Inversion:
    """Atoms found in grids. Of a single grid, everything is without the batch axis `B`.

    Attributes:
      points: ragged `[B, (A), 4]`, or `[A, 4]` for a single grid; columns channel, x, y, z in Å, in the frame in which
        the box was given; ordered by channel. float64 for float64 grids, otherwise float32.
      fractional: the same coordinates in units of `cell`, from its corner: ragged `[B, (A), 3]` or `[A, 3]`. From 0 to
        1 along axes that repeat.
      uncertainty: ragged `[B, (A)]` or `[A]`, the expected distance of each atom from the truth in Å, from the
        curvature of the loss and from what is left of the grid at that place. Infinite for an atom that left no trace.
        It assumes that the number of atoms is right.
      converged: bool `[B]`, whether nothing is left of the grid but rounding or white noise. Where it is False,
        `points` is a best guess only.
      loss: `[B]`, what is left of the grid: sum (G - G')^2 / sum G^2, G' the grid of `points`.
      unexplained: `[B]`, sum |G - G'| in atoms, less what white noise of the level `noise` would add up to: 0 where
        nothing but noise is left.
      noise: `[B, C]`, standard deviation of the noise of a voxel.
      iterations: int `[B]`, steps of the optimisation, without those of repairs that were no better.
      sigma: `[B, C]`, Å, as given or as fitted.
      scale: `[B, C]`, fitted factor to the weights, 1 where it was not fitted.
      background: `[B, C, Q]`, coefficients of the fitted polynomials 1; x, y, z; x^2, xy, xz, y^2, yz, z^2, of which
        Q = 0 (no background), 1 (constant), 4 (linear) or 10 (quadratic); x, y and z run from -1 to 1 across the box
        or cell.
      cell: `[B, 3, 3]`, Å, rows are the vectors that the grid covers: the cell given, or the edges of the box.
      periodic: along which of them the structure repeats.
    """

    points: Any
    fractional: Any
    uncertainty: Any
    converged: npt.NDArray[np.bool_]
    loss: npt.NDArray[np.float64]
    unexplained: npt.NDArray[np.float64]
    noise: npt.NDArray[np.float64]
    iterations: npt.NDArray[np.int64]
    sigma: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    background: npt.NDArray[np.float64]
    cell: npt.NDArray[np.float64]
    periodic: tuple[bool, bool, bool]

    def __repr__(self) -> str:
        single = not isinstance(self.points, tf.RaggedTensor)
        points = [self.points] if single else self.points
        converged = np.atleast_1d(self.converged)
        atoms = " + ".join(str(len(one)) for one in list(points)[:8]) + (" + ..." if len(converged) > 8 else "")
        what = "grid" if len(converged) == 1 else "grids"
        return (
            f"<Inversion of {len(converged)} {what}: {atoms} atoms, "
            f"{int(converged.sum())} of {len(converged)} converged, "
            f"at most {float(np.max(self.unexplained, initial=0)):.2g} atoms unexplained>"
        )

    def to_xyz(self, elements: ElementChannels | Sequence[str], comment: str = "") -> Any:
        """The atoms in the XYZ format, see `pg_tf.inversion.to_xyz`: a string, or a list of them for a batch."""
        return self._each(lambda points: export.to_xyz(points, elements, comment))

    def to_rdkit(self, elements: ElementChannels | Sequence[str], charge: int = 0) -> Any:
        """RDKit molecules with perceived bonds, see `pg_tf.inversion.to_rdkit`: one, or a list of them for a batch."""
        return self._each(lambda points: export.to_rdkit(points, elements, charge))

    def to_structure(self, elements: ElementChannels | Sequence[str], name: str = "") -> Any:
        """Structures with a cell, see `pg_tf.inversion.to_structure`: one, or a list of them for a batch."""
        if isinstance(self.points, tf.RaggedTensor):
            pairs = zip(self.points, self.cell, strict=True)
            return [export.to_structure(points, elements, cell, self.periodic, name) for points, cell in pairs]
        return export.to_structure(self.points, elements, self.cell, self.periodic, name)

    def _each(self, function: Callable[[Any], Any]) -> Any:
        if isinstance(self.points, tf.RaggedTensor):
            return [function(points) for points in self.points]
        return function(self.points)
