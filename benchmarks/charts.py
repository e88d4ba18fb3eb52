"""Charts of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.settings import Table
from benchmarks.workload import SIGMA

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's: told apart by the colour-blind. Never the only difference: lines have markers, bars have names.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999", "#000000")
MARKERS = "osD^vP*X<"
OWN, OTHER, FLOOR = COLOURS[5], COLOURS[4], COLOURS[7]
_STUDY_KEYS = ("sigma", "grid")


def draw(folder: Path, tables: Mapping[str, Table]) -> list[Path]:
    """Draws what the tables at hand allow.

    Args:
      folder: gets the PNG files.
      tables: by name; a chart whose tables are missing is left out.

    Returns:
      The files.
    """
    from matplotlib.figure import Figure

    made = []
    for name, (needed, size, plot) in _CHARTS.items():
        if not all(tables[table].rows if table in tables else False for table in needed):
            continue
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        plot(axes, tables)
        made.append(folder / f"{name}.png")
        figure.savefig(made[-1], dpi=160)
    return made


def _overview(axes: Axes, tables: Mapping[str, Table]) -> None:
    """Every voxelizer at 32^3, or the grid that there is: the README's chart."""
    study = _of_usual_sigma(tables["study"])
    grids = [row["grid"] for row in study]
    grid = 32 if 32 in grids else grids[-1]
    rates = _series(study[grids.index(grid)])
    if "packages" in tables:
        rates |= {
            row["voxelizer"]: row["molecules/s"]
            for row in tables["packages"].rows
            if row["grid"] == grid and row["voxelizer"] not in rates
        }
    names = sorted(rates, key=rates.__getitem__)
    bars = axes.barh(names, [rates[name] for name in names], color=[_colour(name) for name in names])
    axes.bar_label(bars, [f" {rates[name]:,.0f}" for name in names], fontsize=9)
    for row in tables["floor"].rows if "floor" in tables else ():
        if row["grid"] == grid and row["channels"] == 1:
            axes.axvline(1e6 / row["floor, µs"], color=FLOOR, linestyle="--")
            axes.annotate(
                "writing the\nmemory once",
                (1e6 / row["floor, µs"], 0),
                (-4, 4),
                textcoords="offset points",
                ha="right",
                fontsize=8,
                color="#555555",
            )
    axes.set_xscale("log")
    axes.set_xlim(right=axes.get_xlim()[1] * 4)
    axes.set_xlabel("molecules a second, one core")
    axes.set_title(f"{grid}³ voxels, sigma {study[0]['sigma']} Å", loc="left")


def _rates(axes: Axes, tables: Mapping[str, Table]) -> None:
    """The paper's Fig. 3 again."""
    study = _of_usual_sigma(tables["study"])
    grids = [row["grid"] for row in study]
    for look, name in zip(_looks(), _series(study[0]), strict=False):
        axes.plot(grids, [row[name] for row in study], label=name, **(_own_look() if name == "pg_tf" else look))
    if "floor" in tables:
        least = [(row["grid"], 1e6 / row["floor, µs"]) for row in tables["floor"].rows if row["channels"] == 1]
        axes.plot(*zip(*least, strict=True), color=FLOOR, linestyle="--", label="writing the memory once")
    axes.set_xscale("log", base=2)
    axes.set_xticks(grids, [f"{n}³" for n in grids])
    axes.minorticks_off()
    _finish(axes, "voxels", "molecules a second, one core", f"sigma {study[0]['sigma']} Å")


def _sigma(axes: Axes, tables: Mapping[str, Table]) -> None:
    """The paper's Fig. 4 and 5 again: what each idea is worth as the atoms grow."""
    rows = tables["study"].rows
    grid = 64 if any(row["grid"] == 64 for row in rows) else rows[0]["grid"]
    rows = [row for row in rows if row["grid"] == grid]
    sigmas = [row["sigma"] for row in rows]
    for look, name in zip(_looks(), _series(rows[0]), strict=False):
        axes.plot(sigmas, [row[name] for row in rows], label=name, **(_own_look() if name == "pg_tf" else look))
    _finish(axes, "sigma, Å (the paper's variance)", "molecules a second, one core", f"{grid}³ voxels")


