"""CIF files: real ones, and small ones with every oddity."""

import gzip
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from pg_tf.structures import Structure, read_cif, read_structure

SHARED = Path(__file__).parents[3] / "shared" / "data" / "crystals"
REAL = sorted(SHARED.glob("*/*.cif"))

# Formula units in the cell where the file has no formula.
CONTENTS = {
    "FAU": {"Si": 192, "O": 384},
    "LTA": {"Si": 24, "O": 48},
    "MFI": {"Si": 96, "O": 192},
    "SOD": {"Si": 12, "O": 24},
    "RASPA_MFI_SI_mono": {"Si": 96, "O": 192},
    "RASPA_Cu-BTC": {"Cu": 48, "C": 288, "H": 96, "O": 192},
    "RASPA_IRMOF-1": {"Zn": 32, "C": 192, "H": 96, "O": 104},
    "RASPA_MIL-140A-DFT": {"Zr": 8, "C": 64, "H": 32, "O": 40},
    "RASPA_MgMOF-74": {"Mg": 18, "C": 72, "H": 18, "O": 54},
    "RASPA_ZIF-8": {"Zn": 12, "C": 96, "H": 120, "N": 48},
}
# What the file lacks, and says so.
REFUSED = {"Al2Si2O9H4-Kaolinite": "its atoms give Al4 O18 Si4: there are no coordinates of H"}


@pytest.mark.skipif(not REAL, reason="no shared data: these files are not part of the project")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_files_have_the_composition_of_their_formula(path: Path) -> None:
    if path.stem in REFUSED:
        with pytest.raises(ValueError, match=re.escape(REFUSED[path.stem])):
            read_cif(path, strict=True)
        return
    structure = read_cif(path, strict=True)
    text = path.read_text(encoding="utf-8")
    formula = re.search(r"_chemical_formula_sum\s+'?([A-Za-z0-9 ]+)", text)
    units = re.search(r"_cell_formula_units_Z\s+(\d+)", text)
    if formula:
        counts = {m[1]: int(m[2] or 1) for m in re.finditer(r"([A-Z][a-z]?)(\d*)", formula[1].strip())}
        number = len(structure) / sum(counts.values())
        # Carbon's "formula" counts one atom and its Z all of them.
        assert number == (int(units[1]) if units else number)
        assert structure.composition == {symbol: number * count for symbol, count in counts.items()}
    else:
        assert structure.composition == CONTENTS[path.stem]
    volume = re.search(r"_cell_volume\s+([0-9.]+)", text)
    if volume:
        assert structure.volume == pytest.approx(float(volume[1]), rel=2e-3)


@pytest.mark.skipif(not REAL, reason="no shared data: these files are not part of the project")
def test_all_kinds_of_real_files_were_there() -> None:
    assert {path.parent.name for path in REAL} == {"minerals", "zeolites", "mofs"}
    assert len(REAL) == 20


@pytest.mark.skipif(not REAL, reason="no shared data: these files are not part of the project")
@pytest.mark.parametrize(("name", "bond", "count"), [("SiO2-Quartz-alpha", (1.58, 1.64), 12), ("LTA", (1.5, 1.7), 96)])
def test_silicon_has_four_oxygen_neighbours_through_the_faces(name: str, bond: tuple[float, float], count: int) -> None:
    structure = read_cif(next(path for path in REAL if path.stem == name))
    silicon, oxygen = (structure.fractional[structure.atomic_numbers == z] for z in (14, 8))
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)
    apart = silicon[:, None, None] - oxygen[:, None] - shifts
    apart -= np.round(apart.mean(axis=2, keepdims=True))
    distances = np.linalg.norm(apart @ structure.cell, axis=-1)
    assert np.sum((distances > bond[0]) & (distances < bond[1])) == count


HEAD = """data_test
_cell_length_a 5.0(1)
_cell_length_b 6.0
_cell_length_c 7.0
_cell_angle_alpha 90
_cell_angle_beta 100.5
_cell_angle_gamma 90
"""
P1 = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n"
INVERSION = P1 + "'-x,-y,-z'\n"
SITES = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
OCCUPIED = SITES + "_atom_site_occupancy\n"


def read(tmp_path: Path, text: str, **options: object) -> Structure:
    path = tmp_path / "test.cif"
    path.write_bytes(text.encode("latin-1"))
    return read_cif(path, **options)  # type: ignore[arg-type]


