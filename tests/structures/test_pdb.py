"""PDB and mmCIF files."""

import collections
import gzip
from pathlib import Path

import numpy as np
import pytest

from pg_tf.structures import Structure, read_pdb, read_structure

SHARED = Path(__file__).parents[3] / "shared" / "data" / "proteins"
REAL = sorted(SHARED.glob("*.gz"))
needs_shared = pytest.mark.skipif(not REAL, reason="no shared data: these files are not part of the project")


def line(
    serial: int,
    name: str,
    element: str,
    x: float,
    alternate: str = " ",
    occupancy: float = 1.0,
    residue: str = "SER",
    number: int = 1,
) -> str:
    return (
        f"ATOM  {serial:5d} {name:<4s}{alternate}{residue} A{number:4d}    "
        f"{x:8.3f}{2.0:8.3f}{3.0:8.3f}{occupancy:6.2f}{10.0:6.2f}          {element:>2s}\n"
    )


CRYSTAL = "CRYST1   10.000   20.000   30.000  90.00  90.00  90.00 P 1 21 1      2\n"
ALTERNATES = (
    line(1, " N", "N", 1)
    + line(2, " CB", "C", 2, "A", 0.4)
    + line(3, " CB", "C", 2.5, "B", 0.6)
    + line(4, " OG", "O", 3, "A", 0.4)
    + line(5, " OG", "O", 3.5, "B", 0.6)
    + line(6, " O", "O", 5, occupancy=0.5, residue="HOH", number=2)
)
MMCIF = """data_TEST
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.label_asym_id
_atom_site.label_entity_id
_atom_site.label_seq_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
_atom_site.occupancy
_atom_site.auth_seq_id
_atom_site.auth_asym_id
_atom_site.pdbx_PDB_model_num
ATOM 1 N N . SER A 1 1 1 2 3 1 1 A 1
ATOM 2 C CB A SER A 1 1 2 2 3 0.4 1 A 1
ATOM 3 C CB B SER A 1 1 2.5 2 3 0.6 1 A 1
ATOM 4 O OG A SER A 1 1 3 2 3 0.4 1 A 1
ATOM 5 O OG B SER A 1 1 3.5 2 3 0.6 1 A 1
HETATM 6 O O . HOH B 2 . 5 2 3 0.5 2 A 1
"""


def read(tmp_path: Path, text: str, suffix: str = ".pdb", **options: object) -> Structure:
    path = tmp_path / f"test{suffix}"
    path.write_text(text)
    return read_pdb(path, **options)  # type: ignore[arg-type]


@needs_shared
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_files_have_all_their_atoms(path: Path) -> None:
    with gzip.open(path, "rt") as file:
        lines = [text for text in file if text.startswith(("ATOM ", "HETATM"))]
    if ".pdb" in path.name:
        elements = [text[76:78].strip().capitalize() for text in lines]
        weights = [float(text[54:60]) for text in lines]
    else:
        elements = [text.split()[2].capitalize() for text in lines]
        weights = [float(text.split()[13]) for text in lines]
    expected: dict[str, float] = collections.defaultdict(float)
    for element, weight in zip(elements, weights, strict=True):
        expected[element] += weight
    everything = read_pdb(path, alternates="all")
    assert len(everything) == len(lines)
    assert everything.composition == pytest.approx(dict(expected))
    one = read_structure(path)
    assert len(one) <= len(everything)
    assert one.cell is None
    # Atoms of alternatives that were left out were close to those that stayed.
    assert np.linalg.norm(one.coords[:, None] - one.coords[None], axis=-1)[~np.eye(len(one), dtype=bool)].min() > 0.5


@needs_shared
def test_both_formats_of_an_entry_give_the_same_structure() -> None:
    pdb, mmcif = (read_pdb(SHARED / f"3ptb.{suffix}.gz") for suffix in ("pdb", "cif"))
    assert np.array_equal(pdb.atomic_numbers, mmcif.atomic_numbers)
    assert np.allclose(pdb.coords, mmcif.coords)
    assert mmcif.name == "3PTB"


@needs_shared
def test_unit_cell_of_a_real_crystal_has_all_molecules() -> None:
    one, cell = (read_pdb(SHARED / "3ptb.pdb.gz", unit_cell=flag) for flag in (False, True))
    assert len(cell) == 4 * len(one)  # P 21 21 21
    assert cell.volume == pytest.approx(54.890 * 58.520 * 67.630, rel=1e-6)


