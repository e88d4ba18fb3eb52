"""Preparing a folder of shards: in all cores, to be stopped and gone on with at any moment.

The records of a source are cut into chunks, always at the same places, and a chunk becomes a shard, which is put in its
place in one step. So a shard that is there is done, whatever happened to the process that made it, and the result does
not depend on how often it was interrupted or on how many processes worked.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rdkit import rdBase

from pg_tf.datasets._collect import BadRecord, Record, check_float32
from pg_tf.datasets.manifest import Manifest, ShardEntry, manifest_path, read_manifest
from pg_tf.datasets.prepare.labels import TO_EV, odd_label, odd_labels
from pg_tf.datasets.prepare.progress import Bar
from pg_tf.datasets.prepare.recipe import Chunk, Recipe
from pg_tf.datasets.prepare.streams import digest
from pg_tf.datasets.shards import MOST_ATOMS, Shard, fingerprint, write_at_once, write_shard
from pg_tf.elements import SYMBOLS

_JOB = "job.json"
_SKIPPED = "skipped.txt"


def prepare(
    recipe: Recipe,
    root: str | os.PathLike[str],
    *,
    strict: bool = False,
    workers: int | None = None,
    records_per_shard: int | None = None,
    progress: bool = False,
) -> Manifest:
    """Makes a folder of shards; `load` reads it.

    Killed at any moment, the same call goes on where it was. Where all is done, it reads the shards once, makes again
    what was damaged since, and says what is there.

    Args:
      recipe: what to read.
      root: the folder, on a local disk.
      strict: raise at the first bad record, or where labels look wrong, instead of saying so in the manifest.
      workers: processes; None for one a core.
      records_per_shard: of the source.
      progress: show a bar with the time that is left.

    Returns:
      The manifest. Records that were left out are counted there, and named in `skipped.txt`.

    Raises:
      ValueError: if the folder was begun with other files or options, nothing at all could be read, or `strict`.
      OSError: if a file cannot be read or a shard not be written, as on a full disk.
      RuntimeError: if a worker process dies.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    count = records_per_shard or recipe.records_per_shard
    if count < 1:
        raise ValueError(f"records_per_shard: must be at least 1, got {count}")
    job = _job(recipe, count)
    _begin(root, job)
    if os.path.exists(manifest_path(root)):
        manifest = read_manifest(root)
        if strict and (reasons := [*manifest.skipped, *manifest.questions]):
            raise ValueError(f"strict: {root} was prepared without it, and not all was well: {'; '.join(reasons)}")
        if _intact(root, manifest):
            return manifest
    for scratch in root.glob("*.tmp"):
        scratch.unlink()
    splits = _make_shards(recipe, root, strict, workers or len(os.sched_getaffinity(0)), count, progress)
    return _finish(recipe, job, root, splits, strict)


def _intact(root: Path, manifest: Manifest) -> bool:
    """Whether a finished folder is still what its manifest says; deletes shards that are not, to be made again."""

    def differs(shard: ShardEntry) -> bool:
        path = root / shard.file
        return not path.exists() or int(fingerprint(path.read_bytes())) != shard.fingerprint

    with ThreadPoolExecutor() as pool:
        lost = [shard for shard, lost in zip(manifest.shards, pool.map(differs, manifest.shards), strict=True) if lost]
    for shard in lost:
        warnings.warn(f"{root / shard.file} is missing or damaged: it is made again now", stacklevel=3)
        # Not left to be overwritten: a shard that is sound in itself, but another's, would be taken for done.
        (root / shard.file).unlink(missing_ok=True)
    return not lost and (root / _SKIPPED).exists()


def _job(recipe: Recipe, count: int) -> dict[str, Any]:
    # Of the whole files: dates change with every copy, and an edit anywhere changes molecules.
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(partial(digest, "sha256"), recipe.files))
    files = [
        {"name": os.path.basename(os.fspath(path)), "bytes": os.path.getsize(path), "sha256": found}
        for path, found in zip(recipe.files, digests, strict=True)
    ]
    options = {**recipe.options, "label": recipe.label, "unit": recipe.unit, "records_per_shard": count}
    return {"kind": recipe.kind, "files": files, "options": options}


