"""The sample dataset that comes with pg_tf: 4,000 organic molecules with GFN2-xTB HOMO-LUMO gaps."""

import importlib.resources

import numpy as np

from pg_tf.datasets.molecules import Molecules

LABEL = "gap"
SPLITS = ("train", "validation", "test")


def load_sample(split: str | None = None) -> Molecules:
    """Loads the sample, or one part of its fixed random split (80/10/10).

    `scripts/make_sample.py` made it and `docs/sample.md` describes it. Geometry: MMFF94s; labels: gap in eV
    of a GFN2-xTB single point at that geometry; names: isomeric SMILES.

    Args:
      split: "train", "validation", "test", or None for all.

    Raises:
      ValueError: if there is no such split.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split: must be one of {', '.join(SPLITS)} or None, got {split!r}")
    resource = importlib.resources.files("pg_tf.datasets") / "sample.npz"
    with resource.open("rb") as file, np.load(file) as data:
        molecules = Molecules(
            data["atomic_numbers"],
            data["coords"] * data["coordinate_unit"],
            np.concatenate([[0], np.cumsum(data["num_atoms"], dtype=np.int64)]),
            data["gap_ev"],
            tuple(name.decode() for name in data["names"]),
            unit="eV",
        )
        return molecules if split is None else molecules[data["split"] == split.encode()]
