"""Grids of boxes and cells that repeat, back to atoms."""

import dataclasses
import itertools
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

import pg_tf
from pg_tf.inversion.atoms import Atoms
from pg_tf.inversion.columns import COORDINATES, Kind
from pg_tf.inversion.factors import AxisFactors, axis_factors
from pg_tf.inversion.noise import noise_level
from pg_tf.inversion.oblique import Oblique
from pg_tf.inversion.orthogonal import Orthogonal
from pg_tf.inversion.peaks import persistent_peaks
from pg_tf.inversion.problem import Problem
from pg_tf.inversion.waves import waves
from pg_tf.structures import Structure, read_structure
from tests.tolerances import FLOAT64_GRID, INVERSION

pytestmark = pytest.mark.slow

# Not part of the project: real structures beside it.
CRYSTALS = pathlib.Path(__file__).parents[2] / "shared" / "data" / "crystals"
needs_crystals = pytest.mark.skipif(not CRYSTALS.is_dir(), reason=f"no crystal structures in {CRYSTALS}")

# The wrapped Gaussians of neighbouring images, by enough of them to be exact.
IMAGES = np.array(list(itertools.product((-1, 0, 1), repeat=3)))

TRICLINIC = np.array([[4.4, 0.3, -0.2], [1.6, 4.1, 0.5], [-0.9, 1.2, 5.2]])

# Made by quadrature of float32 where the grid is: of its results, as of coordinates of 20 Å in float32.
CRYSTAL = INVERSION


def grid_of(structure, sigma=0.35, voxel=0.3, dtype="float32"):
    """The grid of element channels, and the elements."""
    elements = tuple(dict.fromkeys(structure.symbols))
    channels = [elements.index(symbol) for symbol in structure.symbols]
    shape = [max(round(float(np.linalg.norm(vector)) / voxel), 1) for vector in structure.cell]
    options = {"cell": structure.cell, "periodic": structure.periodic, "grid_shape": shape, "sigma": sigma}
    grid = pg_tf.voxelize(structure.coords, channels, num_channels=len(elements), dtype=dtype, **options)
    return grid.numpy(), elements


def inverted(structure, sigma=0.35, voxel=0.3, noise=0.0, dtype="float32"):
    grid, elements = grid_of(structure, sigma, voxel, dtype)
    if noise:
        grid = grid + np.random.default_rng(0).normal(scale=noise * grid.max(), size=grid.shape).astype(grid.dtype)
    found = pg_tf.grid_to_coords(grid, cell=structure.cell, periodic=structure.periodic, sigma=sigma)
    return found, found.to_structure(elements)


def largest_error(found, truth):
    """Å, of the best assignment of atoms of an element to the nearest images; infinite if their counts differ."""
    worst = 0.0
    shifts = IMAGES * np.array(truth.periodic)
    for number in set(truth.atomic_numbers) | set(found.atomic_numbers):
        one, other = found.coords[found.atomic_numbers == number], truth.coords[truth.atomic_numbers == number]
        if len(one) != len(other):
            return np.inf
        apart = (one[:, np.newaxis] - other) @ np.linalg.inv(truth.cell)
        apart -= np.where(truth.periodic, np.rint(apart), 0)
        distances = np.linalg.norm((apart[:, :, np.newaxis] + shifts) @ truth.cell, axis=-1).min(axis=2)
        worst = max(worst, distances[linear_sum_assignment(distances)].max(initial=0))
    return worst


def comes_back(truth, *args, tolerance=CRYSTAL, **options):
    """The result of inverting the grid of a structure, which must be that structure."""
    found, structure = inverted(truth, *args, **options)
    assert found.converged
    assert structure.composition == truth.composition
    assert largest_error(structure, truth) < tolerance
    return found


def carbon(fractional, cell, periodic=True):
    coords = np.asarray(fractional, np.float64) @ cell
    return Structure(np.full(len(coords), 6), coords, np.asarray(cell), periodic)


