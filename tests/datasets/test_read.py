"""Readers of SDF and of SMILES tables, on good files and on damaged ones."""

import bz2
import gzip
import pathlib
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDepictor, rdDistGeom

from pg_tf.datasets import Molecules, read_molecules, read_sdf, read_smiles_csv

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
SMILES = ("CCO", "c1ccccc1Br", "CC(=O)N")

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real data are not beside this checkout")


def sdf_record(smiles: str, **properties: object) -> str:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMolecule(molecule, randomSeed=1)
    molecule.SetProp("_Name", smiles)
    items = "".join(f">  <{name}>\n{value}\n\n" for name, value in properties.items())
    return Chem.MolToMolBlock(molecule) + items + "$$$$\n"


def records() -> list[str]:
    return [sdf_record(smiles, gap=number + 0.5, kind="a") for number, smiles in enumerate(SMILES)]


@pytest.fixture
def written(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    def write(content: str | bytes, name: str = "molecules.sdf") -> pathlib.Path:
        data = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.lower().endswith(".gz") else data)
        return path

    return write


def read_with_one_warning(path: pathlib.Path, label: str | None = "gap") -> Molecules:
    with pytest.warns(UserWarning, match=r"read \d+ molecules, skipped \d+ records") as caught:
        molecules = read_molecules(path, label)
    assert len(caught) == 1
    return molecules


@pytest.mark.parametrize("name", ["molecules.sdf", "molecules.SDF", "molecules.sdf.gz", "MOLECULES.SDF.GZ"])
def test_sdf_gives_atoms_coordinates_labels_and_titles(written, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        molecules = read_molecules(written("".join(records()), name), "gap")
    assert molecules.names == SMILES
    assert molecules.labels is not None
    assert molecules.labels.tolist() == [0.5, 1.5, 2.5]
    assert molecules.skipped == ()
    expected = Chem.MolFromMolBlock(records()[1], removeHs=False)
    bromobenzene = molecules[1]
    assert bromobenzene.atomic_numbers.tolist() == [atom.GetAtomicNum() for atom in expected.GetAtoms()]
    np.testing.assert_allclose(bromobenzene.coords, expected.GetConformer().GetPositions(), atol=1e-6)


def test_sdf_with_wrong_bond_orders_keeps_its_atoms_and_gains_no_hydrogen(written) -> None:
    overbonded = sdf_record("CC").replace("  1  2  1  0", "  1  2  3  0")
    heavy_only = Chem.MolToMolBlock(Chem.MolFromMolBlock(sdf_record("CCO"), removeHs=True)) + "$$$$\n"
    molecules = read_sdf(written(overbonded + heavy_only))
    assert np.diff(molecules.row_splits).tolist() == [8, 3]


def test_sdf_without_label_needs_no_property_and_limit_stops_early(written) -> None:
    path = written("".join(records()) + "rubbish")
    molecules = read_sdf(path, limit=2)
    assert len(molecules) == 2
    assert molecules.labels is None
    assert molecules.skipped == ()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (
            records()[1].replace(" C  ", " Zz "),
            r"record 1 \(c1ccccc1Br\): line 5 has an atom 'Zz'",
        ),
        (
            records()[1].replace(" Br ", " R# "),
            r"record 1 \(c1ccccc1Br\): line 11 has an atom 'R#'",
        ),
        (
            "\n".join(records()[1].splitlines()[:7]) + "\n$$$$\n",
            "record 1 .*: line 4 promises 12 atoms",
        ),
        ("\x00\x07 no molecule \ufffd\n" * 5 + "$$$$\n", "record 1 .*: line 4 must begin with the numbers of atoms"),
        ("$$$$\n", "record 1: it has 0 lines, and no line 4"),
        (
            "empty\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n$$$$\n",
            "record 1 .*: it has no atoms",
        ),
        (sdf_record("C"), r"record 1 \(C\): label 'gap' is missing; there are: none"),
        (sdf_record("C", homo=1), r"record 1 \(C\): label 'gap' is missing; there are: homo"),
        (sdf_record("C", gap=""), "record 1 .*: label 'gap' is missing"),
        (sdf_record("C", gap="NaN"), "record 1 .*: label 'gap' is 'NaN', not a finite number"),
        (sdf_record("C", gap="low"), "record 1 .*: label 'gap' is 'low', not a finite number"),
    ],
)
def test_bad_sdf_record_is_skipped_alone_and_named(written, bad: str, reason: str) -> None:
    good = records()
    path = written(good[0] + bad + good[2])
    molecules = read_with_one_warning(path)
    assert molecules.names == (SMILES[0], SMILES[2])
    assert len(molecules.skipped) == 1
    with pytest.raises(ValueError, match=rf"molecules\.sdf: {reason}"):
        read_sdf(path, "gap", strict=True)


