#!/usr/bin/env python3
"""From a grid back to its atoms, step by step: Fig. 2 of the ParticleGrid paper, in two and in three dimensions.

    .venv/bin/python examples/grid_to_atoms.py [--molecule 93] [--sigma 0.35] [--grid-size 32] [--output FOLDER]

The paper's algorithm in its plain form, for reading: the most persistent peaks of the density are seeds, as many as the
mass of the grid tells (Eq. 6), and descent by `tf.GradientTape` through the op moves them until their grid is the given
one (Eq. 7-16). For real work use `pg_tf.grid_to_coords`, which also mends missing and wrong seeds. Writes
grid_to_atoms.png, and grid_to_atoms.html with three-dimensional pictures that can be turned.
"""

import argparse
import dataclasses
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cripser
import keras
import matplotlib
import numpy as np
import tensorflow as tf

matplotlib.use("Agg")
from matplotlib import pyplot
from skimage.measure import marching_cubes

import pg_tf
from pg_tf import plot
from pg_tf.datasets import Molecules, load_sample
from pg_tf.elements import SYMBOLS
from pg_tf.report import Section, write_report

STEPS = 300


@dataclasses.dataclass(frozen=True)
class Peaks:
    """Peaks of a density, the most persistent first; heights are in the density's own unit.

    Attributes:
      voxels: `[P, 3]`.
      births: `[P]`, the height of the peak: going down, a new island emerges here.
      deaths: `[P]`, the height of the saddle where it merges into an island of a higher peak; 0 for the highest.
    """

    voxels: np.ndarray
    births: np.ndarray
    deaths: np.ndarray


@dataclasses.dataclass(frozen=True)
class Descent:
    """What the optimisation went through: coordinates `[steps + 1, A, 3]` (Å), losses `[steps + 1]`."""

    coords: np.ndarray
    losses: np.ndarray


def persistent_peaks(density: np.ndarray) -> Peaks:
    """Persistent homology of the superlevel sets, dimension 0; a plane `[nx, ny, 1]` is taken in two dimensions."""
    plane = density.shape[2] == 1
    pairs = cripser.computePH(np.ascontiguousarray(-(density[..., 0] if plane else density), np.float64), maxdim=0)
    births, deaths = -pairs[:, 1], np.maximum(-pairs[:, 2], 0)
    order = np.argsort(deaths - births, kind="stable")
    return Peaks(pairs[order, 3:6].astype(np.int64), births[order], deaths[order])


def descend(grid: tf.Tensor, seeds: np.ndarray, box: pg_tf.Box, sigma: float) -> Descent:
    """Minimises sum (G - G')^2 over the coordinates with Adam."""
    coords = tf.Variable(seeds, dtype=tf.float32)
    rate = keras.optimizers.schedules.ExponentialDecay(0.1 * sigma, STEPS, 1e-3)
    optimizer = keras.optimizers.Adam(rate, beta_2=0.99)
    path, losses = [coords.numpy()], []
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            found = pg_tf.voxelize(coords, grid_shape=grid.shape[1:], sigma=sigma, box=box)
            loss = tf.reduce_sum((grid - found) ** 2) / tf.reduce_sum(grid**2)
        optimizer.apply_gradients([(tape.gradient(loss, coords), coords)])
        path.append(coords.numpy())
        losses.append(float(loss))
    found = pg_tf.voxelize(coords, grid_shape=grid.shape[1:], sigma=sigma, box=box)
    losses.append(float(tf.reduce_sum((grid - found) ** 2) / tf.reduce_sum(grid**2)))
    return Descent(np.array(path), np.array(losses))


@dataclasses.dataclass(frozen=True)
class Inversion:
    """A grid, its peaks, the seeds taken from them, and where they went."""

    grid: np.ndarray  # [nx, ny, nz]
    peaks: Peaks
    seeds: np.ndarray  # [A, 3], Å
    descent: Descent


