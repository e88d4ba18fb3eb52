"""Baselines, which see no grids: the mean, a linear fit on the composition, and `pg_tf.training.rivals`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf.datasets import Molecules
from pg_tf.elements import SYMBOLS
from pg_tf.training import rivals
from studies import data
from studies.fit import errors

Array = npt.NDArray[np.float64]


def mean(train: Molecules, validation: Molecules, test: Molecules) -> Array:
    """The mean of the training labels."""
    return np.full(len(test), np.mean(data.labels(train)))


def composition(train: Molecules, validation: Molecules, test: Molecules) -> Array:
    """Least squares on the number of atoms of each element."""
    symbols = [SYMBOLS[z] for z in np.unique(train.atomic_numbers)]

    def counts(molecules: Molecules) -> Array:
        return np.column_stack([np.ones(len(molecules)), molecules.composition(symbols)])

    return counts(test) @ np.linalg.lstsq(counts(train), data.labels(train), rcond=None)[0]


BASELINES: dict[str, Callable[[Molecules, Molecules, Molecules], Array]] = {
    "mean": mean,
    "composition": composition,
    "fingerprints": rivals.fingerprints,
    "distances": rivals.distances,
    "soap": rivals.soap,
}


def run(baseline: str, source: str, num_train: int, seed: int, root: Path) -> dict[str, Any]:
    """The errors of a baseline (a key of BASELINES) on the split of that seed, named as those of `studies.fit.run`.

    Raises:
      MissingData: if the data set is not there.
      ImportError: if an optional package is missing.
    """
    train, validation, test = data.split(source, num_train, seed, root)
    return {**errors(BASELINES[baseline](train, validation, test), test), "num_test": len(test)}
