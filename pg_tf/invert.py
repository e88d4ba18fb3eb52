"""Grids back to atoms (ParticleGrid paper, section IV): persistent peaks, then an optimisation through the op."""

from __future__ import annotations

import dataclasses
from typing import Any

import cripser
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.box import Box
from pg_tf.voxelize import voxelize

# A peak that stands out by less than this fraction of the highest voxel is rounding, not an atom.
_PERSISTENCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Inversion:
    """Atoms found in grids.

    Attributes:
      points: float32 ragged `[B, (A), 4]`, or `[A, 4]` for a single grid; columns channel, x, y, z in Å, in the frame
        in which the box was given.
      loss: `[B]` or `[]`, what is left of the grid: sum (G - G')^2 / sum G^2, G' the grid of `points`.
      converged: `[B]` or `[]`, whether the loss came below epsilon. Where it is False, `points` is a best guess only.
      unexplained: `[B]` or `[]`, sum |G - G'| in atoms: 0 where every bit of mass is accounted for.
      steps: optimisation steps taken.
    """

    points: Any
    loss: npt.NDArray[np.float32]
    converged: npt.NDArray[np.bool_]
    unexplained: npt.NDArray[np.float32]
    steps: int


def grid_to_coords(
    grid: Any,
    *,
    box: Any,
    sigma: float,
    weight: float = 1.0,
    num_atoms: Any = None,
    data_format: str = "channels_first",
    optimizer: keras.optimizers.Optimizer | None = None,
    max_steps: int = 600,
    epsilon: float = 1e-9,
) -> Inversion:
    """Finds the atoms that a grid was made of.

    Seeds are the most persistent peaks of each channel (H0 of the superlevel filtration, by cripser), as many as the
    mass of the channel tells (Eq. 6); where atoms have merged into fewer peaks, the largest residuals follow. Then
    sum (G - G')^2 is minimised over all coordinates with `tf.GradientTape` through `pg_tf.voxelize` (Eq. 7-16), all
    grids at once.

    Args:
      grid: `[C, nx, ny, nz]` or `[B, C, nx, ny, nz]` (channels_last: C in the end), made with one sigma and one weight.
      box: the `Box` it was made with, or `(origin, lengths)` in Å: `[3]`, or `[B, 3]` for a batch.
      sigma: standard deviation of the Gaussians, Å.
      weight: integral of each atom.
      num_atoms: number of atoms in each channel, `[C]` or `[B, C]`; None takes it from the mass, which is right where
        the box holds all atoms wholly.
      data_format: "channels_first" or "channels_last".
      optimizer: any Keras optimizer; None is Adam, its learning rate falling from sigma / 10 to sigma / 10^5 over
        max_steps.
      max_steps: steps at most.
      epsilon: the loss at which a grid counts as explained, see `Inversion.loss`.

    Returns:
      An `Inversion`.

    Raises:
      ValueError: if a shape does not fit, a number is not finite, or the box is missing.
    """
    values = np.asarray(grid, np.float32)
    if values.ndim not in (4, 5):
        raise ValueError(f"grid must have rank 4, or 5 for a batch; got shape {list(values.shape)}")
    if not np.isfinite(values).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"grid must be finite: grid{list(place)} is {values[place]}")
    if not (sigma > 0 and weight > 0):
        raise ValueError(f"sigma and weight must be greater than 0, got {sigma} and {weight}")
    single = values.ndim == 4
    if single:
        values = values[np.newaxis]
    if data_format == "channels_last":
        values = np.moveaxis(values, -1, 1)
    elif data_format != "channels_first":
        raise ValueError(f"data_format must be 'channels_first' or 'channels_last', got {data_format!r}")

    problem = _Problem(np.ascontiguousarray(values), _batched(box, len(values)), sigma, weight)
    counts = _atom_counts(problem, num_atoms)
    channels, coords, row_splits = _seed(problem, counts)
    coords, steps = _refine(problem, channels, coords, row_splits, optimizer, max_steps, epsilon)

    found = problem.grid_of(coords, channels, row_splits)
    residual = values - found.numpy()
    scale = np.maximum((values**2).sum(axis=(1, 2, 3, 4)), np.finfo(np.float32).tiny)
    loss = (residual**2).sum(axis=(1, 2, 3, 4)) / scale
    unexplained = np.abs(residual).sum(axis=(1, 2, 3, 4)) / weight
    points = tf.concat([tf.cast(channels[:, tf.newaxis], tf.float32), coords], axis=1)
    if single:
        return Inversion(points, loss[0], loss[0] < epsilon, unexplained[0], steps)
    ragged = tf.RaggedTensor.from_row_splits(points, row_splits)
    return Inversion(ragged, loss, loss < epsilon, unexplained, steps)


