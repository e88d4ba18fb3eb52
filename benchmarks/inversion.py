"""How exactly and how fast grids turn back into atoms, with the failures by cause, beside a rival.

    .venv/bin/python -m benchmarks.inversion [--data FILE.npz] [--sigma 0.3 0.4] [--channels one elements] [--json FILE]
    .venv/bin/python -m benchmarks.inversion --quick
    .venv/bin/python -m benchmarks.inversion --closing closing.png

Without --sigma, --grid-size, --channels or --noise, the table of targets is run. FILE.npz holds `z` [atoms], `pos`
[atoms, 3] in Å and `offsets` [molecules + 1]; the test part of the shipped sample if left out. "exact" is the right
number of atoms in every channel and the largest error under 0.001 Å. Noise is white, in percent of the grid's largest
voxel. --closing draws how near two atoms of a channel may come to each other. Times count on a quiet machine only.

The rival is in voxmol.py: strict maxima among 26 neighbours, then L-BFGS.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import pg_tf
from benchmarks import voxmol
from pg_tf.datasets import Molecules, load_sample
from pg_tf.elements import ORGANIC
from pg_tf.metrics import match_points

EXACT = 1e-3  # Å
NEAR = 0.5  # Å, of a grid with noise
CHANNELS = {
    "one": pg_tf.ElementChannels.single(),
    # Other elements than the eight of ORGANIC share a ninth channel, if there are any.
    "elements": ORGANIC,
    "elements+other": pg_tf.ElementChannels(ORGANIC.symbols, unknown="other"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A row of the table; `target` is the share of exact molecules, or of right counts where there is noise, and
    `target_rmsd` is in Å."""

    grid_size: int
    sigma: float
    channels: str = "one"
    noise: float = 0.0
    target: float | None = None
    target_rmsd: float | None = None


TARGETS = [
    *(Case(32, sigma, target=target) for sigma, target in ((0.2, 1.0), (0.3, 1.0), (0.4, 0.99), (0.5, 0.95))),
    *(
        Case(64, sigma, target=target)
        for sigma, target in ((0.2, 1.0), (0.3, 1.0), (0.4, 1.0), (0.5, 0.99), (0.6, 0.95))
    ),
    *(Case(32, sigma, "elements", target=1.0) for sigma in (0.2, 0.3, 0.4, 0.5)),
    Case(32, 0.4, noise=0.01, target=0.98, target_rmsd=0.02),
    Case(32, 0.4, noise=0.05, target=0.85, target_rmsd=0.08),
]
QUICK = [Case(32, 0.3, target=1.0), Case(32, 0.4, "elements", target=1.0)]


@dataclasses.dataclass(frozen=True)
class Found:
    """What a method makes of the grids of one batch."""

    points: list[np.ndarray]  # of [A, 4]
    converged: np.ndarray  # [B]


Method = Callable[[np.ndarray, pg_tf.Box, float], Found]


def own(grids: np.ndarray, box: pg_tf.Box, sigma: float) -> Found:
    """`pg_tf.grid_to_coords`, the whole batch at once."""
    result = pg_tf.grid_to_coords(grids, box=box, sigma=sigma)
    return Found([points.numpy() for points in result.points], np.asarray(result.converged))


def rival(grids: np.ndarray, box: pg_tf.Box, sigma: float) -> Found:
    """The rival, one molecule after another."""
    corners, lengths = np.asarray(box.origin), np.asarray(box.lengths)
    found = [voxmol.invert(*one, sigma) for one in zip(grids, corners, lengths, strict=True)]
    return Found([points for points, _ in found], np.array([converged for _, converged in found]))


METHODS: dict[str, Method] = {"pg_tf": own, "VoxMol-style": rival}


