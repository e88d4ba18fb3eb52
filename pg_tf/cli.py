"""The command `pg-tf`."""

from __future__ import annotations

import typer

from pg_tf.commands import prepare
from pg_tf.commands.demo import demo

app = typer.Typer(help="Molecules as 3D voxel grids, inside TensorFlow.", no_args_is_help=True, add_completion=False)


@app.callback()
def _root() -> None:
    """Keeps `demo` a subcommand while it is the only one."""


app.command()(demo)
app.add_typer(prepare.app, name="prepare")


def main() -> None:
    """Entry point of the console script."""
    app()
