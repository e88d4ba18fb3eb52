"""PCQM4Mv2 in OGB's layout: a miniature of it, made of real molecules."""

import csv
import gzip
import io
import pathlib
import re
import shutil
import tarfile

import numpy as np
import pytest
from rdkit import Chem, RDLogger

from pg_tf.datasets import Molecules, load
from pg_tf.datasets.prepare import prepare
from pg_tf.datasets.readers import pcqm4mv2
from pg_tf.datasets.readers.split_dict import read_split

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "pcqm4mv2"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real data are not beside this checkout")

TRAIN, VALID = 120, 10


def records() -> list[str]:
    with gzip.open(SHARED / "pcqm4mv2_sample.sdf.gz", "rt") as file:
        return [record + "$$$$\n" for record in file.read().split("$$$$\n")[: TRAIN + VALID]]


def smiles_of(record: str) -> str:
    molecule = Chem.MolFromMolBlock(record.split("M  END")[0] + "M  END\n", sanitize=False, removeHs=False)
    return Chem.MolToSmiles(Chem.RemoveHs(molecule, sanitize=False))


def write_sdf(root: pathlib.Path, parts: list[str], name: str = "pcqm4m-v2-train.sdf.tar.gz") -> pathlib.Path:
    # The SDF that OGB hands out has no properties.
    content = "".join(re.sub(r"M  END\n.*?\$\$\$\$", "M  END\n$$$$", part, flags=re.DOTALL) for part in parts).encode()
    with tarfile.open(root / name, "w:gz") as archive:
        member = tarfile.TarInfo("pcqm4m-v2-train.sdf")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return root / name


