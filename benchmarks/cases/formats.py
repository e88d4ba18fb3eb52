"""Files that molecules can be kept in: how fast TensorFlow has ragged batches of them, and how large they are; and
whether a training that reads them keeps up with the op."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.remote import Prepared, Worker
from benchmarks.settings import Settings, Table
from benchmarks.workload import Workload, load

_EXTENT, _BATCH, _BLOCK = 32, 256, 1024

SHARDS = "shards of pg_tf, in order"
SHUFFLED = "shards of pg_tf, shuffled"
MEMORY = "pg_tf in memory, shuffled"
EXAMPLES = "TFRecord, a tf.Example a molecule, parsed in batches"
BLOCKS = f"TFRecord, {_BLOCK} molecules a record, decode_raw"
NPZ = "npz, loaded whole"
HDF5 = "HDF5, read in batches from Python"

OP = "coord_to_grid in a loop, batches ready"
TRAINING = "shards, shuffled, augmented, voxelised"
TRAINING_MEMORY = "memory, shuffled, augmented, voxelised"


def run(settings: Settings) -> dict[str, Table]:
    cores = len(os.sched_getaffinity(0))
    # Enough that the start of an iterator, 0.2 s for nested datasets, is little beside the rest.
    molecules = min(131_072, 64 * settings.scale.pipeline_molecules)
    folder = settings.output / "formats"
    folder.mkdir(parents=True, exist_ok=True)
    settings.workload.save(folder / "workload.npz")
    task = {"workload": str(folder / "workload.npz"), "molecules": molecules, "folder": str(folder)}
    with Worker("cases.formats", task) as worker:
        times = settings.measure("formats", {name: worker.timed(name) for name in worker.names})
        about = worker.about
    reading = [
        {
            "format": name,
            "molecules/s": molecules / times[name].best,
            "of shards in order": times[SHARDS].best / times[name].best,
            "bytes an atom": size,
        }
        for name, size in about["bytes"].items()
    ]
    training = [
        {
            "pipeline": name,
            "molecules/s": molecules / times[name].best,
            "of the op alone": times[OP].best / times[name].best,
        }
        for name in (OP, TRAINING_MEMORY, TRAINING)
    ]
    notes = [
        f"{molecules} molecules, batches of {_BATCH}, {cores} cores; the files were just written: no disk is waited for"
    ]
    return {
        "formats": Table("Reading molecules into ragged batches", reading, notes),
        "formats_training": Table(f"Reading and voxelising at {_EXTENT}^3, one channel", training, notes),
    }


def prepare(task: dict[str, Any]) -> Prepared:
    """Writes every format and gives a pass over each."""
    import tensorflow as tf

    import pg_tf
    from pg_tf.datasets import Molecules, Shards
    from pg_tf.datasets import load as load_source
    from pg_tf.datasets.prepare import prepare as make_shards
    from pg_tf.datasets.readers import npz

    folder, count = Path(task["folder"]), task["molecules"]
    workload = load(Path(task["workload"])).repeat(count)
    numbers = np.array([6, 7, 8, 16, 9, 17, 35, 1])[workload.channels]
    molecules = Molecules(numbers, workload.coords, workload.row_splits, np.zeros(count))
    np.savez(
        folder / "flat.npz",
        z=numbers.astype(np.uint8),
        pos=workload.coords,
        offsets=workload.row_splits,
        y=np.zeros(count),
    )
    root = folder / f"shards-{count}-{os.getpid()}"
    make_shards(npz([folder / "flat.npz"], "y"), root)
    stored = load_source(root, None, in_memory=False)
    assert isinstance(stored, Shards)
    one = pg_tf.ElementChannels.single()

    def passed(dataset: tf.data.Dataset) -> Callable[[], object]:
        dataset = dataset.prefetch(tf.data.AUTOTUNE)

        def work() -> None:
            for _ in dataset:
                pass

        return work

    to_grid = pg_tf.Voxelizer(grid_shape=_EXTENT, sigma=0.4)

    def trained(source: Any) -> Callable[[], object]:
        moved = source.dataset(one, batch_size=_BATCH, shuffle=True, seed=0).apply(pg_tf.augment(seed=0))
        return passed(moved.map(to_grid, num_parallel_calls=tf.data.AUTOTUNE))

    ready = [points for points, _ in molecules.dataset(one, batch_size=_BATCH)]

    def loop() -> None:
        for points in ready:
            pg_tf.coord_to_grid(points, grid_size=_EXTENT)

    runs = {
        SHARDS: passed(stored.dataset(one, batch_size=_BATCH)),
        SHUFFLED: passed(stored.dataset(one, batch_size=_BATCH, shuffle=True, seed=0)),
        MEMORY: passed(molecules.dataset(one, batch_size=_BATCH, shuffle=True, seed=0)),
        EXAMPLES: passed(_examples(folder / "examples.tfrecord", molecules)),
        BLOCKS: passed(_blocks(folder / "blocks.tfrecord", workload)),
        NPZ: lambda: passed(_loaded(folder / "flat.npz").dataset(one, batch_size=_BATCH))(),
        OP: loop,
        TRAINING_MEMORY: trained(molecules),
        TRAINING: trained(stored),
    }
    atoms = len(numbers)
    sizes = {SHARDS: sum(file.bytes for file in stored.files), SHUFFLED: sum(file.bytes for file in stored.files)}
    sizes |= {EXAMPLES: (folder / "examples.tfrecord").stat().st_size, NPZ: (folder / "flat.npz").stat().st_size}
    sizes |= {BLOCKS: (folder / "blocks.tfrecord").stat().st_size, MEMORY: 16 * atoms}
    if importlib.util.find_spec("h5py"):
        runs[HDF5] = passed(_hdf5(folder / "flat.h5", workload))
        sizes[HDF5] = (folder / "flat.h5").stat().st_size
    return runs, {"bytes": {name: size / atoms for name, size in sizes.items()}}


def _loaded(path: Path) -> Any:
    from pg_tf.datasets import Molecules

    with np.load(path) as data:
        return Molecules(data["z"], data["pos"], data["offsets"], data["y"])


def _examples(path: Path, molecules: Any) -> Any:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for i in range(len(molecules)):
            rows = slice(*molecules.row_splits[i : i + 2])
            features = {
                "z": tf.train.Feature(int64_list=tf.train.Int64List(value=molecules.atomic_numbers[rows])),
                "xyz": tf.train.Feature(float_list=tf.train.FloatList(value=molecules.coords[rows].ravel())),
                "y": tf.train.Feature(float_list=tf.train.FloatList(value=[0.0])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    spec = {
        "z": tf.io.RaggedFeature(tf.int64),
        "xyz": tf.io.RaggedFeature(tf.float32),
        "y": tf.io.FixedLenFeature([], tf.float32),
    }

    def parsed(batch: Any) -> Any:
        found = tf.io.parse_example(batch, spec)
        coords = tf.reshape(found["xyz"].flat_values, [-1, 3])
        points = tf.concat([tf.zeros_like(coords[:, :1]), coords], 1)
        return tf.RaggedTensor.from_row_splits(points, found["z"].row_splits, validate=False), found["y"]

    return tf.data.TFRecordDataset(str(path)).batch(_BATCH).map(parsed, num_parallel_calls=tf.data.AUTOTUNE)


def _blocks(path: Path, workload: Workload) -> Any:
    """Records of many molecules, cut into batches: needs a record to hold a whole number of batches."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for start in range(0, len(workload), _BLOCK):
            block = workload.take(np.arange(start, min(start + _BLOCK, len(workload))))
            writer.write(
                np.array([len(block), len(block.coords)], "<i8").tobytes()
                + block.atoms.astype("<u2").tobytes()
                + block.coords.astype("<f4").tobytes()
            )

    def decoded(record: Any) -> Any:
        counts = tf.io.decode_raw(tf.strings.substr(record, 0, 16), tf.int64)
        sizes = tf.io.decode_raw(tf.strings.substr(record, tf.constant(16, tf.int64), 2 * counts[0]), tf.uint16)
        coords = tf.io.decode_raw(tf.strings.substr(record, 16 + 2 * counts[0], 12 * counts[1]), tf.float32)
        coords = tf.reshape(coords, [-1, 3])
        points = tf.concat([tf.zeros_like(coords[:, :1]), coords], 1)
        return tf.RaggedTensor.from_row_lengths(points, tf.cast(sizes, tf.int64), validate=False)

    def batches(ragged: Any) -> Any:
        starts = tf.data.Dataset.range(0, ragged.nrows(), _BATCH)
        return starts.map(lambda start: ragged[start : start + _BATCH])

    return tf.data.TFRecordDataset(str(path)).map(decoded, num_parallel_calls=tf.data.AUTOTUNE).flat_map(batches)


def _hdf5(path: Path, workload: Workload) -> Any:
    import h5py
    import tensorflow as tf

    splits = workload.row_splits
    with h5py.File(path, "w") as file:
        file["coords"] = workload.coords
        file["z"] = workload.channels.astype(np.uint8)

    def batches() -> Any:
        with h5py.File(path) as file:
            for start in range(0, len(workload), _BATCH):
                mine = splits[start : start + _BATCH + 1]
                coords = file["coords"][mine[0] : mine[-1]]
                points = np.concatenate([np.zeros((len(coords), 1), np.float32), coords], 1)
                yield tf.RaggedTensor.from_row_splits(points, mine - mine[0], validate=False)

    spec = tf.RaggedTensorSpec([None, None, 4], tf.float32, 1, tf.int64)
    return tf.data.Dataset.from_generator(batches, output_signature=spec)
