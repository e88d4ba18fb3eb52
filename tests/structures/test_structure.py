"""The value that all readers yield."""

import numpy as np
import pytest

import pg_tf
from pg_tf.structures import Structure

CELL = np.array([[5.0, 0, 0], [1, 6, 0], [0, -1, 7]])


def salt(**changes: object) -> Structure:
    values = {"atomic_numbers": [11, 17, 17], "coords": [[0.0, 0, 0], [1, 2, 3], [9, -3, 8]], "cell": CELL}
    return Structure(**{**values, **changes})  # type: ignore[arg-type]


def test_fields_have_their_types_and_defaults() -> None:
    crystal, molecule = salt(), salt(cell=None)
    assert crystal.atomic_numbers.dtype == np.int32
    assert crystal.coords.dtype == np.float64
    assert crystal.periodic == (True, True, True)
    assert molecule.periodic == (False, False, False)
    assert np.array_equal(crystal.weights, [1, 1, 1])
    assert len(crystal) == 3
    assert crystal.symbols == ("Na", "Cl", "Cl")
    assert salt(periodic=(True, True, False)).periodic == (True, True, False)


def test_fractional_coordinates_and_cell_give_the_coords() -> None:
    crystal = salt()
    assert np.allclose(crystal.fractional @ CELL, crystal.coords)
    assert crystal.volume == pytest.approx(210)
    wrapped = crystal.wrapped()
    assert (wrapped.fractional >= -1e-12).all()
    assert (wrapped.fractional < 1).all()
    moved = wrapped.fractional - crystal.fractional
    assert np.allclose(moved, np.round(moved))
    slab = salt(periodic=(True, True, False)).wrapped()
    assert np.allclose(slab.fractional[:, 2], crystal.fractional[:, 2])


def test_composition_formula_and_mass_count_occupancies() -> None:
    mixed = salt(weights=[0.25, 1.0, 0.5])
    assert mixed.composition == {"Na": 0.25, "Cl": 1.5}
    assert mixed.formula == "Cl1.5 Na0.25"
    assert mixed.mass == pytest.approx(0.25 * 22.98977 + 1.5 * 35.453, abs=0.01)
    assert Structure(np.array([8, 1, 6, 1]), np.zeros((4, 3))).formula == "C H2 O"
    assert "Cl2 Na" in repr(salt())


def test_empty_structure_is_possible() -> None:
    empty = Structure(np.zeros(0, int), np.zeros((0, 3)), CELL)
    assert (len(empty), empty.composition, empty.mass) == (0, {}, 0)
    assert empty.wrapped().coords.shape == (0, 3)


def test_atoms_go_into_energies_and_points_into_grids() -> None:
    crystal = salt(weights=[1.0, 1.0, 0.0])
    energy = pg_tf.lennard_jones(**crystal.atoms(), grid_shape=4)
    without = pg_tf.lennard_jones(crystal.coords[:2], [11, 17], cell=CELL, grid_shape=4)
    assert np.allclose(energy, without)
    points = salt(cell=None).points(pg_tf.ElementChannels(("Cl", "Na")))
    assert np.array_equal(points[:, 0], [1, 0, 0])
    assert np.asarray(pg_tf.coord_to_grid(points, num_channels=2, grid_size=8)).sum() == pytest.approx(3, abs=1e-3)


BAD = {
    "number": ({"atomic_numbers": [11, 0, 17]}, "atomic_numbers: atom 1 has 0; an atomic number is 1 to 118"),
    "numbers": ({"atomic_numbers": [1.0, 2.0, 3.0]}, "atomic_numbers: must be integers"),
    "coords": ({"coords": np.zeros((2, 3))}, r"coords: must be numbers \[3, 3\]"),
    "infinite": ({"coords": [[0, 0, 0], [0, np.nan, 0], [0, 0, 0]]}, r"coords: nan at \[1, 1\]"),
    "weight": ({"weights": [1, -0.5, 1]}, "weights: atom 1 has -0.5"),
    "cell": ({"cell": np.diag([1.0, 1, 0])}, "cell: its vectors lie in one plane"),
    "cell shape": ({"cell": np.ones(3)}, "cell: must be numbers"),
    "periodic": ({"periodic": (True, False)}, "periodic: must be a flag or three flags"),
    "no cell": ({"cell": None, "periodic": True}, "give cell as well"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_fields_are_refused_by_name(name: str) -> None:
    changes, text = BAD[name]
    with pytest.raises(ValueError, match=text):
        salt(**changes)


def test_what_needs_a_cell_says_so() -> None:
    molecule = salt(cell=None)
    for use in (lambda: molecule.volume, lambda: molecule.fractional, molecule.wrapped):
        with pytest.raises(ValueError, match="cell: this structure has none"):
            use()
