"""What a folder of shards is made from: written into the folder, so that only the same job continues there."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pg_tf._files import write_whole
from pg_tf.datasets.manifest import manifest_path
from pg_tf.datasets.readers import Reader
from pg_tf.formats.sources import name_of, size_of
from pg_tf.formats.streams import digest

_JOB = "job.json"


def job_of(reader: Reader, records_per_shard: int) -> dict[str, Any]:
    """Everything that decides what the folder will hold: the content of the files (not their dates) and the options.

    Reads the files once: dates change with every copy, and an edit anywhere changes molecules.
    """
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(partial(digest, "sha256"), reader.files))
    files = [
        {"name": name_of(path), "bytes": size_of(path), "sha256": found}
        for path, found in zip(reader.files, digests, strict=True)
    ]
    options = {**reader.options, "label": reader.label, "unit": reader.unit, "records_per_shard": records_per_shard}
    return {"kind": reader.kind, "files": files, "options": options}


def begin(root: Path, job: dict[str, Any]) -> None:
    """Claims a folder for a job, or sees that it has been claimed for the same one.

    Raises:
      ValueError: if it has been claimed for another job.
    """
    path = root / _JOB
    if path.exists():
        try:
            begun = json.loads(path.read_text())
        except ValueError:
            raise ValueError(f"root: {path} is damaged; delete the folder, or choose another one") from None
        if begun != job:
            different = [name for name in job if begun.get(name) != job[name]]
            raise ValueError(
                f"root: {root} was begun with other {' and '.join(different)} ({_short(begun, different)}, now "
                f"{_short(job, different)}); delete it, or choose another folder"
            )
    elif any(root.glob("*.shard")) or os.path.exists(manifest_path(root)):
        raise ValueError(f"root: {root} holds shards of something else; choose another folder")
    else:
        write_whole(path, f"{json.dumps(job, indent=1, sort_keys=True)}\n")


def _short(job: dict[str, Any], names: Sequence[str]) -> str:
    return json.dumps({name: job.get(name) for name in names})[:300]


@contextlib.contextmanager
def alone_in(root: Path) -> Iterator[None]:
    """Keeps other processes out of a folder; the system lets them in again when this process ends in any way.

    Raises:
      ValueError: if another process is at work there.
    """
    folder = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"root: another process is preparing {root}; wait until it is done, or stop it") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(folder)
