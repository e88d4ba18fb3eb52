"""Reading finished shards back, and writing their manifest."""

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pg_tf._files import write_whole
from pg_tf.datasets.labels import odd_labels
from pg_tf.datasets.manifest import Manifest, ShardEntry, manifest_path
from pg_tf.datasets.readers import Reader
from pg_tf.datasets.shards import Shard, fingerprint
from pg_tf.datasets.statistics import mean_and_std
from pg_tf.datasets.units import TO_EV
from pg_tf.elements import SYMBOLS

_SKIPPED = "skipped.txt"
_NOTES = "notes.txt"


def shard_path(root: Path, number: int) -> Path:
    """Where a shard is."""
    return root / f"{number:06d}.shard"


def molecules_in(path: Path) -> int | None:
    """How many molecules are in a shard; None if it is not there or damaged, so that it is to be made."""
    try:
        return len(Shard.from_bytes(path.read_bytes(), str(path)).sizes)
    except (FileNotFoundError, ValueError):
        return None


def intact(root: Path, manifest: Manifest) -> bool:
    """Whether a finished folder is still what its manifest says; deletes shards that are not, to be made again."""

    def differs(shard: ShardEntry) -> bool:
        path = root / shard.file
        return not path.exists() or int(fingerprint(path.read_bytes())) != shard.fingerprint

    with ThreadPoolExecutor() as pool:
        lost = [shard for shard, lost in zip(manifest.shards, pool.map(differs, manifest.shards), strict=True) if lost]
    for shard in lost:
        warnings.warn(f"{root / shard.file} is missing or damaged: it is made again now", stacklevel=4)
        # Deleted, and not left to be overwritten: any sound shard counts as done when the folder is prepared again,
        # and this may be a sound one that belongs to another folder.
        (root / shard.file).unlink(missing_ok=True)
    return not lost and (root / _SKIPPED).exists()


def finish(reader: Reader, job: Mapping[str, Any], root: Path, splits: Sequence[str], strict: bool) -> Manifest:
    """Reads all shards back and writes what they hold together; the manifest last.

    Args:
      reader: what was read.
      job: as `job_of` returns it.
      root: the folder.
      splits: part of the source that each shard belongs to.
      strict: raise where records were left out or labels look wrong.

    Raises:
      ValueError: if there is no molecule, a shard too many, or `strict`.
    """
    paths = [shard_path(root, number) for number in range(len(splits))]
    for extra in set(root.glob("*.shard")) - set(paths):
        raise ValueError(f"root: {extra} does not belong to this source; delete the folder, or choose another one")
    with ThreadPoolExecutor() as pool:
        summaries = list(pool.map(_summary, paths, splits))
    skipped = [tuple(line) for summary in summaries for line in summary.journal["skipped"]]
    if not any(summary.entry.molecules for summary in summaries):
        reasons = "; ".join(": ".join(line) for line in skipped[:3]) or "there is nothing in it"
        raise ValueError(f"no molecule could be read from {', '.join(map(str, reader.files))}: {reasons}")
    notes = [tuple(line) for summary in summaries for line in summary.journal.get("notes", ())]
    if strict and notes:
        raise ValueError(f"strict: {len(notes)} things are doubtful; the first: {': '.join(notes[0])}")
    if strict and skipped:
        raise ValueError(f"strict: {len(skipped)} records were left out; the first: {': '.join(skipped[0])}")
    statistics = {} if reader.label is None else _statistics([summary.labels for summary in summaries])
    questions = []
    if statistics and (question := odd_labels(reader.label, reader.unit, statistics["mean"])):
        questions.append(question)
    if odd := [line for summary in summaries for line in summary.journal["odd"]]:
        questions.append(f"{len(odd)} labels cannot be right: {'; '.join(odd[:3])}")
    if strict and questions:
        raise ValueError(questions[0])
    elements = np.sum([summary.elements for summary in summaries], axis=0)
    entries = [summary.entry for summary in summaries]
    manifest = Manifest(
        source={**job, "records": sum(summary.journal["records"] for summary in summaries)},
        label=reader.label,
        unit="eV" if reader.unit in TO_EV else reader.unit,
        molecules=sum(entry.molecules for entry in entries),
        atoms=sum(entry.atoms for entry in entries),
        elements={SYMBOLS[number]: int(elements[number]) for number in np.flatnonzero(elements)},
        label_statistics=statistics,
        skipped=_counted(skipped),
        questions=questions,
        shards=entries,
        notes=_counted(notes),
    )
    write_whole(root / _SKIPPED, "".join(f"{place}: {reason}\n" for place, reason in skipped))
    write_whole(root / _NOTES, "".join(f"{place}: {note}\n" for place, note in notes))
    write_whole(manifest_path(root), manifest.to_json())
    return manifest


class _Summary(NamedTuple):
    entry: ShardEntry
    journal: Mapping[str, Any]
    elements: npt.NDArray[np.int64]
    labels: npt.NDArray[np.float32]


def _summary(path: Path, split: str) -> _Summary:
    content = path.read_bytes()
    shard = Shard.from_bytes(content, str(path))
    entry = ShardEntry(
        path.name, split, len(shard.sizes), len(shard.atomic_numbers), len(content), int(fingerprint(content))
    )
    elements = np.bincount(shard.atomic_numbers, minlength=len(SYMBOLS))
    return _Summary(entry, shard.journal, elements, shard.labels.copy())  # a view would keep all the content


def _statistics(labels: Sequence[npt.NDArray[np.float32]]) -> dict[str, float]:
    mean, std = mean_and_std(lambda: labels)
    filled = [values for values in labels if len(values)]
    return {
        "mean": mean,
        "std": std,
        "min": float(min(values.min() for values in filled)),
        "max": float(max(values.max() for values in filled)),
    }


def _counted(lines: Sequence[tuple[str, ...]]) -> dict[str, int]:
    return dict(sorted(Counter(_reason(reason) for _, reason in lines).items()))


def _reason(text: str) -> str:
    """A reason without the names and numbers in it, so that alike ones are counted together."""
    unquoted = re.sub(r"(?<!\w)'[^']*'", "...", text)
    return re.sub(r"-?\b\d[\d.]*\b", "N", unquoted)[:120]
