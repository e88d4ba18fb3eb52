"""Molecules, their grids, and the atoms found in a grid, in 3D."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from pg_tf.elements import SYMBOLS
from pg_tf.metrics import pair_atoms
from pg_tf.plot import scenes
from pg_tf.plot.style import PALETTE


def molecule(atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike) -> go.Figure:
    """A molecule as balls and sticks.

    Args:
      atomic_numbers: `[A]`, or element symbols. Atomic number 0 is padding and left out.
      coords: `[A, 3]`, Å.

    Returns:
      A figure with one trace an element.

    Raises:
      ValueError: if the shapes do not fit or there is no such element.
    """
    numbers, xyz = scenes.checked_atoms(atomic_numbers, coords)
    return scenes.scene(scenes.atoms(numbers, xyz), xyz)


def grid(
    grid: npt.ArrayLike,
    box: Sequence[npt.ArrayLike],
    names: Sequence[str] = (),
    *,
    level: float = 0.25,
    max_side: int = 64,
) -> go.Figure:
    """A grid inside the outline of its box: for each channel one surface of equal density.

    Args:
      grid: `[C, nx, ny, nz]` or `[nx, ny, nz]`.
      box: `pg_tf.Box`, or a pair of its origin and lengths, each `[3]`, Å. A rotated box is drawn along its own
        axes.
      names: C names of channels. One that begins with an element's symbol has that element's colour.
      level: where the surface is, as a share of the channel's largest voxel.
      max_side: a grid with more voxels along an axis is averaged over blocks, to keep the picture small; one with
        less than half as many is interpolated (cubic splines), to keep it smooth.

    Returns:
      A figure with one trace a channel that has any density, and one for the box.

    Raises:
      ValueError: if the shapes do not fit or level is not between 0 and 1.
    """
    origin, lengths, _ = scenes.checked_box(box)
    surfaces = scenes.surfaces(grid, origin, lengths, names, level, max_side)
    seen = np.concatenate([np.zeros((0, 3)), *(np.stack([t.x, t.y, t.z], -1) for t in surfaces)])
    return scenes.scene([*surfaces, scenes.outline(origin, lengths)], seen)


def molecule_and_grid(
    atomic_numbers: npt.ArrayLike,
    coords: npt.ArrayLike,
    grid: npt.ArrayLike,
    box: Sequence[npt.ArrayLike],
    names: Sequence[str] = (),
    *,
    level: float = 0.25,
    max_side: int = 64,
) -> go.Figure:
    """A molecule inside its grid. Arguments as in `molecule` and `grid`."""
    numbers, xyz = scenes.checked_atoms(atomic_numbers, coords)
    origin, lengths, rotation = scenes.checked_box(box)
    xyz = origin + (xyz - origin) @ rotation.T
    atoms = scenes.atoms(numbers, xyz)
    for trace in atoms:
        trace.showlegend = False
    surfaces = scenes.surfaces(grid, origin, lengths, names, level, max_side)
    return scenes.scene([*atoms, *surfaces, scenes.outline(origin, lengths)], xyz)


def inversion(
    atomic_numbers: npt.ArrayLike,
    coords: npt.ArrayLike,
    found_coords: npt.ArrayLike,
) -> go.Figure:
    """A molecule, and the atoms found in its grid as crosses.

    Args:
      atomic_numbers: `[A]` of the molecule, or element symbols.
      coords: `[A, 3]` of the molecule, Å.
      found_coords: `[F, 3]`, Å. Paired with the atoms by `pg_tf.metrics.pair_atoms`; the pointer shows the distance.

    Returns:
      A figure with the molecule and the crosses; those beyond the number of atoms have another colour, and atoms
      that nothing was found for are ringed.

    Raises:
      ValueError: if the shapes do not fit or there is no such element.
    """
    numbers, xyz = scenes.checked_atoms(atomic_numbers, coords)
    found = np.asarray(found_coords, np.float64)
    if found.ndim != 2 or found.shape[1] != 3:
        raise ValueError(f"found_coords: shape must be [F, 3], got {list(found.shape)}")
    atoms, partners, distances = pair_atoms(xyz, found)
    missed = np.setdiff1d(np.arange(len(xyz)), atoms)
    spurious = np.setdiff1d(np.arange(len(found)), partners)
    notes = [f"{SYMBOLS[numbers[a]]}, atom {a}: {d:.2g} Å off" for a, d in zip(atoms, distances, strict=True)]
    traces = scenes.atoms(numbers, xyz)
    for trace in traces:
        trace.opacity = 0.4
    if len(partners):
        traces.append(scenes.crosses(found[partners], notes, "found", PALETTE[1]))
    if len(spurious):
        traces.append(scenes.crosses(found[spurious], ["no atom here"] * len(spurious), "found in excess", PALETTE[3]))
    if len(missed):
        texts = [f"{SYMBOLS[numbers[a]]}, atom {a}: not found" for a in missed]
        rings = go.Scatter3d(
            **scenes.columns(xyz[missed]),
            mode="markers",
            name="missed",
            marker={"symbol": "circle-open", "size": 18, "color": PALETTE[0]},
            text=texts,
            hovertemplate="%{text}<extra></extra>",
        )
        traces.append(rings)
    return scenes.scene(traces, xyz)
