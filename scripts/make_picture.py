#!/usr/bin/env python3
"""Makes docs/molecule_and_grid.png, the picture of the README."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

import pg_tf
from pg_tf.datasets import load_sample
from pg_tf.elements import ORGANIC, SYMBOLS
from pg_tf.plot import ELEMENT_COLOURS, meshes

MOLECULE = 382
SIDE = 48


def main() -> None:
    """Draws the molecule with its grid's surfaces, and the grid seen along its shortest axis."""
    molecule = load_sample()[MOLECULE]
    coords = molecule.coords @ pg_tf.principal_axes(molecule.coords).numpy().T
    channels = ORGANIC.channels(molecule.atomic_numbers)
    grid, box = pg_tf.voxelize(
        coords, channels, num_channels=ORGANIC.num_channels, grid_shape=SIDE, sigma=0.4, return_box=True
    )
    origin, lengths = box.origin.numpy(), box.lengths.numpy()

    figure = plt.figure(figsize=(11, 5), layout="constrained")
    axes = figure.add_subplot(1, 2, 1, projection="3d", computed_zorder=False)
    for name, density in zip(ORGANIC.names, grid.numpy(), strict=True):
        if density.max() > 0:
            mesh = meshes.isosurface(density, 0.25 * density.max())
            corners = (origin + (mesh.vertices + 0.5) * lengths / SIDE)[mesh.faces]
            axes.add_collection3d(
                Poly3DCollection(corners, facecolors=ELEMENT_COLOURS[name], shade=True, alpha=0.45, linewidths=0)
            )
    for number, centre in zip(molecule.atomic_numbers, coords, strict=True):
        ball = meshes.sphere()
        corners = (centre + 0.22 * ball.vertices)[ball.faces]
        axes.add_collection3d(Poly3DCollection(corners, facecolors=ELEMENT_COLOURS[SYMBOLS[number]], shade=True))
    half = np.ptp(coords, axis=0).max() / 2 + 0.8
    middle = (coords.min(axis=0) + coords.max(axis=0)) / 2
    axes.set(**{f"{d}lim": (middle[i] - half, middle[i] + half) for i, d in enumerate("xyz")})
    axes.set_box_aspect((1, 1, 1), zoom=1.3)
    axes.view_init(elev=62, azim=-75)
    axes.set_axis_off()

    axes = figure.add_subplot(1, 2, 2)
    projected = grid.numpy().sum(axis=(0, 3)).T
    extent = (origin[0], origin[0] + lengths[0], origin[1], origin[1] + lengths[1])
    image = axes.imshow(projected, origin="lower", extent=extent, cmap="viridis")
    axes.set(xlabel="x (Å)", ylabel="y (Å)")
    figure.colorbar(image, ax=axes, label=f"atoms per column of voxels; {projected.sum():.3f} in all", shrink=0.85)
    target = Path(__file__).parent.parent / "docs" / "molecule_and_grid.png"
    figure.savefig(target, dpi=110)
    print(f"{target}: {molecule.names[0]}, {len(coords)} atoms")


if __name__ == "__main__":
    main()
