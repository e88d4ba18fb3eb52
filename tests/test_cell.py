"""Grids along the vectors of a lattice, and windows into a crystal."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from cell_reference import CELL_GOLDEN, CELLS, Crystal, golden, random_crystal
from reference import Case, off_by, random_rotation

import pg_tf

by_cell = pytest.mark.parametrize("name", CELLS)


def voxelize(crystal: Crystal, **options: object) -> np.ndarray:
    return pg_tf.voxelize(
        crystal.coords, crystal.channels, **{**crystal.options(), "dtype": "float64", **options}
    ).numpy()


def test_golden_files_are_there() -> None:
    assert len(CELL_GOLDEN) == 5


@pytest.mark.parametrize("path", CELL_GOLDEN, ids=lambda path: path.stem)
def test_reference_agrees_with_golden(path: Path) -> None:
    crystal, arrays = golden(path)
    assert off_by(crystal.grid(), arrays["grid"]) < tolerances.GOLDEN_CELL


@pytest.mark.parametrize("path", CELL_GOLDEN, ids=lambda path: path.stem)
def test_grid_agrees_with_golden(path: Path, implementation: str) -> None:
    crystal, arrays = golden(path)
    assert off_by(voxelize(crystal, implementation=implementation), arrays["grid"]) < tolerances.GOLDEN_CELL
    # Inputs rounded to float32 move the atoms by some 2e-7 Å.
    single = voxelize(crystal, implementation=implementation, dtype="float32")
    assert off_by(single, arrays["grid"]) < 2 * tolerances.FLOAT32_CELL


@by_cell
def test_grid_agrees_with_brute_force(rng: np.random.Generator, dtype: str, name: str) -> None:
    crystal = random_crystal(rng, CELLS[name])
    truth = crystal.rounded(dtype).grid()
    for implementation in ("op", "dense"):
        assert off_by(voxelize(crystal, dtype=dtype, implementation=implementation), truth) < tolerances.CELL[dtype]
    last = voxelize(crystal, dtype=dtype, data_format="channels_last")
    assert np.array_equal(np.moveaxis(last, -1, 0), voxelize(crystal, dtype=dtype))


@pytest.mark.parametrize(
    "periodic",
    [(False, False, False), (True, False, False), (False, True, False), (False, False, True), (True, True, False)],
)
def test_any_subset_of_the_vectors_may_repeat(rng: np.random.Generator, periodic: tuple[bool, bool, bool]) -> None:
    for name in ("triclinic", "left-handed"):
        crystal = random_crystal(rng, CELLS[name], periodic=periodic)
        truth = crystal.grid()
        for implementation in ("op", "dense"):
            assert off_by(voxelize(crystal, implementation=implementation), truth) < tolerances.FLOAT64_CELL
        assert off_by(voxelize(crystal, dtype="float32"), crystal.rounded("float32").grid()) < tolerances.FLOAT32_CELL


@by_cell
def test_mass_is_kept(rng: np.random.Generator, name: str) -> None:
    crystal = random_crystal(rng, CELLS[name], shape=(4, 4, 5))
    mass = crystal.weights[:-1].sum()
    for sigma_in_voxels in (0.1, 0.2, 0.5, 1.0, 3.0):
        crystal.sigma[:] = sigma_in_voxels * np.max(np.linalg.norm(CELLS[name], axis=1) / crystal.shape)
        assert abs(voxelize(crystal, dtype="float32").astype(np.float64).sum() - mass) < 1e-6 * mass


@pytest.mark.parametrize("name", ["triclinic", "very oblique", "hexagonal"])
def test_sigma_far_below_a_voxel_is_still_accurate(rng: np.random.Generator, name: str) -> None:
    crystal = random_crystal(rng, CELLS[name], shape=(3, 4, 4))
    crystal.sigma[:] = 0.12 * np.max(np.linalg.norm(CELLS[name], axis=1) / crystal.shape)
    assert off_by(voxelize(crystal), crystal.grid(nodes=30)) < tolerances.FLOAT64_CELL
    assert off_by(voxelize(crystal, dtype="float32"), crystal.rounded("float32").grid(30)) < tolerances.FLOAT32_CELL


@pytest.mark.parametrize("sigma", [2.0, 5.0, 30.0, 1e6])
@pytest.mark.parametrize("name", ["triclinic", "hexagonal", "orthorhombic"])
def test_sigma_wider_than_the_cell(rng: np.random.Generator, name: str, sigma: float) -> None:
    crystal = random_crystal(rng, CELLS[name], atoms=3, shape=(3, 4, 3))
    crystal.sigma[:] = sigma
    if sigma < 10:
        truth = voxelize(crystal, implementation="dense")
    else:  # evenly spread
        mass = np.bincount(crystal.channels[:-1], crystal.weights[:-1], 2)
        truth = np.broadcast_to(mass[:, None, None, None] / 36, (2, 3, 4, 3))
    assert off_by(voxelize(crystal), truth) < 1e-11
    assert off_by(voxelize(crystal, dtype="float32"), truth) < tolerances.FLOAT32_CELL


@by_cell
def test_atoms_may_be_given_in_any_cell(rng: np.random.Generator, name: str) -> None:
    crystal = random_crystal(rng, CELLS[name])
    moved = dataclasses.replace(crystal, coords=crystal.coords + rng.integers(-50, 50, (3, 3)) @ crystal.cell)
    assert off_by(voxelize(moved), voxelize(crystal)) < tolerances.FLOAT64_SAME


def test_cell_at_right_angles_takes_the_way_of_a_box_and_hardly_leaning_ones_agree(rng: np.random.Generator) -> None:
    crystal = random_crystal(rng, CELLS["orthorhombic"])
    box = {"box": ([0.0] * 3, np.diag(crystal.cell)), "cell": None}
    assert off_by(voxelize(crystal), voxelize(crystal, **box)) < tolerances.FLOAT64_SAME
    leaning = crystal.cell.copy()
    leaning[0, 1] = leaning[2, 0] = 1e-9
    assert off_by(voxelize(crystal, cell=leaning), voxelize(crystal)) < 1e-8
    # No quadrature there, so no sigma is too narrow.
    crystal.sigma[:] = 1e-3
    assert off_by(voxelize(crystal), voxelize(crystal, **box)) < tolerances.FLOAT64_SAME
    with pytest.raises(tf.errors.InvalidArgumentError, match="quadrature over the voxels of this cell needs at least"):
        voxelize(crystal, cell=leaning)


def test_ragged_batch_with_a_cell_for_each(rng: np.random.Generator, implementation: str) -> None:
    crystals = [
        random_crystal(rng, CELLS[name], atoms=n) for name, n in (("triclinic", 5), ("cubic", 2), ("monoclinic", 3))
    ]
    ragged = {
        name: tf.RaggedTensor.from_row_lengths(np.concatenate([getattr(c, name) for c in crystals]), [5, 2, 3])
        for name in ("coords", "channels", "weights", "sigma")
    }
    coords, channels = ragged.pop("coords"), ragged.pop("channels")
    options = {"num_channels": 2, "grid_shape": (3, 4, 3), "dtype": "float64", "implementation": implementation}
    grid = pg_tf.voxelize(coords, channels, cell=np.stack([c.cell for c in crystals]), **ragged, **options)
    assert off_by(grid, np.stack([c.grid() for c in crystals])) < tolerances.FLOAT64_CELL


def test_features_go_to_all_channels(rng: np.random.Generator) -> None:
    for name in ("triclinic", "orthorhombic"):
        crystal = random_crystal(rng, CELLS[name])
        features = np.where(crystal.channels[:, None] >= 0, rng.normal(size=(3, 3)), 0.0)
        options = crystal.options() | {"weights": None, "num_channels": 3, "dtype": "float64"}
        grid = pg_tf.voxelize(crystal.coords, crystal.channels, features=features, **options)
        one = dataclasses.replace(crystal, channels=np.minimum(crystal.channels, 0), num_channels=1)
        expected = [dataclasses.replace(one, weights=features[:, c]).grid()[0] for c in range(3)]
        assert off_by(grid, np.stack(expected)) < 10 * tolerances.FLOAT64_CELL  # weights of both signs


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_grid_is_the_float32_grid_rounded(rng: np.random.Generator, dtype: str, data_format: str) -> None:
    crystal = random_crystal(rng, CELLS["triclinic"])
    half, single = (
        pg_tf.voxelize(crystal.coords, crystal.channels, **crystal.options(), data_format=data_format, dtype=d)
        for d in (dtype, "float32")
    )
    assert np.array_equal(tf.bitcast(half, tf.uint16), tf.bitcast(tf.cast(single, dtype), tf.uint16))


def test_empty_cells_are_zeros_and_an_empty_batch_is_empty() -> None:
    cell = CELLS["triclinic"]
    assert not np.any(pg_tf.voxelize(np.zeros((0, 3)), cell=cell, grid_shape=4))
    assert pg_tf.voxelize(np.zeros((0, 5, 3)), cell=cell, grid_shape=4).shape == (0, 1, 4, 4, 4)


@pytest.mark.parametrize("name", ["triclinic", "cubic", "thin", "very oblique"])
@pytest.mark.parametrize("turned", [False, True])
def test_window_agrees_with_all_images_written_out(rng: np.random.Generator, name: str, turned: bool) -> None:
    crystal = random_crystal(rng, CELLS[name])
    crystal.sigma[:] = rng.uniform(0.3, 0.8, 3)
    origin, lengths, shape = rng.uniform(-9, 9, 3), np.array([5.0, 3.0, 7.0]), (5, 4, 7)
    turn = random_rotation(rng) if turned else np.eye(3)
    steps = np.array(list(itertools.product(range(-24, 25), repeat=3))) @ crystal.cell
    middle = origin + (lengths / 2) @ turn
    explicit = {"coords": [], "channels": [], "weights": [], "sigma": []}
    for a in range(2):
        images = crystal.coords[a] - np.floor((crystal.coords[a] - middle) @ np.linalg.inv(crystal.cell)) @ crystal.cell
        images = images + steps
        images = images[np.linalg.norm(images - middle, axis=1) < 4.6 + 9 * 0.8]
        explicit["coords"].append((images - origin) @ turn.T)
        for key in ("channels", "weights", "sigma"):
            explicit[key].append(np.full(len(images), getattr(crystal, key)[a]))
    arrays = {key: np.concatenate(parts) for key, parts in explicit.items()}
    case = Case(**arrays, origin=np.zeros(3), lengths=lengths, shape=shape, num_channels=2)
    box = pg_tf.Box(origin, lengths, turn if turned else None)
    for implementation in ("op", "dense"):
        grid = voxelize(crystal, box=box, grid_shape=shape, implementation=implementation)
        assert off_by(grid, case.grid()) < tolerances.FLOAT64_SAME


def test_window_on_the_cell_itself_is_its_grid(rng: np.random.Generator) -> None:
    crystals = [random_crystal(rng, np.diag(edges), atoms=n) for edges, n in (([3.0, 4, 5], 6), ([6.0, 3, 4], 3))]
    coords = tf.RaggedTensor.from_row_lengths(np.concatenate([c.coords for c in crystals]), [6, 3])
    cell = np.stack([c.cell for c in crystals])
    options = {"cell": cell, "sigma": 0.6, "grid_shape": (4, 5, 6), "dtype": "float64"}
    box = (np.zeros((2, 3)), np.stack([np.diag(c) for c in cell]))
    grid, used = pg_tf.voxelize(coords, box=box, return_box=True, **options)
    assert off_by(grid, pg_tf.voxelize(coords, **options).numpy()) < tolerances.FLOAT64_SAME
    assert np.array_equal(used.lengths, box[1])


def test_window_repeats_along_the_periodic_vectors_only(rng: np.random.Generator) -> None:
    cell = CELLS["triclinic"]
    atom, box = [[1.0, 1.0, 1.0]], ([-20.0] * 3, [45.0] * 3)
    count = {}
    for periodic in itertools.product([False, True], repeat=3):
        grid = pg_tf.voxelize(atom, cell=cell, box=box, periodic=periodic, sigma=0.3, grid_shape=10, dtype="float64")
        count[periodic] = float(tf.reduce_sum(grid))
    assert np.isclose(count[False, False, False], 1)
    assert np.isclose(count[True, True, True] * abs(np.linalg.det(cell)), 45**3, rtol=0.05)
    assert count[True, False, False] < count[True, True, False] < count[True, True, True]


@pytest.mark.parametrize("in_graph", [False, True])
def test_voxelizer_takes_a_cell(rng: np.random.Generator, in_graph: bool) -> None:
    crystal = random_crystal(rng, CELLS["triclinic"])
    points = np.concatenate([crystal.channels[:, None], crystal.coords], axis=1)
    to_grid = pg_tf.Voxelizer(num_channels=2, grid_shape=6, sigma=0.7, cell=crystal.cell, dtype="float64")
    expected = voxelize(crystal, sigma=0.7, weights=None, grid_shape=6)
    if in_graph:
        dataset = tf.data.Dataset.from_tensors((points, 1.5)).map(to_grid)
        (grid, label) = next(iter(dataset))
        assert label == 1.5
    else:
        grid = to_grid(points)
    assert off_by(grid, expected) < tolerances.FLOAT64_SAME


def test_voxelizer_takes_the_cell_of_each_element(rng: np.random.Generator) -> None:
    crystals = [random_crystal(rng, CELLS[name], weights=np.ones(3)) for name in ("triclinic", "cubic")]
    elements = {key: np.stack([getattr(c, key) for c in crystals]) for key in ("coords", "channels", "sigma", "cell")}
    dataset = tf.data.Dataset.from_tensor_slices({**elements, "label": [1.0, 2.0]}).batch(2)
    to_grid = pg_tf.Voxelizer(num_channels=2, grid_shape=crystals[0].shape, dtype="float64")
    element = next(iter(dataset.map(to_grid)))
    assert sorted(element) == ["grid", "label"]
    assert off_by(element["grid"], np.stack([c.grid() for c in crystals])) < tolerances.FLOAT64_CELL


@pytest.mark.parametrize("name", ["triclinic", "left-handed", "very oblique"])
def test_fractional_coordinates_go_there_and_back(rng: np.random.Generator, name: str) -> None:
    cell = CELLS[name]
    fractional = rng.uniform(-3, 3, (2, 4, 3))
    coords = pg_tf.to_cartesian(fractional.astype(np.float64), cell)
    assert np.allclose(coords, fractional @ cell)
    assert np.allclose(pg_tf.to_fractional(coords, cell), fractional)
    inside = pg_tf.to_fractional(pg_tf.wrap(coords, cell, [True, False, True]), cell).numpy()
    assert np.allclose(inside[..., 1], fractional[..., 1])
    assert np.allclose(inside[..., ::2], np.mod(fractional[..., ::2], 1))
