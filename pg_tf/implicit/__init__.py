"""Coordinates that can be differentiated with respect to the grid they were found in.

Atoms at the optimum of f(x, G) = |G'(x) - G|^2 / 2 have no gradient left, g = df/dx = 0, and stay there when the grid
changes: dg/dx dx + dg/dG dG = 0 (implicit function theorem). So dx/dG = -H^-1 dg/dG = H^-1 J^T with J = dG'/dx and the
Hessian H, and a gradient v with respect to the coordinates becomes J H^-1 v with respect to the grid: one linear system
for each molecule, however many steps led to the optimum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf import boxes
from pg_tf._arguments import as_tensor, describe
from pg_tf._atoms import flat_atoms
from pg_tf.boxes import Box
from pg_tf.implicit.normal_equations import FLOAT, Derivatives, derivatives_of, descend, solve
from pg_tf.inversion import grid_to_coords
from pg_tf.metrics import pair_atoms


def refine_coords(
    grid: Any,
    points: Any,
    *,
    box: Any,
    sigma: Any,
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
      box: the `Box` of the grid, or `(origin, lengths)`, Å: `[3]` or `[B, 3]`. A constant here.
      sigma: standard deviation of the Gaussians, Å: a scalar, or one for each atom, laid out as `points` without its
        columns.
      weights: integral of each atom, 1 if None: a scalar, or one for each atom.
      data_format: "channels_first" or "channels_last".
      max_steps: steps at most. Atoms at the optimum need one or two; 0 trusts that they are there.
      hessian: "full", which is right at any optimum; or "gauss_newton", which leaves out the part with the residual:
        the same where the grid is explained, and never indefinite where it is not.
      floor: eigenvalues of H below this share of the largest are raised to it. It bounds the gradient where atoms
        nearly coincide, so that H is nearly singular.

    Returns:
      Coordinates `[..., 3]` in Å, laid out as `points`, of the dtype of `grid`. Differentiable once, with respect to
      grid, sigma and weights.

    Raises:
      ValueError: if a shape or name does not fit.
      tf.errors.InvalidArgumentError: if the grid is not finite or a channel does not exist.
    """
    if hessian not in ("full", "gauss_newton"):
        raise ValueError(f"hessian must be 'full' or 'gauss_newton', got {hessian!r}")
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"data_format must be 'channels_first' or 'channels_last', got {data_format!r}")
    points = as_tensor("points", points, FLOAT)
    layout, flat = flat_atoms("points", points, 4, FLOAT)
    dtype = tf.float64 if getattr(grid, "dtype", None) == tf.float64 else tf.float32
    values = as_tensor("grid", grid, dtype)
    rank = 4 if layout.kind == "single" else 5
    if values.shape.rank != rank:
        raise ValueError(f"grid must have rank {rank} beside points of {describe(points)}, got {describe(values)}")
    values = tf.cast(values if rank == 5 else values[tf.newaxis], FLOAT)
    if data_format == "channels_last":
        values = tf.transpose(values, [0, 4, 1, 2, 3])
    values = tf.debugging.assert_all_finite(values, "grid must be finite")

    channels = tf.cast(layout.padded(flat[:, 0], -1.0), tf.int32)
    tf.debugging.assert_less(channels, tf.shape(values)[1], "points: channel does not exist in the grid")
    used = boxes.batched(box, layout, FLOAT)
    rotation = None if used.rotation is None else layout.per_atom(used.rotation)
    origin = layout.per_atom(used.origin)
    start = layout.padded(boxes.rotate(rotation, flat[:, 1:] - origin))

    def per_atom(name: str, value: Any) -> tf.Tensor:
        value = as_tensor(name, value, FLOAT)
        if value.shape.rank == 0:
            return tf.fill(tf.shape(channels), value)
        return layout.padded(layout.flat(name, value, ()), 1.0)

    refined = _optimum(
        values,
        per_atom("sigma", sigma),
        per_atom("weights", 1.0 if weights is None else weights),
        channels,
        tf.stop_gradient(tf.where((channels >= 0)[..., tf.newaxis], start, 0)),
        tf.broadcast_to(used.lengths, [tf.shape(values)[0], 3]),
        max_steps,
        hessian == "full",
        floor,
    )
    if layout.kind == "ragged":
        refined = tf.RaggedTensor.from_tensor(refined, layout.row_splits[1:] - layout.row_splits[:-1]).flat_values
    refined = boxes.rotate(rotation, tf.reshape(refined, [-1, 3]), transpose=True) + origin
    refined = tf.where(flat[:, :1] < 0, flat[:, 1:], refined)
    return layout.unflatten(tf.cast(refined, dtype))


def _optimum(
    grid: tf.Tensor,
    sigma: tf.Tensor,
    weights: tf.Tensor,
    channels: tf.Tensor,
    start: tf.Tensor,
    lengths: tf.Tensor,
    max_steps: int,
    full: bool,
    floor: float,
) -> tf.Tensor:
    """Coordinates `[B, A, 3]` in the frame of the box, a function of grid, sigma and weights, the latter `[B, A]`."""
    one_hot = tf.one_hot(channels, grid.shape[1], dtype=FLOAT)

    @tf.custom_gradient
    def optimum(grid: tf.Tensor, sigma: tf.Tensor, weights: tf.Tensor) -> Any:
        def derivatives(coords: tf.Tensor) -> Derivatives:
            return derivatives_of(grid, coords, one_hot * weights[..., tf.newaxis], sigma, lengths)

        coords = descend(derivatives, start, sigma, max_steps)

        def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
            direction = solve(derivatives(coords), upstream, full, floor)
            with tf.GradientTape() as tape:
                tape.watch([grid, sigma, weights])
                slope = derivatives_of(grid, coords, one_hot * weights[..., tf.newaxis], sigma, lengths).gradient
                along = -tf.reduce_sum(slope * direction)
            return tape.gradient(along, [grid, sigma, weights])

        return coords, gradient

    return optimum(grid, sigma, weights)


