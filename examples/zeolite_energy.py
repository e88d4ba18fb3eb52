#!/usr/bin/env python3
"""A gas in a zeolite: its energy grid, where it sits, and how strongly it adsorbs at low pressure.

    python examples/zeolite_energy.py                                   # methane in silicalite
    python examples/zeolite_energy.py LTA.cif --probe Xe --temperature 350 --force-field UFF

The crystal is a CIF or any other file with a cell that pg_tf.structures reads.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
import typer

import pg_tf
from pg_tf import adsorption, force_fields, plot

SILICALITE = Path(__file__).with_name("silicalite.cif")
FORCE_FIELDS = {"TraPPE-zeo": force_fields.TRAPPE_ZEO, "UFF": force_fields.UFF}
PICTURE_VOXEL = 0.4  # Å
LARGEST_PICTURE = 24.0  # Å


def main(
    crystal: Annotated[Path, typer.Argument(help="a file with the crystal")] = SILICALITE,
    probe: Annotated[str, typer.Option(help=", ".join(force_fields.PROBES))] = "CH4",
    temperature: Annotated[float, typer.Option(help="K")] = 300.0,
    force_field: Annotated[str, typer.Option(help=" or ".join(FORCE_FIELDS))] = "TraPPE-zeo",
    voxel: Annotated[float, typer.Option(help="Å")] = 0.2,
    picture: Annotated[Path, typer.Option(help="where the picture goes, .html")] = Path("zeolite_energy.html"),
) -> None:
    """Prints the Henry coefficient, heat and void fraction of a zeolite, and draws where the gas sits in it."""
    structure = pg_tf.structures.read_structure(crystal)
    if structure.cell is None:
        raise typer.BadParameter(f"{crystal} has no cell")
    shape = tuple(int(np.ceil(length / voxel)) for length in np.linalg.norm(structure.cell, axis=1))
    options: dict[str, Any] = {"force_field": FORCE_FIELDS[force_field], "cutoff": 12.0, "shift": True}
    energy = pg_tf.lennard_jones(**structure.atoms(), **options, probe=probe, grid_shape=shape)
    helium = pg_tf.lennard_jones(**structure.atoms(), **options, probe="He", grid_shape=shape)
    henry = adsorption.henry_coefficient(energy, temperature, volume=structure.volume, mass=structure.mass)
    print(f"{structure.name}: {structure.formula}, {structure.volume:.1f} Å^3, {' x '.join(map(str, shape))} voxels")
    print(f"energy of {probe} from {float(tf.reduce_min(energy)):.0f} K; {force_field}, {options['cutoff']} Å, shifted")
    print(f"Henry coefficient at {temperature:g} K   {float(henry):.4g} mol/(kg Pa)")
    print(f"heat of adsorption            {float(adsorption.isosteric_heat(energy, temperature)):.2f} kJ/mol")
    print(f"helium void fraction          {float(adsorption.void_fraction(helium)):.3f}")
    draw(structure, options, probe, temperature).write_html(picture, include_plotlyjs=True)
    print(f"{picture}: the atoms, and a surface around the places where a molecule of {probe} is most likely")


def draw(structure: pg_tf.structures.Structure, options: dict[str, Any], probe: str, temperature: float) -> Any:
    """Atoms and the density of the gas in an orthogonal window, whatever the shape of the cell."""
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(-1, 3) @ structure.cell
    lengths = np.minimum(np.ptp(corners, axis=0), LARGEST_PICTURE)
    box = pg_tf.Box(corners.min(axis=0), lengths)
    shape = tuple(int(n) for n in np.ceil(lengths / PICTURE_VOXEL))
    energy = pg_tf.lennard_jones(**structure.atoms(), **options, probe=probe, grid_shape=shape, box=box)
    density = tf.exp(-(energy - tf.reduce_min(energy)) / temperature)
    # All images of the atoms that lie in the window.
    shifts = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3), -1).reshape(-1, 3) @ structure.cell
    images = (structure.coords + shifts[:, None]).reshape(-1, 3)
    seen = ((images >= box.origin) & (images <= box.origin + lengths)).all(axis=1)
    numbers = np.tile(structure.atomic_numbers, len(shifts))[seen]
    return plot.molecule_and_grid(numbers, images[seen], density.numpy(), box, [probe], level=0.1, max_side=max(shape))


if __name__ == "__main__":
    typer.run(main)
