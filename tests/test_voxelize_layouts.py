"""One molecule, padded and ragged batches, threads, graphs: the same atoms give the same grid, to the bit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import off_by

import pg_tf

SIZES = [5, 0, 1, 130, 17]
OPTIONS = {"num_channels": 3, "grid_shape": (9, 12, 20)}


@pytest.fixture
def molecules(rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
    return [
        {
            "coords": rng.uniform(-4, 4, (size, 3)).astype(np.float32),
            "channels": rng.integers(0, 3, size).astype(np.int32),
            "weights": rng.normal(size=size).astype(np.float32),
            "sigma": rng.uniform(0.2, 0.9, size).astype(np.float32),
        }
        for size in SIZES
    ]


def ragged(molecules: list[dict[str, np.ndarray]]) -> dict[str, tf.RaggedTensor]:
    return {
        name: tf.RaggedTensor.from_row_lengths(np.concatenate([m[name] for m in molecules]), SIZES)
        for name in molecules[0]
    }


def padded(molecules: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Padding in front, between and behind, which holds NaN."""
    shape = (len(SIZES), max(SIZES) + 2)
    batch = {
        name: np.full(shape + values.shape[1:], -1 if name == "channels" else np.nan, values.dtype)
        for name, values in molecules[0].items()
    }
    for b, molecule in enumerate(molecules):
        for name, values in molecule.items():
            batch[name][b, 1 : 1 + len(values)] = values
    return batch


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("box", [None, ([-5.0, -4.0, -6.0], [10.0, 9.0, 12.0])], ids=["adaptive", "given"])
def test_single_padded_and_ragged_give_the_same_bits(
    molecules: list[dict[str, np.ndarray]], box: object, data_format: str, dtype: str
) -> None:
    options = {**OPTIONS, "box": box, "data_format": data_format, "dtype": dtype}
    single = tf.stack([pg_tf.voxelize(**m, **options) for m in molecules])
    assert tf.reduce_all(single == pg_tf.voxelize(**ragged(molecules), **options))
    assert tf.reduce_all(single == pg_tf.voxelize(**padded(molecules), **options))
    shape = (5, 3, 9, 12, 20) if data_format == "channels_first" else (5, 9, 12, 20, 3)
    assert single.shape == shape


@pytest.mark.parametrize("layout", [ragged, padded])
def test_dense_batch_agrees_with_op(molecules: list[dict[str, np.ndarray]], layout: Callable) -> None:
    dense, op = (
        pg_tf.voxelize(**layout(molecules), **OPTIONS, implementation=i, dtype="float64") for i in ("dense", "op")
    )
    assert off_by(dense, op.numpy()) < tolerances.FLOAT64_SAME


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_molecule_without_atoms_is_a_grid_of_zeros(dtype: str, implementation: str) -> None:
    options = {"grid_shape": 6, "dtype": dtype, "implementation": implementation}
    for coords, shape in [
        (np.zeros((0, 3)), (1, 6, 6, 6)),
        (np.zeros((2, 0, 3)), (2, 1, 6, 6, 6)),
        (tf.RaggedTensor.from_row_splits(tf.zeros([0, 3]), tf.constant([0, 0, 0], tf.int64)), (2, 1, 6, 6, 6)),
    ]:
        grid = pg_tf.voxelize(coords, **options)
        assert grid.shape == shape
        assert not np.any(tf.cast(grid, tf.float32))
    only_padding = pg_tf.voxelize(np.full((3, 3), np.nan), [-1, -1, -1], **options)
    assert not np.any(tf.cast(only_padding, tf.float32))


def test_empty_batch_is_an_empty_batch(implementation: str) -> None:
    options = {"grid_shape": (4, 5, 6), "num_channels": 2, "implementation": implementation}
    empty = tf.RaggedTensor.from_row_splits(tf.zeros([0, 3]), tf.constant([0], tf.int64))
    for coords in (np.zeros((0, 7, 3)), np.zeros((0, 0, 3)), empty):
        assert pg_tf.voxelize(coords, **options).shape == (0, 2, 4, 5, 6)
        assert pg_tf.voxelize(coords, **options, box=([0.0] * 3, [1.0] * 3)).shape == (0, 2, 4, 5, 6)


def test_boxes_may_be_one_for_all_or_one_for_each(rng: np.random.Generator) -> None:
    coords = rng.uniform(0, 3, (2, 6, 3))
    origin, lengths = rng.uniform(-1, 0, (2, 3)), rng.uniform(4, 6, (2, 3))
    rotation = pg_tf.principal_axes(coords).numpy()
    for box in [(origin, lengths), (origin[0], lengths), (origin, lengths[:1]), (origin[:1], lengths[0])]:
        for turn in (None, rotation, rotation[0]):
            grid = pg_tf.voxelize(coords, box=(*box, turn), grid_shape=6)
            for b in range(2):
                one = pg_tf.Box(
                    *(np.broadcast_to(part, (2, 3))[b] for part in box),
                    None if turn is None else np.broadcast_to(turn, (2, 3, 3))[b],
                )
                assert tf.reduce_all(grid[b] == pg_tf.voxelize(coords[b], box=one, grid_shape=6))


