"""What a reader takes: a path, an object that opens, an open file, or contents in memory.

A `str` is always the path of a file, never its content: content goes in as `io.StringIO(text)` or `io.BytesIO(data)`.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Protocol, TypeAlias, cast

from pg_tf.formats.limits import TooLarge, largest_file

Path = str | os.PathLike[str]

PACKED = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip"}
"""Suffixes of packed files with one file in each, and of which program."""

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class Openable(Protocol):
    """What opens as often as it is asked to, such as `fsspec.open(url)`, `upath.UPath(url)` or `zipfile.Path`."""

    @property
    def open(self) -> Callable[..., Any]: ...


Source: TypeAlias = "Path | Openable"
"""What can be read more than once."""

Input: TypeAlias = "Source | IO[str] | IO[bytes]"
"""What a caller may give: open files are read to their end, once."""


@dataclasses.dataclass(frozen=True)
class Contents:
    """The bytes of a file in memory.

    Attributes:
      name: of the file, for its suffix and for messages.
      data: its bytes.
    """

    name: str
    data: bytes = dataclasses.field(repr=False)

    def open(self, mode: str = "rb") -> IO[bytes]:
        """The bytes from the start."""
        return io.BytesIO(self.data)

    def __str__(self) -> str:
        return self.name


def repeatable(given: Input) -> Source:
    """What can be read more than once: an open file is read to its end, text or bytes, from where it is.

    Raises:
      TypeError: if it is neither a path nor anything that opens or can be read.
      ValueError: if an open file has more than `largest_file()` bytes.
    """
    if isinstance(given, str) and ("\n" in given or "\r" in given):
        raise ValueError(
            f"path: {given[:40]!r}... has several lines and is no path: give contents as io.StringIO(text) and say "
            f"their format"
        )
    if isinstance(given, (str, os.PathLike)) or hasattr(given, "open"):
        return cast(Source, given)
    if not hasattr(given, "read"):
        raise TypeError(f"path: must be a path, an open file or an object that opens, got {type(given).__name__}")
    data = given.read(largest_file() + 1)
    content = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else bytes(data)
    if len(content) > largest_file():
        raise TooLarge("path: the open file", "file", largest_file())
    name = getattr(given, "name", None)
    return Contents(name if isinstance(name, str) else "<contents>", content)


@contextmanager
def opened(source: Source) -> Iterator[IO[bytes]]:
    """The bytes of a source, seekable.

    Raises:
      OSError: if it cannot be opened.
    """
    if isinstance(source, str) and "://" in source:
        raise FileNotFoundError(
            f"path: {source} is a URL, and not a path: open it first, as by fsspec.open({source!r})"
        )
    if isinstance(source, (str, os.PathLike)) and not _opens(source):
        with open(source, "rb") as file:
            yield file
        return
    try:
        file = cast(Openable, source).open("rb")
    except TypeError:  # fsspec's know their mode already
        file = cast(Openable, source).open()
    with file:
        if isinstance(file, io.TextIOBase):
            raise TypeError(f"path: {source} opens as text; it must open as bytes")
        yield file if file.seekable() else io.BytesIO(file.read(largest_file()))


def _opens(source: object) -> bool:
    """Whether an object opens by itself: those of fsspec look like paths and may be elsewhere."""
    return hasattr(source, "open")


def full_name(source: Source) -> str:
    """The name of a source for messages, with its folder."""
    if isinstance(source, str):
        return source
    if isinstance(source, os.PathLike) and not hasattr(source, "fs"):
        return os.fspath(source)
    for attribute in ("path", "name", "filename"):
        if isinstance(name := getattr(source, attribute, None), str) and name:
            return name
    return str(source)


def name_of(source: Source) -> str:
    """The name of a source without its folder."""
    return os.path.basename(full_name(source))


def size_of(source: Source) -> int:
    """How many bytes a source has, packed as it is."""
    with opened(source) as file:
        return file.seek(0, os.SEEK_END)


def unpacked_name(source: Source) -> str:
    """The name of a source without its folder, and without the suffix of how it is packed."""
    name = name_of(source)
    return next((name[: -len(end)] for end in PACKED if name.lower().endswith(end)), name)


def is_tar(source: Source) -> bool:
    """Whether the name is that of a tar archive."""
    return name_of(source).lower().endswith(_TAR)


def suffix_of(source: Source, format: str | None) -> str:
    """The format of a source as a suffix, such as ".cif"; ".poscar" for names that begin with POSCAR or CONTCAR.

    Args:
      source: its name tells the format.
      format: the suffix to take instead, with or without a dot, in any case.
    """
    if format is not None:
        return "." + format.lower().removeprefix(".")
    name = unpacked_name(source)
    if name.upper().startswith(("POSCAR", "CONTCAR")):
        return ".poscar"
    return os.path.splitext(name)[1].lower()
