#!/usr/bin/env python3
"""A surface: periodic in two directions and open in the third. Density of a platinum (111) slab, and what xenon feels.

    python examples/slab.py [--voxel 0.2] [--output slab.png]

The cell is hexagonal: voxels lie along its vectors, and the images of the atoms are summed in the plane only. The
energy is that of UFF's Lennard-Jones terms, which leave out a metal's electrons: it shows where xenon sits, not how
strongly it is bound. Needs ASE: pip install 'pg_tf[crystals]'.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import ase.build
import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

import pg_tf
from pg_tf.structures import Structure, from_ase

VACUUM = 8.0  # Å above and below
CUTOFF = 12.0  # Å


def slab() -> Structure:
    """Four layers of Pt(111), 2 x 2 cells, in the middle of the cell."""
    return from_ase(ase.build.fcc111("Pt", (2, 2, 4), a=3.92, vacuum=VACUUM), name="Pt(111)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxel", type=float, default=0.2, help="size of a voxel, Å (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("slab.png"), help="the picture")
    arguments = parser.parse_args()
    surface = slab()
    shape = tuple(int(n) for n in np.ceil(np.linalg.norm(surface.cell, axis=1) / arguments.voxel))
    options = {"cell": surface.cell, "periodic": surface.periodic, "grid_shape": shape}
    density = pg_tf.voxelize(surface.coords, sigma=0.5, **options).numpy()[0]
    energy = pg_tf.lennard_jones(**surface.atoms(), probe="Xe", grid_shape=shape, cutoff=CUTOFF).numpy()
    print(f"{surface!r}, {' x '.join(map(str, shape))} voxels")
    print(f"atoms in the grid {density.sum():.4f} of {len(surface)}")
    # Above the slab only: below it is the other side, and the mirror image.
    heights = (np.arange(shape[2]) + 0.5) / shape[2] * surface.cell[2, 2] - surface.coords[:, 2].max()
    above = energy[:, :, heights > 0]
    wells, deepest = above.min(axis=2), heights[heights > 0][above.argmin(axis=2)]
    best = np.unravel_index(wells.argmin(), wells.shape)
    print(
        f"deepest well {wells.min():.0f} K, {deepest[best]:.2f} Å above the top layer; shallowest {wells.max():.0f} K"
    )
    print(f"corrugation {np.ptp(wells):.0f} K; the height differs by {np.ptp(deepest):.2f} Å")
    draw(surface, density, energy, wells, heights, arguments.output)
    print(arguments.output)


def draw(
    surface: Structure,
    density: np.ndarray,
    energy: np.ndarray,
    wells: np.ndarray,
    heights: np.ndarray,
    path: Path,
) -> None:
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    volume = surface.volume / density.size
    left.plot(heights, density.sum(axis=(0, 1)) / (volume * density.shape[0] * density.shape[1]), color="#4477aa")
    left.set_xlabel("height above the top layer, Å")
    left.set_ylabel("atoms per Å$^3$, averaged over the plane")
    left.set_title("density, sigma 0.5 Å")
    # The map is repeated to show that it joins up: voxels along oblique vectors, drawn where they are.
    tiled = np.tile(wells, (2, 2))
    i, j = np.meshgrid(*(np.arange(2 * n + 1) / n for n in wells.shape), indexing="ij")
    places = i[..., None] * surface.cell[0, :2] + j[..., None] * surface.cell[1, :2]
    picture = middle.pcolormesh(places[..., 0], places[..., 1], tiled, cmap="viridis")
    layers = np.round(surface.coords[:, 2], 3)
    for depth, marker in zip(np.unique(layers)[::-1][:3], ("o", "^", "v"), strict=False):
        atoms = surface.coords[layers == depth, :2]
        shifts = np.array([[m, n] for m in range(2) for n in range(2)]) @ surface.cell[:2, :2]
        images = (atoms[:, None] + shifts).reshape(-1, 2)
        label = f"{depth - layers.max():.2f} Å"
        middle.scatter(*images.T, marker=marker, s=26, facecolors="none", edgecolors="white", label=label)
    middle.set_aspect("equal")
    middle.set_xlabel("x, Å")
    middle.set_ylabel("y, Å")
    middle.set_title("depth of xenon's well, and layers of atoms")
    middle.legend(fontsize=7, loc="lower right", facecolor="#555555", labelcolor="white")
    figure.colorbar(picture, ax=middle, label="K")
    # Over the deepest place and over the shallowest, an atom of the top layer.
    for place, label in ((wells.argmin(), "over the deepest place"), (wells.argmax(), "over the shallowest")):
        column = energy[np.unravel_index(place, wells.shape)]
        right.plot(heights, np.minimum(column, 2000), label=label)
    right.axhline(0, color="#999999", linewidth=0.8)
    right.set_xlim(0, heights.max())
    right.set_ylim(1.1 * wells.min(), 1500)
    right.set_xlabel("height above the top layer, Å")
    right.set_ylabel("energy of xenon, K")
    right.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
