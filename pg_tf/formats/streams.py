"""The text of a file, unpacked while it is read, and what shows that it is damaged."""

from __future__ import annotations

import bz2
import codecs
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
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, cast

from pg_tf.formats.limits import TooLarge, largest_file, longest_record
from pg_tf.formats.sources import PACKED, Source, full_name, is_tar, opened

DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, csv.Error)
"""What the standard library raises on a file that is cut off or damaged."""

# What is lost before the place where a file is damaged is less than this.
_BLOCK = 1 << 14

# How packed files begin, whatever their names are.
_GZIP, _BZIP2, _XZ, _ZIP = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"PK\x03\x04"


def digest(algorithm: str, source: Source) -> str:
    """Hexadecimal digest of a whole file, by the name of its algorithm in hashlib."""
    result = hashlib.new(algorithm, usedforsecurity=False)
    with opened(source) as file:
        while block := file.read(1 << 20):
            result.update(block)
    return result.hexdigest()


def damage_of(error: Exception) -> str:
    """What one of DAMAGE says to the user."""
    return f"the file is cut off or damaged ({error})"


@contextlib.contextmanager
def unpacked(source: Source, suffix: str | tuple[str, ...] = "") -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The content of a file that is plain, packed by gzip, bzip2 or xz, the one file in a zip archive, or the one file
    in a tar archive whose name ends in `suffix`.

    Yields:
      The content, and a function that tells how many bytes of the file itself have been read.

    Raises:
      OSError: if the file cannot be opened.
      ValueError: if there is no such file in the archive, what is before it is damaged, or, later, what is unpacked
        becomes larger than `pg_tf.formats.limits` allows.
    """
    name = full_name(source)
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(opened(source))
        size = raw.seek(0, os.SEEK_END)
        raw.seek(0)
        head = raw.read(6)
        raw.seek(0)
        if is_tar(source):
            content = stack.enter_context(_only_member(raw, name, suffix))
        elif head.startswith(_GZIP):
            content = cast(IO[bytes], gzip.GzipFile(fileobj=raw))
        elif head.startswith(_BZIP2):
            content = cast(IO[bytes], bz2.BZ2File(raw))
        elif head.startswith(_XZ):
            content = cast(IO[bytes], stack.enter_context(lzma.LZMAFile(raw)))
        elif head.startswith(_ZIP):
            try:
                packed = stack.enter_context(zipfile.ZipFile(raw))
            except DAMAGE as error:
                raise ValueError(f"path: {name}: {damage_of(error)}") from error
            names = [member.filename for member in packed.infolist() if not member.is_dir()]
            if len(names) != 1:
                raise ValueError(f"{name} holds {len(names)} files: unpack it, and give the files")
            try:
                content = stack.enter_context(packed.open(names[0]))
            except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a rare way
                raise ValueError(f"{name}: {error}") from error
        elif isinstance(source, (str, os.PathLike)) and name.lower().endswith(tuple(PACKED)):
            program = next(program for end, program in PACKED.items() if name.lower().endswith(end))
            cause = EOFError(f"its name says that it is packed by {program}, and it is not")
            raise ValueError(f"path: {name}: {damage_of(cause)}")
        else:
            yield raw, raw.tell
            return
        bounded = _Bounded(content, name, largest_file(size))
        yield cast(IO[bytes], io.BufferedReader(bounded, _BLOCK)), raw.tell


@contextlib.contextmanager
def _only_member(raw: IO[bytes], name: str, suffix: str | tuple[str, ...]) -> Iterator[IO[bytes]]:
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(tarfile.open(fileobj=raw, mode="r|*"))
            members = _members(archive, suffix)
            member = next(members, None)
        except DAMAGE as error:
            raise ValueError(f"{name}: {damage_of(error)}") from error
        if member is None:
            ends = suffix if isinstance(suffix, str) else " or ".join(suffix)
            raise ValueError(f"{name} holds no file that ends in {ends}")
        yield cast(IO[bytes], archive.extractfile(member))
        # If the archive is damaged, the caller got that error while reading the file.
        with contextlib.suppress(*DAMAGE):
            other = next(members, None)
            if other is not None:
                raise ValueError(f"{name} holds {member.name} and {other.name}: unpack it, and give the files")


class _Bounded(io.RawIOBase):
    """What a file unpacks to, as long as it does not become too large. Damage is one of DAMAGE: bz2 has an OSError that
    nothing but its lack of a number tells from others."""

    def __init__(self, content: IO[bytes], name: str, limit: int) -> None:
        self.content, self.name, self.limit, self.count = content, name, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = getattr(self.content, "read1", self.content.read)  # what there is, before an error in what follows
        try:
            block = read(len(buffer))
        except DAMAGE:
            raise
        except OSError as error:
            if error.errno is not None:
                raise
            raise EOFError(str(error)) from error
        self.count += len(block)
        if self.count > self.limit:
            raise TooLarge(f"{self.name}: what it unpacks to", "file", self.limit)
        buffer[: len(block)] = block
        return len(block)


def blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """The content of a text file as UTF-8 without a byte order mark, with lines that end in a line feed, whatever it
    has itself. Blocks end anywhere."""
    read = getattr(stream, "read1", stream.read)
    block = stream.read(3)
    decoder = None
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
    elif block == codecs.BOM_UTF8:
        block = read(_BLOCK)
    held = b""
    while block:
        if decoder is not None:
            block = decoder.decode(block).encode()
        block = held + block
        held = b"\r" if block.endswith(b"\r") else b""
        if held:
            block = block[:-1]
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield block
        block = read(_BLOCK)
    if held:
        yield b"\n"


def lines(content: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of a text, without their ends; bytes that are no UTF-8 are replaced.

    Args:
      content: as `blocks` yields it.
      name: of the file, for messages.

    Raises:
      ValueError: if a line is longer than `longest_record()`.
    """
    pending = bytearray()
    limit = longest_record()
    for block in content:
        pending += block
        if b"\n" in block:
            whole, _, rest = pending.rpartition(b"\n")
            pending = rest
            yield from whole.decode("utf-8", "replace").split("\n")
        if len(pending) > limit:
            raise TooLarge(f"{name}: a line", "record", limit)
    if pending:
        yield pending.decode("utf-8", "replace")


