"""The text of a file."""

from __future__ import annotations

import codecs

from pg_tf.datasets.readers.record import Path
from pg_tf.datasets.readers.streams import DAMAGE, damage_of, unpacked


def read_text(path: Path) -> str:
    """All text of a file that is plain or packed as .gz, .bz2, .xz or .zip. A byte order mark tells its encoding, which
    is UTF-8 without one; bytes that are none of it are replaced.

    Raises:
      ValueError: if it is packed in another way than its name says, or damaged.
      OSError: if it cannot be opened.
    """
    try:
        with unpacked(path) as (stream, _):
            content = stream.read()
    except DAMAGE as error:
        raise ValueError(f"path: {path}: {damage_of(error)}") from error
    if content.startswith(b"\x1f\x8b"):
        raise ValueError(f"path: {path} is packed by gzip; its name must end in .gz")
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig", "replace")
