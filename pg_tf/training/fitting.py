"""Training a network on grids made on the fly, from wherever it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from pg_tf import distribution
from pg_tf._files import naming
from pg_tf.data_service import watched
from pg_tf.datasets.labels import odd_labels
from pg_tf.datasets.units import TO_EV
from pg_tf.training import pipeline
from pg_tf.training.build import build
from pg_tf.training.callbacks import (
    Annealing,
    BestModel,
    EarlyStopping,
    EpochLines,
    StopWhereNotFinite,
    ValidatesAverages,
)
from pg_tf.training.checkpoints import Checkpoints, Progress
from pg_tf.training.config import Config
from pg_tf.training.run import Run


def train(
    config: Config,
    output: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    checkpoint_steps: int | None = None,
    checkpoint_minutes: float = 10.0,
    tensorboard: bool | None = None,
    strategy: str | None = None,
    data_service: str | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    write: Callable[[str], Any] = print,
) -> Run:
    """Trains a network, or goes on with a training that was stopped or killed, or finds that it is finished.

    Example:

        run = train(dataclasses.replace(SMALL, width=8), "runs/narrow")
        run.model().predict(...)

    Args:
      config: data, grids, network and optimisation.
      output: folder of the run, see `Run`. If it holds an unfinished run with this config, training goes on from the
        last checkpoint, at the same molecule, and ends with the weights that it would have had without a stop.
      overwrite: removes the run that is there and starts anew.
      checkpoint_steps: steps between two checkpoints; there is one after each epoch in any case.
      checkpoint_minutes: the same by the clock.
      tensorboard: whether to write logs for TensorBoard; None does where it is installed.
      strategy: None: one device. "mirrored": all accelerators of this machine. "multi-worker": those of all machines in
        TF_CONFIG, which see the same `output` folder. The batch size of the config is that of all together; what an
        epoch leaves over for its last batch is left out. See docs/scaling.md.
      data_service: "host:port" of the dispatcher of a data service, whose workers make the training grids.
      callbacks: more Keras callbacks, called before those that save. What they remember is not in the checkpoints.
      write: is called with lines of text about the progress.

    Returns:
      The run, finished.

    Raises:
      ValueError: if the data or the folder cannot be used: another config or other data in it (the text names the
        setting), no labels, no readable checkpoint, a best model that is damaged or of another run.
      ConnectionError: if the data service does not answer.
      OSError: if the folder cannot be written.
      FloatingPointError: if the loss or a weight is no longer finite; the text says at which step.
    """
    with_tensorboard = _with_tensorboard(tensorboard)
    run = Run(output)
    cluster = distribution.Cluster.from_environment() if strategy == "multi-worker" else distribution.ALONE
    _check_machines(config, cluster, overwrite, checkpoint_steps)
    if not overwrite:
        config = run.check_config(config)
        if (result := run.result()) is not None:
            run.check_model()
            least = f"best {config.monitor} {result[config.monitor]} in epoch {result['best_epoch']}"
            write(f"{run.folder}: finished after {result['epochs']} epochs, {least}; overwrite it to train anew")
            return run
    # Before anything else of TensorFlow: machines find each other when its devices are made.
    replicas = distribution.strategy(strategy)
    feed = _Feed.of(config, cluster, replicas)
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    parts = pipeline.load_parts(config)
    config = pipeline.with_grid_size(config, parts.train)
    steps_per_epoch = feed.steps_per_epoch(len(parts.train), config.batch_size)
    write(_about(parts, config))
    model, metrics = build(
        config,
        label_mean=parts.train.label_mean,
        label_std=parts.train.label_std,
        steps_per_epoch=steps_per_epoch,
        replicas=replicas,
    )
    write(
        f"{model.name}: {model.count_params():,} parameters, grids {config.grid_size}^3 x {model.input_shape[-1]}, "
        f"{steps_per_epoch} steps an epoch, devices: {replicas.num_replicas_in_sync}"
    )
    # Nothing in the folder is touched until everything is known to fit.
    with run.lock() if cluster.is_chief else contextlib.nullcontext():
        if cluster.is_chief:
            if overwrite:
                run.clear()
            run.begin(config, parts.facts())
        elif run.has_begun():
            run.check_data(parts.facts())
        checkpoints = Checkpoints(
            run.checkpoints, model, metrics, steps_per_epoch, checkpoint_steps, checkpoint_minutes, cluster
        )
        progress = checkpoints.progress
        if checkpoints.restore():
            write(f"going on after {progress.epoch} epochs and {progress.step} steps")
        own = _callbacks(config, progress, parts, steps_per_epoch, write)
        if cluster.is_chief:
            if progress.best(config.monitor) is not None:
                run.check_model()  # or a damaged one would be noticed at the end only, if no epoch is better
            run.forget_epochs(progress.epoch)
            callbacks = [*callbacks, *_files(run, config, progress, with_tensorboard)]
        with naming(run.folder), watched(data_service, write) if data_service else contextlib.nullcontext():
            _fit(
                model,
                lambda step: feed.batches(parts.train, config, step, data_service),
                pipeline.batches(parts.validation, config),
                checkpoints,
                config.epochs,
                steps_per_epoch,
                # The last one to be called saves what the others have done.
                [*own, *callbacks, checkpoints],
            )
        if cluster.is_chief:
            run.end(_result(config, progress))
    return run


def _check_machines(
    config: Config, cluster: distribution.Cluster, overwrite: bool, checkpoint_steps: int | None
) -> None:
    if len(cluster.workers) == 1:
        return
    if overwrite:
        raise ValueError("overwrite: several machines share the folder and would remove what another began; remove it")
    if checkpoint_steps is not None:
        raise ValueError("checkpoint_steps: several machines save after whole epochs only; leave it out")
    if config.max_minutes is not None:
        raise ValueError("max_minutes: the clocks of several machines differ; give epochs instead")


@dataclasses.dataclass(frozen=True)
class _Feed:
    """What this machine reads of the training molecules.

    Attributes:
      batch_size: of its batches: for one device where there are several machines, else for all devices together.
      batches_per_step: how many of them it takes for a step.
      shard: (i, n): the part of machine i of n.
      drop_remainder: whether what an epoch leaves over for its last batch is left out.
    """

    batch_size: int
    batches_per_step: int
    shard: tuple[int, int]
    drop_remainder: bool

    @classmethod
    def of(cls, config: Config, cluster: distribution.Cluster, replicas: tf.distribute.Strategy) -> _Feed:
        devices = replicas.num_replicas_in_sync
        if config.batch_size % devices:
            raise ValueError(f"batch_size: must be a multiple of the {devices} devices, got {config.batch_size}")
        per_device = distribution.spans_machines(replicas)
        return cls(
            batch_size=config.batch_size // devices if per_device else config.batch_size,
            batches_per_step=devices // len(cluster.workers) if per_device else 1,
            shard=cluster.shard,
            # XLA would compile the network for the smaller batch too.
            drop_remainder=devices > 1 or config.jit_compile is True,
        )

    def steps_per_epoch(self, num_molecules: int, batch_size: int) -> int:
        if not self.drop_remainder:
            return math.ceil(num_molecules / batch_size)
        if num_molecules < batch_size:
            raise ValueError(f"batch_size: {batch_size} is more than the {num_molecules} training molecules")
        return num_molecules // batch_size

    def batches(self, source: Any, config: Config, step: int, service: str | None) -> tf.data.Dataset:
        """The endless stream of (grids, labels) from a step on."""
        return pipeline.training_batches(
            source,
            config,
            step * self.batches_per_step,
            batch_size=self.batch_size,
            shard=self.shard,
            drop_remainder=self.drop_remainder,
            service=service,
        )


def _callbacks(
    config: Config, progress: Progress, parts: pipeline.Parts, steps_per_epoch: int, write: Callable[[str], Any]
) -> list[keras.callbacks.Callback]:
    """The callbacks that control a training and report on it, on every machine."""
    callbacks: list[keras.callbacks.Callback] = [
        StopWhereNotFinite(progress),
        ValidatesAverages(),
        EpochLines(config.epochs, len(parts.train), steps_per_epoch, write, progress.seconds),
    ]
    if config.max_minutes is not None:
        callbacks.append(
            Annealing(
                config.learning_rate,
                steps_per_epoch * config.epochs,
                60 * config.max_minutes,
                config.warmup,
                steps_done=progress.epoch * steps_per_epoch + progress.step,
                seconds_done=progress.seconds,
            )
        )
    if config.patience is not None:
        callbacks.append(EarlyStopping(config.monitor, config.patience, progress))
    return callbacks


def _files(run: Run, config: Config, progress: Progress, with_tensorboard: bool) -> list[keras.callbacks.Callback]:
    """The callbacks that write the folder of a run."""
    return [
        BestModel(run, config.monitor, progress.best(config.monitor)),
        keras.callbacks.CSVLogger(run.history_path, append=True),
        *([keras.callbacks.TensorBoard(run.tensorboard, write_graph=False)] if with_tensorboard else []),
    ]


def _fit(
    model: keras.Model,
    stream: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset,
    checkpoints: Checkpoints,
    epochs: int,
    steps_per_epoch: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """`model.fit` from where the progress says; an epoch that was cut off is brought to its end first."""
    progress = checkpoints.progress
    while progress.epoch < epochs and not progress.stopped:
        try:
            model.fit(
                stream(progress.epoch * steps_per_epoch + progress.step),
                validation_data=validation,
                initial_epoch=progress.epoch,
                epochs=progress.epoch + 1 if progress.step else epochs,
                steps_per_epoch=steps_per_epoch - progress.step,
                verbose=0,
                shuffle=False,  # the stream does that itself
                callbacks=callbacks,
            )
        except tf.errors.UnavailableError as error:
            raise ConnectionError(
                f"another machine of this training is gone, after {progress.epoch} epochs. Start the same command on "
                f"all machines: it goes on from there ({error.message.splitlines()[0]})"
            ) from error
        if progress.epoch < epochs and not progress.stopped:
            checkpoints.restore()  # a fit ends with the averages in the place of the weights


def _about(parts: pipeline.Parts, config: Config) -> str:
    """Lines that tell what there is to train on, and what may be wrong with it."""
    verbs = {"train": "train", "validation": "validate", "test": "test"}
    counts = ", ".join(f"{len(source)} to {verbs[part]}" for part, source in parts.present().items())
    lines = [f"molecules: {counts}; channels: {' '.join(config.element_channels().names)}"]
    if config.edge is not None and (larger := parts.train.count_larger_than(config.edge)):
        lines.append(
            f"{larger} of the {len(parts.train)} training molecules are larger than the box of {config.edge:g} Å: "
            "turned the wrong way, they lose atoms"
        )
    unit = config.unit or parts.train.unit
    if unit in TO_EV and (question := odd_labels(config.label, unit, parts.train.label_mean * TO_EV[unit])):
        lines.append(question)
    return "\n".join(lines)


def _result(config: Config, progress: Progress) -> dict[str, Any]:
    """How a training ended."""
    best = progress.best(config.monitor)
    return {
        "epochs": progress.epoch,
        "best_epoch": progress.column(config.monitor).index(best) + 1 if best is not None else None,
        config.monitor: best,
        "seconds": progress.seconds,
    }


def _with_tensorboard(wanted: bool | None) -> bool:
    installed = importlib.util.find_spec("tensorboard") is not None
    if wanted and not installed:
        raise ValueError("tensorboard: it is not installed; pip install tensorboard")
    return installed if wanted is None else wanted
