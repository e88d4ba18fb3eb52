"""The subcommands of `pg-tf`, one a module: each reads its options and calls one function of the package.

What a command runs is imported inside it, so that it does not load what only the others need.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager

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
