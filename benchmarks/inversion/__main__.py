"""How exactly and how fast grids turn back into atoms, with the failures by cause, beside a baseline.

    .venv/bin/python -m benchmarks.inversion [--data FILE.npz] [--sigma 0.3 0.4] [--channels one elements] [--json FILE]
    .venv/bin/python -m benchmarks.inversion --quick
    .venv/bin/python -m benchmarks.inversion --closing closing.png
    .venv/bin/python -m benchmarks.inversion --disturbances [--data FILE.npz] [--channels one elements]

Without --sigma, --grid-size, --channels or --noise, the table of targets is run. FILE.npz holds `z` [atoms], `pos`
[atoms, 3] in Å and `offsets` [molecules + 1]; the test part of the shipped sample if left out. "exact" is the right
number of atoms in every channel and the largest error under 0.001 Å. Noise is white, in percent of the grid's largest
voxel. --closing draws how near two atoms of a channel may come to each other. --disturbances has a row for each kind of
error that grids of networks and stored grids have (disturbances.py), with its target. Times count on a quiet machine
only.

The baseline is benchmarks/baselines/voxmol.py: strict maxima among 26 neighbours, then L-BFGS.
"""

import argparse
import dataclasses
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import pg_tf
from benchmarks.inversion import robustness
from benchmarks.inversion.closing import closing
from benchmarks.inversion.disturbances import DISTURBANCES
from benchmarks.inversion.methods import METHODS
from benchmarks.inversion.scoring import measure
from benchmarks.inversion.table import HEADER, LEGEND, line
from benchmarks.inversion.targets import QUICK, TARGETS, Case
from pg_tf.datasets import Molecules, load_sample
from pg_tf.elements import ORGANIC


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
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.inversion", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="an .npz of molecules")
    parser.add_argument("--limit", type=int, default=100, help="molecules, drawn at random; 0 for all (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw and of the noise")
    parser.add_argument("--grid-size", type=int, nargs="+", help="voxels along each side")
    parser.add_argument("--sigma", type=float, nargs="+", help="Å")
    parser.add_argument("--channels", nargs="+", choices=["one", "elements"])
    parser.add_argument("--noise", type=float, nargs="+", help="standard deviation, of the largest voxel: 0.01 is 1%%")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument(
        "--baseline-limit",
        "--rival-limit",
        type=int,
        default=20,
        metavar="N",
        help="molecules for the baseline, which is slow; 0 for none (--rival-limit is the same)",
    )
    parser.add_argument("--quick", action="store_true", help="few molecules and two rows, in less than a minute")
    parser.add_argument("--closing", type=Path, metavar="PNG", help="two atoms closing in on each other, instead")
    parser.add_argument("--disturbances", action="store_true", help="disturbed grids of 32^3, instead")
    parser.add_argument("--pairs", type=int, default=64, help="pairs of atoms for each point of --closing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also writes the rows there")
    return parser.parse_args()


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
        chosen = molecules if method == "pg_tf" else molecules[: min(options.baseline_limit, len(molecules))]
        rows.append(measure(case, method, chosen, options.batch_size, options.seed))
        print(line(rows[-1]), flush=True)
    return rows


def disturbed(options: argparse.Namespace) -> list[dict[str, Any]]:
    molecules = load(options.data, (8 if options.quick else options.limit) or None, options.seed)
    print(f"{options.data or 'the sample'}: {len(molecules)} molecules; 32^3 voxels, sigma 0.4 Å")
    print(robustness.HEADER)
    rows = []
    for kind, name in itertools.product(options.channels or ["one", "elements"], DISTURBANCES):
        rows.append(robustness.measure(kind, name, molecules, options.seed))
        print(robustness.line(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Prints a table."""
    options = parse_arguments()
    methods = [name for name in METHODS if name == "pg_tf" or options.baseline_limit]
    if options.closing:
        grid_size, sigmas = (options.grid_size or [32])[0], options.sigma or [0.3, 0.5]
        rows = closing(options.closing, sigmas, grid_size, 8 if options.quick else options.pairs, methods)
    elif options.disturbances:
        rows = disturbed(options)
    else:
        rows = table(options, methods)
    if options.json:
        about = {"data": options.data, "tensorflow": tf.__version__, "instruction_set": pg_tf.simd_levels()[1]}
        options.json.write_text(json.dumps(about | {"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