@pytest.mark.parametrize(("suffix", "text"), [(".pdb", ALTERNATES), (".cif", MMCIF)])
def test_alternates_are_chosen_by_occupancy_or_weighted(suffix: str, text: str, tmp_path: Path) -> None:
    best = read(tmp_path, text, suffix)
    assert np.allclose(best.coords[:, 0], [1, 2.5, 3.5, 5])
    assert np.allclose(best.weights, [1, 1, 1, 0.5])
    everything = read(tmp_path, text, suffix, alternates="all")
    assert np.allclose(everything.coords[:, 0], [1, 2, 2.5, 3, 3.5, 5])
    assert np.allclose(everything.weights, [1, 0.4, 0.6, 0.4, 0.6, 0.5])


def test_of_equal_alternates_the_first_letter_is_read(tmp_path: Path) -> None:
    text = line(1, " CB", "C", 2, "B", 0.5) + line(2, " CB", "C", 4, "A", 0.5)
    assert read(tmp_path, text).coords[:, 0].tolist() == [4.0]


def test_unit_cell_applies_the_symmetry(tmp_path: Path) -> None:
    structure = read(tmp_path, CRYSTAL + line(1, " N", "N", 1), unit_cell=True)
    assert np.allclose(structure.coords, [[1, 2, 3], [-1, 12, -3]])
    assert np.allclose(structure.cell, np.diag([10, 20, 30]))
    assert structure.periodic == (True, True, True)
    with pytest.raises(ValueError, match="unit_cell: it has no cell"):
        read(tmp_path, line(1, " N", "N", 1), unit_cell=True)


def test_models_are_counted_from_one(tmp_path: Path) -> None:
    text = (
        "MODEL        1\n"
        + line(1, " N", "N", 1)
        + "ENDMDL\nMODEL        2\n"
        + line(1, " N", "N", 7)
        + "ENDMDL\nEND\n"
    )
    assert read(tmp_path, text).coords[0, 0] == 1
    assert read(tmp_path, text, model=2).coords[0, 0] == 7
    for model in (0, 3):
        with pytest.raises(ValueError, match=f"it has no model {model}; it has 2"):
            read(tmp_path, text, model=model)


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"test\.pdb: "):
        read(tmp_path, "")
    with pytest.raises(ValueError, match="line 1: atom X1 of SER is no element"):
        read(tmp_path, line(1, " X1", "X", 1))
    with pytest.raises(ValueError, match=r"test\.cif: no block of it has atoms under _atom_site\.Cartn_x"):
        read(tmp_path, "data_x\n_cell_length_a 5\n", ".cif")
    with pytest.raises(ValueError, match="alternates: must be one of 'highest', 'all'; got 'B'"):
        read(tmp_path, ALTERNATES, alternates="B")
    with pytest.raises(FileNotFoundError):
        read_pdb(tmp_path / "none.pdb")


@pytest.mark.parametrize("value", ["********", "     nan", "        "])
def test_coordinates_that_are_no_numbers_are_refused_by_line(value: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.pdb"
    path.write_text(CRYSTAL + line(1, " N", "N", 1) + line(2, " C", "C", 2).replace("   2.000", value, 1))
    with pytest.raises(ValueError, match="line 3 has no coordinates in columns 31 to 54"):
        read_pdb(path)


def test_occupancy_that_is_left_blank_is_1(tmp_path: Path) -> None:
    text = line(1, " N", "N", 1)
    assert read(tmp_path, text[:54] + " " * 6 + text[60:]).weights.tolist() == [1.0]
    assert read(tmp_path, text[:54] + "\n").weights.tolist() == [1.0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1 1 2 3 1 1 A", "1 ? 2 3 1 1 A", "atom N of chain A, SER 1 has no coordinates"),
        ("2 3 0.5 2 A", "2 3 3.0 2 A", "atom O of chain A, HOH 2 has the occupancy 3"),
        ("2 3 0.5 2 A", "2 3 foo 2 A", "atom O of chain A, HOH 2 has the occupancy"),
    ],
)
def test_numbers_of_an_mmcif_file_that_are_none_are_refused_by_atom(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in MMCIF
    with pytest.raises(ValueError, match=message):
        read(tmp_path, MMCIF.replace(old, new), ".cif")


def test_planes_of_a_membrane_are_left_out_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    plane = line(1, " N", "N", 9, residue="DUM")
    with pytest.warns(UserWarning, match="1 atoms of residue DUM"):
        assert read(tmp_path, plane + line(2, " C", "C", 1)).composition == {"C": 1}
    with pytest.warns(UserWarning, match="DUM"), pytest.raises(ValueError, match="line 2: atom X1 of SER"):
        read(tmp_path, plane + line(2, " X1", "X", 1))
