"""Preparing shards: what is kept, what is skipped, and what an interruption leaves."""

import bz2
import gzip
import io
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable

import numpy as np
import pytest
from processes import app
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from scipy import constants
from typer.testing import CliRunner

from pg_tf.datasets import Molecules, load, read_smiles_csv
from pg_tf.datasets.labels import odd_labels
from pg_tf.datasets.manifest import Manifest, read_manifest
from pg_tf.datasets.prepare import prepare
from pg_tf.datasets.prepare.job import alone_in
from pg_tf.datasets.readers import Reader, npz, qm9, sdf, smiles, xyz
from pg_tf.datasets.units import TO_EV

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real data are not beside this checkout")


def block(smiles: str) -> str:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMolecule(molecule, randomSeed=1)
    return Chem.MolToMolBlock(molecule)


BLOCKS = [block("C" * n + "O") for n in range(1, 6)]


def records(count: int, unit: float = 1.0) -> list[str]:
    """SDF records whose gap is between 4 and 7 eV, in units of `unit` eV."""
    return [f"{BLOCKS[i % 5]}>  <gap>\n{(4 + 3 * i / count) / unit}\n\n$$$$\n" for i in range(count)]


def written(path: pathlib.Path, parts: list[str]) -> pathlib.Path:
    path.write_text("".join(parts))
    return path


def files_of(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def run(reader: Reader, root: pathlib.Path, **options) -> tuple[Manifest, Molecules]:
    manifest = prepare(reader, root, workers=options.pop("workers", 1), **options)
    molecules = load(root, None, in_memory=True)
    assert isinstance(molecules, Molecules)
    return manifest, molecules


@pytest.mark.parametrize("packing", ["sdf", "sdf.gz", "sdf.bz2", "tar.gz"])
def test_sdf_in_any_packing_gives_the_records_in_order(tmp_path: pathlib.Path, packing: str) -> None:
    content = "".join(records(25)).encode()
    path = tmp_path / f"molecules.{packing}"
    if packing == "tar.gz":
        with tarfile.open(path, "w:gz") as archive:
            for name, data in (("README", b"no molecules"), ("molecules.sdf", content)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    else:
        pack = {"sdf": bytes, "sdf.gz": gzip.compress, "sdf.bz2": bz2.compress}[packing]
        path.write_bytes(pack(content))
    manifest, molecules = run(sdf([path], "gap", "eV"), tmp_path / "shards", records_per_shard=10)
    assert [shard.molecules for shard in manifest.shards] == [10, 10, 5]
    assert (manifest.unit, manifest.questions, dict(manifest.skipped)) == ("eV", [], {})
    np.testing.assert_allclose(molecules.labels, [4 + 3 * i / 25 for i in range(25)], rtol=1e-6)
    assert molecules.names == tuple(map(str, range(25)))
    expected = Chem.MolFromMolBlock(BLOCKS[3], removeHs=False).GetConformer().GetPositions()
    np.testing.assert_array_equal(molecules[3].coords, expected.astype(np.float32))


def test_result_does_not_depend_on_the_number_of_workers_and_twice_is_once(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path / "a.sdf", records(60))
    for workers in (1, 3):
        run(sdf([path], "gap", "eV"), tmp_path / str(workers), workers=workers, records_per_shard=7)
    once = files_of(tmp_path / "1")
    assert once == files_of(tmp_path / "3")
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "1").iterdir()}
    run(sdf([path], "gap", "eV"), tmp_path / "1", records_per_shard=7)
    assert times == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "1").iterdir()}


def test_bad_records_are_counted_named_and_skipped_or_stop_a_strict_run(tmp_path: pathlib.Path) -> None:
    parts = records(30)
    parts[3] = parts[3].replace(" C  ", " Zz ")
    parts[12] = parts[12].split(">  <gap>")[0] + "$$$$\n"
    parts[13] = parts[13].replace(f"{4 + 3 * 13 / 30}", "nan")
    parts[20] = "rubbish\n$$$$\n"
    path = written(tmp_path / "bad.sdf", parts)
    manifest, molecules = run(sdf([path], "gap", "eV"), tmp_path / "shards", records_per_shard=8)
    assert (manifest.molecules, manifest.source["records"], sum(manifest.skipped.values())) == (26, 30, 4)
    assert [i for i in range(30) if str(i) not in molecules.names] == [3, 12, 13, 20]
    text = (tmp_path / "shards" / "skipped.txt").read_text()
    assert [line.split(": ")[1].split(" (")[0] for line in text.splitlines()] == [
        "record 3",
        "record 12",
        "record 13",
        ["record 20", "rubbish)"][0],
    ]
    assert "label 'gap' is missing" in text
    assert "'nan', not a finite number" in text
    with pytest.raises(ValueError, match=r"bad\.sdf: record 3.*: line 5 has an atom 'Zz', which is no element"):
        prepare(sdf([path], "gap", "eV"), tmp_path / "strict", strict=True, workers=1)
    assert not (tmp_path / "strict" / "manifest.json").exists()


