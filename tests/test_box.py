"""Boxes: fitted, turned, and back to the user's own frame."""

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import off_by, random_rotation

import pg_tf


@pytest.fixture
def coords(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(20, 3)) * [3.0, 1.5, 0.7] + [4.0, -2.0, 9.0]


def test_bounding_box_is_the_atoms_and_the_margin(coords: np.ndarray, dtype: str) -> None:
    box = pg_tf.bounding_box(tf.constant(coords, dtype), margin=2.1, cubic=False)
    assert box.rotation is None
    assert box.origin.dtype == box.lengths.dtype == dtype
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    assert np.allclose(box.origin, coords.min(0) - 2.1, atol=tolerance)
    assert np.allclose(box.lengths, np.ptp(coords, axis=0) + 4.2, atol=tolerance)


def test_cubic_box_keeps_its_centre(coords: np.ndarray) -> None:
    box = pg_tf.bounding_box(tf.constant(coords))
    assert np.allclose(box.lengths, np.ptp(coords, axis=0).max() + 4.0)
    assert np.allclose(box.origin + box.lengths / 2, (coords.min(0) + coords.max(0)) / 2)


def test_bounding_box_of_a_batch_is_that_of_its_molecules_and_leaves_padding_out(coords: np.ndarray) -> None:
    padded = np.stack([coords, coords[::-1] * 2]).astype(np.float32)
    padded[:, 5:9] = np.nan
    channels = np.where(np.isnan(padded[..., 0]), -1, 0)
    batch = pg_tf.bounding_box(padded, channels=channels)
    ragged = pg_tf.bounding_box(
        tf.RaggedTensor.from_row_lengths(padded[channels >= 0], [16, 16]),
        channels=tf.RaggedTensor.from_row_lengths(tf.zeros(32, tf.int32), [16, 16]),
    )
    for b in range(2):
        one = pg_tf.bounding_box(padded[b][channels[b] >= 0])
        for box in (batch, ragged):
            assert np.array_equal(box.origin[b], one.origin)
            assert np.array_equal(box.lengths[b], one.lengths)


def test_bounding_box_without_atoms_is_that_of_an_atom_at_zero() -> None:
    for coords, channels in [(np.zeros((0, 3)), None), (np.full((2, 3), np.nan), [-1, -1])]:
        box = pg_tf.bounding_box(coords, channels=channels)
        assert np.array_equal(box.origin, [-2, -2, -2])
        assert np.array_equal(box.lengths, [4, 4, 4])


@pytest.mark.parametrize(
    "fit", [None, functools.partial(pg_tf.bounding_box, margin=1.0, cubic=False, rotation="principal")]
)
def test_voxelize_returns_the_box_that_it_or_a_function_fitted(coords: np.ndarray, fit: Any) -> None:
    coords, channels = coords.astype(np.float32), [0] * 19 + [-1]
    grid, box = pg_tf.voxelize(coords, channels, box=fit, grid_shape=16, return_box=True)
    expected = (fit or pg_tf.bounding_box)(coords, channels=channels)
    for part, wanted in zip(box, expected, strict=True):
        assert np.array_equal(part, wanted)
    assert tf.reduce_all(grid == pg_tf.voxelize(coords, channels, box=expected, grid_shape=16))


@pytest.mark.parametrize("batched", [False, True])
def test_centered_box_has_its_size_and_the_atoms_in_its_middle(coords: np.ndarray, batched: bool) -> None:
    atoms = np.stack([coords, coords + 5]) if batched else coords
    box = pg_tf.centered_box(tf.constant(atoms), [16.0, 17, 18])
    middle = (atoms.min(-2) + atoms.max(-2)) / 2
    assert np.allclose(box.origin + box.lengths / 2, middle)
    assert np.array_equal(box.lengths, np.broadcast_to([16, 17, 18], middle.shape))
    assert np.allclose(pg_tf.centered_box(coords, 16.0).lengths, 16)


def test_box_frame_round_trip_gives_the_coordinates_back(rng: np.random.Generator, coords: np.ndarray) -> None:
    box = pg_tf.Box([1.0, 2, 3], [9.0, 8, 7], random_rotation(rng))
    batch_box = pg_tf.Box(rng.normal(size=(2, 3)), np.ones((2, 3)), np.stack([random_rotation(rng) for _ in "ab"]))
    single = tf.constant(coords)
    padded = tf.stack([single, 2 * single])
    for b, atoms in [(box, single), (box, padded), (batch_box, padded)]:
        assert np.allclose(b.from_box_frame(b.to_box_frame(atoms)), atoms, atol=1e-12)
    ragged = tf.RaggedTensor.from_tensor(padded, lengths=[4, 20])
    there = batch_box.to_box_frame(ragged)
    assert np.allclose(there.flat_values, tf.gather_nd(batch_box.to_box_frame(padded), tf.where(atoms_of(ragged))))
    assert np.allclose(batch_box.from_box_frame(there).flat_values, ragged.flat_values, atol=1e-12)


def atoms_of(ragged: tf.RaggedTensor) -> np.ndarray:
    return np.arange(20) < ragged.row_lengths().numpy()[:, None]


def test_box_frame_of_whole_numbers_is_not_whole() -> None:
    box = pg_tf.Box([0.5, 0.25, 0.0], [4.0] * 3)
    assert np.array_equal(box.to_box_frame([[1, 2, 3]]), [[0.5, 1.75, 3.0]])


