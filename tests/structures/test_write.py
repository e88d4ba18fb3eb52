"""Structures to files and to other libraries, and back; supercells."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import pg_tf
from pg_tf.structures import (
    Structure,
    from_pymatgen,
    from_rdkit,
    read_cif,
    read_structure,
    to_pymatgen,
    to_rdkit,
    write_structure,
)

CELL = np.array([[5.0, 0.3, -1], [1, 6, 0], [0, -1, 7]])
COORDS = np.array([[0.1, 0.2, 0.3], [1, 2, 3], [9, -3, 8]])


def salt(**changes: object) -> Structure:
    return dataclasses.replace(Structure(np.array([11, 17, 8]), COORDS, CELL, name="table salt"), **changes)


def metric(structure: Structure) -> np.ndarray:
    """Distances between all atoms and lattice points, which do not change when a crystal is turned in space."""
    vectors = np.concatenate([structure.coords - structure.coords[0], structure.cell])
    return vectors @ vectors.T


@pytest.mark.parametrize("name", ["salt.cif", "salt.xyz", "salt.extxyz", "POSCAR", "salt.vasp", "salt.poscar"])
@pytest.mark.parametrize("handed", ["right", "left"])
def test_crystals_come_back_from_every_format(name: str, handed: str, tmp_path: Path) -> None:
    structure = salt() if handed == "right" else salt(cell=CELL[[1, 0, 2]])
    write_structure(structure, tmp_path / name)
    back = read_structure(tmp_path / name)
    assert np.array_equal(back.atomic_numbers, structure.atomic_numbers)
    assert back.periodic == structure.periodic
    # No mirror image: the triple product of three atoms about a fourth place keeps its sign.
    if name == "salt.cif":
        vectors = np.concatenate([back.coords - back.coords[0], np.sign(np.linalg.det(structure.cell)) * back.cell])
        assert np.allclose(vectors @ vectors.T, metric(structure), atol=1e-6)
        assert np.linalg.det(vectors[1:4]) == pytest.approx(
            np.linalg.det(np.concatenate([structure.coords[1:] - structure.coords[0], structure.cell[:1]])), rel=1e-6
        )
    else:
        assert np.allclose(back.coords, structure.coords, atol=1e-6)
        assert np.allclose(back.cell, structure.cell, atol=1e-6)


def test_occupancies_come_back_from_a_cif(tmp_path: Path) -> None:
    structure = salt(coords=COORDS[[0, 0, 1]], weights=np.array([0.25, 0.75, 1.0]))
    write_structure(structure, tmp_path / "mixed.cif")
    back = read_cif(tmp_path / "mixed.cif", strict=True)
    assert back.composition == structure.composition
    assert np.allclose(back.fractional, structure.fractional, atol=1e-10)


def test_slabs_and_molecules_come_back_from_xyz(tmp_path: Path) -> None:
    for structure in (salt(periodic=(True, False, True)), salt(cell=None, periodic=None)):
        write_structure(structure, tmp_path / "part.xyz")
        back = read_structure(tmp_path / "part.xyz")
        assert back.periodic == structure.periodic
        assert (back.cell is None) == (structure.cell is None)
        assert np.allclose(back.coords, structure.coords, atol=1e-7)


def test_silicalite_survives_writing(tmp_path: Path) -> None:
    zeolite = read_cif(Path(__file__).parents[2] / "examples" / "silicalite.cif", strict=True)
    write_structure(zeolite, tmp_path / "copy.cif")
    back = read_cif(tmp_path / "copy.cif", strict=True)
    assert back.composition == zeolite.composition
    assert np.allclose(back.fractional, zeolite.fractional, atol=1e-10)


@pytest.mark.parametrize(
    ("changes", "name", "text"),
    [
        ({}, "salt.mol2", "the format of .*salt.mol2 is not known"),
        ({"periodic": (True, True, False)}, "salt.cif", "CIF only holds what repeats along all three"),
        ({"periodic": (True, True, False)}, "POSCAR", "POSCAR only holds what repeats along all three"),
        ({"cell": None, "periodic": None}, "salt.cif", "give it a cell"),
        ({"weights": np.array([1, 0.5, 1])}, "salt.xyz", r"atom 1 has the weight 0\.5"),
        ({"weights": np.array([1, 0.5, 1])}, "POSCAR", r"atom 1 has the weight 0\.5"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(changes: dict[str, object], name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=text):
        write_structure(salt(**changes), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_rdkit_molecules_come_back() -> None:
    molecule = salt(cell=None, periodic=None)
    back = from_rdkit(to_rdkit(molecule))
    assert np.array_equal(back.atomic_numbers, molecule.atomic_numbers)
    assert np.allclose(back.coords, molecule.coords)
    assert back.name == molecule.name
    with pytest.raises(ValueError, match="it has a lattice"):
        to_rdkit(salt())


def test_pymatgen_structures_come_back() -> None:
    pytest.importorskip("pymatgen.core", reason="pymatgen is not installed")
    shared = salt(coords=COORDS[[0, 0, 1]], weights=np.array([0.25, 0.75, 1.0]), periodic=(True, True, False))
    assert len(to_pymatgen(shared)) == 2
    for structure in (salt(), shared, salt(cell=None, periodic=None)):
        back = from_pymatgen(to_pymatgen(structure))
        assert back.composition == structure.composition
        assert back.periodic == structure.periodic
        order = np.lexsort(back.coords.T), np.lexsort(structure.coords.T)
        assert np.allclose(back.coords[order[0]], structure.coords[order[1]], atol=1e-6)


@pytest.mark.parametrize(
    "repeats", [2, (2, 1, 3), [[1, 1, 0], [-1, 1, 0], [0, 0, 2]], [[0, 1, 0], [1, 0, 0], [0, 0, 1]]]
)
def test_supercell_is_the_same_crystal(repeats: object) -> None:
    structure = salt(weights=np.array([1.0, 0.5, 0.25]))
    supercell = structure.supercell(repeats)
    times = round(supercell.volume / structure.volume)
    assert supercell.composition == {symbol: times * n for symbol, n in structure.composition.items()}
    # A window sees no difference.
    box = pg_tf.Box(np.array([2.0, -3, 1]), np.array([7.0, 6, 5]))
    grids = [
        pg_tf.voxelize(s.coords, weights=s.weights, cell=s.cell, box=box, grid_shape=8, sigma=0.5, dtype="float64")
        for s in (structure, supercell)
    ]
    assert np.allclose(*grids, atol=1e-12)


def test_grid_of_a_supercell_is_the_grid_repeated() -> None:
    structure, options = salt(), {"sigma": 0.5, "dtype": "float64"}
    supercell = structure.supercell((2, 1, 3))
    one = pg_tf.voxelize(structure.coords, cell=structure.cell, grid_shape=(6, 5, 4), **options)
    many = pg_tf.voxelize(supercell.coords, cell=supercell.cell, grid_shape=(12, 5, 12), **options)
    assert np.allclose(many, np.tile(one, (1, 2, 1, 3)), atol=1e-12)


@pytest.mark.parametrize("repeats", [0, (2, 2), 1.5, [[1, 0, 0], [2, 0, 0], [0, 0, 1]], (1, 1, 2)])
def test_impossible_supercells_are_refused(repeats: object) -> None:
    with pytest.raises(ValueError, match="repeats: "):
        salt(periodic=(True, True, False)).supercell(repeats)
