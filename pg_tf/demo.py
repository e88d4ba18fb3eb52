"""The demonstration: learn a property from grids made on the fly, turn grids back into atoms, and write a report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import plotly
import tensorflow as tf
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pg_tf import plot
from pg_tf.augment import augment
from pg_tf.datasets import Molecules, load_sample, read_molecules
from pg_tf.elements import ORGANIC, SYMBOLS, ElementChannels
from pg_tf.inversion import grid_to_coords
from pg_tf.metrics import Match, match_points
from pg_tf.models import resnet3d10, training
from pg_tf.points import Voxelizer
from pg_tf.report import Section, write_report
from pg_tf.voxelize import simd_levels

# Other elements than those of ORGANIC share a channel.
_ELEMENTS = ElementChannels(ORGANIC.symbols, unknown="other")

# Fewer molecules than this make no training set.
_FEWEST = 50


@dataclasses.dataclass(frozen=True)
class Settings:
    """Of a demonstration; `pg-tf demo --help` explains them."""

    data: Path | None = None
    label: str | None = None
    unit: str = "eV"
    epochs: int = 24
    max_minutes: float = 3.0
    width: int = 16
    grid_size: int = 24
    sigma: float = 0.4
    batch_size: int = 64
    learning_rate: float = 3e-3
    seed: int = 0
    num_inverted: int = 8
    output: Path = Path("runs/demo")


@dataclasses.dataclass(frozen=True)
class Split:
    """Molecules with labels to train on, to validate and to test with."""

    train: Molecules
    validation: Molecules
    test: Molecules


@dataclasses.dataclass(frozen=True)
class Score:
    """Errors on the test set, in the unit of the label and its square."""

    name: str
    mae: float
    mse: float


@dataclasses.dataclass(frozen=True)
class Inverted:
    """A molecule of the test set, made a grid and found again."""

    molecule: Molecules
    points: npt.NDArray[np.float32]
    match: Match
    converged: bool


def demo(settings: Settings) -> Path:
    """Runs the demonstration and prints its results.

    Returns:
      Path of the HTML report.

    Raises:
      ValueError: if the data cannot be used: no file of a known kind, no label, too few molecules.
    """
    console = Console(highlight=False)
    clock = _Clock(console)
    keras.utils.set_random_seed(settings.seed)
    settings.output.mkdir(parents=True, exist_ok=True)

    with clock("Read the molecules"):
        split = load_split(settings)
        console.print(
            f"molecules: {len(split.train)} to train, {len(split.validation)} to validate, {len(split.test)} to test; "
            f"channels: {' '.join(_ELEMENTS.names)}"
        )
    with clock("Train the network"):
        model, history = train(split, settings, console)
    with clock("Test it"):
        predicted = model.predict(_dataset(split.test, settings), verbose=0)
        scores = compare(split, predicted)
        console.print(_score_table(scores, settings.unit))
    with clock("Turn grids back into atoms"):
        inverted = invert(split.test[: settings.num_inverted], settings)
        console.print(_inversion_table(inverted))
    with clock("Write the report"):
        model.save(settings.output / "model.keras")
        path = settings.output / "report.html"
        _write(path, settings, split, predicted, scores, history, inverted, clock.seconds)
    console.print(f"{clock.total():.0f} s in all. Report: {path.resolve()}", soft_wrap=True)
    return path


def load_split(settings: Settings) -> Split:
    """The shipped sample in its own split, or the user's file, shuffled and split 80/10/10."""
    if settings.data is None:
        return Split(load_sample("train"), load_sample("validation"), load_sample("test"))
    if settings.label is None:
        raise ValueError(f"--label: name the property of {settings.data} that is to be learned")
    molecules = read_molecules(settings.data, settings.label)
    if len(molecules) < _FEWEST:
        raise ValueError(
            f"--data: {settings.data} has {len(molecules)} usable molecules, and at least {_FEWEST} are needed"
        )
    order = np.random.default_rng(settings.seed).permutation(len(molecules))
    tenth = len(molecules) // 10
    return Split(molecules[order[2 * tenth :]], molecules[order[tenth : 2 * tenth]], molecules[order[:tenth]])


