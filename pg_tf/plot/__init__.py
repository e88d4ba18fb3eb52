"""Pictures of molecules, grids and results: every function returns a plotly figure."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from pg_tf.elements import SYMBOLS
from pg_tf.metrics import pair_atoms
from pg_tf.plot import scenes
from pg_tf.plot.scenes import ELEMENT_COLOURS, FONT, INK, MUTED, PALETTE, RULE

__all__ = [
    "ELEMENT_COLOURS",
    "FONT",
    "INK",
    "MUTED",
    "PALETTE",
    "RULE",
    "cumulative",
    "grid",
    "inversion",
    "learning_curve",
    "molecule",
    "molecule_and_grid",
    "parity",
]

_METRICS = {"loss": "Loss", "mae": "Mean absolute error", "mse": "Mean squared error"}


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
    """A grid as one surface of equal density a channel, inside the outline of its box.

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


def learning_curve(
    history: Mapping[str, Sequence[float]],
    metric: str = "loss",
    *,
    unit: str = "",
    references: Mapping[str, float] | None = None,
) -> go.Figure:
    """Training and validation over the epochs.

    Args:
      history: `keras.callbacks.History.history`: a list of one number an epoch for `metric` and, if there was
        validation data, for `"val_" + metric`.
      metric: which entry of `history` to show.
      unit: unit of the metric, for the axis.
      references: values to compare with, by name, drawn as horizontal lines.

    Raises:
      ValueError: if `history` has no such metric.
    """
    if metric not in history:
        raise ValueError(f"metric: {metric!r} is not in the history, which has {', '.join(history)}")
    figure = _chart("Epoch", f"{_METRICS.get(metric, metric)}{f' ({unit})' if unit else ''}")
    for key, name, colour in ((metric, "training", PALETTE[1]), ("val_" + metric, "validation", PALETTE[0])):
        if key in history:
            values = np.asarray(history[key], np.float32)
            figure.add_scatter(
                x=np.arange(1, len(values) + 1),
                y=values,
                name=name,
                mode="lines+markers",
                line={"color": colour, "width": 2.5},
                hovertemplate=f"epoch %{{x}}: %{{y:.3f}}<extra>{name}</extra>",
            )
    for name, value in (references or {}).items():
        figure.add_hline(
            value,
            line={"color": MUTED, "width": 1.2, "dash": "dash"},
            annotation={"text": html.escape(name), "font": {"size": 12, "color": MUTED}, "yshift": -1},
            annotation_position="top right",
        )
    figure.update_yaxes(rangemode="tozero")
    return figure


def parity(true: npt.ArrayLike, predicted: npt.ArrayLike, unit: str = "eV", names: Sequence[str] = ()) -> go.Figure:
    """Predicted against true values; a perfect model is on the diagonal.

    Args:
      true, predicted: `[B]`, in `unit`.
      unit: unit of both.
      names: B names to show beside the pointer.

    Raises:
      ValueError: if the shapes do not fit or there is no value.
    """
    x, y = (np.asarray(values, np.float32) for values in (true, predicted))
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        raise ValueError(
            f"true and predicted must have the same shape [B], B > 0; got {list(x.shape)} and {list(y.shape)}"
        )
    if names and len(names) != len(x):
        raise ValueError(f"names: there must be {len(x)}, got {len(names)}")
    figure = _chart(f"True ({unit})", f"Predicted ({unit})")
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    ends = [low - 0.04 * (high - low), high + 0.04 * (high - low)]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": MUTED, "width": 1.2, "dash": "dash"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        marker={"color": PALETTE[0], "size": 7, "opacity": 0.55},
        text=[html.escape(name) for name in names] or None,
        hovertemplate=f"true %{{x:.2f}} {unit}<br>predicted %{{y:.2f}} {unit}<extra>%{{text}}</extra>",
    )
    error = np.abs(x - y).mean()
    figure.add_annotation(
        text=f"mean absolute error {error:.3f} {unit}",
        xref="x domain",
        yref="y domain",
        x=0.03,
        y=0.97,
        showarrow=False,
        font={"size": 13, "color": INK},
        bgcolor="rgba(255,255,255,0.8)",
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=ends, constrain="domain")
    figure.update_yaxes(range=ends, scaleanchor="x", constrain="domain")
    return figure


def cumulative(values: npt.ArrayLike, title: str) -> go.Figure:
    """The share of values that are at most x, over x: of molecular weights, as in the paper's Fig. 6.

    Args:
      values: `[B]`.
      title: of the axis: quantity and unit.

    Raises:
      ValueError: if there is no value.
    """
    x = np.sort(np.asarray(values, np.float32).ravel())
    if not x.size:
        raise ValueError("values: there are none")
    # A thousand points draw the same curve as a million.
    shares = np.linspace(0, 1, min(len(x), 1000))
    figure = _chart(title, "Share of the molecules")
    figure.add_scatter(
        x=np.quantile(x, shares, method="inverted_cdf"),
        y=shares,
        mode="lines",
        line={"color": PALETTE[0], "width": 2.5},
        hovertemplate="%{y:.1%} are at most %{x:.4g}<extra></extra>",
    )
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return figure


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


def _chart(x: str, y: str) -> go.Figure:
    axis = {
        "gridcolor": RULE,
        "zeroline": False,
        "linecolor": "#b8c1cb",
        "ticks": "outside",
        "tickcolor": "#b8c1cb",
        "title": {"standoff": 10},
    }
    figure = go.Figure()
    figure.update_layout(
        template="none",
        font={"family": FONT, "size": 14, "color": INK},
        margin={"l": 64, "r": 20, "t": 40, "b": 54},
        height=400,
        hoverlabel={"font": {"family": FONT}},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )
    figure.update_xaxes(**axis, title_text=html.escape(x))
    figure.update_yaxes(**axis, title_text=html.escape(y))
    return figure