@keras.saving.register_keras_serializable(package="pg_tf")
class GridToCoords(keras.layers.Layer):
    """Turns grids into atoms whose coordinates can be differentiated, so that they can train what made the grids.

    Finding the atoms (`pg_tf.grid_to_coords`) has no gradient, and how many there are, and in which channels, has none
    either; refining them has (`refine_coords`). Where a network's grids are still far from any molecule, begin with a
    loss on the voxels, or hand over seeds.

    Args:
      box: box of all grids: `(origin, lengths)` or a `Box`, parts of shape `[3]`, Å.
      sigma: standard deviation of the Gaussians, Å.
      data_format: "channels_last" `[B, nx, ny, nz, C]` or "channels_first".
      hessian: as in `refine_coords`.
      floor: as in `refine_coords`.
      search: more arguments for `pg_tf.grid_to_coords`, such as `{"num_atoms": [2, 5]}`.
      **layer_options: arguments of every Keras layer: name, dtype, trainable.

    Input shape:
      `[B, nx, ny, nz, C]` (channels_first: `[B, C, nx, ny, nz]`), and optionally `seeds` `[B, A, 4]`: atoms to begin
      with, instead of searching them; channel -1 is padding.

    Output shape:
      Points `[B, A, 4]`, columns channel, x, y, z in Å, as many rows as the largest molecule has atoms; channel -1 is
      padding.
    """

    def __init__(
        self,
        box: Any,
        sigma: float,
        *,
        data_format: str = "channels_last",
        hessian: str = "full",
        floor: float = 1e-6,
        search: Mapping[str, Any] | None = None,
        **layer_options: Any,
    ) -> None:
        super().__init__(**layer_options)
        self.box = Box(*(None if part is None else np.asarray(part, np.float64).tolist() for part in Box(*box)))
        self.sigma = float(sigma)
        self.data_format = data_format
        self.hessian = hessian
        self.floor = floor
        self.search = dict(search or {})
        self.supports_jit = False

    def call(self, grid: Any, seeds: Any = None) -> tf.Tensor:
        if seeds is None:
            seeds = tf.numpy_function(self._search, [tf.stop_gradient(grid)], tf.float32)
            seeds = tf.ensure_shape(seeds, [grid.shape[0], None, 4])
        coords = refine_coords(
            grid,
            seeds,
            box=self.box,
            sigma=self.sigma,
            data_format=self.data_format,
            hessian=self.hessian,
            floor=self.floor,
        )
        return tf.concat([tf.cast(seeds[..., :1], coords.dtype), coords], axis=-1)

    def compute_output_shape(self, grid_shape: Any, seeds_shape: Any = None) -> tuple[int | None, ...]:
        return (grid_shape[0], None if seeds_shape is None else seeds_shape[1], 4)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "box": list(self.box),
            "sigma": self.sigma,
            "data_format": self.data_format,
            "hessian": self.hessian,
            "floor": self.floor,
            "search": self.search,
        }

    def _search(self, grid: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        found = grid_to_coords(grid, box=self.box, sigma=self.sigma, data_format=self.data_format, **self.search)
        return found.points.to_tensor(-1.0, shape=[len(grid), None, 4]).numpy()


@keras.saving.register_keras_serializable(package="pg_tf")
class CoordinateLoss(keras.losses.Loss):
    """Mean squared distance between true and found atoms of the same channel, Å^2, paired by the Hungarian algorithm.

    Takes padded points `[B, A, 4]` (channel -1) for both. The pairing counts as constant. Atoms that have no partner
    add nothing, for nothing could be differentiated there: keep a loss on the voxels beside this one.
    """

    def __init__(self, name: str | None = "coordinate_loss", **options: Any) -> None:
        super().__init__(name=name, **options)

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        partner = tf.numpy_function(_partners, [tf.stop_gradient(y_true), tf.stop_gradient(y_pred)], tf.int32)
        partner = tf.ensure_shape(partner, y_true.shape[:2])
        paired = tf.cast(partner >= 0, y_pred.dtype)
        # An extra row to gather from where there is no partner, or no atom at all.
        found = tf.gather(tf.pad(y_pred, [[0, 0], [1, 0], [0, 0]]), partner + 1, batch_dims=1)
        squares = tf.reduce_sum((found - tf.cast(y_true, y_pred.dtype))[..., 1:] ** 2, axis=-1)
        squares = tf.where(partner >= 0, squares, 0)
        return tf.reduce_sum(squares, axis=1) / tf.maximum(tf.reduce_sum(paired, axis=1), 1)


def _partners(true: npt.NDArray[Any], found: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    partner = np.full(true.shape[:2], -1, np.int32)
    for molecule, (ours, theirs) in enumerate(zip(true, found, strict=True)):
        for channel in np.unique(ours[ours[:, 0] >= 0, 0]):
            mine, others = (np.flatnonzero(points[:, 0] == channel) for points in (ours, theirs))
            rows, columns, _ = pair_atoms(ours[mine, 1:], theirs[others, 1:])
            partner[molecule, mine[rows]] = others[columns]
    return partner