def apart(rng, cell, number, least=1.1):
    """Random fractional coordinates of atoms that are no closer than that to any image."""
    found = []
    while len(found) < number:
        place = rng.uniform(size=3)
        others = (place - np.array(found).reshape(-1, 1, 3) + IMAGES) @ cell
        if not found or np.linalg.norm(others, axis=-1).min() > least:
            found.append(place)
    return np.array(found)


@needs_crystals
@pytest.mark.filterwarnings("ignore:.*Kaolinite:UserWarning")  # its hydrogens have no coordinates
@pytest.mark.parametrize(
    ("name", "sigma"),
    [
        ("minerals/NaCl-Halite", 0.3),
        ("minerals/NaCl-Halite", 0.4),
        ("minerals/SiO2-Quartz-alpha", 0.3),  # hexagonal
        ("minerals/SiO2-Quartz-alpha", 0.4),
        ("minerals/Al2O3-Corundum", 0.35),  # rhombohedral, primitive
        ("minerals/Al2Si2O9H4-Kaolinite", 0.35),  # triclinic
        ("zeolites/MFI", 0.35),  # orthorhombic
        ("mofs/RASPA_MgMOF-74", 0.35),  # hexagonal
    ],
)
def test_crystals_come_back_from_element_channels(name, sigma):
    truth = read_structure(CRYSTALS / f"{name}.cif")
    assert comes_back(truth, sigma).unexplained < 0.01


def rock_salt(origin):
    """The primitive cell, with 60 degrees between its vectors."""
    edge = 2.82
    coords = np.array([[0.0, 0.0, 0.0], [edge] * 3]) + origin
    return Structure(np.array([11, 17]), coords, edge * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]))


@pytest.mark.parametrize("origin", [[0.0] * 3, [1e-4, 0, -1e-4], [40.0, -71.3, 0.2], [0.0, 1.41, 1.41]])
def test_atoms_on_corners_edges_faces_and_outside_of_the_cell_are_wrapped(origin):
    truth = rock_salt(np.array(origin))
    # Given far outside of the cell, coordinates of float32 hold 4e-6 Å.
    found = comes_back(truth, tolerance=2 * CRYSTAL)
    fractional = found.fractional.numpy()
    assert ((fractional >= 0) & (fractional < 1)).all()
    np.testing.assert_allclose(fractional @ truth.cell, found.points[:, 1:], atol=1e-6)


def box_comes_back(coords, box, periodic):
    """That atoms of carbon are found again from their grid in a box, and the box as a cell."""
    options = {"box": box, "periodic": periodic, "sigma": 0.35}
    grid = pg_tf.voxelize(coords, grid_shape=[round(length / 0.29) for length in box[1]], **options)
    found = pg_tf.grid_to_coords(grid, **options)
    assert found.converged
    structure, cell = found.to_structure(("C",)), np.diag(box[1])
    assert structure.periodic == periodic
    assert largest_error(structure, Structure(np.full(len(coords), 6), coords, cell, periodic)) < INVERSION
    np.testing.assert_array_equal(found.cell, cell)


def test_atoms_on_the_corner_of_an_orthogonal_box():
    coords = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 3.0], [3.0, 4.5, 3.0], [1.0, 4.5, 6.0]])
    box_comes_back(coords, ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), (True, True, True))


def test_supercells_in_one_channel():
    unit = rock_salt(np.array([0.1, 0.2, 0.3]))
    shifts = np.array(list(itertools.product(range(3), repeat=3))) @ unit.cell
    coords = (unit.coords + shifts[:, np.newaxis]).reshape(-1, 3)
    truth = Structure(np.full(54, 6), coords, 3 * unit.cell)
    comes_back(truth)