THREADS = """
import sys
import numpy as np
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads({threads})
import pg_tf
rng = np.random.default_rng(0)
batch = tf.RaggedTensor.from_row_lengths(rng.uniform(0, 12, (700, 3)).astype(np.float32), [300, 0, 1, 399])
channels = batch.with_values(tf.constant(rng.integers(0, 8, 700), tf.int32))
big = rng.uniform(0, 20, (900, 3)).astype(np.float32)
big_channels = rng.integers(-1, 8, 900)
for options in [dict(grid_shape=12), dict(grid_shape=(40, 50, 33)), dict(grid_shape=24, data_format="channels_last")]:
    for dtype in ("float32", "float64", "float16"):
        print(hash(pg_tf.voxelize(batch, channels, num_channels=8, dtype=dtype, **options).numpy().tobytes()))
x = tf.constant(big)
with tf.GradientTape() as tape:
    tape.watch(x)
    grid = pg_tf.voxelize(x, big_channels, num_channels=8, grid_shape=96, sigma=1.5, box=([0.0] * 3, [20.0] * 3))
    value = tf.reduce_sum(grid**2)
print(hash(grid.numpy().tobytes()))
print(hash(tape.gradient(value, x).numpy().tobytes()))
"""


@pytest.mark.slow
def test_any_number_of_threads_gives_the_same_bits(run_python: Callable[..., str]) -> None:
    one, two, many = (run_python(THREADS.format(threads=n), PYTHONHASHSEED="0").split() for n in (1, 2, 7))
    assert len(one) == 11
    assert one == two == many


def test_batch_larger_than_the_caches_gives_the_same_bits(rng: np.random.Generator) -> None:
    # Small outputs are written through the caches and large ones past them.
    coords = rng.uniform(0, 8, (60, 20, 3)).astype(np.float32)
    for shape in [(16, 16, 32), (13, 11, 27)]:
        options = {"grid_shape": shape, "box": ([0.0] * 3, [8.0] * 3)}
        batch = pg_tf.voxelize(coords, **options)
        assert batch.numpy().nbytes > 2**19
        for b in (0, 31, 59):
            assert tf.reduce_all(batch[b] == pg_tf.voxelize(coords[b], **options))


def test_unknown_sizes_in_a_graph(molecules: list[dict[str, np.ndarray]]) -> None:
    expected = pg_tf.voxelize(**ragged(molecules), **OPTIONS)

    def of_batch(coords: tf.Tensor, channels: tf.Tensor, weights: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
        grid = pg_tf.voxelize(coords, channels, weights=weights, sigma=sigma, **OPTIONS)
        assert grid.shape.as_list() == [None, 3, 9, 12, 20]
        return grid

    inputs = [([None, None, 3], tf.float32), ([None, None], tf.int32), *[([None, None], tf.float32)] * 2]
    of_padded = tf.function(of_batch, input_signature=[tf.TensorSpec(*one) for one in inputs])
    of_ragged = tf.function(of_batch, input_signature=[tf.RaggedTensorSpec(*one, ragged_rank=1) for one in inputs])
    assert tf.reduce_all(of_padded(*padded(molecules).values()) == expected)
    assert tf.reduce_all(of_ragged(*ragged(molecules).values()) == expected)
    with pytest.raises(tf.errors.InvalidArgumentError, match="channels must have as many atoms in each molecule"):
        of_padded(tf.zeros([2, 3, 3]), tf.zeros([3, 2], tf.int32), tf.zeros([2, 3]), tf.ones([2, 3]))

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def of_single(coords: tf.Tensor) -> tf.Tensor:
        grid = pg_tf.voxelize(coords, **OPTIONS)
        assert grid.shape.as_list() == [3, 9, 12, 20]
        return grid

    coords = molecules[3]["coords"]
    assert tf.reduce_all(of_single(coords) == pg_tf.voxelize(coords, **OPTIONS))


def test_variables_lists_and_arrays_of_any_number_type_are_taken() -> None:
    coords = [[0, 1, 2], [3, 4, 5]]
    expected = pg_tf.voxelize(np.float32(coords), [0, 1], num_channels=2, grid_shape=6)
    for value in (coords, np.int8(coords), np.float16(coords), tf.constant(coords), tf.Variable(np.float64(coords))):
        for channels in ([0, 1], np.uint8([0, 1]), np.int64([0, 1]), tf.constant([0, 1], tf.int16)):
            grid = pg_tf.voxelize(value, channels, num_channels=np.int64(2), grid_shape=[np.int32(6), 6, 6])
            assert tf.reduce_all(grid == expected)


@pytest.mark.slow
def test_saved_model_round_trip(tmp_path: Path, run_python: Callable[..., str]) -> None:
    class Model(tf.Module):
        @tf.function(input_signature=[tf.RaggedTensorSpec([None, None, 4], ragged_rank=1)])
        def __call__(self, points: tf.RaggedTensor) -> tf.Tensor:
            return pg_tf.coord_to_grid(points, num_channels=2, grid_size=8)

    points = tf.ragged.constant([[[0, 0.5, 1, 2]], [[1, 1, 1, 1], [0, 2, 0, 1]]], ragged_rank=1, dtype=tf.float32)
    expected = Model()(points)
    tf.saved_model.save(Model(), str(tmp_path))
    printed = run_python(f"""
import tensorflow as tf
import pg_tf
points = tf.ragged.constant({points.to_list()}, ragged_rank=1)
print(hash(tf.saved_model.load({str(tmp_path)!r})(points).numpy().tobytes()))
print(hash(pg_tf.coord_to_grid(points, num_channels=2, grid_size=8).numpy().tobytes()))
""").split()
    assert printed[0] == printed[1]
    assert tf.reduce_all(tf.saved_model.load(str(tmp_path))(points) == expected)