def _paper(axes: Axes, tables: Mapping[str, Table]) -> None:
    """Speed-ups over the whole study, beside the paper's headline."""
    *rows, paper = tables["speedup"].rows
    names = [name for name in _series(paper) if paper[name] != ""]
    for y, name in enumerate(names):
        values = [row[name] for row in rows]
        axes.plot([min(values), max(values)], [y, y], color=OWN, linewidth=2)
        axes.plot(values, [y] * len(values), "o", color=OWN, label="pg_tf, each grid and sigma" if y == 0 else None)
        published = "ParticleGrid, as published" if y == 0 else None
        axes.plot(paper[name], y, "D", color=COLOURS[8], markersize=9, label=published)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xscale("log")
    axes.set_xlabel("times as fast as the baseline")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=2)
    axes.grid(axis="x", alpha=0.3)


def _floor(axes: Axes, tables: Mapping[str, Table]) -> None:
    rows = tables["floor"].rows
    labels = [f"{row['grid']}³\n{row['channels']} ch." for row in rows]
    bars = axes.bar(labels, [row["op / floor"] for row in rows], color=OTHER)
    axes.bar_label(bars, fmt="%.1f", fontsize=9)
    axes.axhline(1, color=FLOOR, linestyle="--")
    axes.set_yscale("log")
    axes.set_ylabel("time / time of writing the memory")


def _threads(axes: Axes, tables: Mapping[str, Table]) -> None:
    rows = tables["threads"].rows
    kinds = dict.fromkeys((row["grid"], row["pass"]) for row in rows)
    for look, kind in zip(_looks(), kinds, strict=False):
        chosen = [row for row in rows if (row["grid"], row["pass"]) == kind]
        axes.plot(
            [row["threads"] for row in chosen],
            [row["times one thread"] for row in chosen],
            label=f"{kind[1]}, {kind[0]}³",
            **look,
        )
    threads = sorted({row["threads"] for row in rows})
    axes.plot(threads, threads, color=FLOOR, linestyle="--", label="ideal")
    axes.set_xticks(threads)
    axes.set_xlabel("threads")
    axes.set_ylabel("times as fast as one thread")
    axes.legend(frameon=False)


def _batches(axes: Axes, tables: Mapping[str, Table]) -> None:
    rows = tables["batches"].rows
    grids = dict.fromkeys(row["grid"] for row in rows)
    for grid, line in zip(grids, ("-", "--"), strict=False):
        chosen = [row for row in rows if row["grid"] == grid]
        for look, name in zip(_looks(line), ("op alone, µs", "pg_tf.voxelize, µs", "zeros, µs"), strict=False):
            label = f"{name.removesuffix(', µs')}, {grid}³"
            axes.plot([row["output, MiB"] for row in chosen], [row[name] for row in chosen], label=label, **look)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    _finish(axes, "output of a call, MiB", "µs a molecule, one core", "")


_Plot = Callable[["Axes", Mapping[str, Table]], None]
_CHARTS: dict[str, tuple[tuple[str, ...], tuple[float, float], _Plot]] = {
    "overview": (("study",), (8.0, 4.4), _overview),
    "rates": (("study",), (8.0, 4.8), _rates),
    "sigma": (("study",), (8.0, 4.8), _sigma),
    "paper": (("speedup",), (7.0, 2.6), _paper),
    "floor": (("floor",), (6.0, 3.6), _floor),
    "threads": (("threads",), (5.0, 3.6), _threads),
    "batches": (("batches",), (8.0, 4.4), _batches),
}


def _of_usual_sigma(study: Table) -> list[dict[str, Any]]:
    sigma = min({row["sigma"] for row in study.rows}, key=lambda value: abs(value - SIGMA))
    return [row for row in study.rows if row["sigma"] == sigma]


def _series(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _STUDY_KEYS}


def _colour(name: str) -> str:
    return OWN if name == "pg_tf" else OTHER


def _own_look() -> dict[str, Any]:
    return {"color": OWN, "marker": "o", "linewidth": 3, "zorder": 3}


def _looks(line: str = "-") -> Iterator[dict[str, Any]]:
    colours = [colour for colour in COLOURS if colour not in (OWN, FLOOR, COLOURS[6])]
    for i in range(2 * len(colours)):
        yield {
            "color": colours[i % len(colours)],
            "marker": MARKERS[i % len(MARKERS)],
            "linestyle": line if i < len(colours) else ":",
            "markersize": 5,
        }


def _finish(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
