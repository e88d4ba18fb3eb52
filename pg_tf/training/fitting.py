"""Training a network on grids made on the fly, from wherever it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from pg_tf import distribution
from pg_tf.data_service import watched
from pg_tf.training import pipeline
from pg_tf.training.build import build
from pg_tf.training.callbacks import Annealing, BestModel, EarlyStopping, EpochLines, StopWhereNotFinite
from pg_tf.training.checkpoints import Checkpoints, Progress
from pg_tf.training.config import Config
from pg_tf.training.run import Run, write_whole


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
      config: what to train on what, and how.
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
      write: takes lines of text on how it goes.

    Returns:
      The run, finished.

    Raises:
      ValueError: if the data or the folder cannot be used: another config or other data in it (the text names the
        setting), no labels, no readable checkpoint.
      ConnectionError: if the data service does not answer.
      OSError: if the folder cannot be written.
      FloatingPointError: if the loss or a weight is no longer finite; the text says at which step.
    """
    with_tensorboard = _with_tensorboard(tensorboard)
    run = Run(output)
    cluster = distribution.Cluster.from_environment() if strategy == "multi-worker" else distribution.ALONE
    _check_machines(config, cluster, overwrite, checkpoint_steps)
    if not overwrite:
        _compare_config(run, config)
        if (result := run.result()) is not None:
            least = f"best {config.monitor} {result[config.monitor]} in epoch {result['best_epoch']}"
            write(f"{run.folder}: finished after {result['epochs']} epochs, {least}; overwrite it to train anew")
            return run
    # Before anything else of TensorFlow: machines find each other when its devices are made.
    replicas = distribution.strategy(strategy)
    stream = _stream_options(config, cluster, replicas)
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    parts = pipeline.load_parts(config)
    steps_per_epoch = math.ceil(len(parts.train) / config.batch_size)
    if stream["drop_remainder"]:
        steps_per_epoch = len(parts.train) // config.batch_size
        if steps_per_epoch == 0:
            raise ValueError(f"batch_size: {config.batch_size} is more than the {len(parts.train)} training molecules")
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
            _claim(run, config)
        _compare_data(run, parts.facts(), cluster.is_chief)
        checkpoints = Checkpoints(
            run.checkpoints, model, metrics, steps_per_epoch, checkpoint_steps, checkpoint_minutes, cluster
        )
        progress = checkpoints.progress
        if checkpoints.restore():
            write(f"going on after {progress.epoch} epochs and {progress.step} steps")
        if cluster.is_chief:
            run.forget_epochs(progress.epoch)
        # A machine of several takes a batch for each of its devices, any other one batch for all devices.
        batches_a_step = config.batch_size // (stream["batch_size"] * len(cluster.workers))
        with watched(data_service, write) if data_service else contextlib.nullcontext():
            _fit(
                model,
                lambda start: pipeline.training_batches(
                    parts.train, config, start * batches_a_step, service=data_service, **stream
                ),
                pipeline.batches(parts.validation, config),
                progress,
                config.epochs,
                steps_per_epoch,
                [
                    StopWhereNotFinite(progress),
                    EpochLines(config.epochs, len(parts.train), steps_per_epoch, write, progress.seconds),
                    *([_annealing(config, steps_per_epoch, progress)] if config.max_minutes is not None else []),
                    *callbacks,
                    *(_files(run, config, progress, with_tensorboard) if cluster.is_chief else []),
                    *(
                        [EarlyStopping(config.monitor, config.patience, progress)]
                        if config.patience is not None
                        else []
                    ),
                    checkpoints,
                ],
            )
        best = progress.best(config.monitor)
        result = {
            "epochs": progress.epoch,
            "best_epoch": progress.column(config.monitor).index(best) + 1 if best is not None else None,
            config.monitor: best,
            "seconds": progress.seconds,
        }
        if cluster.is_chief:
            write_whole(run.result_path, json.dumps(result, indent=2) + "\n")
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


def _stream_options(config: Config, cluster: distribution.Cluster, replicas: tf.distribute.Strategy) -> dict[str, Any]:
    """What each machine reads: a part of the molecules in batches for one device, or all in batches for all devices."""
    devices = replicas.num_replicas_in_sync
    if config.batch_size % devices:
        raise ValueError(f"batch_size: must be a multiple of the {devices} devices, got {config.batch_size}")
    across = distribution.spans_machines(replicas)
    return {
        "batch_size": config.batch_size // devices if across else config.batch_size,
        "shard": cluster.shard,
        "drop_remainder": devices > 1,
    }


def _files(run: Run, config: Config, progress: Progress, with_tensorboard: bool) -> list[keras.callbacks.Callback]:
    """The callbacks that write the folder of a run."""
    return [
        BestModel(run.model_path, config.monitor, progress.best(config.monitor)),
        keras.callbacks.CSVLogger(run.history_path, append=True),
        *([keras.callbacks.TensorBoard(run.tensorboard, write_graph=False)] if with_tensorboard else []),
    ]


def _fit(
    model: keras.Model,
    stream: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset,
    progress: Progress,
    epochs: int,
    steps_per_epoch: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """`model.fit` from where the progress says; an epoch that was cut off is brought to its end first."""
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


def _about(parts: pipeline.Parts, config: Config) -> str:
    """What there is to train on; and what is lost of it."""
    verbs = {"train": "train", "validation": "validate", "test": "test"}
    counts = ", ".join(f"{len(source)} to {verbs[part]}" for part, source in parts.present().items())
    lines = [f"molecules: {counts}; channels: {' '.join(config.element_channels().names)}"]
    if config.box is not None and (larger := parts.train.count_larger_than(config.box)):
        lines.append(
            f"{larger} of the {len(parts.train)} training molecules are larger than the box of {config.box} Å: turned "
            "the wrong way, they lose atoms"
        )
    return "\n".join(lines)


def _claim(run: Run, config: Config) -> None:
    """Writes the config into the folder, if no run is there."""
    if not run.config_path.exists():
        write_whole(run.config_path, config.to_json())


def _compare_config(run: Run, config: Config) -> None:
    """Makes sure that a run that is there has this config."""
    if not run.config_path.exists():
        return
    there = run.config()
    differing = [
        f"{field.name} is {getattr(there, field.name)!r} there and {getattr(config, field.name)!r} here"
        for field in dataclasses.fields(Config)
        if getattr(there, field.name) != getattr(config, field.name)
    ]
    if differing:
        raise ValueError(
            f"output: {run.folder} holds a run with other settings: {'; '.join(differing)}. "
            "Choose another folder, or overwrite that run"
        )


def _compare_data(run: Run, facts: dict[str, Any], is_chief: bool) -> None:
    if not run.data_path.exists():
        if not is_chief:
            return
        write_whole(run.data_path, json.dumps(facts, indent=2) + "\n")
        return
    run.check_data(facts)


def _annealing(config: Config, steps_per_epoch: int, progress: Progress) -> Annealing:
    assert config.max_minutes is not None
    return Annealing(
        config.learning_rate,
        steps_per_epoch * config.epochs,
        60 * config.max_minutes,
        config.warmup,
        steps_done=progress.epoch * steps_per_epoch + progress.step,
        seconds_done=progress.seconds,
    )


def _with_tensorboard(wanted: bool | None) -> bool:
    installed = importlib.util.find_spec("tensorboard") is not None
    if wanted and not installed:
        raise ValueError("tensorboard: it is not installed; pip install tensorboard")
    return installed if wanted is None else wanted
