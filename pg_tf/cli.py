"""The command `pg-tf`."""

from __future__ import annotations

import typer

from pg_tf.commands import data_service, prepare
from pg_tf.commands.demo import demo
from pg_tf.commands.describe import describe
from pg_tf.commands.evaluate import evaluate
from pg_tf.commands.predict import predict
from pg_tf.commands.train import train

app = typer.Typer(help="Molecules as 3D voxel grids, inside TensorFlow.", no_args_is_help=True, add_completion=False)

app.command()(demo)
app.command()(describe)
app.add_typer(prepare.app, name="prepare")
app.command("train")(train)
app.command()(evaluate)
app.command()(predict)
app.add_typer(data_service.app, name="data-service")


def main() -> None:
    """Entry point of the console script."""
    app()
