"""The subcommands of `pg-tf`, one a module: each reads its options and calls one function of the package.

What a command runs is imported inside it, so that it does not load what only the others need.
"""

from __future__ import annotations

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
        # What a step of the data pipeline refused; the lines below the first are about TensorFlow's graph.
        typer.echo(f"pg-tf {command}: {error.message.splitlines()[0]}", err=True)
        raise typer.Exit(1) from error
