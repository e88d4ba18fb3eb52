"""Random origins, lattice rotations and strains: what they leave unchanged, and what they change exactly."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tolerances

import pg_tf

A = 5.2
HEXAGONAL = np.array([[A, 0, 0], [-A / 2, A * np.sqrt(3) / 2, 0], [0, 0, 8.1]])
CUBIC = A * np.eye(3)
FCC = A / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
# Rotations and all operations of the point group of each lattice (International Tables A: the holohedries).
LATTICES = {
    "cubic": (CUBIC, 24, 48),
    "face-centred": (FCC, 24, 48),
    "body-centred": (A / 2 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]), 24, 48),
    "tetragonal": (np.diag([A, A, 7]), 8, 16),
    "orthorhombic": (np.diag([A, 6, 7]), 4, 8),
    "hexagonal": (HEXAGONAL, 12, 24),
    "rhombohedral": (A * (np.full((3, 3), 0.2) + np.eye(3)), 6, 12),
    "monoclinic": (np.array([[A, 0, 0], [0, 6, 0], [-1.3, 0, 7]]), 2, 4),
    "triclinic": (np.array([[A, 0, 0], [1, 6, 0], [-1.3, 0.7, 7]]), 1, 2),
}
# Another basis of the same lattice, as skewed as files have them and more.
SKEWED = np.array([[1, 0, 0], [4, 1, 0], [-7, 3, 1]])


@pytest.mark.parametrize("basis", ["reduced", "skewed", "left-handed", "turned"])
@pytest.mark.parametrize("name", LATTICES)
def test_lattice_has_the_operations_of_its_system(name: str, basis: str, rng: np.random.Generator) -> None:
    cell, rotations, operations = LATTICES[name]
    if basis == "skewed":
        cell = SKEWED @ cell
    if basis == "left-handed":
        cell = cell[[1, 0, 2]]
    if basis == "turned":
        cell = cell @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    found = pg_tf.lattice_operations(cell, proper=False).numpy()
    assert len(pg_tf.lattice_operations(cell)) == rotations
    assert len(found) == operations
    metric = cell @ cell.T
    for matrix in found:
        assert np.allclose(matrix @ metric @ matrix.T, metric, atol=1e-9 * np.abs(metric).max())
    products = {tuple((a @ b).ravel()) for a in found for b in found}
    assert products == {tuple(matrix.ravel()) for matrix in found}


def test_slab_keeps_its_plane_and_its_box() -> None:
    for cell, count in ((CUBIC, 8), (HEXAGONAL, 12)):
        found = pg_tf.lattice_operations(cell, periodic=(True, True, False)).numpy()
        assert len(found) == count
        assert not found[:, :2, 2].any()
        assert not found[:, 2, :2].any()
    assert len(pg_tf.lattice_operations(HEXAGONAL, periodic=False)) == 4  # 60° would take the box elsewhere


def test_nearly_cubic_lattice_is_cubic_within_the_tolerance() -> None:
    cell = np.diag([A, A * 1.002, A])
    assert len(pg_tf.lattice_operations(cell)) == 8
    assert len(pg_tf.lattice_operations(cell, tolerance=0.01)) == 24


def distances(coords: Any, cell: np.ndarray, periodic: Any = (True, True, True)) -> np.ndarray:
    """All distances up to a radius between atoms and images, by pair: `[A, A, ...]` sorted."""
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3) if p else [0] for p in periodic], indexing="ij"), -1)
    fractional = np.asarray(coords) @ np.linalg.inv(cell)
    apart = fractional[:, None] - fractional
    apart -= np.round(apart) * np.array(periodic)
    apart = apart[:, :, None] + shifts.reshape(-1, 3)
    lengths = np.sort(np.linalg.norm(apart @ cell, axis=-1), axis=-1)
    return lengths[..., :8] if all(periodic) else lengths[..., :1]


@pytest.mark.parametrize("periodic", [(True, True, True), (True, True, False)])
@pytest.mark.parametrize("name", ["face-centred", "hexagonal", "triclinic"])
def test_rotations_and_shifts_keep_all_distances(name: str, periodic: Any, rng: np.random.Generator) -> None:
    cell = LATTICES[name][0]
    coords = rng.uniform(0, 1, (5, 3)) @ cell
    for seed in range(4):
        turned = pg_tf.random_lattice_rotation(coords, cell, [seed, 1], periodic=periodic, proper=False)
        moved = pg_tf.random_shift(turned, cell, [seed, 2], periodic=periodic)
        assert np.allclose(distances(moved, cell, periodic), distances(coords, cell, periodic), atol=1e-9)
        # What does not repeat stays in its box.
        inside = (np.asarray(moved) @ np.linalg.inv(cell))[:, ~np.array(periodic)]
        assert ((inside >= 0) & (inside <= 1)).all()


def test_every_rotation_is_drawn_about_equally_often() -> None:
    cells = np.broadcast_to(CUBIC, (2400, 3, 3))
    coords = np.broadcast_to([[1.0, 0.5, 0.2]], (2400, 1, 3))
    turned = pg_tf.random_lattice_rotation(coords, cells, [3, 4]).numpy()
    _, counts = np.unique(np.round(turned[:, 0], 6), axis=0, return_counts=True)
    assert len(counts) == 24
    # 100 each; the standard deviation is 10.
    assert counts.min() > 60
    assert counts.max() < 140


def voxelize(coords: Any, cell: np.ndarray, shape: Any = (8, 8, 8)) -> np.ndarray:
    return pg_tf.voxelize(coords, cell=cell, grid_shape=shape, sigma=0.5, dtype="float64").numpy()


def test_shift_by_whole_voxels_rolls_the_grid(rng: np.random.Generator) -> None:
    cell = LATTICES["triclinic"][0]
    coords = rng.uniform(0, 1, (4, 3)) @ cell
    shifted = pg_tf.random_shift(coords, cell, [5, 6]).numpy()
    shift = (shifted - coords) @ np.linalg.inv(cell)
    assert np.allclose(shift, shift[0])
    whole = np.array([3, 1, 5])
    moved = shifted + (whole / 8 - shift[0]) @ cell
    grid = voxelize(coords, cell)
    assert np.allclose(voxelize(moved, cell), np.roll(grid, whole, axis=(1, 2, 3)), atol=1e-12)
    assert voxelize(shifted, cell).sum() == pytest.approx(4, rel=tolerances.FLOAT64_MASS)


def test_rotation_of_a_cube_exchanges_and_flips_the_axes_of_the_grid(rng: np.random.Generator) -> None:
    coords = rng.uniform(0, 1, (4, 3)) @ CUBIC
    grid = voxelize(coords, CUBIC)[0]
    for seed in range(6):
        turned = pg_tf.random_lattice_rotation(coords, CUBIC, [seed, 0], proper=False)
        matrix = np.round(np.linalg.solve(coords[:3], np.asarray(turned)[:3])).astype(int)
        axes = np.abs(matrix).argmax(axis=0)
        expected = grid.transpose(axes)
        for axis in range(3):
            if matrix[axes[axis], axis] < 0:  # about the origin, a corner of the cell
                expected = np.flip(expected, axis)
        assert np.allclose(voxelize(turned, CUBIC)[0], expected, atol=1e-12)


def test_strain_is_symmetric_and_keeps_fractional_coordinates(rng: np.random.Generator) -> None:
    cells = np.stack([HEXAGONAL, FCC])
    coords = tf.constant(rng.uniform(0, 6, (2, 3, 3)))
    moved, strained = pg_tf.random_strain(coords, cells, [1, 2], magnitude=0.05)
    assert np.allclose(pg_tf.to_fractional(moved, strained), pg_tf.to_fractional(coords, cells))
    strain = np.linalg.inv(cells) @ strained.numpy() - np.eye(3)
    assert np.allclose(strain, strain.transpose(0, 2, 1))
    assert np.abs(strain).max() < 0.05
    assert not np.allclose(strain[0], strain[1])
    with pytest.raises(ValueError, match=r"magnitude must be from 0 to 0\.3"):
        pg_tf.random_strain(coords, cells, [1, 2], magnitude=0.5)


def test_same_seed_gives_the_same_and_another_one_another() -> None:
    coords = np.array([[1.0, 2, 3], [2, 2, 1]])
    for change in (pg_tf.random_shift, pg_tf.random_lattice_rotation, pg_tf.random_strain):
        one, same, other = (tf.nest.flatten(change(coords, FCC, seed))[0] for seed in ([1, 2], [1, 2], [1, 9]))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", ["points", "coords"])
def test_ragged_batches_in_a_dataset_keep_mass_and_labels(name: str, rng: np.random.Generator) -> None:
    cells = np.stack([HEXAGONAL, CUBIC, FCC, CUBIC, 1.1 * FCC, HEXAGONAL]).astype(np.float32)
    sizes = [3, 1, 4, 2, 5, 1]
    atoms = [np.column_stack([rng.integers(0, 2, n), rng.uniform(0, 6, (n, 3))]).astype(np.float32) for n in sizes]
    ragged = tf.RaggedTensor.from_row_lengths(np.concatenate(atoms), sizes)
    content = {"points": ragged} if name == "points" else {"coords": ragged[:, :, 1:]}
    dataset = tf.data.Dataset.from_tensor_slices({**content, "cell": cells, "label": np.arange(6)})
    batches = dataset.ragged_batch(3).apply(pg_tf.augment_crystals(seed=1, strain=0.03))
    to_grid = pg_tf.Voxelizer(num_channels=2, grid_shape=8, sigma=0.5)
    epochs = [list(batches.map(to_grid)) for _ in range(2)]
    assert np.array_equal(np.concatenate([batch["label"] for batch in epochs[0]]), np.arange(6))
    for epoch in epochs:
        mass = np.concatenate([batch["grid"].numpy().sum(axis=(1, 2, 3, 4)) for batch in epoch])
        assert np.allclose(mass, sizes, rtol=tolerances.FLOAT32_MASS)
    # Every epoch anew, and the same sequence whenever the dataset is made anew.
    again = dataset.ragged_batch(3).apply(pg_tf.augment_crystals(seed=1, strain=0.03)).map(to_grid)
    assert not np.allclose(epochs[0][0]["grid"], epochs[1][0]["grid"], atol=1e-3)
    assert np.array_equal(epochs[0][0]["grid"], next(iter(again))["grid"])


def test_elements_without_a_cell_are_refused() -> None:
    dataset = tf.data.Dataset.from_tensors(np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="elements must be dicts with 'cell' and 'coords' or 'points'"):
        dataset.apply(pg_tf.augment_crystals())


def test_flat_cells_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="its volume at least"):
        pg_tf.lattice_operations(np.diag([1.0, 1, 0]))
    with pytest.raises(ValueError, match=r"cell must have shape \[3, 3\]"):
        pg_tf.lattice_operations(np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match="cell must be one for all or one for each of the 1"):
        pg_tf.random_shift(np.zeros((2, 3)), np.stack([FCC, FCC]), [0, 1])