@pytest.mark.parametrize("packing", ["sdf", "sdf.gz", "sdf.bz2", "tar.gz"])
def test_file_that_is_cut_off_keeps_what_was_whole_and_says_so(tmp_path: pathlib.Path, packing: str) -> None:
    rng = np.random.default_rng(0)
    parts = [part.replace("$$$$", f">  <noise>\n{rng.bytes(40).hex()}\n\n$$$$") for part in records(400)]
    content = "".join(parts).encode()
    buffer = io.BytesIO(content)
    if packing == "sdf.gz":
        buffer = io.BytesIO(gzip.compress(content))
    elif packing == "sdf.bz2":
        buffer = io.BytesIO(bz2.compress(content, 1))  # blocks of 100 kB
    elif packing == "tar.gz":
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            member = tarfile.TarInfo("molecules.sdf")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    path = tmp_path / f"cut.{packing}"
    path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * 0.6)])
    manifest, molecules = run(sdf([path], "gap", "eV"), tmp_path / "shards", records_per_shard=100)
    assert 100 < len(molecules) < 400
    assert molecules.names == tuple(map(str, range(len(molecules))))
    (reason,) = manifest.skipped
    assert "cut off" in reason or "before the record's closing line" in reason
    with pytest.raises(ValueError, match=r"cut off|closing line"):
        prepare(sdf([path], "gap", "eV"), tmp_path / "strict", strict=True, workers=1)


@pytest.mark.parametrize("unit", ["hartree", "kcal/mol", "kJ/mol"])
def test_gaps_that_cannot_be_ev_are_questioned_and_the_right_unit_converts(tmp_path: pathlib.Path, unit: str) -> None:
    factor = {"hartree": 27.211386, "kcal/mol": 0.0433641, "kJ/mol": 0.01036427}[unit]
    path = written(tmp_path / "a.sdf", records(10, factor))
    manifest, _ = run(sdf([path], "gap", "eV"), tmp_path / "wrong")
    assert f"start anew with --unit {unit}" in manifest.questions[0]
    with pytest.raises(ValueError, match=f"start anew with --unit {unit}|HOMO-LUMO gap is 0 to 30"):
        prepare(sdf([path], "gap", "eV"), tmp_path / "strict", workers=1, strict=True)
    manifest, molecules = run(sdf([path], "gap", unit), tmp_path / "right")
    assert (manifest.questions, manifest.unit) == ([], "eV")
    np.testing.assert_allclose(molecules.labels, [4 + 0.3 * i for i in range(10)], rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("ev", "eV"),
        ("Hartree", "hartree"),
        ("a.u.", "hartree"),
        ("Ha", "hartree"),
        ("kcal", "kcal/mol"),
        ("kcal mol^-1", "kcal/mol"),
        ("kj/mol", "kJ/mol"),
        ("KJ/MOL", "kJ/mol"),
        ("MEV", "meV"),
        ("cm^-1", "cm-1"),
        ("none", ""),
    ],
)
def test_units_are_known_in_their_usual_spellings(text: str, unit: str) -> None:
    assert sdf([], "gap", text).unit == unit


def test_units_of_energy_agree_with_their_definitions() -> None:
    joule = constants.physical_constants["electron volt-joule relationship"][0]
    assert TO_EV["hartree"] == pytest.approx(constants.physical_constants["Hartree energy in eV"][0], rel=1e-9)
    assert TO_EV["kJ/mol"] == pytest.approx(1000 / constants.N_A / joule, rel=1e-8)
    assert TO_EV["kcal/mol"] == pytest.approx(1000 * constants.calorie / constants.N_A / joule, rel=1e-8)
    assert TO_EV["cm-1"] == pytest.approx(100 * constants.h * constants.c / joule, rel=1e-8)


