"""`pg-tf evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from pg_tf.commands._common import errors_of

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Option(help="Folder of a run of `pg-tf train`.")],
    rotations: Annotated[int, typer.Option(min=0, help="Average over this many orientations of each molecule.")] = 0,
    train: Annotated[bool, typer.Option("--train", help="Measure the training molecules too.")] = False,
) -> None:
    """Measures a trained model beside baselines that know no geometry; writes evaluation.json into the run."""
    with errors_of("evaluate"):
        from rich.console import Console
        from rich.table import Table

        from pg_tf import training

        parts = (*(("train",) if train else ()), "validation", "test")
        evaluation = training.evaluate(model, parts=parts, rotations=rotations)
        unit = evaluation.unit
        for part, scores in evaluation.scores.items():
            table = Table(f"{part}, {evaluation.molecules[part]} molecules", f"MAE ({unit})", f"MSE ({unit}²)")
            for score in scores:
                table.add_row(score.name, f"{score.mae:.4f}", f"{score.mse:.4f}")
            Console().print(table)
        for part, mae in evaluation.ogb_mae.items():
            typer.echo(f"PCQM4Mv2Evaluator, {part}: MAE {mae:.4f} {unit}")
        typer.echo(f"written to {training.Run(model).evaluation_path}")
