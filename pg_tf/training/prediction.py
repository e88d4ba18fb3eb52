"""What the model of a run says of molecules."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf.datasets import Molecules
from pg_tf.elements import SYMBOLS
from pg_tf.training import pipeline
from pg_tf.training.run import Run


def predict(run: Run | str | os.PathLike[str], source: Any, *, rotations: int = 0) -> npt.NDArray[np.float32]:
    """Predictions of a run's best model.

    Args:
      run: a run or its folder.
      source: molecules, such as `Molecules`; their labels, if any, are not looked at.
      rotations: averages over so many random orientations of each molecule; 0 takes it as it is.

    Returns:
      float32 `[len(source)]`, in the unit of the training labels.

    Raises:
      ValueError: if there is no usable model, or an element has no channel.
    """
    run = run if isinstance(run, Run) else Run(run)
    config, model = run.config(), run.model()
    if len(source) == 0:
        return np.zeros(0, np.float32)
    motions: Sequence[int | None] = range(rotations) if rotations else [None]
    passes = [model.predict(pipeline.batches(source, config, motion), verbose=0)[:, 0] for motion in motions]
    return np.asarray(np.mean(passes, axis=0, dtype=np.float64), np.float32)


def write_predictions(
    run: Run | str | os.PathLike[str], molecules: Molecules, output: str | os.PathLike[str], *, rotations: int = 0
) -> tuple[int, int]:
    """Predicts molecules and writes a CSV table with the columns name, prediction and note.

    A molecule that cannot be predicted, or could not be read (`molecules.skipped`), has a row with an empty prediction
    and a note that says why. A note also warns of elements that no training molecule had.

    Args:
      run: a run or its folder.
      molecules: as read from a file.
      output: path of the table.
      rotations: as in `predict`.

    Returns:
      How many molecules have a prediction and how many have none.

    Raises:
      ValueError: as `predict`.
      OSError: if the table cannot be written.
    """
    run = run if isinstance(run, Run) else Run(run)
    known = set(run.data()["symbols"])
    has_channel = run.config().element_channels().lookup_table < run.config().element_channels().num_channels
    notes, usable = [], np.ones(len(molecules), bool)
    for i in range(len(molecules)):
        numbers = np.unique(molecules.atomic_numbers[molecules.row_splits[i] : molecules.row_splits[i + 1]])
        without = [SYMBOLS[z] for z in numbers if not has_channel[z]]
        unknown = [SYMBOLS[z] for z in numbers if SYMBOLS[z] not in known]
        usable[i] = len(numbers) > 0 and not without
        if len(numbers) == 0:
            notes.append("it has no atoms")
        elif without:
            notes.append(f"the model has no channel for {', '.join(without)}")
        else:
            notes.append(f"not in the training data: {', '.join(unknown)}" if unknown else "")
    predictions = np.full(len(molecules), np.nan)
    predictions[usable] = predict(run, molecules[usable], rotations=rotations)
    with open(Path(output), "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["name", "prediction", "note"])
        for i, note in enumerate(notes):
            table.writerow([molecules.names[i], f"{predictions[i]:.6g}" if usable[i] else "", note])
        for line in molecules.skipped:
            place, _, reason = line.partition(": ")
            table.writerow([place, "", reason])
    return int(usable.sum()), int((~usable).sum()) + len(molecules.skipped)