def measure(case: Case, method: str, molecules: Molecules, batch_size: int, seed: int = 0) -> dict[str, Any]:
    """One row of the table, as numbers."""
    channels = CHANNELS[case.channels]
    points = molecules.points(channels)
    to_grid = pg_tf.Voxelizer(
        num_channels=channels.num_channels, grid_shape=case.grid_size, sigma=case.sigma, return_box=True
    )
    rng = np.random.default_rng(seed)
    causes = dict.fromkeys(("too few", "too many", "wrong channel", "displaced"), 0)
    exact = right = unconverged = false_claims = 0
    errors, squares, seconds = [], [], 0.0
    for start in range(0, len(molecules), batch_size):
        batch = points[start : start + batch_size]
        grids, box = to_grid(batch)
        grids = grids.numpy()
        if case.noise:
            peaks = grids.max(axis=(1, 2, 3, 4), keepdims=True)
            grids += (case.noise * peaks * rng.standard_normal(grids.shape)).astype(np.float32)
        clock = time.perf_counter()
        found = METHODS[method](grids, box, case.sigma)
        seconds += time.perf_counter() - clock
        for true, atoms, converged in zip(batch, found.points, found.converged, strict=True):
            match = match_points(true, atoms)
            is_exact = match.largest_error < EXACT
            exact += is_exact
            right += match.same_counts
            unconverged += not converged
            believable = match.largest_error < (EXACT if not case.noise else NEAR)
            false_claims += bool(converged) and not believable
            if match.same_counts:
                errors.append(match.largest_error)
                squares.append(match.distances**2)
                causes["displaced"] += not is_exact
            elif match.num_found != match.num_true:
                causes["too few" if match.num_found < match.num_true else "too many"] += 1
            else:
                causes["wrong channel"] += 1
    count = len(molecules)
    return {
        **dataclasses.asdict(case),
        "method": method,
        "molecules": count,
        "exact": exact / count,
        "right_count": right / count,
        **causes,
        "not converged": unconverged,
        "converged but wrong": false_claims,
        "median_error": float(np.median(errors)) if errors else None,
        "max_error": float(max(errors)) if errors else None,
        "rmsd": float(np.sqrt(np.concatenate(squares).mean())) if errors else None,
        "ms_per_molecule": 1e3 * seconds / count,
    }


HEADER = (
    f"{'grid':>4} {'sigma':>5} {'channels':>14} {'noise':>5} {'method':>12} {'n':>5} | {'exact':>6} {'right':>6} "
    f"{'target':>7} | {'few':>4} {'many':>4} {'chan':>4} {'displ':>5} | {'unconv':>6} {'claim':>5} | {'median Å':>8} "
    f"{'max Å':>8} {'RMSD Å':>8} | {'ms/mol':>7}"
)
LEGEND = f"""\
exact: % of molecules right in number, channels and coordinates (largest error < {EXACT} Å); right: % with the right
number of atoms in every channel. few, many, chan, displ: molecules that are not exact, by cause: too few atoms, too
many, right number in wrong channels, right counts but displaced. unconv: said not to be explained; claim: said to be
explained, but not exact (with noise: wrong in number or by more than {NEAR} Å).
Errors are the largest of each molecule, and the RMSD is over all atoms, of the molecules whose counts are right."""


def line(row: dict[str, Any]) -> str:
    def number(value: float | None, form: str) -> str:
        return format("-" if value is None else format(value, form), ">8")

    target = ""
    if row["target"] is not None:
        reached = row["right_count" if row["noise"] else "exact"] >= row["target"]
        if row["target_rmsd"] is not None:
            reached &= row["rmsd"] is not None and row["rmsd"] < row["target_rmsd"]
        target = f"{100 * row['target']:g} {'ok' if reached else 'no'}"
    return (
        f"{row['grid_size']:>4} {row['sigma']:>5g} {row['channels']:>14} {row['noise']:>5.0%} {row['method']:>12} "
        f"{row['molecules']:>5} | {row['exact']:>6.1%} {row['right_count']:>6.1%} {target:>7} | {row['too few']:>4} "
        f"{row['too many']:>4} {row['wrong channel']:>4} {row['displaced']:>5} | {row['not converged']:>6} "
        f"{row['converged but wrong']:>5} | {number(row['median_error'], '.1e')} {number(row['max_error'], '.1e')} "
        f"{number(row['rmsd'], '.1e')} | {row['ms_per_molecule']:>7.1f}"
    )


