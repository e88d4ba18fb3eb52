"""The rows of docs/results.md: what is trained for each, and what it is compared with."""

import dataclasses
from typing import Any

from pg_tf import training
from studies.experiment import Experiment


@dataclasses.dataclass(frozen=True)
class Trained:
    """A row that trains a network.

    Attributes:
      name: of the row, for `--row`, and of the file with its results.
      table: in which it stands.
      label: its first cell.
      experiment: what is trained.
    """

    name: str
    table: str
    label: str
    experiment: Experiment


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A row of a baseline: see `studies.baselines`."""

    name: str
    table: str
    label: str
    baseline: str
    data: str
    num_train: int


Row = Trained | Baseline

# A 3D-ResNet in boxes fitted to each molecule.
RESNET = Experiment(
    "qm9",
    10000,
    training.Config(
        splits=None,
        channels=("C", "N", "O", "H", "F", "S", "Cl", "Br"),
        grid_size=24,
        rotation=True,
        translation=0.5,
        model="resnet3d10",
        network={"width": 16, "stem_kernel": 5},
        loss="huber",
        optimizer="adamw",
        learning_rate=3e-3,
        schedule="cosine",
        weight_decay=1e-2,
        clipnorm=1.0,
        batch_size=64,
        epochs=30,
    ),
)

# A small one with kernels that look the same from all sides, in voxels of 0.65 Å.
SMALL = RESNET.replace(
    grid_size=16,
    sigma=0.45,
    box=10.4,
    translation=0.0,
    network={
        "width": 32,
        "blocks": [1, 1],
        "stem_pool": False,
        "isotropic": True,
        "preactivation": True,
        "hidden_activation": "silu",
    },
    loss="mae",
)

# The network of invariants: the recipe "small" in a box that holds the molecules of QM9.
INVARIANT = Experiment("qm9", 10000, training.SMALL).replace(
    channels=("C", "N", "O", "H", "F"), other=False, grid_size=12, epochs=51, average=0.999
)

# 14.3 Å holds 99 % of the molecules, however they are turned. Voxels as those of SMALL, so that its weights fit.
PCQM4MV2 = SMALL.replace(source="pcqm4mv2", num_train=1190, grid_size=22, box=14.3, epochs=60)

# The base of what is changed one at a time: coarser voxels, so that a run takes two minutes.
BASE = SMALL.replace(num_train=1000, epochs=40, grid_size=12, box=10.2, sigma=0.5)


# Of the search for SMALL: 60,000 grids each. QM9 has no elements but these.
_SEARCH = RESNET.replace(num_train=2000, epochs=30, translation=0.0, channels=("C", "N", "O", "H", "F"), other=False)
_SEARCH_ISOTROPIC = SMALL.replace(
    num_train=2000,
    channels=("C", "N", "O", "H", "F"),
    other=False,
    loss="huber",
    network={"preactivation": False, "hidden_activation": "relu"},
)
_SEARCH_COARSE = _SEARCH_ISOTROPIC.replace(grid_size=12, box=10.2, sigma=0.5)


def _change(name: str, label: str, **changes: Any) -> Trained:
    return Trained(f"change-{name}", "changes", label, BASE.replace(**changes))


def _curve(source: str, base: Experiment, sizes: tuple[int, ...], passes: int) -> tuple[Trained, ...]:
    """Trainings of equal cost: the fewer molecules, the more often each is seen."""
    return tuple(
        Trained(
            f"curve-{source}-{size}",
            f"curve-{source}",
            f"{size:,} molecules",
            base.replace(source=source, num_train=size, epochs=passes // size),
        )
        for size in sizes
    )


ROWS: tuple[Row, ...] = (
    Baseline("qm9-mean", "qm9", "mean of the training set", "mean", "qm9", 10000),
    Baseline("qm9-composition", "qm9", "linear fit on element counts", "composition", "qm9", 10000),
    Baseline("qm9-soap", "qm9", "kernel ridge on SOAP", "soap", "qm9", 10000),
    Baseline("qm9-distances", "qm9", "kernel ridge on distances", "distances", "qm9", 10000),
    Trained("qm9-small", "qm9", "small isotropic network", SMALL),
    Trained("qm9-invariant", "qm9", "network of invariants", INVARIANT),
    Baseline("pcqm4mv2-mean", "pcqm4mv2", "mean of the training set", "mean", "pcqm4mv2", 1190),
    Baseline("pcqm4mv2-composition", "pcqm4mv2", "linear fit on element counts", "composition", "pcqm4mv2", 1190),
    Baseline("pcqm4mv2-soap", "pcqm4mv2", "kernel ridge on SOAP", "soap", "pcqm4mv2", 1190),
    Trained(
        "pcqm4mv2-invariant",
        "pcqm4mv2",
        "network of invariants",
        INVARIANT.replace(
            source="pcqm4mv2", num_train=1190, channels=training.SMALL.channels, grid_size=17, epochs=60, average=0.995
        ),
    ),
    Trained("pcqm4mv2-small", "pcqm4mv2", "small isotropic network", PCQM4MV2),
    Trained(
        "pcqm4mv2-from-qm9",
        "pcqm4mv2",
        "small isotropic network that starts from the weights of `qm9-small`",
        PCQM4MV2.replace(learning_rate=2e-3, pretrain=SMALL),
    ),
    Trained("search-demo", "search", "ResNet-10: 24^3, a box fitted to each molecule", _SEARCH),
    Trained("search-isotropic", "search", "small isotropic network, 16^3 voxels of 0.65 Å", _SEARCH_ISOTROPIC),
    Trained("search-coarse", "search", "the same, 12^3 voxels of 0.85 Å, sigma 0.5 Å", _SEARCH_COARSE),
    Trained(
        "search-coarse-preactivation",
        "search",
        "the same, pre-activation, SiLU, absolute error as the loss",
        _SEARCH_COARSE.replace(loss="mae", network={"preactivation": True, "hidden_activation": "silu"}),
    ),
    Baseline("changes-mean", "changes", "mean of the training set", "mean", "qm9", 1000),
    Baseline("changes-composition", "changes", "linear fit on element counts", "composition", "qm9", 1000),
    Baseline("changes-soap", "changes", "kernel ridge on SOAP", "soap", "qm9", 1000),
    Trained(
        "changes-invariant",
        "changes",
        "network of invariants, voxels and passes as the base",
        INVARIANT.replace(num_train=1000, epochs=40, average=0.995),
    ),
    _change("none", "base: 12^3 voxels of 0.85 Å, sigma 0.5 Å, an element a channel, width 32"),
    _change("not-isotropic", "ordinary kernels", network={"isotropic": False}),
    _change(
        "not-isotropic-fixed", "ordinary kernels, no rotation in training", network={"isotropic": False}, rotation=False
    ),
    _change("no-rotation", "no rotation in training", rotation=False),
    _change("translation", "shifts of up to 0.5 Å in training", translation=0.5),
    _change("one-channel", "one channel for all elements", channels=()),
    _change("fitted-box", "a box fitted to each molecule, margin 2 Å", box=None),
    _change("sigma-0.2", "sigma 0.2 Å", sigma=0.2),
    _change("sigma-0.3", "sigma 0.3 Å", sigma=0.3),
    _change("sigma-0.4", "sigma 0.4 Å", sigma=0.4),
    _change("sigma-0.6", "sigma 0.6 Å", sigma=0.6),
    _change("grid-16", "16^3 voxels of 0.64 Å", grid_size=16),
    _change("grid-24", "24^3 voxels of 0.43 Å", grid_size=24),
    _change("grid-32", "32^3 voxels of 0.32 Å", grid_size=32),
    _change("grid-48", "48^3 voxels of 0.21 Å", grid_size=48),
    _change("width-16", "width 16", network={"width": 16}),
    _change("width-48", "width 48", network={"width": 48}),
    _change("stages-3", "three stages", network={"blocks": [1, 1, 1]}),
    _change("postactivation", "activation after the convolutions", network={"preactivation": False}),
    _change("relu", "ReLU instead of SiLU", network={"hidden_activation": "relu"}),
    _change("huber", "Huber loss instead of the absolute error", loss="huber"),
    _change("group-norm", "GroupNorm instead of BatchNorm", network={"normalization": "group"}),
    _change("squeeze-excite", "squeeze-excite", network={"squeeze_excite": True}),
    _change("batch-32", "batches of 32", batch_size=32),
    *_curve("qm9", BASE, (500, 1000, 2000, 4000, 10000), passes=80_000),
    *_curve("pcqm4mv2", BASE.replace(grid_size=16, box=13.6), (150, 300, 600, 1190), passes=48_000),
)
