"""Fitting a model of voxel grids to a property."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt


def regressor(network: keras.Model, labels: npt.ArrayLike) -> keras.Model:
    """A network whose output is in the unit of the labels.

    Args:
        network: Model with outputs of order one, `(batch, 1)`.
        labels: Labels of the training set. Their mean and standard deviation become the last layer, so that the saved
            model predicts in their unit.

    Returns:
        A `keras.Model` with output `(batch,)`.
    """
    labels = np.asarray(labels, np.float64)
    spread = float(labels.std()) or 1.0
    scaled = keras.layers.Rescaling(spread, float(labels.mean()), name="unit", dtype="float32")(network.outputs[0])
    return keras.Model(network.inputs[0], keras.layers.Reshape((), name="property")(scaled), name=network.name)


class CosineSchedule(keras.callbacks.Callback):
    """A learning rate that warms up linearly and falls along a cosine to zero, by steps or by the clock.

    Whichever is further on decides: training ends after all epochs, or early and still well annealed when its time is
    up.

    Args:
        learning_rate: The highest.
        total_steps: Steps of the whole training.
        max_seconds: Time for the whole training; None for no limit.
        warmup: Part of the training that warms up.
    """

    def __init__(
        self, learning_rate: float, total_steps: int, max_seconds: float | None = None, warmup: float = 0.05
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.max_seconds = max_seconds
        self.warmup = warmup
        self._step = 0
        self._start = 0.0

    def rate(self, progress: float) -> float:
        """The learning rate when a part `progress` (0 to 1) of the training is done."""
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        falling = min((progress - self.warmup) / (1 - self.warmup), 1.0)
        return self.learning_rate * (1 + math.cos(math.pi * falling)) / 2

    def on_train_begin(self, logs: Any = None) -> None:
        self._start = time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        progress = (self._step + 1) / self.total_steps
        if self.max_seconds is not None:
            progress = max(progress, (time.monotonic() - self._start) / self.max_seconds)
        self.model.optimizer.learning_rate = self.rate(progress)
        self.model.stop_training = self.model.stop_training or progress >= 1
        self._step += 1


class Progress(keras.callbacks.Callback):
    """One line an epoch: errors, speed and time.

    Args:
        epochs: Epochs of the training.
        num_molecules: Molecules in an epoch.
        write: Takes the line.
    """

    def __init__(self, epochs: int, num_molecules: int, write: Callable[[str], Any] = print) -> None:
        super().__init__()
        self.epochs = epochs
        self.num_molecules = num_molecules
        self.write = write
        self._start = self._epoch_start = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        self._start = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch_start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        now = time.monotonic()
        errors = "  ".join(
            f"{name} {logs[key]:.3f}"
            for name, key in (("train MAE", "mae"), ("validation MAE", "val_mae"))
            if key in (logs or {})
        )
        speed = self.num_molecules / (now - self._epoch_start)
        self.write(
            f"epoch {epoch + 1:3d}/{self.epochs}  {errors}  {speed:4.0f} molecules/s  {now - self._start:4.0f} s"
        )


def train(
    model: keras.Model,
    dataset: Any,
    validation: Any,
    *,
    steps_per_epoch: int,
    epochs: int,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-2,
    max_seconds: float | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, list[float]]:
    """Fits a regressor: AdamW, Huber loss, one cosine from start to end.

    Args:
        model: A model with output `(batch,)`.
        dataset: Yields (grids, labels), `steps_per_epoch` batches an epoch.
        validation: Yields the same; only measured.
        steps_per_epoch: Batches of one epoch.
        epochs: Epochs at most.
        learning_rate: The highest learning rate.
        weight_decay: Of AdamW.
        max_seconds: Time limit, see `CosineSchedule`.
        callbacks: More callbacks.

    Returns:
        The history of `model.fit`: lists with a value an epoch, "mae" and "val_mae" among them.
    """
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay, clipnorm=1.0),
        loss=keras.losses.Huber(),
        metrics=[keras.metrics.MeanAbsoluteError("mae")],
        # TensorFlow's own kernels: XLA has no fast 3D convolution for CPUs and takes four times as long.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    schedule = CosineSchedule(learning_rate, steps_per_epoch * epochs, max_seconds)
    history = model.fit(
        dataset,
        validation_data=validation,
        epochs=epochs,
        verbose=0,
        shuffle=False,  # the dataset does that itself
        callbacks=[schedule, *callbacks],
    )
    return history.history
