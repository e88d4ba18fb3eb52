"""What the subcommands share: errors as one line, and options that stand in a table."""

import inspect
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from typing import Annotated, Any

import tensorflow as tf
import typer

# What a user can mend: arguments, files and disks, damaged archives, missing packages, helpers that were killed.
_MENDABLE = (
    ValueError,
    OSError,
    FloatingPointError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    ModuleNotFoundError,
    BrokenExecutor,
)


@contextmanager
def errors_of(command: str) -> Iterator[None]:
    """Turns the errors that a user can mend into one line on stderr and exit status 1.

    Example:

        with errors_of("train"):
            training.train(config)
    """
    try:
        yield
    except _MENDABLE as error:
        typer.echo(f"pg-tf {command}: {error or type(error).__name__}", err=True)
        raise typer.Exit(1) from error
    except tf.errors.OpError as error:
        typer.echo(f"pg-tf {command}: {_what_was_refused(error)}", err=True)
        raise typer.Exit(1) from error


# What TensorFlow puts around the message of an op: nothing of it tells a user what to mend.
_GRAPH = re.compile(
    r"Graph execution error:\s*|Error in user-defined function passed to \S+ transformation with iterator: \S+: "
    r"|\{\{function_node [^}]*\}\} "
)


def _what_was_refused(error: tf.errors.OpError) -> str:
    """The message of the op that failed, in one line."""
    lines = _GRAPH.sub("", error.message).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def option(name: str, kind: Any, default: Any, *flags: str, **how: Any) -> inspect.Parameter:
    """An option for `with_options`.

    Args:
      name: of the argument that it becomes.
      kind: its type.
      default: `...` where it must be given.
      flags: as it is written, where that does not follow from the name.
      how: more arguments of `typer.Option`.
    """
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind, typer.Option(*flags, **how)],
        default=inspect.Parameter.empty if default is ... else default,
    )


def with_options(function: Callable[..., None], options: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """The function as Typer is to see it: with these options in place of its `**` argument."""
    own = [
        parameter
        for parameter in inspect.signature(function, eval_str=True).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    function.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *options]}
    return function
