"""`pg-tf describe`."""

from pathlib import Path
from typing import Annotated

import typer

from pg_tf.commands._common import errors_of

app = typer.Typer(add_completion=False)


@app.command()
def describe(
    source: Annotated[str, typer.Argument(help="'sample', a folder of `pg-tf prepare`, or a file of molecules.")],
    split: Annotated[str | None, typer.Option(help="train, validation or test; all molecules if left out.")] = None,
    label: Annotated[str | None, typer.Option(help="Property or column of a file with the labels.")] = None,
    output: Annotated[Path | None, typer.Option(help="HTML report with the distributions drawn.")] = None,
) -> None:
    """Summarizes a data set: molecular weights, sizes, elements, labels; and what fits into a fixed box."""
    with errors_of("describe"):
        from rich.console import Console
        from rich.table import Table

        from pg_tf import plot
        from pg_tf.datasets import load
        from pg_tf.datasets.summary import summarize
        from pg_tf.report import Section, write_report

        found = summarize(load(source, split, label=label, in_memory=False))
        console = Console(highlight=False, width=max(Console().width, 110))  # no number is cut off
        tables = {"Distributions": found.distributions(), "Elements": found.elements(), "Boxes": found.fits()}
        for title, rows in tables.items():
            table = Table(*rows[0], title=title)
            for row in rows[1:]:
                table.add_row(*row)
            console.print(table)
        if output is None:
            return
        weights = plot.cumulative(found.weights, "Molecular weight (u)")
        figures = [("Share of the molecules that are at most so heavy.", weights)]
        if found.labels is not None:
            name = f"Label ({found.unit})" if found.unit else "Label"
            figures.append(
                ("Share of the molecules whose label is at most so large.", plot.cumulative(found.labels, name))
            )
        sections = [
            Section("Distributions", table=tables["Distributions"], figures=figures),
            Section("Elements", table=tables["Elements"]),
            Section("Molecules that fit into a cube in every orientation", table=tables["Boxes"]),
        ]
        output.parent.mkdir(parents=True, exist_ok=True)
        write_report(output, f"Summary of {source}", f"{len(found.sizes):,} molecules", sections)
        console.print(f"{output}")
