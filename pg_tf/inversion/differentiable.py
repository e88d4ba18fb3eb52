"""Coordinates that can be differentiated with respect to the grid they were found in.

Atoms at the optimum of f(x, G) = |G'(x) - G|^2 / 2 have g = df/dx = 0, and when the grid changes they move so that it
stays 0: dg/dx dx + dg/dG dG = 0 (implicit function theorem). So dx/dG = -H^-1 dg/dG = H^-1 J^T, with J = dG'/dx and the
Hessian H. A gradient v with respect to the coordinates becomes J H^-1 v with respect to the grid: that is one linear
system for each grid, however many steps led to the optimum.

Both halves run in NumPy, on the same problems of one channel each as `grid_to_coords`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf import boxes, cells
from pg_tf._arguments import as_tensor, checked_data_format, checked_periodic, describe
from pg_tf._atoms import flat_atoms
from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.frame import Frame, check_one_given
from pg_tf.inversion.least_squares import Free, normal_matrix, refine
from pg_tf.inversion.problem import Problem

# J^T J squares the condition number: float32 would not be enough.
_FLOAT = tf.float64

# The descent ends when no atom would move farther than this, Å.
_SMALLEST_STEP = 1e-10

# Works on so many voxels at once, counting each once for every atom.
_ATOM_VOXELS_AT_ONCE = 1 << 22


def refine_coords(
    grid: Any,
    points: Any,
    *,
    sigma: Any,
    box: Any = None,
    cell: Any = None,
    periodic: Any = None,
    weights: Any = None,
    data_format: str = "channels_first",
    max_steps: int = 50,
    hessian: str = "full",
    floor: float = 1e-6,
) -> Any:
    """Moves atoms to the nearest optimum of the squared residual of their grid, differentiably.

    The optimum is found by Levenberg and Marquardt's method. Its gradient comes from the implicit function theorem, so
    it is that of the optimum itself, not of the steps. The number of atoms and their channels stay as they are.

    Example:

        points = pg_tf.grid_to_coords(grid, box=box, sigma=0.4).points
        with tf.GradientTape() as tape:
            tape.watch(grid)
            coords = refine_coords(grid, points, box=box, sigma=0.4)
            loss = tf.reduce_sum((coords - wanted) ** 2)
        tape.gradient(loss, grid)

    Args:
      grid: `[C, nx, ny, nz]`, or `[B, C, nx, ny, nz]` for a batch (channels_last: C in the end).
      points: atoms near the optimum: `[A, 4]` for a single grid, else `[B, A, 4]` or ragged `[B, (A), 4]`; columns
        channel, x, y, z in Å. A negative channel marks padding, which comes back as it is.
      sigma: standard deviation of the Gaussians, Å: a scalar, or one for each atom, laid out as `points` without its
        columns.
      box: the `Box` of the grid, or `(origin, lengths)`, Å: `[3]` or `[B, 3]`. A constant here.
      cell: instead of a box, the lattice vectors along which the voxels lie, as rows, Å: `[3, 3]` or `[B, 3, 3]`. A
        constant too.
      periodic: along which of the three vectors of the box or cell the structure repeats, as in `pg_tf.voxelize`: a
        flag or three. None: all of a cell, none of a box.
      weights: integral of each atom, 1 if None: a scalar, or one for each atom.
      data_format: "channels_first" or "channels_last".
      max_steps: steps at most. Atoms at the optimum need one or two; 0 trusts that they are there.
      hessian: "full", which is right at any optimum; or "gauss_newton", which leaves out the part with the residual:
        the same where the atoms explain the grid, and never indefinite where they do not.
      floor: eigenvalues of H below this share of the largest one of the molecule are raised to it. It bounds the
        gradient where atoms nearly coincide, so that H is nearly singular.

    Returns:
      Coordinates `[..., 3]` in Å, laid out as `points`, of the dtype of `grid`. Of the images of a periodic atom, the
      one nearest to where it came from. Differentiable once, with respect to grid, sigma and weights.

    Raises:
      ValueError: if a shape or name does not fit, or box and cell are both missing or both given.
      tf.errors.InvalidArgumentError: if the grid is not finite or a channel does not exist.
    """
    if hessian not in ("full", "gauss_newton"):
        raise ValueError(f"hessian must be 'full' or 'gauss_newton', got {hessian!r}")
    checked_data_format(data_format)
    check_one_given(box, cell)
    repeats = checked_periodic(periodic, default=cell is not None)
    points = as_tensor("points", points, _FLOAT)
    layout, flat = flat_atoms("points", points, 4, _FLOAT)
    dtype = tf.float64 if getattr(grid, "dtype", None) == tf.float64 else tf.float32
    values = as_tensor("grid", grid, dtype)
    rank = 4 if layout.kind == "single" else 5
    if values.shape.rank != rank:
        raise ValueError(f"grid must have rank {rank} beside points of {describe(points)}, got {describe(values)}")
    values = tf.cast(values if rank == 5 else values[tf.newaxis], _FLOAT)
    if data_format == "channels_last":
        values = tf.transpose(values, [0, 4, 1, 2, 3])
    values = tf.debugging.assert_all_finite(values, "grid must be finite")
    channels = tf.cast(layout.padded(flat[:, 0], -1.0), tf.int32)
    tf.debugging.assert_less(channels, tf.shape(values)[1], "points: channel does not exist in the grid")
    start = tf.where((channels >= 0)[..., tf.newaxis], layout.padded(flat[:, 1:]), 0)

    def one_or_per_atom(name: str, value: Any) -> tf.Tensor:
        value = as_tensor(name, value, _FLOAT)
        return value if value.shape.rank == 0 else layout.padded(layout.flat(name, value, ()), 1.0)

    if box is not None:
        edges = [part for part in boxes.batched(box, layout, _FLOAT) if part is not None]
    else:
        edges = [cells.batched(cell, layout, _FLOAT)]

    def per_channel(
        grid: Array, sigma: Array, weights: Array, coords: Array, channels: npt.NDArray[np.int32], *edges: Array
    ) -> _PerChannel:
        used = {"cell": edges[0]} if box is None else {"box": edges}
        frame = Frame.of(used.get("box"), used.get("cell"), repeats, len(grid), dtype.name)
        return _PerChannel.of(grid, sigma, weights, coords, channels, frame)

    def optimum_of(*arguments: Any) -> Array:
        return per_channel(*arguments).optimum(max_steps)

    def gradients_of(upstream: Array, *arguments: Any) -> tuple[Array, Array, Array]:
        return per_channel(*arguments).gradients(upstream, hessian == "full", floor)

    @tf.custom_gradient
    def optimum(*sources: tf.Tensor) -> Any:
        """The refined coordinates, differentiable with respect to grid, sigma and weights."""
        coords = tf.numpy_function(optimum_of, [*sources, start, channels, *edges], _FLOAT)
        coords = tf.ensure_shape(coords, start.shape)

        def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
            parts = tf.numpy_function(gradients_of, [upstream, *sources, coords, channels, *edges], [_FLOAT] * 3)
            return [tf.ensure_shape(part, source.shape) for part, source in zip(parts, sources, strict=True)]

        return coords, gradient

    weights = one_or_per_atom("weights", 1.0 if weights is None else weights)
    refined = optimum(values, one_or_per_atom("sigma", sigma), weights)
    if layout.kind == "ragged":
        refined = tf.RaggedTensor.from_tensor(refined, layout.row_splits[1:] - layout.row_splits[:-1]).flat_values
    refined = tf.where(flat[:, :1] < 0, flat[:, 1:], tf.reshape(refined, [-1, 3]))
    return layout.unflatten(tf.cast(refined, dtype))


@dataclasses.dataclass(frozen=True)
class _PerChannel:
    """A batch `[B, C, ...]` as the `K` problems of those grids that have atoms.

    Attributes:
      problem: of the `K` grids.
      atoms: of each, padded to the largest number of atoms in a grid.
      row: `[K]`, place of the grid among all `B * C`.
      molecule: `[K]`.
      mine: bool `[K, A]`, which atoms of its molecule are in the grid.
      frame: of the batch.
      coords: `[B, A, 3]` in the caller's frame, Å.
      shapes: of the caller's grid, sigma and weights.
    """

    problem: Problem
    atoms: Atoms
    row: npt.NDArray[np.int64]
    molecule: npt.NDArray[np.int64]
    mine: npt.NDArray[np.bool_]
    frame: Frame
    coords: Array
    shapes: list[tuple[int, ...]]

    @classmethod
    def of(
        cls,
        grid: Array,
        sigma: Array,
        weights: Array,
        coords: Array,
        channels: npt.NDArray[np.int32],
        frame: Frame,
    ) -> _PerChannel:
        batch_size, num_channels, *extents = grid.shape
        mine = channels[:, np.newaxis] == np.arange(num_channels)[:, np.newaxis]
        mine = mine.reshape(batch_size * num_channels, channels.shape[1])
        row = np.flatnonzero(mine.any(axis=1))
        molecule, mine = row // num_channels, mine[row]
        problem = Problem(grid.reshape(-1, *extents)[row], frame.space[molecule], np.zeros((0, 3), np.int64))
        inside = frame.turned_in(coords - frame.origin[:, np.newaxis])
        sigma, weights = np.asarray(sigma), np.asarray(weights)
        width, scale = (np.full(len(row), v) if v.ndim == 0 else v[molecule] for v in (sigma, weights))
        atoms = Atoms(inside[molecule], mine, width, scale, np.zeros((len(row), 0)))
        atoms = atoms.padded(int(atoms.counts.max(initial=0)))
        return cls(problem, atoms, row, molecule, mine, frame, coords, [grid.shape, sigma.shape, weights.shape])

    def optimum(self, max_steps: int) -> Array:
        """Where the atoms go, `[B, A, 3]` in the caller's frame, Å."""
        shift = np.zeros_like(self.atoms.coords)
        for rows in self._parts():
            part, atoms = self.problem[rows], self.atoms[rows]
            fit = refine(part, atoms, Free(), max_steps=max_steps, precision=0.0, smallest_step=_SMALLEST_STEP)
            shift[rows] = part.space.nearest_image(fit.atoms.padded(shift.shape[1]).coords - atoms.coords)
        return self.coords + self.frame.turned_back(self._of_molecules(shift))

    def gradients(self, upstream: Array, full: bool, floor: float) -> tuple[Array, Array, Array]:
        """From the gradient to the coordinates, `[B, A, 3]`, those to grid, sigma and weights."""
        eigen = [np.linalg.eigh(self._hessian(rows, full)) for rows in self._parts()]
        largest = np.zeros(len(self.coords))
        for rows, (values, _) in zip(self._parts(), eigen, strict=True):
            np.maximum.at(largest, self.molecule[rows], values.max(axis=1, initial=0))
        above = np.zeros_like(self.atoms.coords)
        above[self.atoms.present] = self.frame.turned_in(upstream)[self.molecule][self.mine]

        to_grid = np.zeros((self.shapes[0][0] * self.shapes[0][1], *self.shapes[0][2:]))
        to_sigma, to_weights = np.zeros_like(self.atoms.sigma), np.zeros_like(self.atoms.scale)
        for rows, (values, vectors) in zip(self._parts(), eigen, strict=True):
            values = np.maximum(values, floor * largest[self.molecule[rows], np.newaxis])
            along = np.einsum("kpq,kp->kq", vectors, above[rows].reshape(len(rows), -1))
            solved = np.divide(along, values, out=np.zeros_like(along), where=values != 0)
            direction = np.einsum("kpq,kq->kp", vectors, solved).reshape(above[rows].shape)
            to_grid[self.row[rows]], to_sigma[rows], to_weights[rows] = self._change_along(rows, direction)
        of_atoms = [
            value.sum() if shape == () else self._of_molecules(value)
            for value, shape in zip((to_sigma, to_weights), self.shapes[1:], strict=True)
        ]
        return to_grid.reshape(self.shapes[0]), of_atoms[0], of_atoms[1]

    def _hessian(self, rows: npt.NDArray[np.int64], full: bool) -> Array:
        """`[K, 3 A, 3 A]`."""
        part, atoms = self.problem[rows], self.atoms[rows]
        matrix = normal_matrix(part, atoms, Free(), exact=True)
        if full:
            num_grids, num_atoms = atoms.present.shape
            blocks = matrix.reshape(num_grids, num_atoms, 3, num_atoms, 3)
            same = np.arange(num_atoms)
            blocks[:, same, :, same] -= part.curvature(atoms).transpose(1, 0, 2, 3)
        return matrix

    def _change_along(self, rows: npt.NDArray[np.int64], direction: Array) -> tuple[Array, Array, Array]:
        """The derivatives of `direction` J^T r, with r = G - G', to the grids G, sigma and the scale."""
        part, atoms = self.problem[rows], self.atoms[rows]
        coords = tf.constant(atoms.coords)
        sources = [tf.constant(values) for values in (part.grids, atoms.sigma, atoms.scale)]
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(sources)
            grids, sigma, scale = sources
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(coords)
                model = part.model(atoms, coords, sigma, scale)
            along = tf.reduce_sum(inner.gradient(model, coords, grids - model) * direction)
        to_grids, to_sigma, to_scale = outer.gradient(along, sources)
        return to_grids.numpy(), to_sigma.numpy(), to_scale.numpy()

    def _of_molecules(self, values: Array) -> Array:
        """Values of the atoms of each grid, `[K, A, ...]`, as those of the molecules' atoms, `[B, A, ...]`."""
        result = np.zeros((*self.coords.shape[:2], *values.shape[2:]))
        grid, atom = np.nonzero(self.mine)
        result[self.molecule[grid], atom] = values[self.atoms.present]
        return result

    def _parts(self) -> Iterator[npt.NDArray[np.int64]]:
        """Rows to work on at once."""
        size = max(self.atoms.present.shape[1] * self.problem.grids[:1].size, 1)
        at_once = max(_ATOM_VOXELS_AT_ONCE // size, 1)
        for first in range(0, len(self.row), at_once):
            yield np.arange(first, min(first + at_once, len(self.row)))
