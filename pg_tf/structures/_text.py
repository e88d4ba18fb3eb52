"""The text of a file."""

from __future__ import annotations

from pg_tf.datasets.readers.record import Path
from pg_tf.datasets.readers.streams import DAMAGE, damage_of, open_text


def read_text(path: Path) -> str:
    """All text of a plain or gzipped file.

    Raises:
      ValueError: if it is no gzip file in spite of its name, or a damaged one.
      OSError: if it cannot be opened.
    """
    try:
        with open_text(path) as file:
            return file.read()
    except DAMAGE as error:
        raise ValueError(f"path: {path}: {damage_of(error)}") from error