def test_rows_of_the_rotation_are_the_axes_of_the_box(rng: np.random.Generator) -> None:
    rotation = random_rotation(rng)
    origin = rng.normal(size=3)
    box = pg_tf.Box(origin, [4.0, 4, 4], rotation)
    corner_to = origin + 2 * rotation[0]  # two along the first axis of the box
    assert np.allclose(box.to_box_frame(tf.constant([corner_to])), [[2, 0, 0]])
    grid = pg_tf.voxelize([corner_to + rotation[1] + rotation[2]], box=box, grid_shape=4, sigma=0.05, dtype="float64")
    expected = np.zeros((4, 4, 4))
    expected[1:3, 0:2, 0:2] = 1 / 8
    assert off_by(grid[0], expected) < tolerances.FLOAT64_SAME


@pytest.mark.parametrize("periodic", [False, True])
def test_grid_of_a_turned_box_is_that_of_the_atoms_turned_back(
    rng: np.random.Generator, coords: np.ndarray, periodic: bool, implementation: str
) -> None:
    rotation = random_rotation(rng)
    origin, lengths = np.array([-1.0, 2.0, 0.5]), np.array([7.0, 8.0, 9.0])
    options = {"grid_shape": (5, 6, 7), "periodic": periodic, "dtype": "float64"}
    straight = pg_tf.voxelize(coords, box=(origin, lengths), **options)
    box = pg_tf.Box(origin @ rotation, lengths, rotation)
    turned = pg_tf.voxelize(coords @ rotation, box=box, implementation=implementation, **options)  # each by rotation.T
    assert off_by(turned, straight.numpy()) < tolerances.FLOAT64_SAME


@pytest.mark.parametrize("cubic", [True, False])
def test_fitted_box_of_a_given_orientation_holds_the_atoms_and_the_margin(
    rng: np.random.Generator, coords: np.ndarray, cubic: bool
) -> None:
    box = pg_tf.bounding_box(tf.constant(coords), margin=1.5, cubic=cubic, rotation=random_rotation(rng))
    inside = box.to_box_frame(tf.constant(coords)).numpy()
    assert inside.min() >= 1.5 - 1e-9
    assert (box.lengths - inside).numpy().min() >= 1.5 - 1e-9
    assert np.isclose(inside.min(), 1.5)


def test_principal_axes_follow_the_atoms_when_they_turn(rng: np.random.Generator, coords: np.ndarray) -> None:
    # Turning the molecule turns its axes with it, so its grid stays.
    rotation = random_rotation(rng)
    grids = []
    for atoms in (coords, coords @ rotation.T + [3.0, 2, 1]):
        box = pg_tf.bounding_box(tf.constant(atoms), rotation="principal")
        assert np.allclose(box.rotation @ tf.transpose(box.rotation), np.eye(3), atol=1e-12)
        assert np.isclose(np.linalg.det(box.rotation), 1)
        grids.append(pg_tf.voxelize(atoms, box=box, grid_shape=12, dtype="float64").numpy())
    assert off_by(grids[1], grids[0]) < 1e-10
    axes = pg_tf.principal_axes(tf.constant(coords)).numpy()
    spread = (((coords - coords.mean(0)) @ axes.T) ** 2).sum(0)
    assert spread[0] > spread[1] > spread[2]


def test_principal_axes_leave_padding_out(coords: np.ndarray) -> None:
    padded = np.concatenate([coords, [[np.nan] * 3, [1e6] * 3]])
    channels = [0] * 20 + [-1, -1]
    expected = pg_tf.principal_axes(tf.constant(coords)).numpy()
    assert off_by(pg_tf.principal_axes(tf.constant(padded), channels=channels), expected) < tolerances.FLOAT64_SAME


@pytest.mark.parametrize("atoms", [0, 1, 2])
def test_principal_axes_of_few_atoms_are_a_rotation(rng: np.random.Generator, atoms: int) -> None:
    axes = pg_tf.principal_axes(tf.constant(rng.normal(size=(atoms, 3)))).numpy()
    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.isclose(np.linalg.det(axes), 1)


def test_bounding_box_in_a_graph_has_static_shapes(coords: np.ndarray) -> None:
    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None, 3], ragged_rank=1)])
    def fit(atoms: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
        box = pg_tf.bounding_box(atoms, rotation="principal")
        assert box.origin.shape.as_list() == [None, 3]
        assert box.rotation.shape.as_list() == [None, 3, 3]
        return box.origin, box.lengths

    origin, lengths = fit(tf.RaggedTensor.from_row_lengths(np.float32(coords), [7, 0, 13]))
    assert origin.shape == lengths.shape == (3, 3)


def test_gradient_of_the_box_goes_to_the_outermost_atoms(coords: np.ndarray) -> None:
    atoms = tf.constant(coords)
    with tf.GradientTape() as tape:
        tape.watch(atoms)
        lengths = pg_tf.bounding_box(atoms, cubic=False).lengths
    gradient = tape.gradient(lengths, atoms).numpy()
    expected = np.zeros_like(coords)
    for d in range(3):
        expected[coords[:, d].argmax(), d] = 1
        expected[coords[:, d].argmin(), d] = -1
    assert np.array_equal(gradient, expected)
