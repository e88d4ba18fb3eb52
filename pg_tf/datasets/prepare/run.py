"""Preparing a folder of shards: on all cores, and able to continue after a stop at any moment.

The records of a source are cut into chunks, always at the same places, and a chunk becomes a shard, which is put in its
place in one step. So a shard that is there is done, whatever happened to the process that made it, and the result does
not depend on how often it was interrupted or on how many processes worked.
"""

import multiprocessing
import os
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pg_tf.datasets.manifest import Manifest, manifest_path, read_manifest
from pg_tf.datasets.prepare.finish import finish, intact, molecules_in, shard_path
from pg_tf.datasets.prepare.job import alone_in, begin, job_of
from pg_tf.datasets.prepare.make import make_shard
from pg_tf.datasets.prepare.progress import Bar
from pg_tf.datasets.readers import Reader


def prepare(
    reader: Reader,
    root: str | os.PathLike[str],
    *,
    strict: bool = False,
    workers: int | None = None,
    records_per_shard: int | None = None,
    progress: bool = False,
) -> Manifest:
    """Makes a folder of shards; `load` reads it.

    Killed at any moment, the same call goes on where it was. If the folder is finished, it checks the shards, makes
    those again that have been damaged since, and returns the manifest.

    Args:
      reader: what to read.
      root: the folder, on a local disk.
      strict: raise at the first record that is bad or doubtful, or where labels look wrong, instead of saying so in the
        manifest.
      workers: processes; None for one for each core.
      records_per_shard: records of the source that make one shard; None for the number of the reader.
      progress: show a bar with the time that is left.

    Returns:
      The manifest. Records that were left out are counted there, and named in `skipped.txt`; what is doubtful about
      others in `notes.txt`.

    Raises:
      ValueError: if the folder was begun with other files or options, another process is at work in it, nothing at
        all could be read, or `strict`.
      OSError: if a file cannot be read or a shard not be written, as on a full disk.
      RuntimeError: if a worker process dies.
    """
    root = Path(root)
    count = records_per_shard or reader.records_per_shard
    if count < 1:
        raise ValueError(f"records_per_shard: must be at least 1, got {count}")
    root.mkdir(parents=True, exist_ok=True)
    job = job_of(reader, count)
    with alone_in(root):
        begin(root, job)
        if os.path.exists(manifest_path(root)):
            manifest = read_manifest(root)
            if strict and (reasons := [*manifest.skipped, *manifest.notes, *manifest.questions]):
                raise ValueError(f"strict: {root} was prepared without it, and not all was well: {'; '.join(reasons)}")
            if intact(root, manifest):
                return manifest
        for scratch in root.glob("*.part"):
            scratch.unlink()
        splits = _make_shards(reader, root, strict, workers or len(os.sched_getaffinity(0)), count, progress)
        return finish(reader, job, root, splits, strict)


def _make_shards(reader: Reader, root: Path, strict: bool, workers: int, count: int, progress: bool) -> list[str]:
    splits: list[str] = []
    with Bar(reader.bytes if progress else None, reader.kind) as bar, _pool(workers) as pool:
        running: dict[Future[int], int] = {}

        def collect(wait_for_all: bool) -> None:
            while running and (wait_for_all or len(running) >= 2 * workers):
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    bar.advance(running.pop(future), future.result())

        try:
            for number, chunk in enumerate(reader.chunks(count)):
                splits.append(chunk.split)
                path = shard_path(root, number)
                if (done := molecules_in(path)) is not None:
                    bar.advance(chunk.size, done)
                    continue
                running[pool.submit(make_shard, reader, chunk, str(path), strict)] = chunk.size
                collect(wait_for_all=False)
            collect(wait_for_all=True)
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a worker process died (killed, or out of memory?); the same command goes on where it was"
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return splits


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not forked from this process, in which TensorFlow may have threads. Workers share what their server has imported.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pg_tf.datasets.prepare.run"])
    return ProcessPoolExecutor(workers, context, _end_with_parent)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait_for_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()