def test_sdf_without_a_geometry_is_refused(written) -> None:
    drawing = Chem.MolFromSmiles("c1ccccc1Br")
    rdDepictor.Compute2DCoords(drawing)
    with pytest.raises(ValueError, match="flat and not marked as 3D"):
        read_sdf(written(Chem.MolToMolBlock(drawing) + "$$$$\n"))
    at_origin = Chem.Conformer(7)
    at_origin.Set3D(True)
    drawing.RemoveAllConformers()
    drawing.AddConformer(at_origin)
    unplaced = Chem.MolToMolBlock(drawing).replace("2D\n", "3D\n") + "$$$$\n"
    with pytest.raises(ValueError, match="all atoms are at one point"):
        read_sdf(written(unplaced))


def test_flat_molecule_marked_as_3d_is_a_geometry(written) -> None:
    lines = sdf_record("O").splitlines(keepends=True)
    flat = [line[:20] + "    0.0000" + line[30:] if len(line) > 60 and "V2000" not in line else line for line in lines]
    molecules = read_sdf(written("".join(flat)))
    assert not molecules.coords[:, 2].any()
    assert molecules.coords[:, 1].any()


@pytest.mark.parametrize("end", [0.4, 0.7, 0.95])
def test_truncated_sdf_keeps_the_whole_records_before_the_cut(written, end: float) -> None:
    text = "".join(records())
    cut = text[: int(end * len(text))]
    molecules = read_with_one_warning(written(cut))
    assert molecules.names == SMILES[: cut.count("$$$$")]
    assert "before the record's closing line $$$$" in molecules.skipped[0]


def test_label_cut_in_two_by_the_end_of_the_file_is_not_taken(written) -> None:
    text = records()[0] + sdf_record("C", gap=12.75).split("75\n")[0]
    assert text.endswith("12.")
    molecules = read_with_one_warning(written(text))
    assert molecules.names == ("CCO",)


