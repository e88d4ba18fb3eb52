"""How near two atoms of one channel may come to each other before they are no longer found."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import pg_tf
from benchmarks.inversion.methods import METHODS
from benchmarks.inversion.scoring import EXACT
from pg_tf.metrics import match_points


def closing(
    path: Path, sigmas: Sequence[float], grid_size: int, pairs: int, methods: Sequence[str]
) -> list[dict[str, Any]]:
    """Measures pairs of atoms at shrinking distances, in random directions and places between the voxels.

    Returns:
      The share of pairs that is found exactly, a row for each method, sigma and distance; also drawn to `path`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rng = np.random.default_rng(0)
    box = pg_tf.Box(np.zeros((pairs, 3), np.float32), np.full((pairs, 3), 8.0, np.float32))
    rows: list[dict[str, Any]] = []
    for sigma, ratio in itertools.product(sigmas, np.linspace(0.2, 3, 15)):
        direction = rng.normal(size=(pairs, 1, 3))
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        middle = 4 + rng.uniform(-0.5, 0.5, (pairs, 1, 3)) * 8 / grid_size
        coords = middle + direction * np.array([-0.5, 0.5])[:, None] * ratio * sigma
        grids = pg_tf.voxelize(coords.astype(np.float32), grid_shape=grid_size, sigma=sigma, box=box).numpy()
        true = np.pad(coords, [(0, 0), (0, 0), (1, 0)])
        for method in methods:
            found = METHODS[method](grids, box, sigma)
            errors = [match_points(*pair).largest_error for pair in zip(true, found.points, strict=True)]
            exact = np.array(errors) < EXACT
            rows.append({
                "method": method,
                "sigma": sigma,
                "separation_over_sigma": float(ratio),
                "exact": float(exact.mean()),
                "converged_but_wrong": float((found.converged & ~exact).mean()),
            })  # fmt: skip
            print(f"{method:>12}  sigma {sigma:g} Å, {ratio:.1f} sigma apart: {exact.mean():6.1%} exact", flush=True)
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for method, sigma in itertools.product(methods, sigmas):
        curve = [row for row in rows if (row["method"], row["sigma"]) == (method, sigma)]
        axes.plot(
            [row["separation_over_sigma"] for row in curve],
            [100 * row["exact"] for row in curve],
            marker="o" if method == "pg_tf" else "x",
            linestyle="-" if method == "pg_tf" else "--",
            label=f"{method}, σ = {sigma:g} Å ({8 / grid_size / sigma:.2g} σ a voxel)",
        )
    axes.axvline(2, color="grey", linewidth=1, linestyle=":")
    axes.annotate(
        "one peak | two peaks",
        (2, 50),
        ha="center",
        va="center",
        rotation=90,
        color="grey",
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none"},
    )
    axes.set(xlabel="separation / σ", ylabel=f"pairs found to {EXACT} Å (%)", ylim=(-3, 103))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"plot: {path}")
    return rows