def closing(
    path: Path, sigmas: Sequence[float], grid_size: int, pairs: int, methods: Sequence[str]
) -> list[dict[str, Any]]:
    """Two atoms of a channel at shrinking distances, anywhere between the voxels and in any direction: the share
    that is found exactly, drawn and returned."""
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


def load(path: str | None, limit: int | None, seed: int) -> Molecules:
    """The molecules of a file, or some of them, drawn at random."""
    if path is None:
        molecules = load_sample("test")
    else:
        with np.load(path, allow_pickle=False) as data:
            molecules = Molecules(data["z"].astype(np.int32), data["pos"].astype(np.float32), data["offsets"])
    if limit is None or limit >= len(molecules):
        return molecules
    return molecules[np.sort(np.random.default_rng(seed).permutation(len(molecules))[:limit])]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="an .npz of molecules")
    parser.add_argument("--limit", type=int, default=100, help="molecules, drawn at random; 0 for all (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw and of the noise")
    parser.add_argument("--grid-size", type=int, nargs="+", help="voxels along each side")
    parser.add_argument("--sigma", type=float, nargs="+", help="Å")
    parser.add_argument("--channels", nargs="+", choices=["one", "elements"])
    parser.add_argument("--noise", type=float, nargs="+", help="standard deviation, of the largest voxel: 0.01 is 1%%")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument(
        "--rival-limit", type=int, default=20, help="molecules for the rival, which is slow; 0 for none"
    )
    parser.add_argument("--quick", action="store_true", help="few molecules and two rows, in less than a minute")
    parser.add_argument("--closing", type=Path, metavar="PNG", help="two atoms closing in on each other, instead")
    parser.add_argument("--pairs", type=int, default=64, help="pairs of atoms for each point of --closing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also writes the rows there")
    return parser.parse_args()


def main() -> None:
    """Prints a table."""
    options = parse_arguments()
    methods = [name for name in METHODS if name == "pg_tf" or options.rival_limit]
    if options.closing:
        grid_size, sigmas = (options.grid_size or [32])[0], options.sigma or [0.3, 0.5]
        rows = closing(options.closing, sigmas, grid_size, 8 if options.quick else options.pairs, methods)
    else:
        rows = table(options, methods)
    if options.json:
        about = {"data": options.data, "tensorflow": tf.__version__, "instruction_set": pg_tf.simd_levels()[1]}
        options.json.write_text(json.dumps(about | {"rows": rows}, indent=1))


def table(options: argparse.Namespace, methods: Sequence[str]) -> list[dict[str, Any]]:
    few = 8 if options.quick else None
    molecules = load(options.data, few or options.limit or None, options.seed)
    lists = [options.grid_size, options.sigma, options.channels, options.noise]
    if any(lists):
        defaults: list[list[Any]] = [[32], [0.4], ["one"], [0.0]]
        product = itertools.product(*(chosen or default for chosen, default in zip(lists, defaults, strict=True)))
        cases = [Case(*values) for values in product]
    else:
        cases = QUICK if options.quick else TARGETS
    if (ORGANIC.lookup_table[molecules.atomic_numbers] >= ORGANIC.num_channels).any():
        cases = [
            dataclasses.replace(case, channels="elements+other") if case.channels == "elements" else case
            for case in cases
        ]
    atoms = len(molecules.atomic_numbers) / max(len(molecules), 1)
    print(
        f"{options.data or 'the sample'}: {len(molecules)} molecules of {atoms:.1f} atoms; "
        f"batches of {options.batch_size}; {os.cpu_count()} CPUs, {pg_tf.simd_levels()[1]}, TensorFlow {tf.__version__}"
    )
    print(LEGEND)
    print(HEADER)
    # Compilation and first allocations belong to no row.
    for method in methods:
        METHODS[method](np.zeros((1, 1, 8, 8, 8), np.float32), pg_tf.Box(np.zeros((1, 3)), np.ones((1, 3))), 0.4)
    rows = []
    for case, method in itertools.product(cases, methods):
        chosen = molecules if method == "pg_tf" else molecules[: min(options.rival_limit, len(molecules))]
        rows.append(measure(case, method, chosen, options.batch_size, options.seed))
        print(line(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    main()