def delimited(content: Iterable[bytes], end: re.Pattern[bytes], name: str) -> Iterator[bytes]:
    """Records that each end with a match of `end`; what is left after the last one comes as it is, unless it is blank.

    Args:
      content: as `blocks` yields it.
      end: matches no more than a line.
      name: of the file, for messages.

    Raises:
      ValueError: if a record is longer than `longest_record()`.
    """
    pending = bytearray()
    searched = 0
    limit = longest_record()
    for block in content:
        pending += block
        done = 0
        for match in end.finditer(pending, searched):
            record, done = bytes(pending[done : match.end()]), match.end()
            yield record
        del pending[:done]
        # A delimiter may be cut in two by the end of a block; what was searched before is not searched again.
        before = max(0, searched - done)
        searched = max(before, pending.rfind(b"\n", before, max(0, len(pending) - 1)))
        if len(pending) > limit:
            raise TooLarge(f"{name}: a record", "record", limit)
    if pending.strip():
        yield bytes(pending)


def read_text(source: Source) -> str:
    """All text of a file, packed or not, with lines that end in a line feed. A byte order mark tells its encoding,
    which is UTF-8 without one; bytes that are none of it are replaced.

    Raises:
      ValueError: if it is damaged, or larger than `largest_file()`.
      OSError: if it cannot be opened.
    """
    limit, size, parts = largest_file(), 0, []
    try:
        with unpacked(source) as (stream, _):
            for block in blocks(stream):
                size += len(block)
                if size > limit:
                    raise TooLarge(f"path: {full_name(source)}", "file", limit)
                parts.append(block)
    except DAMAGE as error:
        raise ValueError(f"path: {full_name(source)}: {damage_of(error)}") from error
    return b"".join(parts).decode("utf-8", "replace")


def tar_members(source: Source, suffix: str) -> Iterator[tuple[str, bytes, int]]:
    """Name and content of each file in a tar archive whose name ends in `suffix`, and the bytes read so far.

    Raises:
      ValueError: if a file is longer than `longest_record()`.
    """
    limit = longest_record()
    with opened(source) as raw, tarfile.open(fileobj=raw, mode="r|*") as archive:
        for member in _members(archive, suffix):
            if member.size > limit:
                raise TooLarge(f"{full_name(source)}: {member.name}", "record", limit)
            yield member.name, cast(IO[bytes], archive.extractfile(member)).read(), raw.tell()


def _members(archive: tarfile.TarFile, suffix: str | tuple[str, ...]) -> Iterator[tarfile.TarInfo]:
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