def invert(coords: np.ndarray, box: pg_tf.Box, shape: tuple[int, int, int], sigma: float) -> Inversion:
    """Makes a grid of one channel and finds its atoms again."""
    grid = pg_tf.voxelize(coords, grid_shape=shape, sigma=sigma, box=box)
    count = round(float(tf.reduce_sum(grid)))
    peaks = persistent_peaks(grid[0].numpy())
    seeds = np.asarray(box.origin) + (peaks.voxels[:count] + 0.5) * np.asarray(box.lengths) / shape
    return Inversion(grid[0].numpy(), peaks, seeds, descend(grid, seeds, box, sigma))


def flattened(molecule: Molecules) -> np.ndarray:
    """Coordinates along the principal axes, the flattest last, `[A, 3]`."""
    axes = pg_tf.principal_axes(molecule.coords)
    coords = molecule.coords @ axes.numpy().T
    return coords - coords.mean(axis=0)


def draw(path: Path, numbers: np.ndarray, coords: np.ndarray, box: pg_tf.Box, flat: Inversion, full: Inversion) -> None:
    """Two rows of three panels: the plane, then the space."""
    figure = pyplot.figure(figsize=(14, 8.2), layout="constrained")
    colours = [plot.ELEMENT_COLOURS.get(SYMBOLS[number], "#d67ab1") for number in numbers]
    low, lengths = np.asarray(box.origin), np.asarray(box.lengths)
    frame = (low[0], low[0] + lengths[0], low[1], low[1] + lengths[1])
    seen = np.stack([coords.min(axis=0) - 1, coords.max(axis=0) + 1], axis=1)
    count = len(flat.seeds)

    axes = figure.add_subplot(2, 3, 1, title="a  density in the plane, and its persistent peaks")
    axes.imshow(flat.grid[..., 0].T, origin="lower", extent=frame, cmap="viridis")
    axes.scatter(*flat.seeds[:, :2].T, marker="x", color="white", s=36, label=f"{count} seeds")
    axes.set(xlim=seen[0], ylim=seen[1], xlabel="x (Å)", ylabel="y (Å)")
    axes.legend(loc="upper right", fontsize=8)

    axes = figure.add_subplot(2, 3, 2, title="b  births and deaths of the peaks, going down")
    for found, marker, name in ((flat, "o", "plane"), (full, "^", "space")):
        top = found.peaks.births[0]
        births, deaths = found.peaks.births / top, found.peaks.deaths / top
        axes.scatter(births[:count], deaths[:count], marker=marker, s=30, alpha=0.7, label=f"seeds, {name}")
        rest = axes.scatter(births[count:], deaths[count:], marker=marker, s=12, color="grey")
        rest.set_label(f"not taken, {name}" if len(births) > count else "")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.set(xlabel="birth / highest peak", ylabel="death / highest peak", aspect="equal")
    axes.legend(loc="upper left", fontsize=8)

    axes = figure.add_subplot(2, 3, 3, title="c  the seeds on their way to the atoms")
    centres = [low[d] + (np.arange(n) + 0.5) * lengths[d] / n for d, n in enumerate(flat.grid.shape[:2])]
    levels = np.linspace(0.05, 0.95, 8) * flat.grid.max()
    axes.contour(*centres, flat.grid[..., 0].T, levels=levels, colors="#c8d0d8", linewidths=0.8)
    axes.scatter(*coords[:, :2].T, s=160, c=colours, edgecolors="#66727f", linewidths=0.6, label="atoms", zorder=2.5)
    axes.scatter(*flat.seeds[:, :2].T, marker="x", color="#d55e00", s=30, linewidths=1, label="seeds", zorder=3)
    for track in np.moveaxis(flat.descent.coords, 1, 0):
        axes.plot(*track[:, :2].T, color="#0072b2", linewidth=1.2, zorder=3)
    axes.scatter(*flat.descent.coords[-1, :, :2].T, color="#0072b2", s=8, label="found", zorder=4)
    axes.set(aspect="equal", xlim=seen[0], ylim=seen[1], xlabel="x (Å)")
    axes.legend(loc="upper right", fontsize=8)

    for panel, title in ((4, "d  density in space, and its persistent peaks"), (5, "e  the seeds on their way")):
        space = figure.add_subplot(2, 3, panel, projection="3d", title=title)
        level = 0.25 * full.grid.max()
        spacing = lengths / full.grid.shape
        vertices, faces, _, _ = marching_cubes(np.pad(full.grid, 1), level, spacing=tuple(spacing))
        vertices += low - 0.5 * spacing
        space.plot_trisurf(*vertices.T, triangles=faces, color="#56b4e9", alpha=0.12, linewidth=0)
        space.scatter(*full.seeds.T, marker="x", color="#d55e00", s=25, depthshade=False)
        if panel == 5:
            for track in np.moveaxis(full.descent.coords, 1, 0):
                space.plot(*track.T, color="#0072b2", linewidth=1.2)
            space.scatter(*coords.T, c=colours, edgecolors="#66727f", s=50, depthshade=False)
        space.set(xlim=seen[0], ylim=seen[1], zlim=seen[2])
        space.set_box_aspect(np.ptp(seen, axis=1), zoom=1.5)
        space.view_init(elev=50, azim=-80)
        space.set_axis_off()

    axes = figure.add_subplot(2, 3, 6, title="f  loss and largest error")
    for found, style, name in ((flat, "--", "plane"), (full, "-", "space")):
        errors = [largest_error(coords, step, 2 if found is flat else 3) for step in found.descent.coords]
        axes.semilogy(found.descent.losses, style, color="#0072b2", label=f"loss, {name}")
        axes.semilogy(errors, style, color="#d55e00", label=f"largest error, {name} (Å)")
    axes.set(xlabel="step")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)


