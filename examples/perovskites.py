#!/usr/bin/env python3
"""A series of cubic perovskites ABX3: density grids on their cells, all of one shape, whatever the size of the cell.

    python examples/perovskites.py [--grid-size 48] [--output perovskites.png]

An atom's weight is its atomic number, so that a grid sums to the number of electrons. Their shape is not real: all
atoms are Gaussians of the same width. Two planes through each cell are drawn, the one with A and X (z = 0) and that
with B and X (z = 1/2).
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

import pg_tf
from pg_tf.elements import SYMBOLS
from pg_tf.structures import Structure

# Lattice constants of the cubic phases, Å, to the 0.01 Å that samples and measurements differ by. KMgF3: Mitchell,
# Cranswick, Swainson, Phys. Chem. Miner. 33, 587 (2006); the others as compiled by Jiang et al., J. Phys. Chem. Solids
# 67, 1531 (2006), doi:10.1016/j.jpcs.2006.02.004. CsPbBr3 is cubic above 130 °C.
SERIES = {
    "SrTiO3": ("Sr", "Ti", "O", 3.91),
    "KTaO3": ("K", "Ta", "O", 3.99),
    "KMgF3": ("K", "Mg", "F", 3.99),
    "KZnF3": ("K", "Zn", "F", 4.06),
    "BaZrO3": ("Ba", "Zr", "O", 4.19),
    "CsPbBr3": ("Cs", "Pb", "Br", 5.87),
}
# Pm-3m, A on 1a, B on 1b, X on 3c.
SITES = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
SIGMA = 0.35  # Å


def perovskite(a_site: str, b_site: str, anion: str, length: float, name: str = "") -> Structure:
    """The cubic cell of ABX3."""
    numbers = np.array([SYMBOLS.index(symbol) for symbol in (a_site, b_site, anion, anion, anion)])
    return Structure(numbers, SITES * length, length * np.eye(3), name=name)


def electrons(structure: Structure, size: int) -> np.ndarray:
    """Electrons per Å^3 on the cell, `[size, size, size]`."""
    grid = pg_tf.voxelize(
        structure.coords, weights=structure.atomic_numbers, cell=structure.cell, grid_shape=size, sigma=SIGMA
    )
    return grid.numpy()[0] * size**3 / structure.volume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid-size", type=int, default=48, help="voxels a side (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("perovskites.png"), help="the picture")
    arguments = parser.parse_args()
    crystals = [perovskite(*sites, name=name) for name, sites in SERIES.items()]
    densities = [electrons(crystal, arguments.grid_size) for crystal in crystals]
    print("             a, Å   voxel, Å   electrons: counted, in the grid   A-X, Å   B-X, Å")
    for crystal, density in zip(crystals, densities, strict=True):
        length = crystal.volume ** (1 / 3)
        print(
            f"{crystal.name:10s} {length:6.2f} {length / arguments.grid_size:10.3f} {crystal.atomic_numbers.sum():20d}"
            f" {density.mean() * crystal.volume:13.3f} {length / np.sqrt(2):8.2f} {length / 2:8.2f}"
        )
    draw(crystals, densities, arguments.output)
    print(arguments.output)


def draw(crystals: list[Structure], densities: list[np.ndarray], path: Path) -> None:
    longest = max(crystal.volume ** (1 / 3) for crystal in crystals)
    figure, axes = pyplot.subplots(2, len(crystals), figsize=(2.1 * len(crystals), 4.8), layout="constrained")
    for column, (crystal, density) in enumerate(zip(crystals, densities, strict=True)):
        length, size = crystal.volume ** (1 / 3), len(density)
        # Faces and edges hold half of the atoms: shown with the cell moved by a quarter, so that none is cut in two.
        half = size // 2
        for row, plane in enumerate((0, half)):
            shown = np.roll(density[:, :, plane], (half // 2, half // 2), axis=(0, 1))
            picture = axes[row, column].imshow(
                np.log10(np.maximum(shown.T, 1e-2)),
                origin="lower",
                extent=(-length / 4, 3 * length / 4) * 2,
                vmin=-2,
                vmax=2.2,
                cmap="magma",
                interpolation="nearest",
            )
            # All to one scale.
            axes[row, column].set_xlim(length / 4 - longest / 2, length / 4 + longest / 2)
            axes[row, column].set_ylim(length / 4 - longest / 2, length / 4 + longest / 2)
            axes[row, column].set_axis_off()
        axes[0, column].set_title(f"{crystal.name}\n{length:.2f} Å", fontsize=10)
    for row, label in enumerate(("z = 0: A and X", "z = ½: B and X")):
        axes[row, 0].text(-0.08, 0.5, label, rotation=90, va="center", ha="right", transform=axes[row, 0].transAxes)
    figure.colorbar(picture, ax=axes, label="log10 of electrons per Å$^3$", shrink=0.8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
