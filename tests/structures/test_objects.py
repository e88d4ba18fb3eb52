"""Structures from files by way of ASE, and from the objects of other libraries."""

import types
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from pg_tf.structures import (
    Structure,
    from_ase,
    from_pymatgen,
    from_rdkit,
    read_poscar,
    read_structure,
    read_xyz,
    to_ase,
)

CELL = np.array([[5.0, 0, 0], [1, 6, 0], [0, -1, 7]])
POSCAR = """quartz-like
2.0
2.5 0 0
0.5 3.0 0
0 -0.5 3.5
Si O
1 2
Selective dynamics
Direct
0.0 0.0 0.0 T T F
0.5 0.25 0.125 T T T
0.25 0.5 0.75 F F F
"""
EXTXYZ = """2
Lattice="5 0 0 1 6 0 0 -1 7" Properties=species:S:1:pos:R:3:forces:R:3 pbc="T T F" energy=-1.5
Na 0 0 0 0.1 0.2 0.3
Cl 1 2 3 0 0 0
"""


def test_ase_atoms_go_in_and_out() -> None:
    atoms = ase.Atoms("NaCl2", positions=[[0, 0, 0], [1, 2, 3], [9, -3, 8]], cell=CELL, pbc=(True, False, True))
    structure = from_ase(atoms, name="salt")
    assert structure.composition == {"Na": 1, "Cl": 2}
    assert structure.periodic == (True, False, True)
    assert structure.name == "salt"
    back = to_ase(structure)
    assert np.array_equal(back.numbers, atoms.numbers)
    assert np.array_equal(back.positions, atoms.positions)
    assert np.array_equal(back.cell, atoms.cell)
    assert back.pbc.tolist() == [True, False, True]
    molecule = from_ase(ase.build.molecule("H2O"))
    assert molecule.cell is None
    assert not to_ase(molecule).pbc.any()


def test_slab_without_a_third_vector_gets_one() -> None:
    slab = from_ase(ase.build.fcc111("Pt", (2, 2, 3)))
    assert slab.periodic == (True, True, False)
    assert slab.cell is not None
    assert slab.volume > 0


def test_partly_occupied_places_are_refused_by_ase_both_ways() -> None:
    atoms = ase.Atoms("Na", info={"occupancy": {"0": {"Na": 0.5, "K": 0.5}}})
    with pytest.raises(ValueError, match=r"the places of kind 0 are partly occupied.*use read_cif"):
        from_ase(atoms)
    with pytest.raises(ValueError, match=r"structure: atom 1 has the weight 0\.5"):
        to_ase(Structure(np.array([11, 17]), np.zeros((2, 3)), weights=np.array([1.0, 0.5])))


def test_poscar_is_read(tmp_path: Path) -> None:
    for name in ("POSCAR", "CONTCAR_relaxed", "silica.vasp", "silica.poscar"):
        path = tmp_path / name
        path.write_text(POSCAR)
        structure = read_structure(path)
        assert structure.symbols == ("Si", "O", "O")
        assert np.allclose(structure.cell, CELL)
        assert np.allclose(structure.fractional[1:], [[0.5, 0.25, 0.125], [0.25, 0.5, 0.75]])
        assert structure.periodic == (True, True, True)


def test_poscar_without_elements_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "POSCAR"
    path.write_text(POSCAR.replace("Si O\n", ""))
    with pytest.raises(ValueError, match=r"names no elements .* for each of the 2 groups in elements"):
        read_poscar(path)


def test_extended_xyz_is_read(tmp_path: Path) -> None:
    path = tmp_path / "salt.extxyz"
    path.write_text(EXTXYZ + EXTXYZ.replace("Na", "K"))
    with pytest.warns(UserWarning, match="it has 2 frames, and the first is read"):
        structure = read_structure(path)
    assert structure.notes == ("it has 2 frames, and the first is read; choose one by frame=",)
    assert structure.symbols == ("Na", "Cl")
    assert np.allclose(structure.cell, CELL)
    assert structure.periodic == (True, True, False)
    assert read_xyz(path, frame=-1).symbols == ("K", "Cl")
    with pytest.raises(ValueError, match="it has no frame 2; it has 2"):
        read_xyz(path, frame=2)


def test_plain_xyz_has_no_cell(tmp_path: Path) -> None:
    path = tmp_path / "water.xyz"
    path.write_text("3\nwater\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n")
    structure = read_structure(path)
    assert structure.cell is None
    assert structure.formula == "H2 O"


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "bad.xyz"
    path.write_text("1\nwater\nO 0 0\n")
    with pytest.raises(ValueError, match=r"path: .*bad\.xyz: line 3 must be an atom .* 'O 0 0'"):
        read_structure(path)
    path.write_text("1\n\nX 0 0 0\n")
    with pytest.raises(ValueError, match=r"path: .*bad\.xyz: line 3 has 'X', which is no symbol"):
        read_structure(path)
    with pytest.raises(FileNotFoundError):
        read_structure(tmp_path / "none.xyz")
    with pytest.raises(ValueError, match=r"the format of .*structure\.txt is not known; it must end in \.cif"):
        read_structure(tmp_path / "structure.txt")


