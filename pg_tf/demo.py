"""The demonstration: learn a property from grids made on the fly, turn grids back into atoms, and write a report."""

import contextlib
import dataclasses
import functools
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

from pg_tf import plot, training
from pg_tf._ops.simd_levels import simd_levels
from pg_tf.datasets import Molecules
from pg_tf.elements import ElementChannels
from pg_tf.inversion import grid_to_coords
from pg_tf.metrics import Match, match_points
from pg_tf.points import Voxelizer
from pg_tf.report import Section, write_report
from pg_tf.training.rivals import RIVALS

# Each molecule is predicted in so many orientations.
ORIENTATIONS = 8


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the demonstration; `pg-tf demo --help` explains them."""

    data: Path | None = None
    label: str | None = None
    unit: str = "eV"
    epochs: int = training.QUICK.epochs
    max_minutes: float = 3.0
    seed: int = 0
    num_inverted: int = 8
    output: Path = Path("runs/demo")


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
    settings.output.mkdir(parents=True, exist_ok=True)

    config = training_config(settings)
    plain = functools.partial(console.print, markup=False, soft_wrap=True)
    with clock("Train the network"):
        run = training.train(config, settings.output / "run", overwrite=True, write=plain)
    with clock("Test it"):
        test = training.load_part(config, "test")
        predicted = training.predict(run, test, rotations=ORIENTATIONS)
        scores = training.evaluate(run, parts=["test"], rotations=ORIENTATIONS).scores["test"]
    with clock("Fit its rivals to the same molecules"):
        scores += rivals_of(config, test)
        console.print(_score_table(scores, settings.unit))
    with clock("Turn grids back into atoms"):
        inverted = invert(test[: settings.num_inverted], config.element_channels())
        console.print(_inversion_table(inverted))
    with clock("Write the report"):
        path = settings.output / "report.html"
        _write(path, settings, run, test, predicted, scores, inverted, clock.seconds)
    console.print(f"{clock.total():.0f} s in all. Report: {path.resolve()}", soft_wrap=True)
    return path


def training_config(settings: Settings) -> training.Config:
    """The quick recipe with these settings.

    Raises:
      ValueError: if it is not said what to learn.
    """
    if settings.data is not None and settings.label is None:
        raise ValueError(f"--label: name the property of {settings.data} that is to be learned")
    return dataclasses.replace(
        training.QUICK,
        data="sample" if settings.data is None else str(settings.data),
        label=settings.label,
        splits="official" if settings.data is None else "0.8,0.1,0.1",
        unit=settings.unit,
        epochs=settings.epochs,
        max_minutes=settings.max_minutes,
        seed=settings.seed,
    )


def rivals_of(config: training.Config, test: Molecules) -> list[training.Score]:
    """The errors of models that see no grids: those of `pg_tf.training.rivals` that can be fitted here."""
    assert test.labels is not None, "load_part refuses data without labels"
    train, validation = (training.load_part(config, part) for part in ("train", "validation"))
    scores = []
    for name, rival in RIVALS.items():
        # No SMILES to read bonds from, or DScribe is not installed.
        with contextlib.suppress(ValueError, ImportError):
            scores.append(training.Score.of(name, rival(train, validation, test), test.labels))
    return scores


def invert(molecules: Molecules, channels: ElementChannels) -> list[Inverted]:
    """Makes a 32^3 grid of each molecule, with a channel for each element, and finds the atoms again."""
    points = molecules.points(channels)
    to_grid = Voxelizer(num_channels=channels.num_channels, grid_shape=32, sigma=0.4, return_box=True)
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


def _score_table(scores: list[training.Score], unit: str) -> Table:
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
    run: training.Run,
    test: Molecules,
    predicted: npt.NDArray[np.float32],
    scores: list[training.Score],
    inverted: list[Inverted],
    seconds: dict[str, float],
) -> None:
    assert test.labels is not None, "load_part refuses data without labels"
    channels = run.config().element_channels()
    best, *baselines = scores
    shown = inverted[0]
    numbers, coords = shown.molecule.atomic_numbers, shown.molecule.coords
    grid, box = Voxelizer(num_channels=channels.num_channels, sigma=0.4, return_box=True)(
        shown.molecule.points(channels)[0]
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
        f"{run.data()['train']} molecules of {source}, {settings.label or 'HOMO-LUMO gap'}: test MAE {best.mae:.3f} "
        f"{settings.unit}; {exact} of {len(inverted)} molecules recovered from their grids to 0.001 Å.",
        [
            Section(
                "What was learned",
                [
                    "Errors on molecules that were not trained on, of the network and of models that see no grids, "
                    "fitted to the same molecules: their mean, element counts, bonds (fingerprints), distances."
                ],
                [["", f"MAE ({settings.unit})", f"MSE ({settings.unit}²)"], *([s.name, s.mae, s.mse] for s in scores)],
                [
                    (
                        "Mean absolute error, epoch by epoch.",
                        plot.learning_curve(
                            run.history(),
                            "mae",
                            unit=settings.unit,
                            references={baseline.name: baseline.mae for baseline in baselines},
                        ),
                    ),
                    (
                        "The molecules of the test set.",
                        plot.parity(test.labels, predicted, settings.unit, test.names),
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
                        plot.molecule_and_grid(numbers, coords, grid, list(box), channels.names),
                    ),
                ],
            ),
            Section(
                "Back to atoms",
                ["Seeds by persistent homology, then least squares by Levenberg-Marquardt; 32^3 grids, sigma 0.4 Å."],
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
