"""`pg-tf predict`."""

from pathlib import Path
from typing import Annotated

import typer

from pg_tf.commands._common import errors_of

app = typer.Typer(add_completion=False)


@app.command()
def predict(
    molecules: Annotated[
        Path,
        typer.Argument(help="A file: .sdf, .mol2, .pdbqt, .csv with a column 'smiles', .smi, .xyz, .npz; also packed."),
    ],
    model: Annotated[Path, typer.Option(help="Folder of a run of `pg-tf train`.")],
    output: Annotated[Path, typer.Option(help="The CSV table to write: name, prediction, note.")],
    rotations: Annotated[int, typer.Option(min=0, help="Average over this many orientations of each molecule.")] = 0,
) -> None:
    """Predicts the property of molecules; those that cannot be predicted get a row that says why."""
    with errors_of("predict"):
        from pg_tf import training

        done, failed = training.predict_file(model, molecules, output, rotations=rotations)
        typer.echo(f"{output}: {done} molecules predicted" + (f", {failed} not: see their notes" if failed else ""))
