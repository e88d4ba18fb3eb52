"""Points [..., A, 4], coord_to_grid as in the paper, and Voxelizer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import off_by

import pg_tf


@pytest.fixture
def points(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([rng.integers(0, 3, (12, 1)), rng.uniform(0.5, 5, (12, 3))], axis=1).astype(np.float32)


def test_listing_2_of_the_paper_runs() -> None:
    # With the brackets that its np.array lacks.
    molecule = np.array([[0, 2.5, 3.0, 3.5], [1, 4.0, 4.0, 4.0], [0, 5.0, 3.0, 3.0]])
    tensor = pg_tf.coord_to_grid(molecule, width=8.0, height=8.0, depth=8.0, num_channels=2, grid_size=32, variance=0.4)
    assert tensor.shape == (2, 32, 32, 32)
    assert tensor.dtype == tf.float32
    assert np.allclose(tf.reduce_sum(tensor, [1, 2, 3]), [2, 1], atol=1e-4)
    # The box begins at 0, and voxels are a quarter wide: the atom of channel 1 sits on the edge at 4.
    assert np.argwhere(tensor[1] >= 0.999 * tf.reduce_max(tensor[1])).tolist() == [
        [x, y, z] for x in (15, 16) for y in (15, 16) for z in (15, 16)
    ]


def test_coord_to_grid_is_voxelize_with_the_names_of_the_paper(points: np.ndarray) -> None:
    sides = {"width": 6.0, "height": 7.0, "depth": 8}
    grid = pg_tf.coord_to_grid(points, **sides, num_channels=3, grid_size=(4, 5, 6), variance=0.5)
    options = {"num_channels": 3, "grid_shape": (4, 5, 6), "sigma": 0.5, "box": ([0.0] * 3, [6.0, 7, 8])}
    assert tf.reduce_all(grid == pg_tf.voxelize(points[:, 1:], points[:, 0].astype(int), **options))


def test_coord_to_grid_without_lengths_fits_the_box(points: np.ndarray) -> None:
    grid = pg_tf.coord_to_grid(points, num_channels=3)
    box = pg_tf.bounding_box(points[:, 1:])
    expected = pg_tf.voxelize(points[:, 1:], points[:, 0].astype(int), num_channels=3, box=box)
    assert grid.shape == (3, 32, 32, 32)
    assert tf.reduce_all(grid == expected)


def test_coord_to_grid_takes_padded_and_ragged_batches(points: np.ndarray) -> None:
    padded = np.full((2, 12, 4), -1, np.float32)
    padded[0], padded[1, :5] = points, points[:5]
    ragged = tf.RaggedTensor.from_tensor(padded, lengths=[12, 5])
    one_by_one = tf.stack([pg_tf.coord_to_grid(p, num_channels=3, grid_size=8) for p in (points, points[:5])])
    for batch in (padded, ragged):
        assert tf.reduce_all(pg_tf.coord_to_grid(batch, num_channels=3, grid_size=8) == one_by_one)
    for batch in (padded.astype(np.float64), tf.cast(ragged, tf.float64)):  # the box is fitted in float64
        grid = pg_tf.coord_to_grid(batch, num_channels=3, grid_size=8)
        assert off_by(grid, one_by_one.numpy()) < tolerances.FLOAT32_GRID


@pytest.mark.parametrize("arguments", [(8.0,), (8.0, 8.0, 8.0), (8.0, 8.0, 8.0, 1, 32, 0.4)])
def test_coord_to_grid_refuses_more_than_points_by_position(points: np.ndarray, arguments: tuple) -> None:
    with pytest.raises(TypeError, match="positional argument"):
        pg_tf.coord_to_grid(points, *arguments)


def test_voxelize_refuses_options_by_position(points: np.ndarray) -> None:
    with pytest.raises(TypeError, match="positional argument"):
        pg_tf.voxelize(points[:, 1:], None, 3)


def test_split_points_keeps_the_layout(points: np.ndarray) -> None:
    ragged = tf.RaggedTensor.from_row_lengths(points, [5, 0, 7])
    for batch, shape in [(points, (12, 3)), (points.reshape(3, 4, 4), (3, 4, 3))]:
        coords, channels = pg_tf.split_points(batch)
        assert coords.shape == shape
        assert channels.shape == shape[:-1]
        assert channels.dtype == tf.int32
        assert np.array_equal(coords, batch[..., 1:])
        assert np.array_equal(channels, batch[..., 0])
    coords, channels = pg_tf.split_points(ragged)
    assert np.array_equal(coords.row_lengths(), [5, 0, 7])
    assert np.array_equal(channels.flat_values, points[:, 0])
    assert pg_tf.split_points(tf.constant(points, tf.float64))[0].dtype == tf.float64


@pytest.mark.parametrize("bad", [0.5, np.nan, np.inf, -np.inf, 1e20, -0.25, 2.0**24])
def test_channels_of_points_must_be_whole_numbers(points: np.ndarray, bad: float, dtype: str) -> None:
    points[7, 0] = bad
    ragged = tf.cast(tf.RaggedTensor.from_row_lengths(points, [5, 0, 7]), dtype)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"channel must be .*: molecule 2, atom 2 has") as error:
        pg_tf.coord_to_grid(ragged, num_channels=3, grid_size=4)
    assert f"{np.dtype(dtype).type(bad):g}" in str(error.value)


def test_channel_of_a_point_beyond_the_last_is_named(points: np.ndarray) -> None:
    points[3, 0] = 3
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"channels.*num_channels = 3: molecule 0, atom 3 has channel 3"
    ):
        pg_tf.coord_to_grid(points, num_channels=3)


@pytest.mark.parametrize("sides", [{"width": 8.0}, {"width": 8.0, "depth": 8.0}])
def test_coord_to_grid_needs_all_lengths_or_none(points: np.ndarray, sides: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="height"):
        pg_tf.coord_to_grid(points, **sides)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_length_that_is_none_is_named(points: np.ndarray, value: float) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"box: lengths must be .*axis y is"):
        pg_tf.coord_to_grid(points, width=8.0, height=value, depth=8.0, num_channels=3)
    with pytest.raises(ValueError, match="height must be an array of numbers"):
        pg_tf.coord_to_grid(points, width=8.0, height="tall", depth=8.0, num_channels=3)


@pytest.mark.parametrize("shape", [(4,), (5, 3), (2, 5, 5), (1, 1, 1, 4), ()])
def test_points_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"points must have shape \[atoms, 4\]") as error:
        pg_tf.coord_to_grid(np.zeros(shape))
    assert str(list(shape)) in str(error.value)


def test_voxelizer_hands_everything_else_on(points: np.ndarray) -> None:
    to_grid = pg_tf.Voxelizer(num_channels=3, grid_shape=8, sigma=0.5)
    expected = pg_tf.voxelize(points[:, 1:], points[:, 0].astype(int), num_channels=3, grid_shape=8, sigma=0.5)
    label, extra = tf.constant(1.5), {"id": tf.constant("a")}
    results: list[Any] = [
        (to_grid(points), ()),
        (to_grid(points, label), (label,)),
        (to_grid((points, label)), (label,)),
        (to_grid(points, label, extra), (label, extra)),
    ]
    for result, rest in results:
        grid, *others = result if rest else (result,)
        assert tf.reduce_all(grid == expected)
        assert tuple(others) == rest
    element = to_grid({"points": points, "label": label})
    assert element.keys() == {"grid", "label"}
    assert tf.reduce_all(element["grid"] == expected)
    assert element["label"] is label


def test_voxelizer_takes_a_dict_of_what_voxelize_takes(points: np.ndarray) -> None:
    atoms = {"coords": points[:, 1:], "features": np.ones((12, 2)), "sigma": np.linspace(0.3, 0.9, 12)}
    element = pg_tf.Voxelizer(num_channels=2, grid_shape=8, return_box=True)({**atoms, "label": 3})
    assert element.keys() == {"grid", "box", "label"}
    grid, box = pg_tf.voxelize(**atoms, num_channels=2, grid_shape=8, return_box=True)
    assert tf.reduce_all(element["grid"] == grid)
    assert np.array_equal(element["box"].origin, box.origin)


def test_voxelizer_refuses_what_is_no_option() -> None:
    for name in ("channels", "weights", "variance"):
        with pytest.raises(TypeError, match=f"'{name}' is not an option of Voxelizer; it takes elements, num_channels"):
            pg_tf.Voxelizer(**{name: 1})
    with pytest.raises(ValueError, match="no 'points' or 'coords'; it has label"):
        pg_tf.Voxelizer()({"label": 1})


def test_any_data_format_and_type_comes_out_of_voxelizer(points: np.ndarray) -> None:
    to_grid: Callable = pg_tf.Voxelizer(
        num_channels=3, grid_shape=(4, 5, 6), data_format="channels_last", dtype="float16"
    )
    assert to_grid(points).shape == (4, 5, 6, 3)
    assert to_grid(points).dtype == tf.float16


def test_points_keep_their_precision() -> None:
    points = np.array([[0, 1 / 3, 2 / 3, 1.1]])
    coords, _ = pg_tf.split_points(points)
    assert coords.dtype == tf.float64
    assert np.array_equal(coords, points[:, 1:])
    assert pg_tf.split_points(points.tolist())[0].dtype == tf.float32
