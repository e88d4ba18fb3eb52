"""Files that are there whole or not at all, whatever happens while they are written."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def naming(path: str | os.PathLike[str], scratch: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """Puts the name of the file into an OSError that has none, as those of writes, or that of a scratch file."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, scratch and os.fspath(scratch)):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


@contextlib.contextmanager
def whole(path: str | os.PathLike[str], suffix: str = ".part") -> Iterator[Path]:
    """Puts a file in its place in one step, synced, when the block ends; what was there before stays until then.

    Example:

        with whole("table.csv") as scratch, open(scratch, "w") as file:
            file.write(text)

    Args:
      path: of the file.
      suffix: of the scratch file, for a writer that goes by it.

    Yields:
      The path to write to, in the same folder. Nothing is left there if the block ends in an error.

    Raises:
      OSError: if it cannot be written, such as on a full disk; it names the file.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(target))
    scratch = target.with_name(f"{target.name}.{os.getpid()}{suffix}")
    with naming(target, scratch):
        try:
            yield scratch
            with open(scratch, "rb") as file:
                os.fsync(file.fileno())
            os.replace(scratch, target)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Puts a file with this content in its place, as `whole` does."""
    with whole(path) as scratch:
        scratch.write_bytes(content.encode() if isinstance(content, str) else content)
