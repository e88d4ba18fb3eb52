"""Command lines of pg-tf, parsed by pg-tf itself without being run."""

import typer

from pg_tf.cli import app


def parse(arguments: list[str]) -> list[str]:
    """The subcommand's name and the names of its parameters; raises on what pg-tf does not know."""
    command = typer.main.get_command(app)
    context = command.make_context("pg-tf", list(arguments))
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return [context.info_name, *context.params]