def train(split: Split, settings: Settings, console: Console) -> tuple[keras.Model, dict[str, list[float]]]:
    """A narrow 3D-ResNet-10 on grids with a channel for each element, every molecule turned anew in every epoch."""
    side = settings.grid_size
    network = resnet3d10(
        width=settings.width,
        input_shape=(side, side, side, _ELEMENTS.num_channels),
        stem_kernel=5,
        stem_strides=2,
    )
    model = training.regressor(network, _labels(split.train))
    console.print(f"{network.name}: {model.count_params():,} parameters, grids {side}^3 x {_ELEMENTS.num_channels}")
    history = training.train(
        model,
        _dataset(split.train, settings, augmented=True),
        _dataset(split.validation, settings),
        steps_per_epoch=-(-len(split.train) // settings.batch_size),
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        max_seconds=60 * settings.max_minutes,
        callbacks=[training.Progress(settings.epochs, len(split.train), console.print)],
    )
    return model, history


def compare(split: Split, predicted: npt.NDArray[np.float32]) -> list[Score]:
    """The network beside two rivals that know no geometry: the mean, and a linear fit on the element counts."""
    labels, true = _labels(split.train), _labels(split.test)
    symbols = [SYMBOLS[z] for z in np.unique(split.train.atomic_numbers)]

    def counts(molecules: Molecules) -> npt.NDArray[np.float64]:
        return np.column_stack([np.ones(len(molecules)), molecules.composition(symbols)])

    coefficients = np.linalg.lstsq(counts(split.train), labels, rcond=None)[0]
    rivals = {
        "3D-ResNet on grids": predicted,
        "linear fit on element counts": counts(split.test) @ coefficients,
        "mean of the training set": np.full(len(true), labels.mean()),
    }
    return [
        Score(name, float(np.abs(guess - true).mean()), float(((guess - true) ** 2).mean()))
        for name, guess in rivals.items()
    ]


def invert(molecules: Molecules, settings: Settings) -> list[Inverted]:
    """Makes a 32^3 grid of each molecule, with a channel for each element, and finds the atoms again."""
    points = molecules.points(_ELEMENTS)
    to_grid = Voxelizer(num_channels=_ELEMENTS.num_channels, grid_shape=32, sigma=0.4, return_box=True)
    grids, box = to_grid(points)
    result = grid_to_coords(grids, box=box, sigma=0.4)
    return [
        Inverted(
            molecules[i],
            result.points[i].numpy(),
            match_points(points[i], result.points[i]),
            bool(result.converged[i]),
        )
        for i in range(len(molecules))
    ]


class _Clock:
    """How long each step took."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        self.console.print(f"[bold]{step}[/bold]")
        start = time.monotonic()
        yield
        self.seconds[step] = time.monotonic() - start

    def total(self) -> float:
        return sum(self.seconds.values())


def _labels(molecules: Molecules) -> npt.NDArray[np.float32]:
    assert molecules.labels is not None, "load_split reads labels"
    return molecules.labels


def _dataset(molecules: Molecules, settings: Settings, augmented: bool = False) -> tf.data.Dataset:
    to_grid = Voxelizer(
        num_channels=_ELEMENTS.num_channels,
        grid_shape=settings.grid_size,
        sigma=settings.sigma,
        data_format="channels_last",
    )
    batches = molecules.dataset(_ELEMENTS, batch_size=settings.batch_size, shuffle=augmented, seed=settings.seed)
    if augmented:
        batches = batches.apply(augment(settings.seed))
    return batches.map(to_grid, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _score_table(scores: list[Score], unit: str) -> Table:
    table = Table("test set", f"MAE ({unit})", f"MSE ({unit}²)")
    for score in scores:
        table.add_row(score.name, f"{score.mae:.3f}", f"{score.mse:.3f}")
    return table


def _inversion_rows(inverted: list[Inverted]) -> list[list[str]]:
    return [
        [
            item.molecule.names[0] or "?",
            str(item.match.num_true),
            str(item.match.num_found),
            f"{item.match.largest_error:.5f}",
            "yes" if item.converged else "no",
        ]
        for item in inverted
    ]


_INVERSION_HEADER = ["molecule", "atoms", "found", "largest error (Å)", "converged"]


def _inversion_table(inverted: list[Inverted]) -> Table:
    table = Table(*_INVERSION_HEADER)
    for row in _inversion_rows(inverted):
        table.add_row(*map(escape, row))
    return table


def _write(
    path: Path,
    settings: Settings,
    split: Split,
    predicted: npt.NDArray[np.float32],
    scores: list[Score],
    history: dict[str, list[float]],
    inverted: list[Inverted],
    seconds: dict[str, float],
) -> None:
    best, *rivals = scores
    shown = inverted[0]
    numbers, coords = shown.molecule.atomic_numbers, shown.molecule.coords
    grid, box = Voxelizer(num_channels=_ELEMENTS.num_channels, sigma=0.4, return_box=True)(
        shown.molecule.points(_ELEMENTS)[0]
    )
    source = "the sample dataset of pg_tf" if settings.data is None else settings.data.name
    exact = sum(item.match.largest_error < 1e-3 for item in inverted)
    used: dict[str, Any] = dataclasses.asdict(settings) | {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "plotly": plotly.__version__,
        "instruction set": simd_levels()[1],
    }
    write_report(
        path,
        "Molecules as grids",
        f"{len(split.train)} molecules of {source}, {settings.label or 'HOMO-LUMO gap'}: test MAE {best.mae:.3f} "
        f"{settings.unit}; {exact} of {len(inverted)} molecules recovered from their grids to 0.001 Å.",
        [
            Section(
                "What was learned",
                [
                    "Errors on molecules that were not trained on. The rivals know the composition at most; what the "
                    "network has over them it took from the geometry."
                ],
                [["", f"MAE ({settings.unit})", f"MSE ({settings.unit}²)"], *([s.name, s.mae, s.mse] for s in scores)],
                [
                    (
                        "Mean absolute error, epoch by epoch.",
                        plot.learning_curve(
                            history, "mae", unit=settings.unit, references={rival.name: rival.mae for rival in rivals}
                        ),
                    ),
                    (
                        "The molecules of the test set.",
                        plot.parity(_labels(split.test), predicted, settings.unit, split.test.names),
                    ),
                ],
            ),
            Section(
                "A molecule and its grid",
                ["Each atom is a Gaussian, each voxel its exact integral, each element a channel."],
                figures=[
                    (shown.molecule.names[0], plot.molecule(numbers, coords)),
                    (
                        "Surfaces at a quarter of each channel's largest voxel.",
                        plot.molecule_and_grid(numbers, coords, grid, list(box), _ELEMENTS.names),
                    ),
                ],
            ),
            Section(
                "Back to atoms",
                ["Seeds by persistent homology, then gradient descent through the op, on 32^3 grids of sigma 0.4 Å."],
                [_INVERSION_HEADER, *_inversion_rows(inverted)],
                [
                    (
                        "The molecule (spheres) and what was found (crosses).",
                        plot.inversion(numbers, coords, shown.points[:, 1:]),
                    )
                ],
            ),
            Section(
                "How it was made",
                table=[["step", "seconds"], *([step, f"{time:.1f}"] for step, time in seconds.items())],
            ),
            Section("Settings", table=[["setting", "value"], *([name, str(value)] for name, value in used.items())]),
        ],
    )
