"""Shards on disk give a training the same as memory does, and say so where they are damaged."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from test_source import ONE, flat, stream

from pg_tf.datasets import Molecules, Shards, Source, load
from pg_tf.datasets.prepare import prepare
from pg_tf.datasets.readers import npz
from pg_tf.elements import ElementChannels

COUNT, PER_SHARD = 1003, 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """1003 molecules of 1 to 5 atoms, labelled with their number, in shards of 10; one shard is empty."""
    path = tmp_path_factory.mktemp("stored")
    sizes = 1 + np.arange(COUNT) % 5
    x = np.repeat(np.arange(COUNT), sizes).astype(np.float32)
    labels = np.arange(COUNT, dtype=np.float32)
    labels[50:60] = np.nan
    coords = np.stack([x, -x, np.arange(len(x)) / 2], 1)  # atoms of a molecule half an Å apart
    z = np.where(x % 2, 6, 8)
    np.savez(path / "numbers.npz", z=z, pos=coords, num_atoms=sizes, number=labels)
    prepare(npz([path / "numbers.npz"], "number"), path / "shards", workers=1, records_per_shard=PER_SHARD)
    return path / "shards"


@pytest.fixture
def copy(folder: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(folder, tmp_path / "copy"))


NUMBERS = [i for i in range(COUNT) if not 50 <= i < 60]


def stored(folder: pathlib.Path, split: str | None = None, **options) -> Shards:
    source = load(folder, split, in_memory=False, **options)
    assert isinstance(source, Shards)
    return source


def test_shards_and_memory_hold_the_same(folder: pathlib.Path) -> None:
    disk, memory = stored(folder), load(folder, None)
    assert isinstance(disk, Source)
    assert isinstance(memory, Molecules)
    assert len(disk) == len(memory) == len(NUMBERS)
    assert disk.symbols == memory.symbols == ("C", "O")
    assert disk.label_mean == pytest.approx(memory.label_mean) == pytest.approx(np.mean(NUMBERS))
    assert disk.label_std == pytest.approx(memory.label_std) == pytest.approx(np.std(NUMBERS))
    channels = ElementChannels(("O", "C"))
    batches = list(disk.dataset(channels, batch_size=64))
    assert [len(labels) for _, labels in batches] == [64] * 15 + [33]
    for (points, labels), (expected, values) in zip(batches, memory.dataset(channels, batch_size=64), strict=True):
        np.testing.assert_array_equal(points.flat_values, expected.flat_values)
        np.testing.assert_array_equal(points.row_splits, expected.row_splits)
        np.testing.assert_array_equal(labels, values)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_statistics_are_those_of_the_part_and_the_same_bits_in_memory(folder: pathlib.Path, split: str) -> None:
    disk, memory = stored(folder, split, seed=4), load(folder, split, seed=4, in_memory=True)
    assert (disk.label_mean, disk.label_std) == (memory.label_mean, memory.label_std)
    assert memory.label_mean == pytest.approx(memory.labels.mean(dtype=np.float64))
    assert memory.label_std == pytest.approx(memory.labels.std(dtype=np.float64))
    assert disk.label_mean != stored(folder).label_mean


def test_elements_are_those_of_the_part(tmp_path: pathlib.Path) -> None:
    z = np.full(40, 6)
    z[7] = 1
    np.savez(tmp_path / "a.npz", z=z, pos=np.zeros((40, 3)), num_atoms=np.ones(40, int), number=np.arange(40.0))
    prepare(npz([tmp_path / "a.npz"], "number"), tmp_path / "shards", workers=1, records_per_shard=10)
    parts = [stored(tmp_path / "shards", split).symbols for split in ("train", "validation", "test")]
    assert parts == [load(tmp_path / "shards", split).symbols for split in ("train", "validation", "test")]
    assert sorted(parts) == [("C",), ("C",), ("H", "C")]
    assert stored(tmp_path / "shards").symbols == ("H", "C")


def test_fingerprint_is_that_of_the_molecules_wherever_they_are(folder: pathlib.Path) -> None:
    options = [{"split": split, "seed": seed} for split in (None, "train", "test") for seed in (4, 5)]
    disk, memory = (
        [load(folder, in_memory=in_memory, **option).fingerprint() for option in options] for in_memory in (False, True)
    )
    assert disk == memory
    assert len(set(disk)) == 5  # the whole does not depend on the seed
    sample = load("sample", "test")
    assert sample.fingerprint() == load("sample", "test").fingerprint() != load("sample", "validation").fingerprint()
    for changed in ({"coords": sample.coords + 1e-3}, {"labels": sample.labels[::-1]}, {"labels": None}):
        assert dataclasses.replace(sample, **changed).fingerprint() != sample.fingerprint()


def test_molecules_larger_than_a_box_are_counted_on_disk_as_in_memory(folder: pathlib.Path) -> None:
    for box in (0.4, 1.2, 5):
        count = stored(folder, "train", seed=4).count_larger_than(box)
        assert count == load(folder, "train", seed=4, in_memory=True).count_larger_than(box)
        assert (count > 0) == (box < 2)


def test_windows_of_empty_shards_and_parts_without_a_molecule_are_streamed(tmp_path: pathlib.Path) -> None:
    labels = np.full(400, np.nan)
    labels[[0, 399]] = 1, 2
    np.savez(tmp_path / "a.npz", z=np.full(400, 6), pos=np.zeros((400, 3)), num_atoms=np.ones(400, int), number=labels)
    prepare(npz([tmp_path / "a.npz"], "number"), tmp_path / "shards", workers=1, records_per_shard=10)
    source = stored(tmp_path / "shards")
    for seed in range(3):
        assert sorted(flat(stream(source, shuffle=True, seed=seed))) == [1, 2]
        assert sorted(flat(stream(source, 2, batch_size=2, shuffle=True, seed=seed, repeat=True))) == [1, 1, 2, 2]
    empty = stored(tmp_path / "shards", "test")
    assert len(empty) == 0
    assert stream(empty, shuffle=True) == []
    assert stream(empty) == []
    assert np.isnan(empty.label_mean)


def test_shuffled_batches_carry_the_atoms_of_their_labels(folder: pathlib.Path) -> None:
    for points, labels in stored(folder).dataset(ONE, batch_size=50, shuffle=True, seed=1, repeat=True).take(30):
        np.testing.assert_array_equal(points.row_lengths(), 1 + labels.numpy() % 5)
        np.testing.assert_array_equal(points.flat_values[:, 1], np.repeat(labels.numpy(), points.row_lengths()))


@pytest.mark.parametrize("drop_remainder", [False, True])
@pytest.mark.parametrize("start", [1, 16, 40])
def test_start_leaves_out_exactly_the_batches_before_it(folder: pathlib.Path, start: int, drop_remainder: bool) -> None:
    options = {"batch_size": 64, "shuffle": True, "seed": 5, "repeat": True, "drop_remainder": drop_remainder}
    whole = stream(stored(folder), start + 4, **options)
    assert stream(stored(folder), 4, start=start, **options) == whole[start:]
    epoch = 15 if drop_remainder else 16
    if start >= epoch:
        first, second = flat(whole[:epoch]), flat(whole[epoch : 2 * epoch])
        assert len(set(first)) == (960 if drop_remainder else len(NUMBERS))
        assert first[:64] != second[:64]


def test_batches_larger_than_a_window_are_whole(folder: pathlib.Path) -> None:
    batches = stream(stored(folder), batch_size=400, shuffle=True, seed=0)
    assert [len(batch) for batch in batches] == [400, 400, 193]
    assert sorted(flat(batches)) == NUMBERS


@pytest.mark.parametrize("workers", [2, 3])
def test_shards_of_all_workers_are_every_molecule_once(folder: pathlib.Path, workers: int) -> None:
    parts = [flat(stream(stored(folder), shuffle=True, seed=2, shard=(i, workers))) for i in range(workers)]
    assert sorted(flat(parts)) == NUMBERS
    with pytest.raises(ValueError, match="shard: 500 workers need as many files, and there are 101"):
        stored(folder).dataset(ONE, shard=(1, 500))


def test_random_split_is_disjoint_complete_and_the_same_in_memory(folder: pathlib.Path) -> None:
    parts = {name: flat(stream(stored(folder, name, seed=4))) for name in ("train", "validation", "test")}
    assert {name: len(part) for name, part in parts.items()} == {"train": 894, "validation": 49, "test": 50}
    assert sorted(flat(list(parts.values()))) == NUMBERS
    for name, part in parts.items():
        assert flat(stream(load(folder, name, seed=4, in_memory=True))) == part
        assert len(stored(folder, name, seed=4)) == len(part)
    assert flat(stream(stored(folder, "test", seed=5))) != parts["test"]
    shuffled = stream(stored(folder, "train", seed=4), shuffle=True, seed=0, batch_size=100)
    assert sorted(flat(shuffled)) == sorted(parts["train"])


def test_order_of_the_stream_does_not_follow_the_files(folder: pathlib.Path) -> None:
    order = flat(stream(stored(folder), shuffle=True, seed=9))
    # As for a random order of the 101 files: what is within them adds nothing.
    assert abs(stats.spearmanr(NUMBERS, order).statistic) < 4 / 101**0.5
    # A window holds 16 of 100 files: more than 9 in 10 neighbours are of different files, and far apart.
    assert np.median(np.abs(np.diff(order))) > len(NUMBERS) / 6


def test_flipped_byte_is_an_error_that_names_the_shard(copy: pathlib.Path) -> None:
    path = copy / "000042.shard"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"000042\.shard"):
        stream(stored(copy))
    with pytest.raises(ValueError, match=r"000042\.shard is damaged"):
        load(copy, None, in_memory=True)


def test_damaged_sizes_are_an_error_where_only_elements_are_read(copy: pathlib.Path) -> None:
    part = stored(copy, "train")
    path = copy / part.files[3].file
    content = bytearray(path.read_bytes())
    content[32 + 8 * part.files[3].molecules] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path.name} is damaged: its molecules have \d+ atoms together"):
        _ = part.symbols


def test_shard_that_is_cut_off_or_missing_is_an_error_before_anything_is_read(copy: pathlib.Path) -> None:
    path = copy / "000007.shard"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"000007\.shard has \d+ bytes where the manifest says \d+"):
        load(copy)
    path.unlink()
    with pytest.raises(ValueError, match=r"000007\.shard is missing"):
        load(copy)


def test_shard_that_vanishes_while_reading_is_an_error(copy: pathlib.Path) -> None:
    source = stored(copy)
    (copy / "000100.shard").unlink()
    with pytest.raises(tf.errors.NotFoundError, match=r"000100\.shard"):
        stream(source)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.update(version=2), "is of version 2; this pg_tf reads version 1"),
        (lambda m: m.update(format="other"), "is no manifest of pg_tf"),
        (lambda m: m.pop("label"), "is damaged"),
        (lambda m: m["shards"].pop(), "says 993 molecules and .* but its shards have 990"),
    ],
)
def test_manifest_that_does_not_fit_is_an_error(copy: pathlib.Path, change, text: str) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    change(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=text):
        load(copy)


def test_folder_without_manifest_and_wrong_arguments_are_errors(copy: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"label: .* was prepared with the label 'number', not 'gap'"):
        load(copy, label="gap")
    with pytest.raises(ValueError, match="split: must be one of train, validation, test or None, got 'dev'"):
        load(copy, "dev")
    with pytest.raises(ValueError, match="splits: must be three fractions"):
        load(copy, splits=(0.5, 0.4))
    with pytest.raises(ValueError, match="has all, or None for all; got 'train'"):
        load(copy, splits="official")
    with pytest.raises(ValueError, match=r"is O .*which has no channel among C"):
        stored(copy).dataset(ElementChannels(("C",)))
    (copy / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"has no manifest\.json"):
        load(copy)


def test_sample_and_files_are_sources_too(tmp_path: pathlib.Path) -> None:
    assert [len(load("sample", split)) for split in ("train", "validation", "test", None)] == [3200, 400, 400, 4000]
    assert len(load("sample", "test", splits=(0.5, 0.25, 0.25))) == 1000
    path = tmp_path / "table.csv"
    path.write_text("smiles,gap\n" + "".join(f"C{'C' * i},{i}\n" for i in range(10)))
    parts = [load(path, split, label="gap", splits=(0.6, 0.2, 0.2)) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [6, 2, 2]
    assert sorted(label for part in parts for label in part.labels.tolist()) == list(range(10))


def test_columns_take_14_bytes_an_atom_of_a_molecule_like_those_of_pcqm4mv2(folder: pathlib.Path) -> None:
    from pg_tf.datasets.shards import shard_bytes

    assert shard_bytes(8192, 8192 * 29) / (8192 * 29) < 14
    manifest = stored(folder).manifest
    assert all(shard_bytes(s.molecules, s.atoms) < s.bytes == (folder / s.file).stat().st_size for s in manifest.shards)
    assert dataclasses.is_dataclass(manifest)
