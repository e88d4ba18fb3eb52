"""Keras callbacks for models that make grids."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from pg_tf.inversion import grid_to_coords
from pg_tf.metrics import compare_points


class InversionMonitor(keras.callbacks.Callback):
    """Turns a few grids that the model makes back into atoms after every epoch, and logs how well that goes.

    Logged are, each name after `prefix`: "atoms" (found in a molecule, on average), "converged" (fraction of the grids
    that were explained), "unexplained" (`Inversion.unexplained` of the finite grids, on average) and, where the true
    points are known, the figures of `pg_tf.metrics.compare_points`. A callback that reads them, such as
    `keras.callbacks.ModelCheckpoint(monitor="inversion_recovered_0.5A", mode="max")`, must come after this one.

    Example:

        monitor = InversionMonitor(grids[:8], points[:8], box=box, sigma=0.4)
        autoencoder.fit(grids, grids, callbacks=[monitor])

    Args:
      inputs: what the model makes the grids from: a batch, as for `predict`.
      points: the atoms that should be found: `[B, A, 4]` padded or ragged `[B, (A), 4]`, columns channel, x, y, z in Å.
        None where there is no truth, as for samples of a generator.
      box: box of the grids, as in `pg_tf.grid_to_coords`.
      sigma: standard deviation of the Gaussians, Å.
      data_format: of the grids: "channels_last" `[B, nx, ny, nz, C]` or "channels_first".
      channel_names: names of channels, in their order; logs the figures of each of them too.
      within: distances within which an atom counts as recovered, Å.
      every: inverts after every so many epochs, and logs nothing after the others.
      prefix: of the names.
      predict: `predict(model, inputs)` returns the grids, for models that return more than grids or need more than
        inputs.
      **options: more arguments for `pg_tf.grid_to_coords`; max_repairs is 2 unless given, as repair takes long
        and helps little where a network's grids are still far from any molecule.

    Raises:
      ValueError: if `every` is less than 1; at the end of an epoch, as `pg_tf.grid_to_coords`. A grid that is not
        finite is no error here: it counts as one that has no atoms and did not converge.
    """

    def __init__(
        self,
        inputs: Any,
        points: Any = None,
        *,
        box: Any,
        sigma: float,
        data_format: str = "channels_last",
        channel_names: Sequence[str] = (),
        within: Sequence[float] = (0.1, 0.5),
        every: int = 1,
        prefix: str = "inversion_",
        predict: Callable[[keras.Model, Any], Any] = keras.Model.predict_on_batch,
        **options: Any,
    ) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch, got {every}")
        self.inputs = inputs
        self.points = points
        self.options = {"box": box, "sigma": sigma, "data_format": data_format, "max_repairs": 2, **options}
        self.channel_names = tuple(channel_names)
        self.within = tuple(within)
        self.every = every
        self.prefix = prefix
        self.predict = predict

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None and (epoch + 1) % self.every == 0:
            logs.update({self.prefix + name: value for name, value in self.figures().items()})

    def figures(self) -> dict[str, float]:
        """What is logged, without `prefix`, for the model as it is."""
        grids = np.array(self.predict(self.model, self.inputs), np.float32)
        finite = np.isfinite(grids).all(axis=tuple(range(1, grids.ndim)))
        grids[~finite] = 0
        found = grid_to_coords(grids, **self.options)
        figures = {
            "atoms": float(found.points.row_lengths().numpy().mean()),
            "converged": float((found.converged & finite).mean()),
            "unexplained": float(np.mean(found.unexplained[finite])) if finite.any() else math.nan,
        }
        if self.points is None:
            return figures
        return figures | compare_points(self.points, found.points, channel_names=self.channel_names, within=self.within)