@pytest.mark.parametrize("unit", ["furlong", "MeV", "eV/atom"])
def test_unknown_unit_is_an_error_that_names_the_known_ones(unit: str) -> None:
    with pytest.raises(ValueError, match=rf"unit: must be one of eV, meV, hartree, kcal/mol, .*, got '{unit}'"):
        sdf([], "gap", unit)


def test_label_beyond_float32_is_a_bad_record_before_and_after_conversion(tmp_path: pathlib.Path) -> None:
    parts = records(6)
    for i, value in ((1, "1e39"), (2, "-1e39"), (3, "3e37")):  # the last only in hartree
        parts[i] = parts[i].replace(f"{4 + 3 * i / 6}\n", f"{value}\n")
    path = written(tmp_path / "a.sdf", parts)
    manifest, molecules = run(sdf([path], "gap", "hartree"), tmp_path / "shards")
    assert molecules.names == ("0", "4", "5")
    assert sum(manifest.skipped.values()) == 3
    assert all("more than float32 holds" in reason for reason in manifest.skipped)


@pytest.mark.parametrize(
    "label", ["homolumogap", "HOMO-LUMO", "homo lumo", "HOMO_LUMO", "Gap (eV)", "homo\N{EN DASH}lumo"]
)
@pytest.mark.parametrize(("mean", "likely"), [(0.22, "hartree"), (140.0, "kcal/mol"), (550.0, "kJ/mol"), (6e3, "meV")])
def test_gaps_by_any_name_get_the_unit_that_makes_sense_of_them(label: str, mean: float, likely: str) -> None:
    assert f"--unit {likely}" in odd_labels(label, "eV", mean)
    assert odd_labels(label, "eV", 5.0) is odd_labels("dipole", "eV", mean) is None
    assert "is it a gap?" in odd_labels(label, "eV", 0.0)


def test_one_gap_that_cannot_be_right_is_named(tmp_path: pathlib.Path) -> None:
    parts = records(10)
    parts[4] = parts[4].replace(f"{4 + 1.2}", "-5.2")
    manifest, _ = run(sdf([written(tmp_path / "a.sdf", parts)], "gap", "eV"), tmp_path / "shards")
    assert "a.sdf: record 4" in manifest.questions[0]
    assert "-5.2 eV" in manifest.questions[0]