def save_without_torch(path: pathlib.Path, split: dict[str, np.ndarray]) -> None:
    """What `torch.save` writes of arrays: a zip archive with one pickle."""
    import pickle
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("split_dict/data.pkl", pickle.dumps(split, protocol=2))
        archive.writestr("split_dict/version", "3\n")


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Training molecules with every third idx from 0, then valid and test molecules between them."""
    RDLogger.DisableLog("rdApp.*")
    root = tmp_path_factory.mktemp("ogb")
    raw = root / "pcqm4m-v2" / "raw"
    raw.mkdir(parents=True)
    (root / "pcqm4m-v2" / "RELEASE_v1.txt").write_text("")
    parts = records()
    train, valid = 3 * np.arange(TRAIN), 3 * np.arange(VALID) + 1
    split = {"train": train, "valid": valid, "test-dev": np.array([2, 5]), "test-challenge": np.array([8])}
    rows = dict.fromkeys(range(3 * TRAIN), ("CCO", ""))
    for index, record in zip([*train, *valid], parts, strict=True):
        rows[int(index)] = (smiles_of(record), re.search(r"<homolumogap>.*?\n(.*?)\n", record)[1])
    with gzip.open(raw / "data.csv.gz", "wt", newline="") as file:
        table = csv.writer(file)
        table.writerow(["idx", "smiles", "homolumogap"])
        table.writerows([index, *row] for index, row in rows.items())
    save_without_torch(root / "pcqm4m-v2" / "split_dict.pt", split)
    write_sdf(root, parts[:TRAIN])
    return root


@pytest.fixture
def copy(layout: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(layout, tmp_path / "copy"))


def test_geometries_and_gaps_are_joined_by_the_split(layout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    manifest = prepare(pcqm4mv2(layout, download=False), tmp_path / "shards", workers=2, records_per_shard=50)
    assert (manifest.molecules, manifest.splits, manifest.unit) == (TRAIN, ("train",), "eV")
    assert not manifest.skipped
    molecules = load(tmp_path / "shards", None, label="homolumogap")
    assert isinstance(molecules, Molecules)
    assert molecules.names == tuple(str(3 * i) for i in range(TRAIN))
    with np.load(SHARED / "pcqm4mv2_sample.npz") as truth:
        end = truth["offsets"][TRAIN]
        np.testing.assert_array_equal(molecules.atomic_numbers, truth["z"][:end])
        np.testing.assert_allclose(molecules.coords, truth["pos"][:end], atol=1e-6)
        np.testing.assert_allclose(molecules.labels, truth["gap_ev"][:TRAIN], atol=1e-6)
    assert [len(load(tmp_path / "shards", name)) for name in ("train", "validation", "test")] == [108, 6, 6]


def test_ogb_reads_the_same_layout(layout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    lsc = pytest.importorskip("ogb.lsc", reason="ogb is not installed")
    root = shutil.copytree(layout, tmp_path / "ogb")
    path = root / "pcqm4m-v2" / "split_dict.pt"
    split = read_split(path)
    for saved in (split, {name: torch.from_numpy(indices) for name, indices in split.items()}):
        torch.save(saved, path)
        again = read_split(path)
        assert {name: indices.tolist() for name, indices in again.items()} == {
            name: indices.tolist() for name, indices in split.items()
        }
    dataset = lsc.PCQM4Mv2Dataset(root=str(root), only_smiles=True)
    indices = dataset.get_idx_split()
    prepare(pcqm4mv2(root, download=False), root / "shards", workers=2)
    molecules = load(root / "shards", None)
    assert molecules.names == tuple(str(int(index)) for index in indices["train"])
    np.testing.assert_allclose(molecules.labels, [dataset[int(index)][1] for index in indices["train"]], rtol=1e-6)


def test_official_validation_set_gets_conformers(layout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    reader = pcqm4mv2(layout, download=False, validation=True)
    manifest = prepare(reader, tmp_path / "shards", workers=2, records_per_shard=100)
    assert manifest.splits == ("train", "valid")
    skipped = sum(manifest.skipped.values())
    # RDKit makes nothing of the SMILES whose hydrogens are wrong.
    assert skipped <= VALID // 2
    assert (len(load(tmp_path / "shards", "train")), len(load(tmp_path / "shards", "valid"))) == (
        TRAIN,
        VALID - skipped,
    )


def test_official_parts_go_by_their_usual_names_and_random_splits_are_of_dft_geometries(
    layout: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with_validation = pcqm4mv2(layout, download=False, validation=True)
    prepare(with_validation, tmp_path / "both", workers=2, records_per_shard=50)
    prepare(pcqm4mv2(layout, download=False), tmp_path / "dft", workers=2, records_per_shard=50)
    for in_memory in (True, False):
        validation = load(tmp_path / "both", "validation", in_memory=in_memory)
        assert 0 < len(validation) == len(load(tmp_path / "both", "valid", in_memory=in_memory)) <= VALID
        with pytest.raises(ValueError, match="has train, validation, or None for all; got 'test'"):
            load(tmp_path / "both", "test", in_memory=in_memory)
    for name in ("train", "validation", "test"):
        part = load(tmp_path / "both", name, splits=(0.5, 0.25, 0.25), seed=1, in_memory=True)
        assert part.names == load(tmp_path / "dft", name, splits=(0.5, 0.25, 0.25), seed=1, in_memory=True).names
    assert len(load(tmp_path / "both", None)) == TRAIN + len(validation)


def test_number_of_records_that_does_not_fit_the_split_is_an_error(copy: pathlib.Path) -> None:
    for count in (TRAIN - 1, TRAIN + 2):
        write_sdf(copy, records()[:count])
        with pytest.raises(ValueError, match=rf"has {count} records, but the split has {TRAIN} training molecules"):
            prepare(pcqm4mv2(copy, download=False), copy / str(count), workers=1)


def test_archive_that_is_cut_off_is_an_error_that_says_so(copy: pathlib.Path) -> None:
    path = write_sdf(copy, records()[:TRAIN])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"tar\.gz has \d+ records and is cut off or damaged"):
        prepare(pcqm4mv2(copy, download=False), copy / "shards", workers=1)


def test_geometry_of_another_molecule_is_skipped_and_named(copy: pathlib.Path) -> None:
    parts = records()[:TRAIN]
    formulas = [sorted(re.findall(r"^ +\S+ +\S+ +\S+ ([A-GI-Z][a-z]?) ", part, re.MULTILINE)) for part in parts]
    other = next(i for i in range(1, TRAIN) if formulas[i] != formulas[0])
    parts[0], parts[other] = parts[other], parts[0]
    write_sdf(copy, parts)
    manifest = prepare(pcqm4mv2(copy, download=False), copy / "shards", workers=1)
    assert (manifest.molecules, sum(manifest.skipped.values())) == (TRAIN - 2, 2)
    assert f"idx {3 * other}" in (copy / "shards" / "skipped.txt").read_text()


def test_damaged_table_or_split_is_an_error(copy: pathlib.Path) -> None:
    table = copy / "pcqm4m-v2" / "raw" / "data.csv.gz"
    table.write_bytes(table.read_bytes()[: table.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"data\.csv\.gz is cut off, damaged"):
        prepare(pcqm4mv2(copy, download=False), copy / "shards", workers=1)
    split = copy / "pcqm4m-v2" / "split_dict.pt"
    save_without_torch(split, {"train": pathlib.Path("not an index")})
    with pytest.raises(ValueError, match=r"holds a pathlib.*which is no index"):
        pcqm4mv2(copy, download=False)
    split.write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"split_dict\.pt is no split"):
        pcqm4mv2(copy, download=False)
    split.unlink()
    with pytest.raises(FileNotFoundError, match="is missing"):
        pcqm4mv2(copy, download=False)
