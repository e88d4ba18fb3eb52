"""The molecules of the studies, and how they are split."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pg_tf.datasets import Molecules, load_sample

# Flat arrays z, pos, offsets and gap_ev, see docs/results.md for how the samples were drawn.
FILES = {"qm9": "qm9/qm9_sample.npz", "pcqm4mv2": "pcqm4mv2/pcqm4mv2_sample.npz"}

# Molecules to validate on and to test on.
HELD_OUT = {"qm9": (1000, 1000), "pcqm4mv2": (70, 140), "sample": (400, 400)}


class MissingData(FileNotFoundError):
    """A data set of a study is not on this machine."""


def load(data: str, root: Path) -> Molecules:
    """All molecules of a data set, gaps in eV.

    Raises:
      MissingData: if its file is not below `root`.
    """
    if data == "sample":
        return load_sample()
    path = root / FILES[data]
    if not path.exists():
        raise MissingData(f"{data}: there is no {path}; name the folder of {FILES[data]} with --data")
    with np.load(path, allow_pickle=False) as arrays:
        return Molecules(arrays["z"], arrays["pos"], arrays["offsets"], arrays["gap_ev"])


def split(data: str, num_train: int, seed: int, root: Path) -> tuple[Molecules, Molecules, Molecules]:
    """Molecules to train on, to validate on and to test on.

    Validation and test are the same for every `num_train`, so that learning curves are of one test set; another seed
    draws all three anew, except for the shipped sample, whose split is fixed.

    Raises:
      MissingData: if there is no such file.
      ValueError: if there are too few molecules.
    """
    num_validation, num_test = HELD_OUT[data]
    if data == "sample":
        train, validation, test = (load_sample(name) for name in ("train", "validation", "test"))
        order = np.random.default_rng(seed).permutation(len(train))
        train = train[order]
    else:
        molecules = load(data, root)
        order = np.random.default_rng(seed).permutation(len(molecules))
        test = molecules[order[:num_test]]
        validation = molecules[order[num_test : num_test + num_validation]]
        train = molecules[order[num_test + num_validation :]]
    if num_train > len(train):
        raise ValueError(f"num_train: {data} leaves {len(train)} molecules to train on, not {num_train}")
    return train[:num_train], validation, test


def labels(molecules: Molecules) -> npt.NDArray[np.float64]:
    """Gaps `[B]`, eV."""
    assert molecules.labels is not None, "every source here has labels"
    return molecules.labels.astype(np.float64)