def test_molecules_of_one_atom_and_of_300_are_kept(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([1, 300, 2])
    coords, z = rng.normal(size=(303, 3)) * 10, rng.integers(1, 119, 303)
    np.savez(tmp_path / "a.npz", Z=z, R=coords, N=sizes)
    manifest, molecules = run(npz([tmp_path / "a.npz"]), tmp_path / "shards")
    assert manifest.label is None
    assert molecules.labels is None
    np.testing.assert_array_equal(np.diff(molecules.row_splits), sizes)
    np.testing.assert_array_equal(molecules.atomic_numbers, z)
    np.testing.assert_array_equal(molecules.coords, coords.astype(np.float32))


def test_array_of_several_labels_a_molecule_is_an_error(tmp_path: pathlib.Path) -> None:
    arrays = {"z": np.full(3, 6), "pos": np.zeros((3, 3)), "N": np.ones(3, int)}
    np.savez(tmp_path / "a.npz", **arrays, y=np.arange(6.0).reshape(3, 2), x=np.arange(3.0)[:, None])
    with pytest.raises(ValueError, match=r"label: .* has 'y' with the shape \[3, 2\]"):
        run(npz([tmp_path / "a.npz"], "y"), tmp_path / "y")
    assert run(npz([tmp_path / "a.npz"], "x"), tmp_path / "x")[1].labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seed_that_rdkit_does_not_take_is_an_error(tmp_path: pathlib.Path, seed: int) -> None:
    path = written(tmp_path / "a.csv", ["smiles\n", "CCO\n"])
    for read in (lambda: smiles([path], seed=seed), lambda: read_smiles_csv(path, seed=seed)):
        with pytest.raises(ValueError, match=f"seed: must be 0 to 2147483647, got {seed}"):
            read()


def test_xyz_frames_are_read_and_bad_ones_skipped(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("ase", reason="ASE is not installed")
    good = "2\nProperties=species:S:1:pos:R:3 gap=5.5\nO 0 0 0\nH 0 0 0.97\n"
    bad = "2\nProperties=species:S:1:pos:R:3 gap=5.5\nO 0 0\nH 0 0 0.97\n"
    unlabelled = "1\nProperties=species:S:1:pos:R:3\nAr 0 0 0\n"
    path = written(tmp_path / "a.xyz", [good, bad, unlabelled, good, "3\ncut\nH 0 0 0\n"])
    _, molecules = run(xyz([path], "gap", "eV"), tmp_path / "shards")
    assert molecules.names == ("0", "3")
    assert molecules.atomic_numbers.tolist() == [8, 1, 8, 1]
    assert molecules.labels.tolist() == [5.5, 5.5]
    text = (tmp_path / "shards" / "skipped.txt").read_text()
    assert "frame 1: line 6: Properties have more columns than the first atom" in text
    assert "frame 2: label 'gap' is missing" in text
    assert "frame 4: line 16 promises 3 atoms; 2 of its lines are missing" in text


def test_smiles_get_conformers_and_labels_from_their_column(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path / "a.csv", ["smiles,name,gap\n", "CCO,ethanol,5\n", "C(C,bad,5\n", "O,water,7\n"])
    manifest, molecules = run(smiles([path], "gap", "eV"), tmp_path / "shards")
    assert molecules.composition(("C", "H", "O")).tolist() == [[2, 6, 1], [0, 2, 1]]
    assert molecules.labels.tolist() == [5, 7]
    assert sum(manifest.skipped.values()) == 1
    with pytest.raises(ValueError, match=r"label: .* has no column 'lumo'; its columns are: smiles, name, gap"):
        smiles([path], "lumo")
    lines = written(tmp_path / "a.smi", ["CCO ethanol\n", "\n", "O water\n"])
    assert len(run(smiles([lines]), tmp_path / "lines")[1]) == 2


def test_smiles_get_xtb_gaps_where_asked(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("tblite", reason="tblite is not installed")
    path = written(tmp_path / "a.smi", ["C\n", "[CH3]\n"])
    manifest, molecules = run(smiles([path], "xtb"), tmp_path / "shards")
    assert manifest.label == "gfn2_xtb_gap"
    assert molecules.labels.tolist() == [pytest.approx(17.0, abs=1.5)]  # methane, by GFN2-xTB
    assert "number of electrons is odd" in (tmp_path / "shards" / "skipped.txt").read_text()


QM9_FILE = (
    "2\ngdb 7\t1\t2\t3\t0.1\t6\t-0.4\t0.1\t0.5\t35\t1.5*^-2\t-40\t-40\t-40\t-40\t6.4\n"
    "C\t-1.2*^-6\t 1.5\t 0.0\t-0.5\nO\t0\t0\t1.25*^1\t0.1\n1\t2\nCO\tCO\nInChI\tInChI\n"
)


def test_qm9_dialect_with_its_exponents_is_read_in_ev(tmp_path: pathlib.Path) -> None:
    with tarfile.open(tmp_path / "q.tar.bz2", "w:bz2") as archive:
        for name, text in (("a.xyz", QM9_FILE), ("b.xyz", QM9_FILE[:60])):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    manifest, molecules = run(qm9([tmp_path / "q.tar.bz2"]), tmp_path / "gap")
    np.testing.assert_allclose(molecules.coords, [[-1.2e-6, 1.5, 0], [0, 0, 12.5]], rtol=1e-6)
    assert molecules.labels.tolist() == [pytest.approx(0.5 * 27.211386)]
    assert sum(manifest.skipped.values()) == 1
    _, molecules = run(qm9([tmp_path / "q.tar.bz2"], "zpve"), tmp_path / "zpve")
    assert molecules.labels.tolist() == [pytest.approx(0.015 * 27.211386)]


@needs_shared
def test_real_qm9_in_its_own_format_and_as_npz(tmp_path: pathlib.Path) -> None:
    folder = SHARED / "qm9"
    _, molecules = run(qm9([folder / "qm9_first10_original_format.tar.bz2"]), tmp_path / "tar", strict=True)
    assert len(molecules) == 10
    assert molecules[0].composition(("C", "H")).tolist() == [[1, 4]]  # gdb 1 is methane
    assert molecules.labels[0] == pytest.approx(0.5048 * 27.2114, rel=1e-4)
    _, molecules = run(qm9([folder / "qm9_sample.npz"], "gap_hartree"), tmp_path / "npz", strict=True)
    with np.load(folder / "qm9_sample.npz") as truth:
        np.testing.assert_array_equal(molecules.atomic_numbers, truth["z"])
        np.testing.assert_allclose(molecules.labels, truth["gap_ev"], rtol=1e-4)


def test_folder_begun_with_something_else_is_an_error(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path / "a.sdf", records(10))
    run(sdf([path], "gap", "eV"), tmp_path / "shards")
    with pytest.raises(ValueError, match=r"root: .* was begun with other options"):
        prepare(sdf([path]), tmp_path / "shards")
    written(path, records(11))
    with pytest.raises(ValueError, match=r"root: .* was begun with other files"):
        prepare(sdf([path], "gap", "eV"), tmp_path / "shards")


def test_source_edited_far_from_its_start_is_another_source(tmp_path: pathlib.Path) -> None:
    parts = records(400)
    path = written(tmp_path / "a.sdf", parts)
    run(sdf([path], "gap", "eV"), tmp_path / "shards")
    assert sum(map(len, parts[:300])) > 1 << 16
    parts[300] = parts[300].replace(f"{4 + 3 * 300 / 400}", "5.75")  # as long as before
    written(path, parts)
    with pytest.raises(ValueError, match=r"root: .* was begun with other files"):
        prepare(sdf([path], "gap", "eV"), tmp_path / "shards")


def test_source_without_a_molecule_is_an_error(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path / "a.sdf", ["rubbish\n$$$$\n"])
    with pytest.raises(ValueError, match=r"no molecule could be read from .*: a\.sdf: record 0.* no line 4"):
        prepare(sdf([path], "gap"), tmp_path / "shards", workers=1)
    with pytest.raises(ValueError, match="no molecule could be read"):
        prepare(sdf([written(tmp_path / "b.sdf", [])]), tmp_path / "empty", workers=1)
    with pytest.raises(FileNotFoundError):
        prepare(sdf([tmp_path / "absent.sdf"]), tmp_path / "absent", workers=1)


PROGRAM = """
import resource, sys
from pg_tf.datasets.prepare import prepare
from pg_tf.datasets.readers import sdf
if __name__ == "__main__":
    if sys.argv[3:]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
    print("begins", flush=True)
    prepare(sdf([sys.argv[1]], "gap", "eV"), sys.argv[2], workers=2, records_per_shard=20)
"""


@pytest.fixture
def program(tmp_path: pathlib.Path) -> Callable[..., subprocess.Popen[str]]:
    script = written(tmp_path / "program.py", [PROGRAM])

    def start(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(script), *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(tmp_path: pathlib.Path, program) -> None:
    path = written(tmp_path / "a.sdf", records(4000))
    prepare(sdf([path], "gap", "eV"), tmp_path / "whole", records_per_shard=20)
    killed, done = tmp_path / "killed", 0
    for more in (5, 60):
        process = program(path, killed)
        deadline = time.monotonic() + 120
        while len(list(killed.glob("*.shard"))) < done + more and time.monotonic() < deadline:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        # Its workers end by themselves: none holds the pipe of its output any more.
        process.communicate(timeout=60)
        done = len(list(killed.glob("*.shard")))
        assert not (killed / "manifest.json").exists()
    assert 0 < done < 200
    prepare(sdf([path], "gap", "eV"), killed, records_per_shard=20)
    assert files_of(killed) == files_of(tmp_path / "whole")


def test_shard_lost_by_the_disk_is_made_again(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path / "a.sdf", records(30))
    root = tmp_path / "shards"
    run(sdf([path], "gap", "eV"), root, records_per_shard=10)
    whole = files_of(root)
    (root / "manifest.json").unlink()
    (root / "000001.shard").write_bytes(bytes(len(whole["000001.shard"])))
    (root / "000002.shard.77.part").write_bytes(b"half")
    run(sdf([path], "gap", "eV"), root, records_per_shard=10)
    assert files_of(root) == whole


def test_folder_that_another_process_prepares_is_left_alone(tmp_path: pathlib.Path) -> None:
    source = sdf([written(tmp_path / "a.sdf", records(3))], "gap", "eV")
    root = tmp_path / "shards"
    root.mkdir()
    (root / "000000.shard.7.part").write_bytes(b"at work")
    with alone_in(root), pytest.raises(ValueError, match=r"root: another process is preparing .*shards"):
        prepare(source, root, workers=1)
    assert [path.name for path in root.iterdir()] == ["000000.shard.7.part"]
    run(source, root)


def test_finished_folder_whose_shards_are_lost_or_damaged_is_mended(tmp_path: pathlib.Path) -> None:
    source = sdf([written(tmp_path / "a.sdf", records(25))], "gap", "eV")
    run(source, tmp_path / "shards", records_per_shard=10)
    whole = files_of(tmp_path / "shards")
    shard = tmp_path / "shards" / "000001.shard"
    flipped = bytearray(whole[shard.name])
    flipped[len(flipped) // 2] ^= 1
    for damaged in (None, whole[shard.name][:100], bytes(flipped), whole["000000.shard"]):
        shard.unlink()
        if damaged is not None:
            shard.write_bytes(damaged)
        with pytest.warns(UserWarning, match=r"000001\.shard is missing or damaged"):
            run(source, tmp_path / "shards", records_per_shard=10)
        assert files_of(tmp_path / "shards") == whole


def test_strict_run_does_not_pass_over_what_an_earlier_one_skipped(tmp_path: pathlib.Path) -> None:
    parts = records(3)
    parts[1] = parts[1].replace(">  <gap>", ">  <other>")
    source = sdf([written(tmp_path / "a.sdf", parts)], "gap", "eV")
    run(source, tmp_path / "shards")
    with pytest.raises(ValueError, match="strict"):
        prepare(source, tmp_path / "shards", workers=1, strict=True)
    (tmp_path / "shards" / "manifest.json").unlink()
    with pytest.raises(ValueError, match="strict"):
        prepare(source, tmp_path / "shards", workers=1, strict=True)


def _archive(path: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_archive_of_several_files_is_refused_by_their_names(tmp_path: pathlib.Path) -> None:
    content = "".join(records(3)).encode()
    path = _archive(tmp_path / "two.tar", {"a.sdf": content, "b.sdf": content})
    with pytest.raises(ValueError, match=r"a\.sdf and b\.sdf"):
        prepare(sdf([path], "gap", "eV"), tmp_path / "shards", workers=1)


def test_archive_cut_between_two_files_says_so(tmp_path: pathlib.Path) -> None:
    molecule = QM9_FILE.encode()
    path = _archive(tmp_path / "q.tar", {f"{i}.xyz": molecule for i in range(4)})
    path.write_bytes(path.read_bytes()[: 2 * 1024 + 100])  # into the header of the third
    manifest, molecules = run(qm9([path]), tmp_path / "shards")
    assert len(molecules) == 2
    assert any("cut off" in reason for reason in manifest.skipped), manifest.skipped


def _xyz(count: int) -> bytes:
    rng = np.random.default_rng(0)
    return b"".join(b"2\ngap=5.5\nO 0 0 %r\nH 0 0 2\n" % z for z in rng.random(count).tolist())


def test_bzip2_file_with_a_damaged_middle_keeps_what_was_before_it(tmp_path: pathlib.Path) -> None:
    content = bytearray(bz2.compress(_xyz(60_000)))  # more than one block
    middle = len(content) * 3 // 4
    content[middle : middle + 100] = bytes(100)
    path = tmp_path / "a.xyz.bz2"
    path.write_bytes(content)
    chunks = list(xyz([path], "gap").chunks(1000))
    assert 1000 < sum(len(chunk.records) for chunk in chunks) < 60_000
    assert "cut off or damaged" in chunks[-1].damage


def test_archive_damaged_at_its_start_is_an_error_of_one_line(tmp_path: pathlib.Path) -> None:
    for mode in ("w", "w:gz", "w:bz2"):
        path = tmp_path / f"a.tar{mode[1:].replace(':', '.')}"
        with tarfile.open(path, mode) as archive:
            member = tarfile.TarInfo("a.xyz")
            member.size = len(_xyz(10))
            archive.addfile(member, io.BytesIO(_xyz(10)))
        path.write_bytes(path.read_bytes()[:20])
        with pytest.raises(ValueError, match=r"^[^\n]*a\.tar[^\n]*: the file is cut off or damaged \([^\n]*\)$"):
            prepare(xyz([path], "gap"), tmp_path / "shards" / mode, workers=1)


def test_table_cut_off_within_its_header_is_one_line_and_exit_status_1(tmp_path: pathlib.Path) -> None:
    content = gzip.compress(b"smiles,gap\n" + b"CCO,1\n" * 100)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content[:20])
    result = CliRunner().invoke(app, ["prepare", "smiles", str(path), "--root", str(tmp_path / "shards")])
    assert result.exit_code == 1
    assert "Aborted" not in result.output
    assert result.output.count("\n") == 1
    assert "has no header that can be read: the file is cut off or damaged" in result.output


def test_xyz_that_promises_more_atoms_than_memory_holds_is_cut_off(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path / "a.xyz", ["1\nHe\nHe 0 0 0\n", "99999999999\n\nH 0 0 0\n"])
    manifest, molecules = run(xyz([path]), tmp_path / "shards")
    assert len(molecules) == 1
    assert any("of its lines are missing" in reason for reason in manifest.skipped), manifest.skipped


@pytest.mark.slow
def test_full_disk_is_an_error_that_leaves_no_half_shard_and_can_be_gone_on_from(
    tmp_path: pathlib.Path, program
) -> None:
    path = written(tmp_path / "a.sdf", records(100))
    root = tmp_path / "shards"
    process = program(path, root, 1500)  # bytes that a file may have: the shards are larger, job.json is not
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 1
    assert "OSError" in errors
    assert re.search(r"File too large: '\S+/00000\d\.shard'", errors)
    assert [path.name for path in root.iterdir()] == ["job.json"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert run(sdf([path], "gap", "eV"), root, records_per_shard=20)[0].molecules == 100


def test_manifest_tells_what_is_there(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path / "a.sdf", records(10))
    manifest, molecules = run(sdf([path], "gap", "eV"), tmp_path / "shards")
    assert manifest == read_manifest(tmp_path / "shards")
    counts = molecules.composition(tuple(manifest.elements)).sum(axis=0)
    assert list(manifest.elements.values()) == counts.tolist()
    assert manifest.label_statistics["mean"] == pytest.approx(molecules.label_mean)
    assert manifest.label_statistics["std"] == pytest.approx(molecules.label_std, rel=1e-5)
    text = json.loads((tmp_path / "shards" / "manifest.json").read_text())
    assert text["version"] == 1
    assert text["source"]["files"][0]["name"] == "a.sdf"


MOL2 = """@<TRIPOS>MOLECULE
water
3 0
SMALL
NO_CHARGES

@<TRIPOS>ATOM
1 OW 0.0 0.0 0.0 {0} 1 WAT 0.0
2 H1 0.96 0.0 0.0 H 1 WAT 0.0
3 H2 -0.24 0.93 0.0 H 1 WAT 0.0
"""
PDBQT = """MODEL 1
REMARK VINA RESULT:      -7.2      0.000      0.000
ATOM      1  C1  LIG A   1       0.000   0.000   0.000  1.00  0.00     0.000 C
ATOM      2  O1  LIG A   1       1.220   0.000   0.000  1.00  0.00     0.000 OA
ENDMDL
"""


def test_mol2_and_pdbqt_become_shards_from_the_command_line(tmp_path):
    def run(*arguments):
        return CliRunner().invoke(app, ["prepare", *map(str, arguments)])

    mol2, pdbqt = tmp_path / "water.mol2", tmp_path / "poses.pdbqt"
    mol2.write_text(MOL2.format("O.3"))
    pdbqt.write_text(PDBQT)
    assert run("mol2", mol2, "--root", tmp_path / "waters").exit_code == 0
    assert load(tmp_path / "waters").dataset(("O", "H")).unbatch().as_numpy_iterator().next().shape == (3, 4)
    found = run("pdbqt", pdbqt, "--label", "affinity", "--root", tmp_path / "poses")
    assert found.exit_code == 0, found.output
    assert load(tmp_path / "poses").label_mean == pytest.approx(-7.2)
    mol2.write_text(MOL2.format("XX"))
    named = run("mol2", mol2, "--element", "XX=O", "--root", tmp_path / "named")
    assert named.exit_code == 0, named.output
    wrong = run("mol2", mol2, "--element", "XX", "--root", tmp_path / "wrong")
    assert wrong.exit_code == 1
    assert "--element: must be NAME=SYMBOL" in wrong.output
