"""Atoms read from grids inside of a model, with coordinates that can be differentiated."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.inversion import grid_to_coords
from pg_tf.inversion.differentiable import refine_coords
from pg_tf.layers import _options


@keras.saving.register_keras_serializable(package="pg_tf")
class GridToCoords(keras.layers.Layer):
    """Turns grids into atoms whose coordinates can be differentiated, so that they can train what made the grids.

    The atoms are found by `pg_tf.grid_to_coords`, which has no gradient: how many there are and in which channels are
    constants. Then `pg_tf.implicit.refine_coords` moves them to the optimum, and this has one. Where a network's grids
    are still far from any molecule, begin with a loss on the voxels, or hand over seeds.

    Args:
      box: box of all grids: `(origin, lengths)` or a `Box`, parts of shape `[3]`, Å; None with a cell.
      sigma: standard deviation of the Gaussians, Å.
      cell: lattice vectors of all grids, `[3, 3]`, as in `pg_tf.grid_to_coords`.
      periodic: as in `pg_tf.grid_to_coords`.
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
        cell: Any = None,
        periodic: Any = None,
        data_format: str = "channels_last",
        hessian: str = "full",
        floor: float = 1e-6,
        search: Mapping[str, Any] | None = None,
        **layer_options: Any,
    ) -> None:
        super().__init__(**layer_options)
        self.box = _options.box(box)
        self.cell = _options.cell(cell)
        self.periodic = _options.periodic(periodic)
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
            sigma=self.sigma,
            data_format=self.data_format,
            hessian=self.hessian,
            floor=self.floor,
            **self._extent(),
        )
        return tf.concat([tf.cast(seeds[..., :1], coords.dtype), coords], axis=-1)

    def compute_output_shape(self, grid_shape: Any, seeds_shape: Any = None) -> tuple[int | None, ...]:
        return (grid_shape[0], None if seeds_shape is None else seeds_shape[1], 4)

    def get_config(self) -> dict[str, Any]:
        options = _options.saved(self, "sigma", "data_format", "hessian", "floor", "search")
        return {**super().get_config(), **self._extent(), **options}

    def _extent(self) -> dict[str, Any]:
        return _options.saved(self, "box", "cell", "periodic")

    def _search(self, grid: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        found = grid_to_coords(grid, sigma=self.sigma, data_format=self.data_format, **self._extent(), **self.search)
        return found.points.to_tensor(-1.0, shape=[len(grid), None, 4]).numpy()
