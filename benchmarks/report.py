"""Tables for the terminal and in Markdown, and everything as JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from benchmarks.settings import Table

FIGURES = (
    "Each figure is of the fastest of many runs, in turns with what it is compared with; results.json has medians too."
)


def text(table: Table) -> str:
    """A table in columns, for the terminal."""
    cells = _cells(table)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(_justified(cell, width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join([table.title, *lines, *(f"* {note}" for note in table.notes)])


def markdown(table: Table) -> str:
    """The same table in Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in _cells(table)]
    if lines:
        lines.insert(1, "|" + "---:|" * len(table.rows[0]))
    return "\n".join([f"### {table.title}", "", *lines, "", *(f"* {note}" for note in table.notes)]).rstrip()


def write(folder: Path, machine: dict[str, Any], tables: dict[str, Table], timings: list[dict[str, Any]]) -> Path:
    """Writes results.json and results.md.

    Returns:
      The path of results.json.
    """
    record = {
        "machine": machine,
        "tables": {name: dataclasses.asdict(table) for name, table in tables.items()},
        "timings": timings,
    }
    path = folder / "results.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False))
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    head = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['instruction_set']}, {machine['date']}; {packages}; "
        f"{machine['molecules']} molecules of {machine['atoms_per_molecule']:.1f} atoms ({machine['data']}); load "
        f"{machine['load_average_at_start']:.1f} at the start"
    )
    sections = [markdown(table) for table in tables.values()]
    (folder / "results.md").write_text("\n\n".join(["# Benchmarks", head, FIGURES, *sections]) + "\n")
    return path


def _cells(table: Table) -> list[list[str]]:
    if not table.rows:
        return []
    return [list(table.rows[0]), *([_cell(value) for value in row.values()] for row in table.rows)]


def _cell(value: Any) -> str:
    """Numbers with three digits that count."""
    if not isinstance(value, float):
        return str(value)
    if value and abs(value) < 1e-2:
        return f"{value:.1e}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _justified(cell: str, width: int) -> str:
    return cell.rjust(width) if cell[:1].isdigit() or cell[:1] == "-" else cell.ljust(width)
