"""Keras callbacks of a training: the clock's schedule, a line an epoch, the best model, numbers that are not finite."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras

from pg_tf.training.checkpoints import Progress
from pg_tf.training.run import Run


class Annealing(keras.callbacks.Callback):
    """A learning rate that warms up linearly and falls along a cosine to zero, by steps or by the clock.

    Whichever is further on decides: training ends after all its steps, or early and still well annealed when its time
    is up.

    Args:
      learning_rate: the highest, after the warm-up.
      total_steps: steps of the whole training.
      max_seconds: time for the whole training.
      warmup: share of the training in which the rate rises.
      steps_done: steps that an earlier process did.
      seconds_done: time that an earlier process took.
    """

    def __init__(
        self,
        learning_rate: float,
        total_steps: int,
        max_seconds: float,
        warmup: float = 0.05,
        steps_done: int = 0,
        seconds_done: float = 0.0,
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.max_seconds = max_seconds
        self.warmup = warmup
        self._step = steps_done
        self._start = time.monotonic() - seconds_done

    def rate(self, progress: float) -> float:
        """The learning rate when a part `progress` (0 to 1) of the training is done."""
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        falling = min((progress - self.warmup) / (1 - self.warmup), 1.0)
        return self.learning_rate * (1 + math.cos(math.pi * falling)) / 2

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._step += 1
        progress = max(self._step / self.total_steps, (time.monotonic() - self._start) / self.max_seconds)
        self.model.optimizer.learning_rate = self.rate(progress)
        self.model.stop_training = self.model.stop_training or progress >= 1


class StopWhereNotFinite(keras.callbacks.Callback):
    """Ends a training whose loss is NaN or infinite with an error that says where; nothing is saved after it."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} at step {self.progress.step + 1} of epoch {self.progress.epoch + 1}: training "
                "stopped. Lower the learning rate, clip gradients (clipnorm), or use float32; the best model is kept"
            )


@contextlib.contextmanager
def averages_of(model: keras.Model) -> Iterator[None]:
    """Has the model the running means of its weights meanwhile, where its optimizer keeps such."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # of that which scales the loss
    if not optimizer.use_ema:
        yield
        return
    weights = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for weight, value in zip(model.trainable_variables, weights, strict=True):
            weight.assign(value)


class ValidatesAverages(keras.callbacks.Callback):
    """Has validation measure the running means of the weights. `keras.callbacks.SwapEMAWeights` swaps by additions,
    after which the weights are rounded, and does not let a checkpoint have them.
    """

    def on_test_begin(self, logs: Any = None) -> None:
        self._averages = averages_of(self.model)
        self._averages.__enter__()

    def on_test_end(self, logs: Any = None) -> None:
        self._averages.__exit__(None, None, None)


class EarlyStopping(keras.callbacks.EarlyStopping):
    """`EarlyStopping` that knows of the epochs before this process.

    Args:
      monitor: the value that should fall.
      patience: epochs without a better one after which training stops.
      progress: of the training.
    """

    def __init__(self, monitor: str, patience: int, progress: Progress) -> None:
        super().__init__(monitor, patience=patience, mode="min")
        self.progress = progress
        self.best: float | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        best = self.progress.best(self.monitor)
        if best is not None:
            column = self.progress.column(self.monitor)
            self.best, self.wait = best, len(column) - 1 - column.index(best)


class BestModel(keras.callbacks.Callback):
    """Keeps the best model in the folder of a run.

    Args:
      run: the run.
      monitor: the value that is lowest in the best model.
      best: its least value so far, in an earlier process.
    """

    def __init__(self, run: Run, monitor: str, best: float | None = None) -> None:
        super().__init__()
        self.run = run
        self.monitor = monitor
        self.best = best

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        value = (logs or {})[self.monitor]
        # No value compares as less than NaN, so a best value of NaN would stay.
        if self.best is None or math.isnan(self.best) or value < self.best:
            with averages_of(self.model):
                self.run.save_model(self.model)
            self.best = value


class EpochLines(keras.callbacks.Callback):
    """One line an epoch: errors, speed and time; and the speed in the logs.

    Args:
      epochs: epochs of the training.
      num_molecules: molecules in an epoch.
      steps_per_epoch: steps in an epoch.
      write: takes the line.
      seconds_done: time that an earlier process took.
    """

    def __init__(
        self,
        epochs: int,
        num_molecules: int,
        steps_per_epoch: int,
        write: Callable[[str], Any] = print,
        seconds_done: float = 0.0,
    ) -> None:
        super().__init__()
        self.epochs = epochs
        self.num_molecules = num_molecules
        self.steps_per_epoch = steps_per_epoch
        self.write = write
        self._start = time.monotonic() - seconds_done
        self._epoch_start = self._start
        self._steps = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch_start = time.monotonic()
        self._steps = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._steps += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        now = time.monotonic()
        # An epoch that another process began has fewer steps here.
        speed = self.num_molecules * self._steps / self.steps_per_epoch / (now - self._epoch_start)
        errors = "  ".join(
            f"{name} {logs[key]:.3f}"
            for name, key in (("train MAE", "mae"), ("validation MAE", "val_mae"))
            if key in logs
        )
        self.write(
            f"epoch {epoch + 1:3d}/{self.epochs}  {errors}  {speed:4.0f} molecules/s  {now - self._start:4.0f} s"
        )
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        logs["seconds"] = now - self._start
