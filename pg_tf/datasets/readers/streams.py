"""Bytes of a file, unpacked while they are read, and what shows that it is damaged."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import hashlib
import io
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from pg_tf.datasets.readers.record import Path

DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, csv.Error)
"""What the standard library raises on a file that is cut off or damaged."""

# What is lost before the place where a file is damaged is less than this.
_BLOCK = 1 << 14
PACKED = (".gz", ".bz2", ".xz", ".zip")
"""Suffixes of packed files with one file in each."""

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2")


def digest(algorithm: str, path: Path) -> str:
    """Hexadecimal digest of a whole file, by the name of its algorithm in hashlib."""
    result = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            result.update(block)
    return result.hexdigest()


def damage_of(error: Exception) -> str:
    """What one of DAMAGE says to the user."""
    return f"the file is cut off or damaged ({error})"


def unpacked_name(path: Path) -> str:
    """The name of a file without its folder, and without the suffix of how it is packed."""
    name = os.path.basename(os.fspath(path))
    return next((name[: -len(end)] for end in PACKED if name.lower().endswith(end)), name)


def is_tar(path: Path) -> bool:
    """Whether the name is that of a tar archive."""
    return os.fspath(path).lower().endswith(_TAR)


@contextlib.contextmanager
def unpacked(path: Path, suffix: str = "") -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The content of a file that is plain, .gz, .bz2, .xz, the one file in a .zip archive, or the one file in a tar
    archive whose name ends in `suffix`.

    Yields:
      The content, and a function that tells how many bytes of the file itself have been read.

    Raises:
      OSError: if the file cannot be opened.
      ValueError: if there is no such file in the archive, or what is before it is damaged.
    """
    name = os.fspath(path).lower()
    with open(path, "rb") as raw:
        if is_tar(path):
            with contextlib.ExitStack() as stack:
                try:
                    archive = stack.enter_context(tarfile.open(fileobj=raw, mode="r|*"))
                    members = _members(archive, suffix)
                    member = next(members, None)
                except DAMAGE as error:
                    raise ValueError(f"{path}: {damage_of(error)}") from error
                if member is None:
                    raise ValueError(f"{path} holds no file that ends in {suffix}")
                yield cast(IO[bytes], archive.extractfile(member)), raw.tell
                # If the archive is damaged, the caller got that error while reading the file.
                with contextlib.suppress(*DAMAGE):
                    other = next(members, None)
                    if other is not None:
                        raise ValueError(f"{path} holds {member.name} and {other.name}: unpack it, and give the files")
            return
        if name.endswith(".gz"):
            yield cast(IO[bytes], gzip.GzipFile(fileobj=raw)), raw.tell
        elif name.endswith(".bz2"):
            yield cast(IO[bytes], io.BufferedReader(_Bz2(raw))), raw.tell
        elif name.endswith(".xz"):
            with lzma.LZMAFile(raw) as content:
                yield cast(IO[bytes], content), raw.tell
        elif name.endswith(".zip"):
            with zipfile.ZipFile(raw) as packed:
                names = [member.filename for member in packed.infolist() if not member.is_dir()]
                if len(names) != 1:
                    raise ValueError(f"{path} holds {len(names)} files: unpack it, and give the files")
                with packed.open(names[0]) as only:
                    yield only, raw.tell
        else:
            yield raw, raw.tell


@contextlib.contextmanager
def unpacked_text(path: Path) -> Iterator[tuple[IO[str], Callable[[], int]]]:
    """As `unpacked`, decoded: bytes that are not UTF-8 are replaced, a byte order mark goes, line ends stay."""
    with unpacked(path) as (stream, position), io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="") as text:
        yield text, position


class _Bz2(io.RawIOBase):
    """The content of a .bz2 file; damage is an EOFError, which the bz2 module tells from no other OSError."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.file = bz2.BZ2File(raw)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block = self.file.read1(len(buffer))
        except OSError as error:
            if error.errno is not None:
                raise
            raise EOFError(str(error)) from error
        buffer[: len(block)] = block
        return len(block)


def tar_members(path: Path, suffix: str) -> Iterator[tuple[str, bytes, int]]:
    """Name and content of each file in a tar archive whose name ends in `suffix`, and the bytes read so far."""
    with open(path, "rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as archive:
        for member in _members(archive, suffix):
            yield member.name, cast(IO[bytes], archive.extractfile(member)).read(), raw.tell()


def _members(archive: tarfile.TarFile, suffix: str) -> Iterator[tarfile.TarInfo]:
    """Files in an archive opened as a stream whose name ends in `suffix`.

    Raises:
      tarfile.ReadError: if the archive is cut off between two files, which tarfile itself takes for its end.
    """
    for member in archive:
        if member.isfile() and member.name.lower().endswith(suffix):
            yield member
    stream = cast(IO[bytes], archive.fileobj)
    if stream.tell() < archive.offset + tarfile.BLOCKSIZE:
        raise tarfile.ReadError("the archive is cut off: its closing block is missing")


def delimited(stream: IO[bytes], end: re.Pattern[bytes]) -> Iterator[bytes]:
    """Records that each end with a match of `end`; what is left after the last one comes as it is, unless it is blank.

    Args:
      stream: is read in blocks, whatever the length of records.
      end: matches no more than a line.
    """
    pending = b""
    searched = 0
    read = getattr(stream, "read1", stream.read)  # what there is, before an error in what follows
    while block := read(_BLOCK):
        pending += block
        done = 0
        for match in end.finditer(pending, searched):
            yield pending[done : match.end()]
            done = match.end()
        pending = pending[done:]
        # A delimiter may be cut in two by the end of a block.
        searched = max(0, pending.rfind(b"\n", 0, max(0, len(pending) - 1)))
    if pending.strip():
        yield pending
