"""From a chunk of records to a shard: the work of one process."""

import math

import numpy as np

from pg_tf.datasets.labels import odd_label
from pg_tf.datasets.readers import Chunk, Reader
from pg_tf.datasets.readers.record import BadRecord, Record, check_float32
from pg_tf.datasets.shards import MOST_ATOMS, Shard, write_shard
from pg_tf.datasets.units import TO_EV


def make_shard(reader: Reader, chunk: Chunk, path: str, strict: bool) -> int:
    """Parses a chunk and writes its shard; returns the number of molecules.

    Raises:
      ValueError: if `strict` and a record is bad or doubtful or a label odd.
      OSError: if the shard cannot be written.
    """
    kept: list[tuple[int, Record, float]] = []
    skipped: list[tuple[str, str]] = []
    odd: list[str] = []
    notes: list[tuple[str, str]] = []
    for index, (place, outcome) in zip(chunk.indices, reader.parse(chunk), strict=True):
        try:
            if isinstance(outcome, BadRecord):
                raise outcome
            label = _stored_label(reader, outcome)
        except BadRecord as error:
            skipped.append((f"{chunk.place}: {place}", str(error)))
            continue
        kept.append((index, outcome, label))
        notes += [(f"{chunk.place}: {place}", note) for note in outcome.notes]
        if question := odd_label(reader.label, reader.unit, label):
            odd.append(f"{chunk.place}: {place}: {question}")
    if chunk.damage:
        skipped.append((f"{chunk.place}: {chunk.damage_place}", chunk.damage))
    if strict and (skipped or odd or notes):
        raise ValueError(odd[0] if odd and not skipped else ": ".join((skipped or notes)[0]))
    shard = Shard(
        np.array([label for *_, label in kept], np.float32),
        np.array([index for index, *_ in kept], np.uint32),
        np.array([len(record.atomic_numbers) for _, record, _ in kept], np.uint16),
        np.concatenate([np.zeros((0, 3), np.float32), *(record.coords for _, record, _ in kept)]),
        np.concatenate([np.zeros(0, np.int32), *(record.atomic_numbers for _, record, _ in kept)]).astype(np.uint8),
        {"records": len(chunk.records), "skipped": skipped, "odd": odd, **({"notes": notes} if notes else {})},
    )
    write_shard(shard, path)
    return len(kept)


def _stored_label(reader: Reader, record: Record) -> float:
    """The label in the unit that is stored; NaN for none.

    Raises:
      BadRecord: if a shard has no room for the molecule or its label.
    """
    if len(record.atomic_numbers) > MOST_ATOMS:
        raise BadRecord(f"it has {len(record.atomic_numbers)} atoms; 1 to {MOST_ATOMS} can be stored")
    if record.label is None:
        return math.nan
    value = record.label * TO_EV.get(reader.unit, 1.0)
    check_float32(reader.label, value)
    return value