@pytest.mark.parametrize("cell", [np.diag([1.0, 1.1, 1.2]), 0.27 * TRICLINIC], ids=["orthogonal", "oblique"])
def test_atom_overlaps_its_own_images(cell):
    truth = carbon([[0.31, 0.02, 0.97]], cell)
    comes_back(truth, sigma=0.3, voxel=0.15)


@pytest.mark.parametrize("periodic", list(itertools.product((True, False), repeat=3)))
def test_any_axes_of_a_cell_may_be_open(rng, periodic):
    fractional = 0.25 + 0.5 * apart(rng, TRICLINIC / 2, 4)
    fractional -= np.where(periodic, 0.3, 0)  # across the closed faces
    truth = carbon(fractional, TRICLINIC, periodic)
    grid = pg_tf.voxelize(truth.coords, cell=TRICLINIC, periodic=periodic, grid_shape=(14, 15, 18), sigma=0.35)
    found = pg_tf.grid_to_coords(grid, cell=TRICLINIC, periodic=periodic, sigma=0.35)
    assert found.converged
    reference = dataclasses.replace(truth, periodic=None)
    structure = Structure(np.full(4, 6), found.points[:, 1:].numpy(), TRICLINIC)
    assert largest_error(structure, reference) < CRYSTAL


@pytest.mark.parametrize("periodic", [(True, False, True), (True, False, False), (False, False, False)])
@pytest.mark.parametrize("clearance", [3.0, 2.0])
def test_atoms_near_open_faces_of_a_strongly_oblique_cell(clearance, periodic):
    cell, sigma = np.array([[9.658, 0, 0], [1.966, 8.976, 0], [-1.836, 7.143, 6.540]]), 0.4
    margin = np.where(periodic, 0, clearance * sigma * np.linalg.norm(np.linalg.inv(cell), axis=0))
    fractional = margin + (1 - 2 * margin) * np.random.default_rng(3).uniform(size=(8, 3))
    fractional[0, 1] = margin[1]
    truth = carbon(fractional, cell, periodic)
    comes_back(truth, sigma=sigma, voxel=0.34)


def test_slab_box_keeps_what_the_open_faces_cut():
    coords = np.array([[0.05, 3.9, 0.1], [2.0, 0.1, 3.0], [4.9, 2.0, 6.9]])  # the first and the last are cut
    box_comes_back(coords, ([0.0] * 3, [5.0, 4.0, 7.0]), (True, True, False))


@pytest.mark.parametrize("seed", range(4))
def test_random_atoms_in_random_cells(seed):
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(3.5, 6, 3)) + rng.normal(scale=1.2, size=(3, 3))
    if seed % 2:
        cell[0] *= -1  # left-handed
    truth = carbon(apart(rng, cell, int(abs(np.linalg.det(cell)) / 15) + 1), cell)
    comes_back(truth)


def test_noise_leaves_the_count_and_tells_the_error(rng):
    truth = carbon(apart(rng, TRICLINIC, 6), TRICLINIC)
    found, structure = inverted(truth, noise=0.01)
    assert found.converged
    error = largest_error(structure, truth)
    # Of Gaussian errors in three dimensions one in a thousand is beyond 2.4 times the expected distance.
    assert error < 2.5 * found.uncertainty.numpy().max()
    assert error < 0.02


def test_float64_grids_give_float64_coordinates(rng):
    truth = carbon(apart(rng, 0.6 * TRICLINIC, 2), 0.6 * TRICLINIC)
    assert comes_back(truth, tolerance=1e-9, dtype="float64").points.dtype == tf.float64


def test_batch_of_cells_and_of_channels(rng):
    cells = np.stack([TRICLINIC, 1.1 * TRICLINIC])
    fractional = apart(rng, TRICLINIC, 5)
    coords, channels = fractional @ cells, np.tile(np.arange(5) % 2, (2, 1)).astype(np.int32)
    grids = pg_tf.voxelize(coords, channels, num_channels=2, cell=cells, grid_shape=16, sigma=0.35)
    found = pg_tf.grid_to_coords(grids, cell=cells, sigma=0.35)
    assert found.converged.all()
    assert found.cell.shape == (2, 3, 3)
    for k, structure in enumerate(found.to_structure(("C", "N"))):
        numbers = np.where(channels[k] == 0, 6, 7)
        assert largest_error(structure, Structure(numbers, coords[k], cells[k])) < CRYSTAL