def test_symmetry_is_expanded_and_special_positions_are_not_doubled(tmp_path: Path) -> None:
    structure = read(tmp_path, HEAD + INVERSION + SITES + "Fe1 0 0 0\nO1 0.1 0.2 0.3\nC1 0.5 0.50001 0.5\n")
    assert structure.composition == {"C": 1, "O": 2, "Fe": 1}
    assert structure.periodic == (True, True, True)
    beta = np.radians(100.5)
    assert np.allclose(structure.cell, [[5, 0, 0], [0, 6, 0], [7 * np.cos(beta), 0, 7 * np.sin(beta)]], atol=1e-9)
    oxygens = structure.fractional[structure.atomic_numbers == 8]
    assert np.allclose(oxygens, [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])


def test_space_group_replaces_operations_that_are_not_listed(tmp_path: Path) -> None:
    group = "_symmetry_space_group_name_H-M 'P 1 21/c 1'\n"
    assert len(read(tmp_path, HEAD + group + SITES + "O1 0.1 0.2 0.3\n")) == 4
    with pytest.raises(ValueError, match="lists no symmetry operations, and its space group, Q 7, is not a known one"):
        read(tmp_path, HEAD + "_symmetry_space_group_name_H-M 'Q 7'\n" + SITES + "O1 0.1 0.2 0.3\n")


def test_operations_in_the_file_come_before_the_name_of_the_group(tmp_path: Path) -> None:
    # AMCSD writes triclinic cells with a centring that no table has.
    centred = "_symmetry_space_group_name_H-M 'C 1'\n" + P1 + "'1/2+x,1/2+y,z'\n"
    structure = read(tmp_path, HEAD + centred + SITES + "O1 0.1 0.2 0.3\n")
    assert np.allclose(structure.fractional, [[0.1, 0.2, 0.3], [0.6, 0.7, 0.3]])


def test_file_without_symmetry_is_read_with_a_warning(tmp_path: Path) -> None:
    text = HEAD + SITES + "O1 0.1 0.2 0.3\n"
    with pytest.warns(UserWarning, match="it says nothing about symmetry"):
        assert len(read(tmp_path, text)) == 1
    with pytest.raises(ValueError, match="it says nothing about symmetry"):
        read(tmp_path, text, strict=True)


def test_operation_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="symmetry operations cannot be read"):
        read(tmp_path, HEAD + P1 + "'x,y,w'\n" + SITES + "O1 0.1 0.2 0.3\n")


def test_partial_occupancies_are_weights_and_shared_places_have_an_atom_each(tmp_path: Path) -> None:
    structure = read(
        tmp_path, HEAD + INVERSION + OCCUPIED + "Al1 0.2 0.2 0.2 0.25\nSi1 0.2 0.2 0.2 0.75(2)\nNa1 0 0 0 0.5\n"
    )
    assert structure.composition == {"Na": 0.5, "Al": 0.5, "Si": 1.5}
    assert len(structure) == 5


def test_alternatives_of_a_disordered_atom_across_an_element_of_symmetry_are_both_there(tmp_path: Path) -> None:
    structure = read(tmp_path, HEAD + INVERSION + OCCUPIED + "O1 0.03 0 0 0.5\n")
    assert structure.composition == {"O": 1}
    assert len(structure) == 2


@pytest.mark.parametrize("formula", ["'Al0.25 Si0.75 O2'", "Al.25Si0.75O2", "'O8 Al Si3'"])
def test_mixed_crystals_are_compared_with_their_formula(formula: str, tmp_path: Path) -> None:
    sites = "M1 0.2 0.2 0.2 0.25\nM2 0.2 0.2 0.2 0.75\nO1 0.2 0.2 0.5 1\nO2 0.2 0.6 0.5 1\n"
    text = HEAD + f"_chemical_formula_sum {formula}\n" + INVERSION + OCCUPIED + sites
    text = text.replace("M1", "Al1").replace("M2", "Si2")
    assert read(tmp_path, text, strict=True).composition == {"O": 4, "Al": 0.5, "Si": 1.5}
    with pytest.raises(ValueError, match="its atoms give"):
        read(tmp_path, text.replace(" 0.75", " 0.7"), strict=True)


def test_operations_in_decimals_are_the_fractions_that_they_mean(tmp_path: Path) -> None:
    text = HEAD + P1 + "'0.66667+x, 0.33333+y, 0.33333+z'\n" + SITES + "O1 0 0 0\n"
    assert np.allclose(read(tmp_path, text).fractional[1], [2 / 3, 1 / 3, 1 / 3], atol=1e-12)


def test_sites_that_nobody_occupies_are_left_out(tmp_path: Path) -> None:
    structure = read(tmp_path, HEAD + P1 + OCCUPIED + "O1 0.1 0 0 1\nO2 0.5 0 0 0\n")
    assert len(structure) == 1


