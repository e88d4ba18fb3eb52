"""Symmetry that cannot be that of the cell, and sites that are no atoms, are refused or told of."""

import warnings
from pathlib import Path

import pytest

from pg_tf.structures import read_cif, read_pdb, read_xyz

PARAMETERS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
COLUMNS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "calc_flag")
SITES = "loop_\n" + "".join(f"_atom_site_{name}\n" for name in COLUMNS)


def cif(
    path: Path,
    cell: tuple[float, ...] = (5, 5, 5, 90, 90, 90),
    operations: tuple[str, ...] = ("x,y,z",),
    name: str = "",
    sites: str = "A1 Na 0.1 0.2 0.3 1 d\n",
) -> Path:
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\n" + "".join(f"'{text}'\n" for text in operations) if operations else ""
    group = f"_symmetry_space_group_name_H-M '{name}'\n" if name else ""
    file = path / "a.cif"
    lattice = "".join(f"_cell_{name} {value}\n" for name, value in zip(PARAMETERS, cell, strict=True))
    file.write_text(f"data_a\n{lattice}{group}{listed}{SITES}{sites}")
    return file


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cell": (5, 7, 6, 90, 110, 90), "operations": (), "name": "F m -3 m"}, "is none of its cell"),
        ({"cell": (5, 7, 5, 90, 90, 90), "operations": ("x,y,z", "y,z,x", "z,x,y")}, "operation 2 is none of its cell"),
        ({"operations": ("x,y,z", "y,x,0")}, "operation 2 has the determinant 0"),
        ({"cell": (1e30, 5, 5, 90, 90, 90)}, "has the lengths"),
        ({"cell": (5, 5, 5, 1.57, 1.57, 1.57)}, "must be in degrees"),
        ({"sites": "A1 H2O 0.1 0.2 0.3 1 d\n"}, "site A1 .type H2O. is no element"),
        ({"sites": "A1 Si/Al 0.1 0.2 0.3 1 d\n"}, "is no element"),
        ({"sites": "A1 Cnt 0.1 0.2 0.3 1 d\n"}, "is no element"),
        ({"sites": "A1 Na 0.1 0.2 0.3 half d\n"}, "row 1 of its sites has the occupancy 'half'"),
        ({"sites": "A1 Na 0.1 0.2 0.3 0 d\n"}, "it has no atoms"),
        ({"sites": "A1 Na 0.1 0.2 0.3 1 dum\n"}, "it has no atoms"),
    ],
)
def test_impossible_crystals_are_refused(tmp_path: Path, options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        read_cif(cif(tmp_path, **options))


@pytest.mark.parametrize(
    ("operations", "name", "text"),
    [
        (("x,y,z+1/4", "x,y,z+1/2"), "", "not all among them"),
        (("-x,-y,-z",), "", "not all among them"),
        (("x,y,z",), "F m -3 m", "its 1 symmetry operations are not those of .* F m -3 m with 192"),
    ],
)
def test_doubtful_symmetry_is_told_of(tmp_path: Path, operations: tuple[str, ...], name: str, text: str) -> None:
    with pytest.warns(UserWarning, match=text):
        read_cif(cif(tmp_path, operations=operations, name=name))


def test_operations_of_another_group_of_the_same_size_are_told_of(tmp_path: Path) -> None:
    screws = ("x,y,z", "-x+1/2,-y,z+1/2", "-x,y+1/2,-z+1/2", "x+1/2,-y+1/2,-z")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_cif(cif(tmp_path, operations=screws, name="P 21 21 21"))
        read_cif(cif(tmp_path, operations=("x,y,z", "x,y,z+1", "-x,-y,-z"), name="P -1"))  # one listed twice
    with pytest.warns(UserWarning, match="are not those of the space group that it names, P 2 2 2"):
        read_cif(cif(tmp_path, operations=screws, name="P 2 2 2"))


@pytest.mark.parametrize("name", ["_space_group_IT_number 225", "_space_group_name_Hall '-F 4 2 3'"])
def test_groups_named_in_any_way_are_compared_with_the_list(tmp_path: Path, name: str) -> None:
    file = cif(tmp_path)
    file.write_text(f"{file.read_text()}{name}\n")
    with pytest.warns(UserWarning, match="are not those of the space group that it names, F m -3 m"):
        read_cif(file)


def test_names_of_several_groups_are_told_of(tmp_path: Path) -> None:
    file = cif(tmp_path, operations=(), name="P 1")
    file.write_text(file.read_text() + "_space_group_IT_number 225\n")
    with pytest.warns(UserWarning, match=r"it names several space groups, with the numbers \[1, 225\]; P 1 is taken"):
        read_cif(file)


def test_sites_without_one_of_three_coordinates_are_refused(tmp_path: Path) -> None:
    file = cif(tmp_path, sites="A1 Na 0.1 0.2 1 d\n")
    file.write_text(file.read_text().replace("_atom_site_fract_z\n", ""))
    with pytest.raises(ValueError, match="its atoms have no _atom_site_fract_z"):
        read_cif(file)


MATRICES = "".join(f"{{0}}{i + 1}{{1}}{'{2}' * i}{{3}}{'{2}' * (2 - i)}        0.00000\n" for i in range(3))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (MATRICES.format("SCALE", "    ", "  0.000000", "  0.500000"), "SCALE and CRYST1 are not of the same cell"),
        (MATRICES.format("MTRIX", "   1", "  0.000000", " -1.000000"), "it leaves out copies that its records MTRIX"),
    ],
)
def test_records_that_would_change_a_unit_cell_are_refused(tmp_path: Path, records: str, message: str) -> None:
    file = pdb(tmp_path)
    head, rest = file.read_text().split("\n", 1)
    file.write_text(f"{head}\n{records}{rest}")
    assert len(read_pdb(file)) == 2
    with pytest.raises(ValueError, match=message):
        read_pdb(file, unit_cell=True)


