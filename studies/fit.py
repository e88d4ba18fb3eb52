"""Trains the network of an experiment, and measures it."""

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pg_tf.datasets import Molecules
from pg_tf.training import pipeline
from pg_tf.training.build import build
from pg_tf.training.callbacks import EpochLines
from studies import data
from studies.experiment import Experiment

# Random orientations over which predictions are averaged at test time.
ORIENTATIONS = 8

# Training molecules on which the error is measured without augmentation.
_SOME = 1000


def run(
    experiment: Experiment, seed: int, root: Path, weights: Path, write: Callable[[str], Any] = print
) -> dict[str, float | int]:
    """Trains and measures.

    Args:
      experiment: what to train on what.
      seed: decides the split, the first weights, the order of the molecules and their random motions.
      root: folder of the data sets.
      weights: folder for the weights of trained networks; those that are there are not trained again.
      write: is called with a line for each epoch.

    Returns:
      What `errors` measures on the test set, with predictions averaged over orientations as "rotated_mae" and
      "rotated_mse" as well, and on the validation and training set; the number of parameters and the time.

    Raises:
      MissingData: if a data set is not there.
      ValueError: if the experiment does not fit.
    """
    train, validation, test = data.split(experiment.source, experiment.num_train, seed, root)
    start = time.monotonic()
    model = fit(experiment, seed, root, weights, write)
    seconds = time.monotonic() - start
    return {
        **errors(predict(model, experiment, test), test),
        **{
            f"rotated_{key}": value
            for key, value in errors(predict(model, experiment, test, ORIENTATIONS), test).items()
        },
        "validation_mae": errors(predict(model, experiment, validation), validation)["mae"],
        "train_mae": errors(predict(model, experiment, train[:_SOME]), train[:_SOME])["mae"],
        "parameters": model.count_params(),
        "seconds": seconds,
        "num_test": len(test),
    }


def fit(
    experiment: Experiment, seed: int, root: Path, weights: Path, write: Callable[[str], Any] = print
) -> keras.Model:
    """The trained model of an experiment after its last epoch; it predicts in eV. Arguments as of `run`."""
    config = dataclasses.replace(experiment.config, seed=seed)
    train, validation, _ = data.split(experiment.source, experiment.num_train, seed, root)
    keras.utils.set_random_seed(seed)
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    labels = data.labels(train)
    model, _ = build(
        config, label_mean=float(labels.mean()), label_std=float(labels.std()), steps_per_epoch=steps_per_epoch
    )
    kept = weights / f"{hashlib.sha256(f'{experiment} {seed}'.encode()).hexdigest()[:16]}.weights.h5"
    if kept.exists():
        model.load_weights(kept)
        return model
    if experiment.pretrain is not None:
        model.set_weights(fit(experiment.pretrain, seed, root, weights, write).get_weights())
    model.fit(
        pipeline.training_batches(train, config),
        validation_data=pipeline.batches(validation, config),
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
        verbose=0,
        shuffle=False,
        callbacks=[EpochLines(config.epochs, len(train), steps_per_epoch, write, 0.0)],
    )
    weights.mkdir(parents=True, exist_ok=True)
    model.save_weights(kept)
    return model


def predict(
    model: keras.Model, experiment: Experiment, molecules: Molecules, orientations: int = 0
) -> npt.NDArray[np.float64]:
    """Predictions `[B]` in eV: of the molecules as they lie, or averaged over random orientations."""
    passes = [
        model.predict(pipeline.batches(molecules, experiment.config, motion), verbose=0)[:, 0]
        for motion in (range(orientations) if orientations else [None])
    ]
    return np.mean(passes, axis=0, dtype=np.float64)


def errors(predicted: npt.ArrayLike, molecules: Molecules) -> dict[str, float]:
    """Mean absolute and mean squared error, eV and eV²."""
    difference = np.asarray(predicted, np.float64) - data.labels(molecules)
    return {"mae": float(np.abs(difference).mean()), "mse": float((difference**2).mean())}