@pytest.mark.parametrize(
    "sites",
    ["O1 0.1 0.2 0.3\nO2 0.1 0.2 0.3\n", "O1 0.999 0.2 0.3\nO2 0.001 0.2 0.3\n", "O1 0.1 0.2 0.3\nH1 0.12 0.2 0.3\n"],
)
def test_atoms_on_one_another_are_refused_by_name(sites: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"2 atoms of .*O1.* lie within 0.4 Å of one another .* add up to 2"):
        read(tmp_path, HEAD + P1 + SITES + sites)


@pytest.mark.parametrize(
    ("label", "number"), [("O-H1", 8), ("Wat1", 8), ("C(11)", 6), ("CL2", 17), ("D1", 1), ("SI3A", 14)]
)
def test_labels_tell_the_element_where_types_are_left_out(label: str, number: int, tmp_path: Path) -> None:
    assert read(tmp_path, HEAD + P1 + SITES + f"{label} 0.1 0.2 0.3\n").atomic_numbers[0] == number


def test_site_that_is_no_element_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"site X1 \(no type symbol\) is no element"):
        read(tmp_path, HEAD + P1 + SITES + "X1 0.1 0.2 0.3\n")


def test_formula_that_does_not_fit_is_a_warning_or_an_error(tmp_path: Path) -> None:
    text = HEAD + "_chemical_formula_sum 'H2 O'\n_cell_formula_units_Z 2\n" + P1 + SITES + "O1 0.1 0.2 0.3\n"
    with pytest.warns(UserWarning, match="its formula is H2 O, and its atoms give O: there are no coordinates of H"):
        read(tmp_path, text)
    with pytest.raises(ValueError, match="no coordinates of H"):
        read(tmp_path, text, strict=True)
    oxygen = text.replace("'H2 O'", "O2")
    with pytest.raises(ValueError, match=r"there are 2 formula units of O2 in the cell, and its atoms make 0\.5"):
        read(tmp_path, oxygen, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, text.replace("'H2 O'", "'(Si O2)n'"))  # no formula that can be compared


def test_one_of_several_blocks_can_be_chosen(tmp_path: Path) -> None:
    first, second = HEAD + P1 + SITES + "O1 0.1 0.2 0.3\n", HEAD.replace("data_test", "data_other") + P1 + SITES
    text = "data_global\n_journal_year 1999\n" + first + second + "Fe1 0.1 0.2 0.3\n"
    with pytest.warns(UserWarning, match="several blocks have atoms, test, other; the first is read"):
        assert read(tmp_path, text).composition == {"O": 1}
    assert read(tmp_path, text, block="other", strict=True).composition == {"Fe": 1}
    with pytest.raises(ValueError, match="it has no block 'third'; it has global, test, other"):
        read(tmp_path, text, block="third")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no block of it has atoms"),
        ("hello", "is not a CIF file"),
        ("data_x\nloop_\n_a\n_b\n1 2 3\n", "is not a CIF file"),
        (P1.replace("loop_", "data_x\nloop_") + SITES + "O1 0.1 0.2 0.3\n", "it has no cell lengths and angles"),
        (HEAD + P1, "no block of it has atoms with fractional coordinates"),
        (HEAD + P1 + SITES + "O1 0.1 ? 0.3\n", "site O1 has no coordinates"),
        (HEAD.replace("6.0", "0") + P1 + SITES + "O1 0.1 0.2 0.3\n", "cell"),
    ],
)
def test_damaged_files_are_refused_and_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, text)
    assert "test.cif" in str(caught.value)


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_cif(tmp_path / "none.cif")


def test_bytes_that_are_not_utf8_and_gzip_are_read(tmp_path: Path) -> None:
    text = "data_x\n_publ_author_name 'M\xfcller'\n" + HEAD.partition("\n")[2] + P1 + SITES + "O1 0.1 0.2 0.3\n"
    assert len(read(tmp_path, text)) == 1
    packed = tmp_path / "test.cif.gz"
    packed.write_bytes(gzip.compress(text.encode("latin-1")))
    assert len(read_structure(packed)) == 1


def test_silicalite_has_its_atoms() -> None:
    structure = read_cif(Path(__file__).parents[2] / "examples" / "silicalite.cif", strict=True)
    assert structure.composition == {"O": 192, "Si": 96}
    assert structure.mass == pytest.approx(96 * 60.084, rel=1e-4)


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_endings_of_lines_and_byte_order_marks_do_not_matter(ending: str, tmp_path: Path) -> None:
    text = (HEAD + P1 + SITES + "Fe1 0 0 0\nO1 0.1(2) .2 3e-1\n").replace("\n", ending)
    assert read(tmp_path, text).composition == {"O": 1, "Fe": 1}
    (tmp_path / "marked.cif").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_cif(tmp_path / "marked.cif").composition == {"O": 1, "Fe": 1}


