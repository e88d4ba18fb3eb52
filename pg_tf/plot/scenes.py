"""The parts of a 3D picture: balls and sticks, surfaces of grids, boxes, and the scene that holds them."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from rdkit import Chem
from scipy.ndimage import zoom
from scipy.spatial import KDTree

from pg_tf.elements import SYMBOLS, atomic_number
from pg_tf.plot import meshes
from pg_tf.plot.style import ELEMENT_COLOURS, FONT, INK, OTHER_COLOUR, PALETTE

_LIGHT = {
    "lighting": {"ambient": 0.62, "diffuse": 0.6, "specular": 0.22, "roughness": 0.45, "fresnel": 0.08},
    "lightposition": {"x": 2000, "y": -1500, "z": 4000},
}


def scene(traces: list[Any], seen: npt.NDArray[np.float64]) -> go.Figure:
    """A 3D figure, seen from the side where the points `seen`, `[N, 3]`, cover most of the picture."""
    corners = np.array([[(np.nanmin(t[d]), np.nanmax(t[d])) for d in "xyz"] for t in traces if len(t["x"])])
    corners = corners.reshape(-1, 3, 2)
    low, high = corners[..., 0].min(axis=0, initial=np.inf), corners[..., 1].max(axis=0, initial=-np.inf)
    if not len(corners):
        low, high = np.zeros(3), np.ones(3)
    # Lines at the very end of an axis would be cut off.
    low, high = low - 0.01, high + 0.01
    size = high - low
    spread = np.linalg.eigh(np.cov(seen.T))[1].T if len(seen) > 1 else np.eye(3)
    aspect = size / size.max()
    eye = 1.15 * np.linalg.norm(aspect) * (0.9 * spread[0] + 0.3 * spread[1] + 0.3 * spread[2])
    axes = {
        f"{d}axis": {"visible": False, "showspikes": False, "range": [low[i], high[i]]} for i, d in enumerate("xyz")
    }
    return go.Figure(
        traces,
        {
            "template": "none",
            "font": {"family": FONT, "size": 14, "color": INK},
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "height": 440,
            "hoverlabel": {"font": {"family": FONT}},
            "legend": {"orientation": "h", "x": 0.5, "xanchor": "center", "y": 0, "itemsizing": "constant"},
            "scene": {
                **axes,
                "domain": {"y": [0.07, 1.0]},
                "aspectmode": "manual",
                "aspectratio": dict(zip("xyz", aspect, strict=True)),
                "dragmode": "orbit",
                "camera": {
                    "eye": dict(zip("xyz", eye, strict=True)),
                    "up": dict(zip("xyz", spread[1], strict=True)),
                    "projection": {"type": "perspective"},
                },
            },
        },
    )


def checked_atoms(
    atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Atomic numbers `[A]` and coordinates `[A, 3]` without padding, from numbers or symbols; ValueError if wrong."""
    given = np.asarray(atomic_numbers)
    if given.dtype.kind in "US":
        given = np.array([atomic_number(str(symbol)) for symbol in given])
    xyz = np.asarray(coords, np.float64)
    if given.ndim != 1 or xyz.shape != (len(given), 3):
        raise ValueError(
            f"coords: shape must be [A, 3] beside atomic_numbers [A], got {list(xyz.shape)} beside {list(given.shape)}"
        )
    return given[given > 0].astype(np.int64), xyz[given > 0]


def checked_box(box: Sequence[npt.ArrayLike]) -> tuple[npt.NDArray[np.float64], ...]:
    """Origin `[3]`, lengths `[3]` and rotation `[3, 3]` of the box of one molecule; ValueError if it is of more."""
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


def atoms(numbers: npt.NDArray[np.int64], xyz: npt.NDArray[np.float64]) -> list[Any]:
    """Balls and sticks, one trace for each element."""
    table = Chem.GetPeriodicTable()
    radius = np.array([table.GetRcovalent(int(number)) for number in numbers])
    # Bonded: closer than the sum of the covalent radii plus 0.45 Å, as in Open Babel.
    pairs = KDTree(xyz).query_pairs(2 * radius.max() + 0.45, output_type="ndarray") if len(xyz) else []
    ball = meshes.sphere(2 if len(xyz) <= 200 else 1)
    parts = [
        [meshes.Mesh(ball.vertices * (0.14 + 0.25 * r) + centre, ball.faces)]
        for r, centre in zip(radius, xyz, strict=True)
    ]
    for a, b in pairs:
        if 0.1 < np.linalg.norm(xyz[a] - xyz[b]) < radius[a] + radius[b] + 0.45:
            middle = (xyz[a] + xyz[b]) / 2
            parts[a].append(meshes.stick(xyz[a], middle, 0.09))
            parts[b].append(meshes.stick(xyz[b], middle, 0.09))
    traces = []
    for number in sorted(set(numbers.tolist()), key=lambda number: (number != 6, number)):
        members = np.flatnonzero(numbers == number)
        mesh = meshes.joined([part for atom in members for part in parts[atom]])
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


