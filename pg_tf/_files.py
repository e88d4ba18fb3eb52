"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Puts a file in its place in one step, synced, when the block ends; what was there before stays until then.

    Example:

        with whole("table.csv") as scratch, open(scratch, "w") as file:
            file.write(text)

    Args:
      path: of the file.

    Yields:
      The path to write to, in the same folder. Nothing is left there if the block ends in an error.

    Raises:
      OSError: if it cannot be written, such as on a full disk; it names the file.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(target))
    scratch = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        yield scratch
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        os.replace(scratch, target)
    except BaseException as error:
        scratch.unlink(missing_ok=True)
        # A write that fails names no file, and the scratch file is none that the user knows of.
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, os.fspath(scratch)):
            raise OSError(error.errno, error.strerror, os.fspath(target)) from error
        raise


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Puts a file with this content in its place, as `whole` does."""
    with whole(path) as scratch:
        scratch.write_bytes(content.encode() if isinstance(content, str) else content)