def test_turned_and_left_handed_orthogonal_cells_come_back_in_the_callers_frame(rng):
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    cell = np.array([[4.0], [5.0], [4.5]]) * axes
    for lattice in (cell, cell[[1, 0, 2]]):
        truth = carbon(apart(rng, lattice, 4), lattice)
        comes_back(truth)


def test_sigma_and_scale_are_fitted_in_a_cell(rng):
    truth = carbon(apart(rng, TRICLINIC, 3, least=1.8), TRICLINIC)
    grid = 1.3 * pg_tf.voxelize(truth.coords, cell=TRICLINIC, grid_shape=(14, 15, 18), sigma=0.38).numpy() + 1e-3
    found = pg_tf.grid_to_coords(
        grid, cell=TRICLINIC, sigma=0.35, fit_sigma=True, fit_scale=True, fit_background="constant"
    )
    assert found.converged
    np.testing.assert_allclose(found.sigma, 0.38, atol=1e-4)
    np.testing.assert_allclose(found.scale, 1.3, rtol=1e-3)
    np.testing.assert_allclose(found.background, 1e-3, rtol=1e-2)
    assert largest_error(found.to_structure(("C",)), truth) < 1e-4


def test_structures_go_to_ase(tmp_path):
    ase_io = pytest.importorskip("ase.io")
    truth = rock_salt(np.array([0.2, 0.3, 0.4]))
    _, structure = inverted(truth)
    path = tmp_path / "found.cif"
    ase_io.write(path, pg_tf.structures.to_ase(structure))
    again = read_structure(path)
    assert again.composition == truth.composition
    np.testing.assert_allclose(again.volume, truth.volume, rtol=1e-5)  # of the digits of a CIF


def test_periodic_factors_are_sums_over_images(rng):
    position, sigma, length = rng.uniform(-3, 6, size=(2, 3)), np.array([0.3, 1.1]), np.array([3.0, 2.0])
    ours = axis_factors(position, sigma, length, 7, periodic=True)
    many = [axis_factors(position + n * length[:, np.newaxis], sigma, length, 7) for n in range(-12, 13)]
    for name in AxisFactors._fields:
        np.testing.assert_allclose(getattr(ours, name), sum(getattr(m, name) for m in many), atol=FLOAT64_GRID)


def test_inner_products_in_an_oblique_cell_are_those_of_the_numeric_columns(rng):
    shape, sigma, step = (16, 17, 20), 0.4, 1e-4
    space = Oblique(TRICLINIC[np.newaxis], (True, True, True))
    coords = rng.uniform(size=(1, 3, 3)) @ TRICLINIC
    coords[0, 1] = coords[0, 0] + 0.3

    def grids(coords, sigma):
        """Of each atom by itself."""
        each = pg_tf.voxelize(coords[0][:, np.newaxis], cell=TRICLINIC, grid_shape=shape, sigma=sigma, dtype="float64")
        return each.numpy().reshape(3, -1)

    columns = {Kind.VALUE: grids(coords, sigma)}
    for axis, kind in enumerate(COORDINATES):
        columns[kind] = grids(coords + step * np.eye(3)[axis], sigma) - grids(coords - step * np.eye(3)[axis], sigma)
        columns[kind] /= 2 * step
    columns[Kind.SIGMA] = (grids(coords, sigma + step) - grids(coords, sigma - step)) / (2 * step)
    atoms = Atoms(coords, np.ones((1, 3), bool), np.array([sigma]), np.ones(1), np.zeros((1, 0)))
    ours = space.columns(atoms, shape, with_sigma=True)
    for one, other in itertools.product(Kind, repeat=2):
        expected = columns[one] @ columns[other].T
        scale = np.outer(*(np.linalg.norm(columns[kind], axis=1) for kind in (one, other)))
        # The fourth moments of the voxels, and what they cannot resolve.
        np.testing.assert_allclose(ours.inner(one, other)[0] / scale, expected / scale, atol=0.01)
    basis = [rng.normal(size=n) for n in shape]
    grid = np.einsum("x,y,z->xyz", *basis).ravel()
    for kind, projected in zip(Kind, ours.projected(basis), strict=True):
        np.testing.assert_allclose(projected[0], columns[kind] @ grid, atol=1e-5)