def test_truncated_or_damaged_gzip_keeps_what_could_be_read(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    text = "".join(sdf_record(f"C{'C' * int(n)}O", gap=n) for n in rng.integers(1, 9, 60))
    packed = gzip.compress(text.encode())
    cut, flipped = tmp_path / "cut.sdf.gz", tmp_path / "flipped.sdf.gz"
    cut.write_bytes(packed[: len(packed) // 2])
    middle = len(packed) * 3 // 4
    flipped.write_bytes(packed[:middle] + b"\xff" * 64 + packed[middle + 64 :])
    for path in (cut, flipped):
        molecules = read_with_one_warning(path)
        assert 5 < len(molecules) < 60
        assert any("cut off or damaged" in line for line in molecules.skipped)
        with pytest.raises(ValueError, match=r"sdf\.gz: .*record"):
            read_sdf(path, "gap", strict=True)


@pytest.mark.parametrize("name", ["molecules.sdf", "molecules.sdf.gz", "table.csv"])
def test_empty_file_is_an_error(written, name: str) -> None:
    with pytest.raises(ValueError, match=r"path: no molecule could be read .*: it is empty"):
        read_molecules(written("", name))


@pytest.mark.parametrize("name", ["molecules.sdf", "molecules.sdf.gz", "table.csv.gz"])
def test_file_of_garbage_is_an_error(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes())
    with pytest.raises(ValueError, match=r"path: no molecule could be read|the file is cut off or damaged"):
        read_molecules(path)


def test_damaged_bzip2_keeps_the_blocks_before_the_damage(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    text = "".join(sdf_record("CCO", gap=number, noise=rng.bytes(2000).hex()) for number in range(120))
    packed = bytearray(bz2.compress(text.encode(), 1))  # blocks of 100 kB
    packed[len(packed) * 3 // 4] ^= 255
    path = tmp_path / "flipped.sdf.bz2"
    path.write_bytes(packed)
    molecules = read_with_one_warning(path)
    assert 30 < len(molecules) < 120
    assert any("cut off or damaged" in line for line in molecules.skipped)


def test_file_with_nothing_but_a_byte_order_mark_holds_no_molecule(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mark.sdf"
    path.write_bytes(b"\xef\xbb\xbf")
    with pytest.raises(ValueError, match=r"path: no molecule could be read .*it is empty"):
        read_molecules(path)


def test_array_with_an_atom_that_cannot_be_is_skipped_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, z=[8, 0, 6], pos=[[0, 0, 0], [0, 0, 0], [1e39, 0, 0]], N=[1, 1, 1])
    molecules = read_with_one_warning(path, None)
    assert molecules.atomic_numbers.tolist() == [8]
    assert "atom 0 is no element" in molecules.skipped[0]
    assert "atom 0 has coordinates that are not finite" in molecules.skipped[1]


def test_smiles_table_gives_hydrogens_a_relaxed_geometry_and_labels(written) -> None:
    path = written("id,smiles,gap\n1,CCO,1.5\n2,C[Si](C)(C)C,2\n3,[H][H],3\n", "table.csv")
    molecules = read_molecules(path, "gap")
    assert molecules.names == ("CCO", "C[Si](C)(C)C", "[H][H]")
    assert molecules.labels is not None
    assert molecules.labels.tolist() == [1.5, 2.0, 3.0]
    counts = molecules.composition(("C", "H", "O", "Si"))
    assert counts.tolist() == [[2, 6, 1, 0], [4, 12, 0, 1], [0, 2, 0, 0]]
    ethanol = molecules.coords[:9]
    assert np.linalg.norm(ethanol[0] - ethanol[1]) == pytest.approx(1.52, abs=0.03)  # C-C, Å
    assert np.linalg.norm(ethanol[1] - ethanol[2]) == pytest.approx(1.42, abs=0.03)  # C-O, Å


def test_smiles_table_geometry_depends_on_the_seed_alone(written) -> None:
    path = written("smiles\nCCCCCO\n", "table.csv.gz")
    first, again, other = (read_smiles_csv(path, seed=seed).coords for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("C(C,1", r"line 3 \(C\(C\): RDKit cannot read the SMILES"),
        ("C(C)(C)(C)(C)C,1", "RDKit cannot read the SMILES"),
        (",1", r"line 3 \(\): there is no SMILES"),
        ("CC[NH3+].[Cl-],1", "there are several molecules"),
        ("C*C,1", "atom 1 is no element"),
        ("C,", "label 'gap' is missing"),
        ("C", "label 'gap' is missing"),
        ("C,nan", "label 'gap' is 'nan', not a finite number"),
    ],
)
def test_bad_row_is_skipped_alone_and_named(written, bad: str, reason: str) -> None:
    path = written(f"smiles,gap\nCO,1\n{bad}\nCN,3\n", "table.csv")
    molecules = read_with_one_warning(path)
    assert molecules.names == ("CO", "CN")
    assert len(molecules.skipped) == 1
    with pytest.raises(ValueError, match=rf"table\.csv: .*{reason}"):
        read_molecules(path, "gap", strict=True)


def test_missing_column_is_an_error_that_lists_the_columns(written) -> None:
    path = written("SMILES,gap\nCO,1\n", "table.csv")
    with pytest.raises(ValueError, match=r"smiles_column: .* no column 'smiles'; its columns are: SMILES, gap"):
        read_smiles_csv(path)
    with pytest.raises(ValueError, match=r"label: .* no column 'lumo'"):
        read_smiles_csv(path, "lumo", smiles_column="SMILES")


def test_table_with_byte_order_mark_and_windows_line_ends_is_read(written) -> None:
    molecules = read_molecules(written("\ufeffsmiles,gap\r\nCO,1\r\n", "table.csv"), "gap")
    assert molecules.names == ("CO",)


def test_table_with_an_unclosed_quote_keeps_the_rows_before_it(written) -> None:
    molecules = read_with_one_warning(written('smiles,gap\nCO,1\n"CN,2\n' + "CC,3\n" * 50_000, "table.csv"))
    assert molecules.names == ("CO",)
    assert "cut off or damaged" in molecules.skipped[0]


def test_table_without_rows_is_an_error(written) -> None:
    with pytest.raises(ValueError, match="no molecule could be read"):
        read_molecules(written("smiles,gap\n", "table.csv"))


def test_unknown_suffix_and_missing_file_are_errors(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"path: molecules\.mol must end in \.sdf, \.sd, \.xyz"):
        read_molecules("molecules.mol")
    with pytest.raises(FileNotFoundError):
        read_molecules(tmp_path / "absent.sdf")


def test_xyz_frames_and_npz_arrays_are_read_as_they_are_prepared(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("ase", reason="ASE is not installed")
    frames = tmp_path / "frames.xyz"
    frames.write_text("1\nProperties=species:S:1:pos:R:3 gap=2.5\nO 1 2 3\n1\n\nO 1 2\n")
    molecules = read_with_one_warning(frames)
    assert (molecules.coords.tolist(), molecules.labels.tolist()) == ([[1, 2, 3]], [2.5])
    arrays = tmp_path / "arrays.npz"
    np.savez(arrays, z=[8, 1], pos=[[0, 0, 0], [0, 0, 1]], offsets=[0, 1, 2], gap=[1.5, 2.5])
    molecules = read_molecules(arrays, "gap")
    assert (molecules.atomic_numbers.tolist(), molecules.labels.tolist()) == ([8, 1], [1.5, 2.5])
    np.savez(arrays, z=[8, 1], pos=[[0, 0, 0]], offsets=[0, 1, 2])
    with pytest.raises(ValueError, match="do not fit each other"):
        read_molecules(arrays)


@needs_shared
def test_pcqm4mv2_is_read_whole_with_its_own_geometry() -> None:
    folder = SHARED / "pcqm4mv2"
    molecules = read_molecules(folder / "pcqm4mv2_sample.sdf.gz", "homolumogap", strict=True)
    with np.load(folder / "pcqm4mv2_sample.npz") as truth:
        np.testing.assert_array_equal(molecules.atomic_numbers, truth["z"])
        np.testing.assert_array_equal(molecules.row_splits, truth["offsets"])
        np.testing.assert_allclose(molecules.coords, truth["pos"], atol=1e-6)
        np.testing.assert_allclose(molecules.labels, truth["gap_ev"], atol=1e-6)


@needs_shared
def test_qm9_mini_is_read_whole() -> None:
    molecules = read_molecules(SHARED / "qm9" / "qm9_mini.sdf", strict=True)
    assert len(molecules) == 21
    assert molecules.names[:2] == ("gdb_1", "gdb_2")
    assert molecules[0].composition(("C", "H")).tolist() == [[1, 4]]
