"""`pg-tf demo`."""

from pathlib import Path
from typing import Annotated

import typer

from pg_tf.commands._common import errors_of

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="An .sdf or a .csv file with a column 'smiles', also .gz; the shipped sample if left out."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Property or column of --data to learn.")] = None,
    unit: Annotated[str, typer.Option(help="Unit of the label, for the report.")] = "eV",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training molecules.")] = 24,
    max_minutes: Annotated[float, typer.Option(min=0.01, help="Training ends after this time at the latest.")] = 3.0,
    seed: Annotated[int, typer.Option(help="Random seed: first weights, order of the molecules, rotations.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder for the report and the model.")] = Path("runs/demo"),
) -> None:
    """Trains a network on grids made on the fly, turns grids back into atoms, and writes a report."""
    with errors_of("demo"):
        from pg_tf import demo as run

        run.demo(
            run.Settings(
                data=data,
                label=label,
                unit=unit,
                epochs=epochs,
                max_minutes=max_minutes,
                seed=seed,
                output=output,
            )
        )
