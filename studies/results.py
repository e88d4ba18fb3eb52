"""Results as JSON lines, and as the tables of docs/results.md."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from studies.curves import power_law
from studies.rows import ROWS, Baseline, Row, Trained

Result = Mapping[str, Any]
Cell = Callable[[Row, Sequence[Result]], str]

# Molecules of PCQM4Mv2 with a geometry, of which the paper trains on nine tenths.
_ALL = 3_378_606 * 0.9


def append(folder: Path, name: str, seed: int, result: Result) -> None:
    """Adds a result to the file of its row."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"row": name, "seed": seed, **result}) + "\n")


def read(folder: Path, name: str) -> dict[int, Result]:
    """The results of a row, by seed; of several with one seed the last."""
    path = folder / f"{name}.jsonl"
    if not path.exists():
        return {}
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {line["seed"]: line for line in lines}


def render(document: Path, folder: Path) -> None:
    """Replaces what stands between `<!-- NAME -->` and `<!-- end -->` by the table of that name.

    Raises:
      ValueError: if the document names a table that does not exist, or leaves one out.
    """
    text = document.read_text(encoding="utf-8")
    pattern = re.compile(r"(<!-- (?!end)(\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
    named = [match[1] for match in pattern.findall(text)]
    if sorted(named) != sorted(TABLES):
        raise ValueError(f"{document}: has the tables {', '.join(named)}, and must have {', '.join(TABLES)}")
    document.write_text(
        pattern.sub(lambda match: match[1] + table(match[2], folder) + match[3], text), encoding="utf-8"
    )


def table(name: str, folder: Path) -> str:
    """A table as Markdown: a row for each declared row that has results, and the power law below a curve."""
    rows = [(row, list(read(folder, row.name).values())) for row in ROWS if row.table == name]
    measured = [(row, results) for row, results in rows if results]
    columns = COLUMNS
    if name == "changes":
        columns = (*COLUMNS[:5], ("MAE against the base", _against(read(folder, "change-none"))), *COLUMNS[5:])
    lines = ["| " + " | ".join(header for header, _ in columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(cell(row, results) for _, cell in columns) + " |" for row, results in measured]
    return "\n".join(lines) + "\n" + (_law(measured) if name.startswith("curve") else "")


def _mean_and_deviation(results: Sequence[Result], key: str) -> str:
    values = [result[key] for result in results if key in result]
    if not values:
        return ""
    deviation = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


def _against(base: Mapping[int, Result]) -> Cell:
    """How much larger the error is than that of the base on the same molecules, seed by seed."""

    def cell(row: Row, results: Sequence[Result]) -> str:
        if isinstance(row, Baseline) or row.name == "change-none":
            return ""
        larger = [result["mae"] - base[result["seed"]]["mae"] for result in results if result["seed"] in base]
        if not larger:
            return ""
        return f"{np.mean(larger):+.3f}" + (f" ± {np.std(larger, ddof=1):.3f}" if len(larger) > 1 else "")

    return cell


def _molecules(row: Row) -> int:
    return row.num_train if isinstance(row, Baseline) else row.experiment.num_train


def _seen(row: Row, results: Sequence[Result]) -> str:
    return f"{row.experiment.num_train * row.experiment.config.epochs:,}" if isinstance(row, Trained) else ""


COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("", lambda row, results: row.label),
    ("trained on", lambda row, results: f"{_molecules(row):,}"),
    ("grids seen", _seen),
    ("MAE", lambda row, results: _mean_and_deviation(results, "mae")),
    ("MSE", lambda row, results: _mean_and_deviation(results, "mse")),
    ("MAE, 8 orientations", lambda row, results: _mean_and_deviation(results, "rotated_mae")),
    ("MSE, 8 orientations", lambda row, results: _mean_and_deviation(results, "rotated_mse")),
    ("training MAE", lambda row, results: _mean_and_deviation(results, "train_mae")),
    ("weights", lambda row, results: f"{results[0]['parameters']:,}" if "parameters" in results[0] else ""),
    ("seeds", lambda row, results: str(len(results))),
    ("row", lambda row, results: f"`{row.name}`"),
)


def _law(measured: Sequence[tuple[Row, Sequence[Result]]]) -> str:
    pairs = [(_molecules(row), result["rotated_mae"]) for row, results in measured for result in results]
    if len({size for size, _ in pairs}) < 2:
        return ""
    law = power_law([size for size, _ in pairs], [mae for _, mae in pairs])
    at, low, high = law.at(_ALL)
    return (
        f"\nMAE (8 orientations) = {law.scale:.2f} eV N^-{law.exponent:.2f}; at N = {_ALL / 1e6:.1f} million that line "
        f"is at {at:.3f} eV (two standard deviations of the fit: {low:.3f} to {high:.3f}).\n"
    )


TABLES = tuple(dict.fromkeys(row.table for row in ROWS))
