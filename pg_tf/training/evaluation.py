"""How good a trained model is, beside baselines that know no geometry."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf._files import write_whole
from pg_tf.elements import ElementChannels
from pg_tf.training import pipeline
from pg_tf.training.prediction import Predictor
from pg_tf.training.run import Run


@dataclasses.dataclass(frozen=True)
class Score:
    """Errors of one predictor on one part of the data, in the unit of the label and its square."""

    name: str
    mae: float
    mse: float

    @classmethod
    def of(cls, name: str, predicted: npt.ArrayLike, true: npt.ArrayLike) -> Score:
        error = np.asarray(predicted, np.float64) - np.asarray(true, np.float64)
        return cls(name, float(np.abs(error).mean()), float((error**2).mean()))


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores on each part; the first of each is the model.

    Attributes:
      unit: of the label.
      molecules: of each part.
      scores: of each part.
      ogb_mae: of the model on each part, as `ogb.lsc.PCQM4Mv2Evaluator` computes it; empty where ogb is not installed.
    """

    unit: str
    molecules: dict[str, int]
    scores: dict[str, list[Score]]
    ogb_mae: dict[str, float] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def evaluate(
    run: Run | str | os.PathLike[str], *, parts: Sequence[str] = ("validation", "test"), rotations: int = 0
) -> Evaluation:
    """Measures a run's best model on its own data, beside the training mean and a linear fit on element counts.

    Writes evaluation.json into the run.

    Args:
      run: a run or its folder.
      parts: of the data: "train", "validation", "test", which is left out where an official split has none.
      rotations: as in `Predictor`.

    Raises:
      ValueError: if there is no usable model, or the data cannot be read or are not those of the run.
    """
    predictor = Predictor(run, rotations)
    config = predictor.config
    sources = pipeline.load_parts(config)
    predictor.run.check_data(sources.facts())
    train = sources.train
    fit = CompositionFit(train)
    scores, molecules, ogb_mae = {}, {}, {}
    if unknown := set(parts) - set(pipeline.PARTS):
        raise ValueError(f"parts: must be of {', '.join(pipeline.PARTS)}, got {', '.join(sorted(unknown))}")
    for part, source in sources.present().items():
        if part not in parts:
            continue
        predicted = predictor(source)
        linear, true = fit.predict(source)
        scores[part] = [
            Score.of(f"{predictor.model.name} on grids", predicted, true),
            Score.of("linear fit on element counts", linear, true),
            Score.of("mean of the training set", np.full(len(true), fit.label_mean), true),
        ]
        molecules[part] = len(true)
        if (official := official_mae(predicted, true)) is not None:
            ogb_mae[part] = official
    evaluation = Evaluation(config.unit or train.unit or "", molecules, scores, ogb_mae)
    write_whole(predictor.run.evaluation_path, evaluation.to_json())
    return evaluation


def official_mae(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float | None:
    """The MAE as `ogb.lsc.PCQM4Mv2Evaluator` computes it; None where ogb is not installed."""
    try:
        from ogb.lsc import PCQM4Mv2Evaluator
    except ImportError:
        return None
    return float(PCQM4Mv2Evaluator().eval({"y_pred": np.asarray(predicted), "y_true": np.asarray(true)})["mae"])


class CompositionFit:
    """A linear fit on element counts by least squares, from one pass over the molecules.

    Args:
      source: with labels, to fit to.
    """

    def __init__(self, source: Any) -> None:
        self.channels = ElementChannels(tuple(source.symbols), unknown="other")
        size = self.channels.num_channels + 1
        gram, moment = np.zeros((size, size)), np.zeros(size)
        total, count = 0.0, 0
        for counts, labels in self._batches(source):
            gram += counts.T @ counts
            moment += counts.T @ labels
            total, count = total + labels.sum(), count + len(labels)
        self.label_mean = total / count
        # Where elements always occur together the fit is not unique: this takes the smallest coefficients.
        self.coefficients = np.linalg.lstsq(gram, moment, rcond=None)[0]

    def predict(self, source: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Predictions and labels of all molecules in order, `[len(source)]` each."""
        parts = [(counts @ self.coefficients, labels) for counts, labels in self._batches(source)]
        predicted, true = zip(*parts, strict=True)
        return np.concatenate(predicted), np.concatenate(true)

    def _batches(self, source: Any) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        """A column of ones and the element counts `[b, 1 + channels]`, and labels `[b]`."""
        width = self.channels.num_channels
        for points, labels in source.dataset(self.channels, batch_size=4096):
            column = points.flat_values[:, 0].numpy().astype(np.int64)
            cells = points.value_rowids().numpy() * width + column
            counts = np.bincount(cells, minlength=len(labels) * width).reshape(-1, width)
            yield np.column_stack([np.ones(len(labels)), counts]), labels.numpy().astype(np.float64)