def site(coords: list[float], **species: float) -> types.SimpleNamespace:
    elements = [(types.SimpleNamespace(symbol=symbol), occupancy) for symbol, occupancy in species.items()]
    return types.SimpleNamespace(coords=np.array(coords), species=types.SimpleNamespace(items=lambda: elements))


class PymatgenLike(list):
    """What from_pymatgen uses of a pymatgen Structure."""

    def __init__(self, sites: list[types.SimpleNamespace], lattice: object) -> None:
        super().__init__(sites)
        if lattice is not None:
            self.lattice = lattice


def test_objects_that_look_like_pymatgen_structures_are_read() -> None:
    lattice = types.SimpleNamespace(matrix=CELL, pbc=(True, True, False))
    crystal = from_pymatgen(PymatgenLike([site([0, 0, 0], Al=0.25, Si=0.75), site([1, 2, 3], O=1.0)], lattice))
    assert crystal.composition == {"O": 1, "Al": 0.25, "Si": 0.75}
    assert crystal.periodic == (True, True, False)
    assert np.allclose(crystal.cell, CELL)
    molecule = from_pymatgen(PymatgenLike([site([0, 0, 0], D=1.0)], None))
    assert molecule.cell is None
    assert molecule.symbols == ("H",)
    with pytest.raises(ValueError, match=r"structure: site 1 holds .*Qa.*, which is no element"):
        from_pymatgen(PymatgenLike([site([0, 0, 0], O=1.0), site([0, 0, 0], Qa=1.0)], lattice))


def test_pymatgen_structures_are_read() -> None:
    core = pytest.importorskip("pymatgen.core", reason="pymatgen is not installed")
    lattice = core.Lattice(CELL)
    structure = core.Structure(lattice, [{"Al3+": 0.25, "Si4+": 0.75}, "O2-"], [[0, 0, 0], [0.5, 0.25, 0.1]])
    crystal = from_pymatgen(structure)
    assert crystal.composition == {"O": 1, "Al": 0.25, "Si": 0.75}
    assert np.allclose(crystal.fractional[-1], [0.5, 0.25, 0.1])
    assert from_pymatgen(core.Molecule(["O", "H"], [[0, 0, 0], [0, 0, 1]])).cell is None


def test_rdkit_molecules_are_read_as_they_are() -> None:
    molecule = Chem.AddHs(Chem.MolFromSmiles("CO"))
    with pytest.raises(ValueError, match="molecule: it has 0 conformers"):
        from_rdkit(molecule)
    AllChem.EmbedMultipleConfs(molecule, 2, randomSeed=1)
    molecule.SetProp("_Name", "methanol")
    structure = from_rdkit(molecule)
    assert structure.formula == "C H4 O"
    assert structure.name == "methanol"
    assert np.array_equal(structure.coords, molecule.GetConformer(0).GetPositions())
    assert np.array_equal(from_rdkit(molecule, 1).coords, molecule.GetConformer(1).GetPositions())
    heavy = Chem.RemoveHs(molecule)
    assert from_rdkit(heavy).formula == "C O"
    AllChem.Compute2DCoords(heavy)
    with pytest.raises(ValueError, match="its conformer is flat"):
        from_rdkit(heavy)


@pytest.mark.parametrize(("scale", "length"), [("2.0", 5.0), ("-1680.0", 5.0), ("2.0 2.0 2.0", 5.0)])
def test_scale_of_a_poscar_may_be_a_volume_or_three_numbers(scale: str, length: float, tmp_path: Path) -> None:
    path = tmp_path / "POSCAR"
    volume = float(np.linalg.det(CELL))
    path.write_text(POSCAR.replace("2.0", scale.replace("1680.0", f"{volume:.9f}"), 1).replace("\n", "\r\n"))
    assert np.linalg.norm(read_poscar(path).cell[0]) == pytest.approx(length)


def test_poscar_without_volume_and_symbols_that_are_none_are_refused(tmp_path: Path) -> None:
    poscar, xyz = tmp_path / "POSCAR", tmp_path / "a.xyz"
    poscar.write_text(POSCAR.replace("2.5 0 0", "0 0 0"))
    with pytest.raises(ValueError, match="its lattice vectors lie in one plane"):
        read_poscar(poscar)
    xyz.write_text("1\n\nQq 0 0 0\n")
    with pytest.raises(ValueError, match="'Qq', which is no symbol of an element"):
        read_xyz(xyz)
