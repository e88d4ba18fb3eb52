"""Pictures of molecules, grids and results: every function returns a plotly figure."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from rdkit import Chem
from scipy.spatial import KDTree

from pg_tf import _meshes
from pg_tf.elements import SYMBOLS, atomic_number
from pg_tf.metrics import pair_atoms

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK, MUTED, RULE = "#1f2933", "#66727f", "#e4e8ec"
# Okabe and Ito's colours, which the colour-blind can tell apart: https://jfly.uni-koeln.de/color
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f")
# After Corey, Pauling and Koltun, a little muted; the rest of the elements are pink, as is the custom.
ELEMENT_COLOURS = {
    "H": "#d9dde1", "B": "#f2a58e", "C": "#4a4f57", "N": "#3657d6", "O": "#d8322b", "F": "#6fb944",
    "Si": "#c9a86a", "P": "#e8862e", "S": "#e3c02c", "Cl": "#22a33a", "Br": "#9b3524", "I": "#7b2fa0",
}  # fmt: skip
OTHER_COLOUR = "#d67ab1"

_LIGHT = {
    "lighting": {"ambient": 0.62, "diffuse": 0.6, "specular": 0.22, "roughness": 0.45, "fresnel": 0.08},
    "lightposition": {"x": 2000, "y": -1500, "z": 4000},
}


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
    return _scene(_atom_traces(*_atoms(atomic_numbers, coords)))


def grid(
    grid: npt.ArrayLike,
    box: Sequence[npt.ArrayLike],
    names: Sequence[str] = (),
    *,
    level: float = 0.25,
    max_side: int = 48,
) -> go.Figure:
    """A grid as one surface of equal density a channel, inside the outline of its box.

    Args:
      grid: `[C, nx, ny, nz]` or `[nx, ny, nz]`.
      box: `pg_tf.Box`, or a pair of its origin and lengths, each `[3]`, Å. A rotated box is drawn along its own axes.
      names: C names of channels. One that begins with an element's symbol has that element's colour.
      level: where the surface is, as a share of the channel's largest voxel.
      max_side: a grid with more voxels along an axis is averaged over blocks, to keep the picture small.

    Returns:
      A figure with one trace a channel that has any density, and one for the box.

    Raises:
      ValueError: if the shapes do not fit or level is not between 0 and 1.
    """
    origin, lengths, _ = _box(box)
    return _scene([*_grid_traces(grid, origin, lengths, names, level, max_side), _outline(origin, lengths)])


def molecule_and_grid(
    atomic_numbers: npt.ArrayLike,
    coords: npt.ArrayLike,
    grid: npt.ArrayLike,
    box: Sequence[npt.ArrayLike],
    names: Sequence[str] = (),
    *,
    level: float = 0.25,
    max_side: int = 48,
) -> go.Figure:
    """A molecule inside its grid. Arguments as in `molecule` and `grid`."""
    numbers, xyz = _atoms(atomic_numbers, coords)
    origin, lengths, rotation = _box(box)
    atoms = _atom_traces(numbers, origin + (xyz - origin) @ rotation.T)
    for trace in atoms:
        trace.showlegend = False
    surfaces = _grid_traces(grid, origin, lengths, names, level, max_side)
    return _scene([*atoms, *surfaces, _outline(origin, lengths)])


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
        xref="paper",
        yref="paper",
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


def inversion(
    atomic_numbers: npt.ArrayLike,
    coords: npt.ArrayLike,
    found_coords: npt.ArrayLike,
) -> go.Figure:
    """A molecule, and the atoms found in its grid as crosses.

    Args:
      atomic_numbers: `[A]` of the molecule, or element symbols.
      coords: `[A, 3]` of the molecule, Å.
      found_coords: `[F, 3]`, Å. Each is shown with its distance from the atom that it is paired with.

    Returns:
      A figure with the molecule and a trace for the found atoms; those beyond the number of atoms have another colour.
    """
    numbers, xyz = _atoms(atomic_numbers, coords)
    found = np.asarray(found_coords, np.float64).reshape(-1, 3)
    atoms, partners, distances = pair_atoms(xyz, found)
    traces = _atom_traces(numbers, xyz)
    for trace in traces:
        trace.opacity = 0.45
    spurious = np.setdiff1d(np.arange(len(found)), partners)
    notes = [f"{SYMBOLS[numbers[a]]} {a}: {d:.4f} Å off" for a, d in zip(atoms, distances, strict=True)]
    for rows, texts, name, colour in (
        (partners, notes, "found", PALETTE[1]),
        (spurious, ["no such atom"] * len(spurious), "found, but not there", PALETTE[3]),
    ):
        if len(rows):
            traces.append(
                go.Scatter3d(
                    **_columns(found[rows]),
                    mode="markers",
                    name=name,
                    marker={"symbol": "cross", "size": 9, "color": colour},
                    text=texts,
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    return _scene(traces)


_METRICS = {"loss": "Loss", "mae": "Mean absolute error", "mse": "Mean squared error"}


def _atoms(
    atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    given = np.asarray(atomic_numbers)
    if given.dtype.kind in "US":
        given = np.array([atomic_number(str(symbol)) for symbol in given])
    xyz = np.asarray(coords, np.float64)
    if given.ndim != 1 or xyz.shape != (len(given), 3):
        raise ValueError(
            f"coords: shape must be [A, 3] beside atomic_numbers [A]; got {list(xyz.shape)} and {list(given.shape)}"
        )
    return given[given > 0].astype(np.int64), xyz[given > 0]


def _box(box: Sequence[npt.ArrayLike]) -> tuple[npt.NDArray[np.float64], ...]:
    origin, lengths, *rest = (None if part is None else np.asarray(part, np.float64) for part in box)
    for name, part in (("origin", origin), ("lengths", lengths)):
        if part is None or part.shape != (3,):
            raise ValueError(
                f"box: its {name} must have shape [3], got {None if part is None else list(part.shape)}; "
                "give the box of one molecule"
            )
    rotation = rest[0] if rest and rest[0] is not None else np.eye(3)
    assert origin is not None
    assert lengths is not None
    return origin, lengths, rotation


def _atom_traces(numbers: npt.NDArray[np.int64], xyz: npt.NDArray[np.float64]) -> list[Any]:
    table = Chem.GetPeriodicTable()
    radius = np.array([table.GetRcovalent(int(number)) for number in numbers])
    # Bonded: closer than the sum of the covalent radii plus 0.45 Å, as in Open Babel.
    pairs = KDTree(xyz).query_pairs(2 * radius.max() + 0.45, output_type="ndarray") if len(xyz) else []
    ball = _meshes.sphere(2 if len(xyz) <= 200 else 1)
    parts = [
        [_meshes.Mesh(ball.vertices * (0.14 + 0.25 * r) + centre, ball.faces)]
        for r, centre in zip(radius, xyz, strict=True)
    ]
    for a, b in pairs:
        if 0.1 < np.linalg.norm(xyz[a] - xyz[b]) < radius[a] + radius[b] + 0.45:
            middle = (xyz[a] + xyz[b]) / 2
            parts[a].append(_meshes.stick(xyz[a], middle, 0.09))
            parts[b].append(_meshes.stick(xyz[b], middle, 0.09))
    traces = []
    for number in sorted(set(numbers.tolist()), key=lambda number: (number != 6, number)):
        members = np.flatnonzero(numbers == number)
        mesh = _meshes.joined([part for atom in members for part in parts[atom]])
        owner = np.concatenate([np.full(len(part.vertices), atom) for atom in members for part in parts[atom]])
        symbol = SYMBOLS[number]
        traces.append(
            _mesh_trace(
                mesh,
                name=symbol,
                color=ELEMENT_COLOURS.get(symbol, OTHER_COLOUR),
                customdata=_compact(owner),
                hovertemplate=f"{symbol}, atom %{{customdata}}<extra></extra>",
            )
        )
    return traces


def _grid_traces(
    grid: npt.ArrayLike,
    origin: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.float64],
    names: Sequence[str],
    level: float,
    max_side: int,
) -> list[Any]:
    values = np.asarray(grid, np.float64)
    if values.ndim == 3:
        values = values[None]
    if values.ndim != 4:
        raise ValueError(f"grid: shape must be [C, nx, ny, nz] or [nx, ny, nz], got {list(values.shape)}")
    if names and len(names) != len(values):
        raise ValueError(f"names: there must be one a channel, {len(values)}; got {len(names)}")
    if not 0 < level < 1:
        raise ValueError(f"level: must be between 0 and 1, got {level}")
    values, edges = _coarsened(values, max_side)
    traces = []
    for channel, density in enumerate(values):
        if not density.max() > 0:
            continue
        name = names[channel] if names else f"channel {channel}"
        symbol = name.split("+")[0]
        mesh = _meshes.isosurface(density, level * density.max())
        mesh = mesh._replace(vertices=origin + (mesh.vertices + 0.5) * edges * lengths)
        traces.append(
            _mesh_trace(
                mesh,
                name=html.escape(name),
                color=ELEMENT_COLOURS.get(symbol, PALETTE[channel % len(PALETTE)]),
                opacity=0.32,
                hoverinfo="skip",
            )
        )
    return traces


def _coarsened(
    values: npt.NDArray[np.float64], max_side: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """`values` averaged over blocks, and the size of a block as a share of the box, `[3]`."""
    shape = np.array(values.shape[1:])
    factor = -(-shape // max_side)
    values = np.pad(values, [(0, 0), *((0, int(extra)) for extra in -shape % factor)])
    nx, ny, nz = values.shape[1:] // factor
    blocks = values.reshape(-1, nx, factor[0], ny, factor[1], nz, factor[2])
    return blocks.mean(axis=(2, 4, 6)), factor / shape


def _outline(origin: npt.NDArray[np.float64], lengths: npt.NDArray[np.float64]) -> Any:
    """The twelve edges of the box, as one line broken by NaN."""
    corner = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    edges = [(a, b) for a in range(8) for b in range(a) if np.abs(corner[a] - corner[b]).sum() == 1]
    path = np.concatenate([[*(origin + corner[[a, b]] * lengths), [np.nan] * 3] for a, b in edges])
    size = " × ".join(f"{length:.1f}" for length in lengths)
    return go.Scatter3d(
        **_columns(path),
        mode="lines",
        name=f"box, {size} Å",
        line={"color": "#9aa5b1", "width": 2},
        hoverinfo="skip",
    )


def _mesh_trace(mesh: _meshes.Mesh, **options: Any) -> Any:
    i, j, k = (_compact(column) for column in mesh.faces.T)
    return go.Mesh3d(**_columns(mesh.vertices), i=i, j=j, k=k, showlegend=True, **_LIGHT, **options)


def _columns(xyz: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float32]]:
    # Contiguous float32 is what plotly stores as binary, at 5 bytes a number.
    return dict(zip("xyz", np.ascontiguousarray(xyz.T, np.float32), strict=True))


def _compact(integers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(integers, np.min_scalar_type(int(integers.max(initial=0))))


def _scene(traces: list[Any]) -> go.Figure:
    hidden = {"visible": False, "showspikes": False}
    return go.Figure(
        traces,
        {
            "template": "none",
            "font": {"family": FONT, "size": 14, "color": INK},
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "height": 440,
            "hoverlabel": {"font": {"family": FONT}},
            "legend": {"x": 0.01, "y": 0.99, "bgcolor": "rgba(255,255,255,0.7)", "itemsizing": "constant"},
            "scene": {
                "xaxis": hidden,
                "yaxis": hidden,
                "zaxis": hidden,
                "aspectmode": "data",
                "dragmode": "orbit",
                "camera": {
                    "eye": {"x": 1.4, "y": 1.2, "z": 0.9},
                    "projection": {"type": "perspective"},
                },
            },
        },
    )


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
        margin={"l": 64, "r": 20, "t": 16, "b": 54},
        height=400,
        hoverlabel={"font": {"family": FONT}},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"},
    )
    figure.update_xaxes(**axis, title_text=html.escape(x))
    figure.update_yaxes(**axis, title_text=html.escape(y))
    return figure
