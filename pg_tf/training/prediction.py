"""Predictions of the best model of a run."""

import csv
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf._files import whole
from pg_tf.datasets import Molecules
from pg_tf.datasets.readers import Reader, by_suffix
from pg_tf.elements import SYMBOLS
from pg_tf.training import pipeline
from pg_tf.training.run import Run

_CHUNK = 1024


class Predictor:
    """The best model of a run, loaded once.

    Args:
      run: a run or its folder.
      rotations: averages over so many random orientations of each molecule; 0 takes it as it is.

    Raises:
      ValueError: if there is no usable model.
    """

    def __init__(self, run: Run | str | os.PathLike[str], rotations: int = 0) -> None:
        self.run = run if isinstance(run, Run) else Run(run)
        self.config = self.run.config()
        self.model = self.run.model()
        self.channels = self.config.element_channels()
        self.motions: Sequence[int | None] = range(rotations) if rotations else [None]
        self._known = set(self.run.data()["symbols"])

    def __call__(self, source: Any) -> npt.NDArray[np.float32]:
        """Predictions `[len(source)]`, in the unit of the training labels; labels in the source are not looked at.

        Raises:
          ValueError: if an element has no channel.
        """
        if len(source) == 0:
            return np.zeros(0, np.float32)
        passes = [
            self.model.predict(pipeline.batches(source, self.config, motion), verbose=0)[:, 0]
            for motion in self.motions
        ]
        return np.asarray(np.mean(passes, axis=0, dtype=np.float64), np.float32)

    def doubt(self, atomic_numbers: npt.ArrayLike) -> tuple[bool, str]:
        """Whether a molecule with these atoms can be predicted, and why it cannot or why its prediction is doubtful."""
        numbers = np.unique(np.asarray(atomic_numbers, np.int64))
        if len(numbers) == 0:
            return False, "it has no atoms"
        channels = self.channels.lookup_table[numbers]
        if without := [SYMBOLS[z] for z in numbers[channels >= self.channels.num_channels]]:
            return False, f"the model has no channel for {', '.join(without)}"
        unknown = [SYMBOLS[z] for z in numbers if SYMBOLS[z] not in self._known]
        return True, f"not in the training data: {', '.join(unknown)}" if unknown else ""


def predict(run: Run | str | os.PathLike[str], source: Any, *, rotations: int = 0) -> npt.NDArray[np.float32]:
    """Predictions of a run's best model, `[len(source)]`; see `Predictor`.

    Example:

        predict("runs/small", pg_tf.datasets.read_sdf("new.sdf"))
    """
    return Predictor(run, rotations)(source)


def predict_file(
    run: Run | str | os.PathLike[str],
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    rotations: int = 0,
) -> tuple[int, int]:
    """Predicts the molecules of a file and writes a CSV table with the columns name, prediction and note.

    There is a row for each record, in order. One that cannot be read or predicted has no prediction and a note that
    says why; a note also warns of elements that no training molecule had.

    Args:
      run: a run or its folder.
      path: .sdf, .xyz (any number of frames), .csv with a column "smiles", .smi, or .npz; also .gz and .bz2.
      output: path of the table, which is there when it is complete.
      rotations: as in `Predictor`.

    Returns:
      How many records have a prediction and how many have none.

    Raises:
      ValueError: if there is no usable model, or nothing in the file that could be predicted or refused, or the
        table would replace it.
      OSError: if a file cannot be read or written.
    """
    reader = by_suffix(path, argument="molecules")
    if os.path.exists(output) and os.path.samefile(path, output):
        raise ValueError(f"output: {output} is the file with the molecules, and would be replaced by the table")
    predictor = Predictor(run, rotations)
    done = failed = 0
    with whole(output) as scratch, open(scratch, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["name", "prediction", "note"])
        for name, prediction, note in _rows(reader, predictor):
            table.writerow([name, "" if prediction is None else f"{prediction:.6g}", note])
            done, failed = done + (prediction is not None), failed + (prediction is None)
        if not done + failed:
            raise ValueError(f"molecules: {path} is empty")
    return done, failed


def _rows(reader: Reader, predictor: Predictor) -> Iterator[tuple[str, float | None, str]]:
    """Name, prediction and note of each record."""
    for chunk in reader.chunks(_CHUNK):
        names, notes, usable, records = [], [], [], []
        for place, outcome in reader.parse(chunk):
            if isinstance(outcome, Exception):
                name, (good, note) = place, (False, str(outcome))
            else:
                name, (good, note) = outcome.name or place, predictor.doubt(outcome.atomic_numbers)
                if good:
                    records.append(outcome)
            names.append(name)
            notes.append(note)
            usable.append(good)
        molecules = Molecules.from_arrays([r.atomic_numbers for r in records], [r.coords for r in records])
        predictions = iter(predictor(molecules))
        for name, note, good in zip(names, notes, usable, strict=True):
            yield name, float(next(predictions)) if good else None, note
        if chunk.damage:
            yield chunk.place, None, chunk.damage
