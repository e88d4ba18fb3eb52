"""Baselines, which see no grids: the mean, a linear fit on the composition, and kernel ridge on SOAP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf.datasets import Molecules
from pg_tf.elements import SYMBOLS
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


def soap_kernel_ridge(train: Molecules, validation: Molecules, test: Molecules) -> Array:
    """Kernel ridge on SOAP vectors averaged over the atoms; needs the extra `study`.

    SOAP (Bartók et al. 2013, doi 10.1103/PhysRevB.87.184115) by DScribe: 4 Å, 4 radial functions, l <= 3, sigma 0.5 Å.
    Kernel (Laplacian or Gaussian), its width and the ridge are those that do best on the validation set.
    """
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.metrics import pairwise_distances

    species = sorted({*train.atomic_numbers, *validation.atomic_numbers, *test.atomic_numbers})
    fitting, *held_out = (_soap(molecules, species) for molecules in (train, validation, test))
    labels = data.labels(train)
    centre = labels.mean()
    best: tuple[float, Array] = (np.inf, np.zeros(0))
    for metric, widths in (("manhattan", (0.1, 0.3)), ("sqeuclidean", (0.03, 0.1, 0.3))):
        among, to_validation, to_test = (pairwise_distances(x, fitting, metric=metric) for x in (fitting, *held_out))
        scale = np.median(among[:: max(1, len(among) // 200)])
        for width in widths:
            kernels = [np.exp(-width / scale * distances) for distances in (among, to_validation, to_test)]
            for ridge in (1e-6, 1e-4):
                model = KernelRidge(kernel="precomputed", alpha=ridge).fit(kernels[0], labels - centre)
                error = errors(model.predict(kernels[1]) + centre, validation)["mae"]
                if error < best[0]:
                    best = (error, model.predict(kernels[2]) + centre)
    return best[1]


BASELINES: dict[str, Callable[[Molecules, Molecules, Molecules], Array]] = {
    "mean": mean,
    "composition": composition,
    "soap": soap_kernel_ridge,
}


def run(baseline: str, source: str, num_train: int, seed: int, root: Path) -> dict[str, Any]:
    """The errors of a baseline (a key of BASELINES) on the split of that seed, named as those of `studies.fit.run`.

    Raises:
      MissingData: if the data set is not there.
      ImportError: if an optional package is missing.
    """
    train, validation, test = data.split(source, num_train, seed, root)
    return {**errors(BASELINES[baseline](train, validation, test), test), "num_test": len(test)}


def _soap(molecules: Molecules, species: list[int]) -> Array:
    from ase import Atoms
    from dscribe.descriptors import SOAP

    soap = SOAP(species=species, r_cut=4.0, n_max=4, l_max=3, sigma=0.5)
    rows = zip(molecules.row_splits[:-1], molecules.row_splits[1:], strict=True)
    return np.array(
        [
            soap.create(Atoms(molecules.atomic_numbers[a:b], molecules.coords[a:b].astype(np.float64))).mean(axis=0)
            for a, b in rows
        ],
        np.float64,
    )
