"""Stopping a training at any moment and going on: the state of a `model.fit` as TensorFlow checkpoints."""

import json
import math
import os
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pg_tf.distribution import ALONE, Cluster


class Progress(tf.train.experimental.PythonState):
    """Where a training stands, beside the weights and the optimizer; part of its checkpoint.

    Attributes:
      epoch: epochs that are complete.
      step: steps of the next one that are done.
      seconds: that the training took.
      metrics: the running sums behind the metrics of the epoch under way.
      history: the logs of each complete epoch.
      stopped: whether a callback ended the training.
    """

    _STATE = ("epoch", "step", "seconds", "metrics", "history", "stopped")

    def __init__(self) -> None:
        self.epoch = 0
        self.step = 0
        self.seconds = 0.0
        self.metrics: list[float] = []
        self.history: list[dict[str, float]] = []
        self.stopped = False

    def column(self, name: str) -> list[float]:
        """A value of each complete epoch."""
        return [logs[name] for logs in self.history]

    def best(self, name: str) -> float | None:
        """The least of these values; None where there is none yet."""
        return min((value for value in self.column(name) if not math.isnan(value)), default=None)

    def serialize(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self._STATE})

    def deserialize(self, text: Any) -> None:
        for name, value in json.loads(text).items():
            setattr(self, name, value)


class Checkpoints(keras.callbacks.Callback):
    """Saves all that a training needs to go on: after each epoch, every few steps or minutes, and at SIGTERM.

    `keras.callbacks.BackupAndRestore` restarts the epoch that was cut off, on other data, and overwrites its only file
    in place. `tf.train.CheckpointManager` goes by a list that a crash of the machine can leave empty: training would
    begin anew in silence. This one keeps the step in the epoch, the running metrics and the history, in checkpoints of
    which the last complete one in the folder counts. It must come last among the callbacks.

    Args:
      folder: for the checkpoints.
      model: compiled, its optimizer built.
      metrics: all that the model logs.
      steps_per_epoch: steps in an epoch.
      every_steps: saves after so many steps too.
      every_minutes: saves when the last checkpoint is so old.
      cluster: the machines of the training. All read the same folder and the chief alone writes. Of several, it does so
        after each epoch only: within one they would have to agree on the step.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        model: keras.Model,
        metrics: Sequence[keras.metrics.Metric],
        steps_per_epoch: int,
        every_steps: int | None = None,
        every_minutes: float = 10.0,
        cluster: Cluster = ALONE,
    ) -> None:
        super().__init__()
        self.progress = Progress()
        self.cluster = cluster
        self._metric_variables = [variable for metric in metrics for variable in metric.variables]
        self.steps_per_epoch = steps_per_epoch
        self.every_steps = every_steps
        self.every_seconds = 60 * every_minutes
        self._checkpoint = tf.train.Checkpoint(model=model, progress=self.progress)
        _ = self._checkpoint.save_counter  # made here: in the midst of a `fit` all machines would have to make it
        self.folder = Path(folder)
        self._start = self._last = time.monotonic()
        self._first_step = 0
        self._terminated = False

    def restore(self) -> bool:
        """Brings model, optimizer and progress to the last checkpoint that can be read; False if there is none.

        Raises:
          ValueError: if there are checkpoints and none can be read, or they are of another model.
        """
        errors = []
        for path in reversed(self._found()):
            try:
                self._checkpoint.restore(path).assert_existing_objects_matched()
            except Exception as error:  # TensorFlow has no one kind of error for a damaged file
                warnings.warn(f"checkpoint {path} cannot be used, trying the one before: {error}", stacklevel=2)
                errors.append(f"{path}: {str(error).splitlines()[0]}")
                continue
            self._start = time.monotonic() - self.progress.seconds
            self._first_step = self.progress.step
            return True
        if errors:
            raise ValueError(f"no checkpoint of the run can be read ({'; '.join(errors)}); train anew with overwrite")
        return False

    def _found(self) -> list[str]:
        """The checkpoints in the folder, the last one last; one of them may be damaged."""
        indices = [path for path in self.folder.glob("ckpt-*.index") if path.stem[5:].isdecimal()]
        return [os.fspath(path.with_suffix("")) for path in sorted(indices, key=lambda path: int(path.stem[5:]))]

    def _remove_old(self) -> None:
        """Leaves the last two checkpoints, and nothing of one that a kill cut off."""
        kept = [os.path.basename(path) for path in self._found()[-2:]]
        for path in self.folder.glob("ckpt-*"):
            if path.name.endswith("_temp"):
                shutil.rmtree(path)
            elif path.stem not in kept:
                path.unlink()

    def on_train_begin(self, logs: Any = None) -> None:
        if self._saves_within_epochs():
            self._handler: Any = signal.signal(signal.SIGTERM, self._on_sigterm)

    def on_train_end(self, logs: Any = None) -> None:
        if self._saves_within_epochs():
            signal.signal(signal.SIGTERM, self._handler)

    def _saves_within_epochs(self) -> bool:
        return len(self.cluster.workers) == 1 and threading.current_thread() is threading.main_thread()

    def _on_sigterm(self, *_: Any) -> None:
        self._terminated = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._first_step = self.progress.step
        if self.progress.metrics:
            for variable, value in zip(self._metric_variables, self.progress.metrics, strict=True):
                variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.progress.step = self._first_step + batch + 1
        if self.progress.step >= self.steps_per_epoch or self.model.stop_training:
            return  # the end of the epoch is next
        if len(self.cluster.workers) > 1:
            return
        since = time.monotonic() - self._last
        by_steps = self.every_steps is not None and self.progress.step % self.every_steps == 0
        if by_steps or since >= self.every_seconds or self._terminated:
            self.progress.metrics = [np.asarray(variable).tolist() for variable in self._metric_variables]
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.progress.history.append({name: float(value) for name, value in (logs or {}).items()})
        self.progress.epoch = epoch + 1
        self.progress.step = 0
        self.progress.metrics = []
        self.progress.stopped = bool(self.model.stop_training)
        self._save()

    def _save(self) -> None:
        # A step can leave finite loss and infinite weights; training would go on from them for ever.
        for variable in self.model.variables:
            if not bool(tf.reduce_all(tf.math.is_finite(tf.cast(variable.value, tf.float32)))):
                raise FloatingPointError(
                    f"the weight {variable.path} is not finite after step {self.progress.step} of epoch "
                    f"{self.progress.epoch + 1}: training stopped. Lower the learning rate or clip gradients (clipnorm)"
                )
        self.progress.seconds = time.monotonic() - self._start
        if self.cluster.is_chief:
            self._checkpoint.save(self.folder / "ckpt")
            self._remove_old()
        self._last = time.monotonic()
        if self._terminated:
            raise SystemExit(128 + signal.SIGTERM)