def test_peaks_across_faces_are_one():
    grid = np.zeros((1, 6, 6, 6))
    for x, y, z in itertools.product((-1, 0), repeat=3):
        grid[0, x, y, z] = 1 + 0.1 * x  # around the corner
    closed = persistent_peaks(grid, np.zeros(1), periodic=(True, True, True))
    assert len(closed.grid) == 1
    assert len(persistent_peaks(grid, np.zeros(1)).grid) == 8


def test_sharpener_of_an_oblique_cell_shows_merged_atoms_and_predicts_its_noise(rng):
    cell, shape = TRICLINIC[np.newaxis], (15, 15, 18)
    space = Oblique(cell, (True, True, True))
    coords = np.array([[[0.1, 0.2, 0.1], [0.1, 0.2, 0.75]]])  # 1.6 sigma apart, near a corner
    grid = pg_tf.voxelize(coords, cell=TRICLINIC, grid_shape=shape, sigma=0.4, dtype="float64").numpy()[:, 0]
    options = {"num_atoms": np.full(1, 2.0), "reach": 0.0}
    exact = space.sharpener(shape, np.full(1, 0.4), np.ones(1), noise=np.full(1, 1e-9), **options)
    sharp = exact(grid)
    peaks = persistent_peaks(sharp, np.full(1, 0.3), periodic=exact.periodic)
    assert len(peaks.grid) == 2
    places = carbon(space.fractional(exact.place(peaks.position, peaks.grid)[np.newaxis])[0], TRICLINIC)
    assert largest_error(places, Structure(np.full(2, 6), coords[0], TRICLINIC)) < 0.15
    noisy = space.sharpener(shape, np.full(1, 0.4), np.ones(1), noise=np.full(1, 1e-3), **options)
    noise = 1e-3 * rng.normal(size=grid.shape)
    np.testing.assert_allclose(noisy(noise).std(), noisy.noise[0], rtol=0.1)  # of some hundred independent voxels
    amplitude, deviation = noisy.matched(grid[:, ::1])
    assert amplitude.max() > 1
    np.testing.assert_allclose(noisy.matched(noise)[0].std(), 1e-3 * deviation[0], rtol=0.1)


def test_waves_are_the_shortest_of_those_that_look_the_same():
    cell, shape = np.array([[[2.0, 0, 0], [1.0, 3**0.5, 0], [0.3, 0.2, 2.5]]]), (6, 6, 5)
    orders, numbers = waves(cell, shape)
    units = 2 * np.pi * np.linalg.inv(cell[0])
    longer = []
    for shift in itertools.product((-2, -1, 0, 1, 2), repeat=3):
        other = orders[0] + (np.array(shift) * shape)[:, np.newaxis, np.newaxis, np.newaxis]
        longer.append(np.linalg.norm(np.einsum("dxyz,ed->xyze", other, units), axis=-1))
    np.testing.assert_allclose(numbers[0], np.min(longer, axis=0), atol=1e-9)