def _begin(root: Path, job: dict[str, Any]) -> None:
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
        write_at_once(path, f"{json.dumps(job, indent=1, sort_keys=True)}\n".encode())


def _short(job: dict[str, Any], names: list[str]) -> str:
    return json.dumps({name: job.get(name) for name in names})[:300]


def _shard_path(root: Path, number: int) -> Path:
    return root / f"{number:06d}.shard"


def _make_shards(recipe: Recipe, root: Path, strict: bool, workers: int, count: int, progress: bool) -> list[str]:
    splits: list[str] = []
    with Bar(recipe.bytes if progress else None, recipe.kind) as bar, _pool(workers) as pool:
        running: dict[Future[int], int] = {}

        def collect(wait_for_all: bool) -> None:
            while running and (wait_for_all or len(running) >= 2 * workers):
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    bar.advance(running.pop(future), future.result())

        try:
            for number, chunk in enumerate(recipe.chunks(count)):
                splits.append(chunk.split)
                path = _shard_path(root, number)
                if path.exists() and (done := _molecules_in(path)) is not None:
                    bar.advance(chunk.size, done)
                    continue
                running[pool.submit(_make, recipe, chunk, str(path), strict)] = chunk.size
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


def _molecules_in(path: Path) -> int | None:
    """How many molecules are in a shard; None if the disk damaged it, so that it is to be made again."""
    try:
        return len(Shard.from_bytes(path.read_bytes(), str(path)).sizes)
    except ValueError:
        return None


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not forked from this process, in which TensorFlow may have threads; what the server imports is shared by all.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pg_tf.datasets.prepare.run"])
    return ProcessPoolExecutor(workers, context, _end_with_parent)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work forever."""
    rdBase.DisableLog("rdApp.*")
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait_for_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()


def _make(recipe: Recipe, chunk: Chunk, path: str, strict: bool) -> int:
    """Parses a chunk and writes its shard; returns the number of molecules."""
    kept: list[tuple[int, Record, np.ndarray, np.ndarray]] = []
    skipped: list[tuple[str, str]] = []
    odd: list[str] = []
    factor = TO_EV.get(recipe.unit, 1.0)
    for index, (place, outcome) in zip(chunk.indices, recipe.parse(chunk), strict=True):
        if not isinstance(outcome, BadRecord):
            try:
                value = None if outcome.label is None else outcome.label * factor
                if value is not None:
                    check_float32(str(recipe.label), value)
                kept.append((index, outcome, *_columns(outcome)))
                if question := odd_label(recipe.label, recipe.unit, value):
                    odd.append(f"{chunk.place}: {place}: {question}")
                continue
            except BadRecord as error:
                outcome = error
        skipped.append((f"{chunk.place}: {place}", str(outcome)))
    if chunk.damage:
        skipped.append((f"{chunk.place}: after record {chunk.first + len(chunk.records) - 1}", chunk.damage))
    if strict and (skipped or odd):
        raise ValueError(": ".join(skipped[0]) if skipped else odd[0])
    labels = [math.nan if record.label is None else record.label * factor for _, record, _, _ in kept]
    shard = Shard(
        np.array(labels, np.float32),
        np.array([index for index, *_ in kept], np.uint32),
        np.array([len(numbers) for *_, numbers, _ in kept], np.uint16),
        np.concatenate([np.zeros((0, 3), np.float32), *(coords for *_, coords in kept)]),
        np.concatenate([np.zeros(0, np.uint8), *(numbers for *_, numbers, _ in kept)]),
        {"records": len(chunk.records), "skipped": skipped, "odd": odd},
    )
    write_shard(shard, path)
    return len(kept)


def _columns(record: Record) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.asarray(record.atomic_numbers, np.int64)
    with np.errstate(over="ignore"):
        coords = np.asarray(record.coords, np.float64).astype(np.float32).reshape(-1, 3)
    if not 1 <= len(numbers) <= MOST_ATOMS:
        raise BadRecord(f"it has {len(numbers)} atoms; 1 to {MOST_ATOMS} can be stored")
    if not np.isfinite(coords).all():
        raise BadRecord(f"atom {np.argmin(np.isfinite(coords).all(axis=1))} has coordinates that are not finite")
    if numbers.min() < 1 or numbers.max() >= len(SYMBOLS):
        raise BadRecord(f"atom {np.argmax((numbers < 1) | (numbers >= len(SYMBOLS)))} is no element")
    return numbers.astype(np.uint8), coords


def _finish(recipe: Recipe, job: dict[str, Any], root: Path, splits: list[str], strict: bool) -> Manifest:
    """Reads all shards back and writes what they hold together; the manifest last."""
    for extra in set(root.glob("*.shard")) - {_shard_path(root, number) for number in range(len(splits))}:
        raise ValueError(f"root: {extra} does not belong to this source; delete the folder, or choose another one")
    with ThreadPoolExecutor() as pool:
        summaries = list(pool.map(_summary, [_shard_path(root, number) for number in range(len(splits))], splits))
    entries = [summary["entry"] for summary in summaries]
    skipped = [tuple(line) for summary in summaries for line in summary["journal"]["skipped"]]
    molecules = sum(entry.molecules for entry in entries)
    if not molecules:
        reasons = "; ".join(": ".join(line) for line in skipped[:3]) or "there is nothing in it"
        raise ValueError(f"no molecule could be read from {', '.join(map(str, recipe.files))}: {reasons}")
    if strict and skipped:
        raise ValueError(f"strict: {len(skipped)} records were left out; the first: {': '.join(skipped[0])}")
    unit = "eV" if recipe.unit in TO_EV else recipe.unit
    statistics = {} if recipe.label is None else _statistics(summaries, molecules)
    odd = [line for summary in summaries for line in summary["journal"]["odd"]]
    questions = odd_labels(recipe.label, recipe.unit, statistics)
    if odd:
        questions.append(f"{len(odd)} labels cannot be right: {'; '.join(odd[:3])}")
    if strict and questions:
        raise ValueError(questions[0])
    elements = np.sum([summary["elements"] for summary in summaries], axis=0)
    manifest = Manifest(
        source={**job, "records": sum(summary["journal"]["records"] for summary in summaries)},
        label=recipe.label,
        unit=unit,
        molecules=molecules,
        atoms=sum(entry.atoms for entry in entries),
        elements={SYMBOLS[number]: int(elements[number]) for number in np.flatnonzero(elements)},
        label_statistics=statistics,
        skipped=dict(sorted(Counter(_reason(reason) for _, reason in skipped).items())),
        questions=questions,
        shards=entries,
    )
    write_at_once(root / _SKIPPED, "".join(f"{place}: {reason}\n" for place, reason in skipped).encode())
    write_at_once(Path(manifest_path(root)), manifest.to_json().encode())
    return manifest


def _reason(text: str) -> str:
    """What a reason has in common with others: without what is quoted or counted in it."""
    unquoted = re.sub(r"(?<!\w)'[^']*'", "...", text)
    return re.sub(r"-?\b\d[\d.]*\b", "N", unquoted)[:120]


def _summary(path: Path, split: str) -> dict[str, Any]:
    content = path.read_bytes()
    shard = Shard.from_bytes(content, str(path))
    labels = shard.labels.astype(np.float64)
    entry = ShardEntry(
        path.name, split, len(shard.sizes), len(shard.atomic_numbers), len(content), int(fingerprint(content))
    )
    return {
        "entry": entry,
        "journal": shard.journal,
        "elements": np.bincount(shard.atomic_numbers, minlength=len(SYMBOLS)),
        "labels": (labels.sum(), (labels**2).sum(), *((labels.min(), labels.max()) if len(labels) else (0.0, 0.0))),
    }


def _statistics(summaries: list[dict[str, Any]], molecules: int) -> dict[str, float]:
    filled = [summary["labels"] for summary in summaries if summary["entry"].molecules]
    total, squares = math.fsum(s[0] for s in filled), math.fsum(s[1] for s in filled)
    mean = total / molecules
    return {
        "mean": mean,
        "std": math.sqrt(max(squares / molecules - mean**2, 0.0)),
        "min": float(min(s[2] for s in filled)),
        "max": float(max(s[3] for s in filled)),
    }


def skipped_lines(root: str | os.PathLike[str]) -> Iterator[str]:
    """The records that were left out of a folder, and why."""
    with open(Path(root) / _SKIPPED, encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file)