def test_text_fields_with_any_punctuation_are_skipped(tmp_path: Path) -> None:
    title = "_publ_section_title\n;\nA; title 'of\nloop_ data_x\n;\n_x 'it''s; fine'\n_y \"a;b 'c'\"\n"
    assert len(read(tmp_path, HEAD + title + P1 + SITES + "Fe1 0 0 0\n")) == 1


@pytest.mark.parametrize("unknown", ["?", "."])
def test_occupancy_that_is_not_known_is_1(unknown: str, tmp_path: Path) -> None:
    assert read(tmp_path, HEAD + P1 + OCCUPIED + f"Fe1 0 0 0 {unknown}\n").composition == {"Fe": 1}


@pytest.mark.parametrize("occupancy", ["1.5", "-0.5", "100"])
def test_impossible_occupancy_is_refused(occupancy: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="site Fe1 has the occupancy"):
        read(tmp_path, HEAD + P1 + OCCUPIED + f"Fe1 0 0 0 {occupancy}\n")


@pytest.mark.parametrize(
    ("line", "angle"), [("_cell_length_a -5", "90"), ("_cell_angle_gamma 190", "90"), ("_cell_angle_alpha 20", "150")]
)
def test_impossible_cells_are_refused(line: str, angle: str, tmp_path: Path) -> None:
    tag = line.split()[0]
    head = "".join(line + "\n" if old.startswith(tag) else old + "\n" for old in HEAD.splitlines())
    with pytest.raises(ValueError, match=r"there is no cell with the lengths|its cell has the lengths"):
        read(tmp_path, head.replace("100.5", angle) + P1 + SITES + "Fe1 0 0 0\n")


def test_types_do_for_labels(tmp_path: Path) -> None:
    sites = SITES.replace("_atom_site_label", "_atom_site_type_symbol")
    assert read(tmp_path, HEAD + P1 + sites + "Fe3+ 0 0 0\nO2- .5 .5 .5\n").composition == {"O": 1, "Fe": 1}


CUBIC = HEAD.replace("6.0", "5.0").replace("7.0", "5.0").replace("100.5", "90")


@pytest.mark.parametrize(("origin", "x"), [(":1", 0), (":2", 0.125), (" S", 0), (" Z", 0.125)])
def test_both_origins_of_diamond_are_known_by_their_names(origin: str, x: float, tmp_path: Path) -> None:
    group = f"_symmetry_space_group_name_H-M 'F d -3 m{origin}'\n"
    assert len(read(tmp_path, CUBIC + group + SITES + f"C1 {x} {x} {x}\n", strict=True)) == 8


def test_origin_that_is_not_named_is_doubted(tmp_path: Path) -> None:
    text = CUBIC + "_symmetry_space_group_name_H-M 'F d -3 m'\n" + SITES + "C1 0 0 0\n"
    with pytest.warns(UserWarning, match="F d -3 m has two choices of the origin"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "group",
    [
        "_space_group_IT_number 225",
        "_space_group_name_Hall '-F 4 2 3'",
        "_symmetry_space_group_name_H-M Fm-3m",
        "_symmetry_space_group_name_H-M 'F m 3 m'",
    ],
)
def test_space_group_may_be_named_in_any_way(group: str, tmp_path: Path) -> None:
    assert read(tmp_path, CUBIC + group + "\n" + SITES + "Na1 0 0 0\nCl1 .5 .5 .5\n", strict=True).composition == {
        "Na": 4,
        "Cl": 4,
    }


@pytest.mark.parametrize(("angles", "count"), [(("90", "120"), 6), (("60", "60"), 2)])
@pytest.mark.parametrize("group", ["_symmetry_space_group_name_H-M 'R -3 m'", "_space_group_IT_number 166"])
def test_axes_of_rhombohedral_groups_follow_the_cell(
    group: str, angles: tuple[str, str], count: int, tmp_path: Path
) -> None:
    head = CUBIC.replace("gamma 90", f"gamma {angles[1]}").replace(" 90", f" {angles[0]}")
    site = "Bi1 0 0 0.2\n" if count == 6 else "Bi1 0.2 0.2 0.2\n"
    assert len(read(tmp_path, head + group + "\n" + SITES + site, strict=True)) == count


def test_rounded_thirds_are_special_positions(tmp_path: Path) -> None:
    head = CUBIC.replace("gamma 90", "gamma 120")
    group = "_symmetry_space_group_name_H-M 'P 63/m m c'\n"
    for third in ("0.3333 0.6667", "0.333 0.667"):
        assert len(read(tmp_path, head + group + SITES + f"Zn1 {third} 0.25\n", strict=True)) == 2
