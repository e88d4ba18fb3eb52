"""Places described twice are refused by every reader, and so is what the parsers would pass over in silence."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pg_tf.structures import Structure, from_ase, read_cif, read_pdb, read_poscar, read_structure, read_xyz
from pg_tf.structures.overlaps import check_overlaps

CELL = np.diag([5.0, 6.0, 7.0])
PDB = "HETATM    {0}  O   HOH A   {0}       {1:.3f}   3.000   0.000{2:6.2f} 10.00           O\n"


def at(*x: float, **options: object) -> Structure:
    return Structure(np.full(len(x), 11), np.array([[value, 1.0, 1.0] for value in x]), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "structure",
    [at(1, 1.2), at(1, 1.2, cell=CELL), at(0.1, 4.9, cell=CELL), at(0.1, 15.1, cell=CELL), at(1, 1, 1, 3)],
    ids=["free", "crystal", "through a face", "in another cell", "three"],
)
def test_atoms_on_one_another_are_found(structure: Structure) -> None:
    with pytest.raises(ValueError, match=r"[23] atoms of 0, 1.* lie within 0\.4 Å .* add up to [23]: a place listed"):
        check_overlaps(structure, [str(index) for index in range(len(structure))])


@pytest.mark.parametrize(
    "structure",
    [
        at(),
        at(1, 1.5),
        at(0.1, 4.9),
        at(0.1, 4.9, cell=CELL, periodic=(False, True, True)),
        at(1, 1.1, cell=CELL, weights=np.array([0.4, 0.6])),
    ],
    ids=["no atoms", "a bond apart", "no lattice", "axis that does not repeat", "alternatives"],
)
def test_atoms_apart_and_alternatives_are_none(structure: Structure) -> None:
    check_overlaps(structure, [str(index) for index in range(len(structure))])


def test_many_atoms_at_one_place_do_not_fill_the_memory() -> None:
    with pytest.raises(ValueError, match=r"50000 atoms of 0, 1, 10, 100, \.\.\. lie within"):
        check_overlaps(at(*[1.0] * 50000), [str(index) for index in range(50000)])


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_pdb, PDB.format(1, 1, 1) + PDB.format(2, 1.1, 1)),
        (read_poscar, "c\n1\n5 0 0\n0 5 0\n0 0 5\nNa Cl\n1 1\nDirect\n0 0 0\n0 0 0.999\n"),
        (read_xyz, "2\nc\nNa 0 0 0\nCl 0 0 0.1\n"),
    ],
)
def test_readers_refuse_atoms_listed_twice(read: Callable[[Path], Structure], text: str, tmp_path: Path) -> None:
    (tmp_path / "twice").write_text(text)
    with pytest.raises(ValueError, match=r"path: .*twice: 2 atoms of .* lie within 0\.4 Å of one another"):
        read(tmp_path / "twice")


def test_alternates_of_a_macromolecule_are_weighed_as_the_file_says(tmp_path: Path) -> None:
    # The side chain that is read with the weight 1 has the water of its alternative within reach.
    chain = PDB.format(1, 1, 0.5).replace("O   HOH", "O  ASER")
    (tmp_path / "a.pdb").write_text(chain + PDB.format(2, 1.1, 0.5))
    assert read_pdb(tmp_path / "a.pdb").weights.tolist() == [1.0, 0.5]


@pytest.mark.parametrize("read", [read_cif, read_pdb, read_poscar, read_xyz, read_structure])
@pytest.mark.parametrize(
    "content",
    [b"no archive", gzip.compress(b"data_x\n" * 999)[:-12], gzip.compress(b"data_x\n" * 999)[:-8] + b"\0" * 8],
    ids=["plain", "cut off", "wrong sum"],
)
def test_damaged_archives_are_refused_with_their_path(
    read: Callable[[Path], Structure], content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "a.cif.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"path: .*a\.cif\.gz.* is cut off or damaged"):
        read(path)


EXTENDED = '2\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:occupancy:R:1\nNa 0 0 0 {}\nCl 2 2 2 1\n'


def test_occupancies_of_extended_xyz_are_weights(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(EXTENDED.format(0.25))
    assert read_xyz(path).weights.tolist() == [0.25, 1.0]
    path.write_text(EXTENDED.format(3))
    with pytest.raises(ValueError, match=r"a\.xyz: atom 0 has the occupancy 3\.0; it must be from 0 to 1"):
        read_xyz(path)
    path.write_text("1\noccupancy=0.5\nNa 0 0 0\n")  # of the whole frame: not ASE's own table of places
    assert len(read_xyz(path)) == 1


def test_axes_that_repeat_need_a_lattice_vector(tmp_path: Path) -> None:
    ase = pytest.importorskip("ase")
    path = tmp_path / "a.xyz"
    path.write_text('1\npbc="T T T"\nNa 0 0 0\n')
    with pytest.raises(ValueError, match="line 2: pbc is T T T, and there is no lattice vector 0"):
        read_xyz(path)
    with pytest.raises(ValueError, match="there is no lattice vector 2"):
        from_ase(ase.Atoms("Na", cell=[3, 3, 0], pbc=True))


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ('lattice="5 0 0 0 5 0 0 0 5"', "line 2: lattice must be written Lattice"),
        ('Lattice="5 0 0 0 5 0 0 0 5" pbc="T maybe F"', "line 2: pbc must be three of T and F"),
        ("Properties=species:S:1", "line 2: Properties must have pos:R:3 and species:S:1"),
        ("Properties=foo", "line 2: Properties must have"),
        ("Properties=species:S:1:pos:R:3:big:R:99999999", "line 2: Properties have more columns than the first atom"),
        ("Properties=species:S:1:pos:R:3:occupancy:L:1", "occupancy must be numbers"),
        ('Lattice="1e-9 0 0 0 5 0 0 0 5"', "its cell has the lengths"),
    ],
)
def test_second_lines_that_ase_would_pass_over_are_refused(comment: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(f"1\n{comment}\nNa 0 0 0 T\n")
    with pytest.raises(ValueError, match=message):
        read_xyz(path)


def test_what_other_programs_write_into_second_lines_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    comment = 'Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5e3 pbc="T T F" note=\'a = b\' Lattice="{}"'
    path.write_text(f"1\n{comment.format('5 0 0 0 5 0 0 0 5')}\nNa 0 0 0 1 2 3\n")
    assert read_xyz(path).periodic == (True, True, False)
    path.write_text('1\noccupancy="_JSON {\\"0\\": 5}"\nNa 0 0 0\n')
    assert len(read_xyz(path)) == 1
    path.write_text("1\nc\nNa 0 0 0\nVEC1 5 0 0\nVEC2 0 5 0\nVEC3 0 0 5\n")
    assert read_xyz(path).volume == pytest.approx(125)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("1000000000 1", "line 7 promises 1000000001 atoms; 999999999 of its lines are missing"),
        ("1", "line 6 names 2 elements, and line 7 has 1 whole numbers"),
        ("-1 1", "line 7 must be numbers of atoms, and is '-1 1'"),
        ("1.5 1", "line 7 must be numbers of atoms, and is '1.5 1'"),
    ],
)
def test_counts_of_a_poscar_must_be_true(counts: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "POSCAR"
    path.write_text(f"c\n1\n5 0 0\n0 5 0\n0 0 5\nNa Cl\n{counts}\nDirect\n0 0 0\n.5 .5 .5\n")
    with pytest.raises(ValueError, match=message):
        read_poscar(path)