def surfaces(
    grid: npt.ArrayLike,
    origin: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.float64],
    names: Sequence[str],
    level: float,
    max_side: int,
) -> list[Any]:
    """One surface for each channel that holds anything; arguments as of `pg_tf.plot.grid`."""
    values = np.asarray(grid, np.float64)
    if values.ndim == 3:
        values = values[None]
    if values.ndim != 4:
        raise ValueError(f"grid: shape must be [C, nx, ny, nz] or [nx, ny, nz], got {list(values.shape)}")
    if names and len(names) != len(values):
        raise ValueError(f"names: there must be one a channel, {len(values)}; got {len(names)}")
    if not 0 < level < 1:
        raise ValueError(f"level: must be between 0 and 1, got {level}")
    values, edges = _resampled(values, max_side)
    traces = []
    for channel, density in enumerate(values):
        if not density.max() > 0:
            continue
        name = names[channel] if names else f"channel {channel}"
        symbol = name.split("+")[0]
        mesh = meshes.isosurface(density, level * density.max())
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


def outline(origin: npt.NDArray[np.float64], lengths: npt.NDArray[np.float64]) -> Any:
    """The twelve edges of the box, as one line broken by NaN."""
    corner = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    edges = [(a, b) for a in range(8) for b in range(a) if np.abs(corner[a] - corner[b]).sum() == 1]
    path = np.concatenate([[*(origin + corner[[a, b]] * lengths), [np.nan] * 3] for a, b in edges])
    size = " × ".join(f"{length:.1f}" for length in lengths)
    return go.Scatter3d(
        **columns(path),
        mode="lines",
        name=f"box, {size} Å",
        line={"color": "#9aa5b1", "width": 2},
        hoverinfo="skip",
    )


def crosses(centres: npt.NDArray[np.float64], notes: Sequence[str], name: str, colour: str) -> Any:
    """A cross at each of `centres`, `[N, 3]`, that shows its note beside the pointer."""
    # Lines long enough to stick out of the balls, which would hide a marker.
    arms = np.concatenate([[arm, -arm, np.full(3, np.nan)] for arm in 0.42 * np.eye(3)])
    return go.Scatter3d(
        **columns((centres[:, None] + arms).reshape(-1, 3)),
        mode="lines",
        name=name,
        line={"color": colour, "width": 3},
        text=np.repeat(notes, len(arms)),
        hovertemplate="%{text}<extra></extra>",
    )


def _resampled(
    values: npt.NDArray[np.float64], max_side: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """`values` averaged over blocks, or between the voxels of a coarse grid, and the new voxel's share of the box."""
    shape = np.array(values.shape[1:])
    if 2 * shape.max() <= max_side:
        finer = [zoom(density, 2, order=3, mode="grid-constant", grid_mode=True) for density in values]
        return np.stack(finer), 0.5 / shape
    factor = -(-shape // max_side)
    values = np.pad(values, [(0, 0), *((0, int(extra)) for extra in -shape % factor)])
    nx, ny, nz = values.shape[1:] // factor
    blocks = values.reshape(-1, nx, factor[0], ny, factor[1], nz, factor[2])
    return blocks.mean(axis=(2, 4, 6)), factor / shape


def _mesh_trace(mesh: meshes.Mesh, **options: Any) -> Any:
    i, j, k = (_compact(column) for column in mesh.faces.T)
    return go.Mesh3d(**columns(mesh.vertices), i=i, j=j, k=k, showlegend=True, **_LIGHT, **options)


def columns(xyz: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float32]]:
    # Contiguous float32 is what plotly stores as binary, at 5 bytes a number.
    return dict(zip("xyz", np.ascontiguousarray(xyz.T, np.float32), strict=True))


def _compact(integers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(integers, np.min_scalar_type(int(integers.max(initial=0))))
