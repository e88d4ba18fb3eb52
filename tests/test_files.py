"""Files that are there whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from pg_tf._files import whole, write_whole


def test_a_file_is_put_in_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "Å before")
    with whole(path) as scratch:
        scratch.write_bytes(b"after")
        assert path.read_text() == "Å before"
    assert path.read_bytes() == b"after"
    assert os.listdir(tmp_path) == ["file"]


def _interrupted(path: Path) -> None:
    with whole(path) as scratch:
        scratch.write_bytes(b"half")
        raise KeyboardInterrupt


def _on_a_full_disk(path: Path) -> None:
    with whole(path) as scratch:
        scratch.symlink_to("/dev/full")
        scratch.write_bytes(b"anything")


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"before")
    with pytest.raises(KeyboardInterrupt):
        _interrupted(path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(OSError, match="No space left") as caught:
        _on_a_full_disk(path)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert os.listdir(tmp_path) == []


def test_a_place_where_no_file_can_be_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "none" / "file", "text")
    assert caught.value.filename == str(tmp_path / "none" / "file")
    with pytest.raises(IsADirectoryError) as directory:
        write_whole(tmp_path, "text")
    assert directory.value.filename == str(tmp_path)