@dataclasses.dataclass(frozen=True)
class _Problem:
    """Grids `[B, C, nx, ny, nz]` and how they were made."""

    grids: npt.NDArray[np.float32]
    box: Box
    sigma: float
    weight: float

    def grid_of(self, coords: Any, channels: Any, row_splits: Any) -> tf.Tensor:
        return voxelize(
            tf.RaggedTensor.from_row_splits(coords, row_splits, validate=False),
            tf.RaggedTensor.from_row_splits(channels, row_splits, validate=False),
            num_channels=self.grids.shape[1],
            grid_shape=self.grids.shape[2:],
            sigma=self.sigma,
            weights=self.weight,
            box=self.box,
        )

    def coords_of(self, batch: int, voxels: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Coordinates of positions in voxels (0 the centre of the first), `[A, 3]`."""
        lengths = self.box.lengths[batch]
        box = Box(self.box.origin[batch], lengths, None if self.box.rotation is None else self.box.rotation[batch])
        inside = (voxels + 0.5) * lengths / self.grids.shape[2:]
        return box.from_box_frame(inside.astype(np.float32).reshape(-1, 3)).numpy()


def peaks(density: npt.NDArray[Any], num_peaks: int) -> npt.NDArray[np.float64]:
    """The most persistent peaks of a density.

    Args:
      density: `[nx, ny, nz]`.
      num_peaks: how many to return at most.

    Returns:
      Positions in voxels, `[num_peaks or fewer, 3]`, 0 the centre of the first voxel; the most persistent first,
      refined below the voxel by a parabola through the logarithm, which is exact for a lone Gaussian of wide sigma.
    """
    pairs = cripser.computePH(np.ascontiguousarray(-density, np.float64), maxdim=0)
    height, persistence = -pairs[:, 1], pairs[:, 2] - pairs[:, 1]
    # The highest peak never dies; what merges at a level below zero stands out by its height.
    persistence = np.minimum(persistence, height)
    order = np.argsort(-persistence, kind="stable")
    order = order[persistence[order] > _PERSISTENCE * max(density.max(), 0)][:num_peaks]
    return _refine_peaks(density, pairs[order, 3:6].astype(np.int64))


def _refine_peaks(density: npt.NDArray[Any], voxels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    logarithm = np.log(np.maximum(np.pad(density.astype(np.float64), 1), 1e-30))
    refined = voxels.astype(np.float64)
    for axis in range(3):
        below, above = voxels + 1, voxels + 1
        below = below - np.eye(3, dtype=np.int64)[axis]
        above = above + np.eye(3, dtype=np.int64)[axis]
        low, centre, high = (logarithm[tuple(index.T)] for index in (below, voxels + 1, above))
        curvature = low + high - 2 * centre
        shift = np.divide(low - high, 2 * curvature, out=np.zeros_like(low), where=curvature < 0)
        refined[:, axis] += np.clip(shift, -0.5, 0.5)
    return refined


def _batched(box: Any, batch_size: int) -> Box:
    try:
        origin, lengths, rotation = Box(*box)
    except TypeError:
        raise ValueError(f"box must be a pg_tf.Box or a pair (origin, lengths), got {box!r}") from None

    def repeat(name: str, value: Any, inner: tuple[int, ...]) -> npt.NDArray[np.float32]:
        array = np.asarray(value, np.float32)
        if array.shape not in (inner, (batch_size, *inner), (1, *inner)):
            raise ValueError(
                f"box: {name} must have shape {list(inner)} or {[batch_size, *inner]}, got {list(array.shape)}"
            )
        return np.broadcast_to(array, (batch_size, *inner))

    return Box(
        repeat("origin", origin, (3,)),
        repeat("lengths", lengths, (3,)),
        None if rotation is None else repeat("rotation", rotation, (3, 3)),
    )


def _atom_counts(problem: _Problem, num_atoms: Any) -> npt.NDArray[np.int64]:
    shape = problem.grids.shape[:2]
    if num_atoms is None:
        mass = problem.grids.sum(axis=(2, 3, 4), dtype=np.float64)
        return np.maximum(np.rint(mass / problem.weight), 0).astype(np.int64)
    counts = np.asarray(num_atoms)
    if counts.shape not in (shape, shape[1:]) or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError(
            f"num_atoms must be whole numbers of at least 0 of shape {list(shape[1:])} or {list(shape)}, "
            f"got {num_atoms!r}"
        )
    return np.broadcast_to(counts, shape).astype(np.int64)


def _seed(problem: _Problem, counts: npt.NDArray[np.int64]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Channels `[N]`, coordinates `[N, 3]` and row splits `[B + 1]` of as many atoms as `counts` `[B, C]` tells."""
    batch_size, num_channels = counts.shape
    found = [
        [
            problem.coords_of(b, peaks(problem.grids[b, c], counts[b, c]))
            if counts[b, c]
            else np.zeros((0, 3), np.float32)
            for c in range(num_channels)
        ]
        for b in range(batch_size)
    ]
    while True:
        channels, coords, row_splits = _flatten(found)
        placed = [[len(atoms) for atoms in molecule] for molecule in found]
        missing = counts - np.array(placed, np.int64).reshape(counts.shape)
        if not missing.any():
            return channels, coords, row_splits
        residual = problem.grids - problem.grid_of(coords, channels, row_splits).numpy()
        for b, c in np.argwhere(missing):
            voxel = np.unravel_index(residual[b, c].argmax(), residual.shape[2:])
            atom = problem.coords_of(b, np.array([voxel], np.float64))
            found[b][c] = np.concatenate([found[b][c], atom])


def _flatten(found: list[list[npt.NDArray[np.float32]]]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    channels = [np.full(len(atoms), c, np.int32) for molecule in found for c, atoms in enumerate(molecule)]
    coords = [atoms for molecule in found for atoms in molecule]
    sizes = [sum(len(atoms) for atoms in molecule) for molecule in found]
    return (
        tf.constant(np.concatenate([np.zeros(0, np.int32), *channels])),
        tf.constant(np.concatenate([np.zeros((0, 3), np.float32), *coords])),
        tf.constant(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)),
    )


def _refine(
    problem: _Problem,
    channels: tf.Tensor,
    coords: tf.Tensor,
    row_splits: tf.Tensor,
    optimizer: keras.optimizers.Optimizer | None,
    max_steps: int,
    epsilon: float,
) -> tuple[tf.Tensor, int]:
    """Descends the squared residual; ends when every grid is explained to epsilon, or after max_steps."""
    if optimizer is None:
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1 * problem.sigma, max_steps, 1e-4)
        optimizer = keras.optimizers.Adam(schedule, beta_2=0.99)
    variable = tf.Variable(coords)
    target = tf.constant(problem.grids)
    scale = tf.maximum(tf.reduce_sum(target**2, axis=[1, 2, 3, 4]), np.finfo(np.float32).tiny)
    if coords.shape[0] == 0:
        return coords, 0
    for step in range(max_steps):
        with tf.GradientTape() as tape:
            residual = target - problem.grid_of(variable, channels, row_splits)
            losses = tf.reduce_sum(residual**2, axis=[1, 2, 3, 4]) / scale
            loss = tf.reduce_sum(losses)
        if bool(tf.reduce_all(losses < epsilon)):
            return tf.convert_to_tensor(variable), step
        optimizer.apply_gradients([(tape.gradient(loss, variable), variable)])
    return tf.convert_to_tensor(variable), max_steps
