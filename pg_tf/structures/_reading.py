"""What all readers have in common: errors that name the file, and doubts about its content."""

from __future__ import annotations

import dataclasses
import warnings
from types import TracebackType

from pg_tf.datasets.readers.record import Path
from pg_tf.structures.structure import Structure


class Doubts:
    """What a reader doubts while it reads a file. Errors that leave the block name the file.

    Args:
      path: of the file.
      strict: whether the first doubt is an error.
    """

    def __init__(self, path: Path, strict: bool) -> None:
        self._path, self._strict, self._notes = path, strict, list[str]()

    def add(self, cause: str) -> None:
        """Warns of something doubtful; raises ValueError if the reader is strict."""
        if self._strict:
            raise ValueError(cause)
        warnings.warn(f"{self._path}: {cause}", stacklevel=4)
        self._notes.append(cause)

    def noted(self, structure: Structure) -> Structure:
        """The structure, with the doubts as its notes."""
        return dataclasses.replace(structure, notes=tuple(self._notes))

    def __enter__(self) -> Doubts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # gemmi raises RuntimeError on what it cannot parse.
        if isinstance(error, (ValueError, RuntimeError)) and not str(error).startswith(("path: ", "elements: ")):
            raise ValueError(f"path: {self._path}: {error}") from error