def test_noise_of_a_crystal_is_known_before_its_atoms_are(rng):
    coords = apart(rng, TRICLINIC, 6) @ TRICLINIC
    for space, options in (
        (Oblique(TRICLINIC[np.newaxis], (True,) * 3), {"cell": TRICLINIC}),
        (Orthogonal(np.full((1, 3), 4.5), (True,) * 3), {"box": ([0.0] * 3, [4.5] * 3), "periodic": True}),
    ):
        grid = pg_tf.voxelize(coords, grid_shape=(16, 16, 18), sigma=0.35, dtype="float64", **options).numpy()
        noisy = grid + 1e-4 * rng.normal(size=grid.shape)
        exact, rough = (noise_level(Problem(g, space, np.zeros((0, 3), int)), 1e-7) for g in (grid, noisy))
        np.testing.assert_allclose(rough, 1e-4, rtol=0.2)
        assert exact < 1e-5


def test_confined_atoms_are_images_of_what_they_were(rng):
    space = Oblique(TRICLINIC[np.newaxis], (True, True, False))
    coords = rng.uniform(-3, 3, size=(1, 50, 3)) @ TRICLINIC
    coords[0, 0] = [-1e-17, 0, 0]  # between rounding and the face
    inside = space.confined(coords, np.full(1, 0.5))
    before, after = space.fractional(coords)[0], space.fractional(inside)[0]
    moved = (after - before)[:, :2]
    np.testing.assert_allclose(moved, np.rint(moved), atol=1e-12)
    height = 1 / np.linalg.norm(np.linalg.inv(TRICLINIC)[:, 2])
    np.testing.assert_allclose(after[:, 2], np.clip(before[:, 2], -0.5 / height, 1 + 0.5 / height), atol=1e-12)


def test_empty_crystal_grid_has_no_atoms():
    found = pg_tf.grid_to_coords(np.zeros((2, 5, 6, 7), np.float32), cell=TRICLINIC, sigma=0.3)
    assert found.points.shape == (0, 4)
    assert found.fractional.shape == (0, 3)
    assert found.converged
    assert len(found.to_structure(("C", "N"))) == 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"box": ([0.0] * 3, [4.0] * 3)}, "box, cell: give one of them"),
        ({"cell": None}, "box, cell: one of them must be given"),
        ({"cell": None, "periodic": True}, "box, cell: one of them must be given"),
        ({"periodic": (True, False)}, "periodic must be a flag or three flags"),
        ({"cell": np.ones((3, 3))}, r"cell: must be finite, and its volume at least .* molecule 0 has"),
        ({"cell": TRICLINIC * np.nan}, r"cell: must be finite.*nan"),
        ({"cell": TRICLINIC[:2]}, "cell must have shape"),
        ({"cell": np.stack([TRICLINIC] * 3)}, "cell must be one for all or one for each of the 1 molecules"),
        ({"sigma": 0.01}, r"sigma must be at least a twelfth .* sigma is 0.01"),
        ({"sigma": 6.0}, r"sigma must be less than the period .* sigma is 6 "),
        ({"seeds": "cripser"}, "'cripser' finds no peaks across periodic faces"),
    ],
)
def test_bad_argument_is_named(change, text):
    arguments = {"grid": np.zeros((1, 6, 6, 6)), "cell": TRICLINIC, "sigma": 0.4, **change}
    with pytest.raises(ValueError, match=text):
        pg_tf.grid_to_coords(**arguments)


def test_padding_adds_nothing_in_an_oblique_cell(rng):
    coords = rng.uniform(size=(1, 3, 3)) @ TRICLINIC
    atoms = Atoms(coords, np.ones((1, 3), bool), np.full(1, 0.4), np.ones(1), np.zeros((1, 0)))
    problem = Problem(np.zeros((1, 14, 14, 16)), Oblique(TRICLINIC[np.newaxis], (True,) * 3), np.zeros((0, 3), int))
    few, more = (problem.columns(a).inner(Kind.X, Kind.Y) for a in (atoms, atoms.padded(5)))
    np.testing.assert_allclose(more[:, :3, :3], few, atol=1e-15)
    assert not more[:, 3:].any()