def largest_error(coords: np.ndarray, found: np.ndarray, dimensions: int) -> float:
    """Å; in the plane, what the density says nothing about is left out."""
    flat = np.zeros((2, len(coords), 4))
    flat[0, :, 1 : 1 + dimensions] = coords[:, :dimensions]
    flat = [flat[0], np.zeros((len(found), 4))]
    flat[1][:, 1 : 1 + dimensions] = found[:, :dimensions]
    return pg_tf.metrics.match_points(*flat).largest_error


def main() -> None:
    """Inverts, draws, and prints what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecule", type=int, default=93, help="of the sample's test part; a flat one is best")
    parser.add_argument("--sigma", type=float, default=0.35, help="standard deviation of an atom's Gaussian, Å")
    parser.add_argument("--grid-size", type=int, default=32, help="voxels along each side")
    parser.add_argument("--output", type=Path, default=Path("runs/grid_to_atoms"))
    options = parser.parse_args()

    molecule = load_sample("test")[options.molecule : options.molecule + 1]
    coords = flattened(molecule)
    box = pg_tf.Box(*(part.numpy() for part in pg_tf.bounding_box(coords)[:2]))
    side = options.grid_size
    flat = invert(coords, box, (side, side, 1), options.sigma)
    full = invert(coords, box, (side,) * 3, options.sigma)
    for name, found, dimensions in (("plane", flat, 2), ("space", full, 3)):
        print(
            f"{name}: {len(coords)} atoms, {len(found.peaks.births)} peaks, {len(found.seeds)} seeds, largest error "
            f"{largest_error(coords, found.seeds, dimensions):.3f} Å at the seeds and "
            f"{largest_error(coords, found.descent.coords[-1], dimensions):.1e} Å at the end"
        )
    options.output.mkdir(parents=True, exist_ok=True)
    draw(options.output / "grid_to_atoms.png", molecule.atomic_numbers, coords, box, flat, full)
    numbers = molecule.atomic_numbers
    write_report(
        options.output / "grid_to_atoms.html",
        "From a grid to its atoms",
        f"{molecule.names[0]}, one channel, {side}^3 voxels, sigma {options.sigma} Å.",
        [
            Section(
                "In space",
                figures=[
                    ("The density.", plot.molecule_and_grid(numbers, coords, full.grid, box, ["density"])),
                    ("The seeds.", plot.inversion(numbers, coords, full.seeds)),
                    ("Where they went.", plot.inversion(numbers, coords, full.descent.coords[-1])),
                ],
            )
        ],
    )
    print(f"wrote {options.output}/grid_to_atoms.png and .html")


if __name__ == "__main__":
    main()
