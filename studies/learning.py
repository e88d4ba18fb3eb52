"""The command: lists the rows of docs/results.md, runs them, writes the tables.

python -m studies.learning --list
python -m studies.learning --row base --seeds 3
python -m studies.learning --render
"""

import os

# Both are read when TensorFlow is loaded. oneDNN's 3D convolutions are several times faster than Eigen's, and
# TensorFlow turns them on for some CPUs only.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from studies import results
from studies.rows import ROWS, Baseline, Row

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "results.md"


def main(
    show: Annotated[bool, typer.Option("--list", help="List the rows and how often each was run.")] = False,
    row: Annotated[list[str] | None, typer.Option(help="A row to run; may be repeated.")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Run seeds 0 to SEEDS-1; those that have a result are left out.")
    ] = 1,
    again: Annotated[bool, typer.Option(help="Also run seeds that have a result; the new one replaces it.")] = False,
    render: Annotated[bool, typer.Option(help="Write the tables of docs/results.md from the results.")] = False,
    data: Annotated[Path, typer.Option(help="Folder of the data sets, see docs/results.md.")] = Path("data"),
    output: Annotated[Path, typer.Option(help="Folder of the results, a JSON-lines file a row.")] = HERE / "results",
    weights: Annotated[Path, typer.Option(help="Folder for the weights of trained networks.")] = Path("runs/studies"),
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of TensorFlow.")] = os.cpu_count() or 1,
) -> None:
    """Measures how well networks learn from grids, row by row."""
    known = {item.name: item for item in ROWS}
    if unknown := [name for name in row or [] if name not in known]:
        sys.exit(f"--row: there is no {', '.join(unknown)}; see --list")
    if show:
        for item in ROWS:
            print(f"{item.name:32} {len(results.read(output, item.name)):2} seeds  {item.table}: {item.label}")
    for seed in range(seeds):
        for name in row or []:
            if again or seed not in results.read(output, name):
                _run(known[name], seed, data, output, weights, threads)
    if render:
        results.render(DOCUMENT, output)
        print(f"wrote {DOCUMENT}")


def _run(row: Row, seed: int, data: Path, output: Path, weights: Path, threads: int) -> None:
    import tensorflow as tf

    from studies import baselines, fit
    from studies.data import MissingData

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    print(f"{row.name}, seed {seed}", flush=True)
    try:
        if isinstance(row, Baseline):
            result = baselines.run(row.baseline, row.data, row.num_train, seed, data)
        else:
            result = fit.run(row.experiment, seed, data, weights, lambda line: print(line, flush=True))
    except MissingData as error:
        sys.exit(str(error))
    print(json.dumps(result), flush=True)
    results.append(output, row.name, seed, {**result, "tensorflow": tf.__version__})


if __name__ == "__main__":
    typer.run(main)