def test_angles_of_a_few_degrees_are_told_of(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="they must be in degrees"):
        read_cif(cif(tmp_path, cell=(5, 5, 50, 90, 90, 1.57), sites="A1 Na 0 0 0 1 d\n"))


def test_dummies_are_left_out_though_they_share_a_label(tmp_path: Path) -> None:
    sites = "Na Na 0.1 0.2 0.3 1 d\nNa Na 0.6 0.6 0.6 1 dum\n"
    assert read_cif(cif(tmp_path, sites=sites)).composition == {"Na": 1}


@pytest.mark.parametrize(
    ("label", "text"),
    [("W1", "W1 has no type and is read as W; where it is water"), ("CA1", "CA1 .* is read as Ca; where it is C")],
)
def test_labels_that_are_hardly_elements_are_told_of(tmp_path: Path, label: str, text: str) -> None:
    file = cif(tmp_path, sites=f"{label} 0.1 0.2 0.3 1 d\n")
    file.write_text(file.read_text().replace("_atom_site_type_symbol\n", ""))
    with pytest.warns(UserWarning, match=text):
        read_cif(file)


@pytest.mark.parametrize("label", ["Cnt", "NO3", "Cat1", "Tet1", "Pol", "Mg/Fe1", "M1", "X1", "Du2", "NH4", "1"])
def test_labels_that_begin_with_no_element_are_refused_and_may_be_named(tmp_path: Path, label: str) -> None:
    file = cif(tmp_path, sites=f"{label} 0.1 0.2 0.3 1 d\n")
    file.write_text(file.read_text().replace("_atom_site_type_symbol\n", ""))
    with pytest.raises(ValueError, match=f"site {label} .no type symbol. is no element"):
        read_cif(file)
    assert read_cif(file, elements={label: "Fe"}).composition == {"Fe": 1}


@pytest.mark.parametrize("label", ["OW1", "Ow", "OH2", "Wat1", "HOH", "H2O1", "O_w", "water"])
def test_names_of_water_are_its_oxygen(tmp_path: Path, label: str) -> None:
    file = cif(tmp_path, sites=f"{label} 0.1 0.2 0.3 1 d\n")
    file.write_text(file.read_text().replace("_atom_site_type_symbol\n", ""))
    assert read_cif(file, strict=True).composition == {"O": 1}


@pytest.mark.parametrize("symbol", ["Na", "Na1+", "Na+", "Na+1", "NA", "na"])
def test_elements_come_with_their_charges(tmp_path: Path, symbol: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_cif(cif(tmp_path, sites=f"A1 {symbol} 0.1 0.2 0.3 1.00(2) d\n")).symbols == ("Na",)


def pdb(path: Path, occupancy: str = "  1.00", group: str = "P 2") -> Path:
    file = path / "a.pdb"
    lengths, angles = "".join(f"{v:9.3f}" for v in (10, 12, 11)), "".join(f"{v:7.2f}" for v in (90, 100, 90))
    file.write_text(
        f"CRYST1{lengths}{angles} {group:11s}   1\n"
        f"HETATM    1  O   HOH A   1       0.000   3.000   0.000{occupancy} 10.00           O\n"
        "HETATM    2  O   HOH A   2       2.000   3.000   1.000  1.00 10.00           O\nEND\n"
    )
    return file


@pytest.mark.parametrize("occupancy", ["   foo", "  3.00", "  -0.5", "   nan"])
def test_occupancies_of_a_pdb_file_are_numbers_up_to_one(tmp_path: Path, occupancy: str) -> None:
    with pytest.raises(ValueError, match="line 2 has no occupancy from 0 to 1"):
        read_pdb(pdb(tmp_path, occupancy))


def test_atoms_on_an_axis_come_once_into_the_cell(tmp_path: Path) -> None:
    structure = read_pdb(pdb(tmp_path), unit_cell=True)
    assert structure.composition == {"O": 3}


def test_shares_of_an_atom_on_an_axis_add_up_to_one_atom(tmp_path: Path) -> None:
    structure = read_pdb(pdb(tmp_path, "  0.50"), unit_cell=True)
    assert structure.composition == {"O": 3}
    assert len(structure) == 3


def test_space_group_of_a_pdb_file_must_fit_its_cell(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is none of its cell"):
        read_pdb(pdb(tmp_path, group="P 43 3 2"), unit_cell=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10000000\nc\nNa 0 0 0\n", "line 1 promises 10000000 atoms; 9999999 of its lines are missing"),
        ("99999999999\nc\nNa 0 0 0\n", "promises 99999999999 atoms"),
        ("-1\nc\nNa 0 0 0\n", "line 1 must be a number of atoms, and is '-1'"),
        ("1\nc\nNa 0 0 0\n2\nc\nNa 0 0 0\n", "line 4 promises 2 atoms; 1 of its lines"),
        ("9" * 5000 + "\nc\nNa 0 0 0\n", r"a\.xyz: line 1 must be a number of atoms"),
        ("", "it has no frame 0; it has 0"),
    ],
)
def test_counts_of_an_xyz_file_must_be_true(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_xyz(tmp_path / "a.xyz")
