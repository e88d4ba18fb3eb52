"""Grids made inside tf.data."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

import pg_tf


def molecules(rng: np.random.Generator, count: int = 20) -> tuple[tf.RaggedTensor, np.ndarray]:
    sizes = rng.integers(1, 40, count)
    points = np.concatenate([rng.integers(0, 2, (sizes.sum(), 1)), rng.normal(scale=3, size=(sizes.sum(), 3))], axis=1)
    return tf.RaggedTensor.from_row_lengths(points.astype(np.float32), sizes), rng.normal(size=count)


def test_map_of_coord_to_grid_works_as_it_stands(rng: np.random.Generator) -> None:
    points, _ = molecules(rng)
    points = points.with_flat_values(points.flat_values * [0, 1, 1, 1])
    dataset = tf.data.Dataset.from_generator(
        lambda: (molecule.numpy() for molecule in points), output_signature=tf.TensorSpec([None, 4])
    )
    grids = dataset.map(pg_tf.coord_to_grid, num_parallel_calls=tf.data.AUTOTUNE)
    assert grids.element_spec == tf.TensorSpec([1, 32, 32, 32])
    results = list(grids)
    assert len(results) == 20
    for molecule, grid in zip(points, results, strict=True):
        assert tf.reduce_all(grid == pg_tf.coord_to_grid(molecule))


def test_ragged_batches_keep_static_shapes(rng: np.random.Generator) -> None:
    points, labels = molecules(rng)
    to_grid = pg_tf.Voxelizer(num_channels=2, grid_shape=(8, 9, 10), data_format="channels_last")
    dataset = tf.data.Dataset.from_tensor_slices((points, labels))
    for drop, batch_size in [(False, None), (True, 6)]:
        batches = dataset.ragged_batch(6, drop_remainder=drop).map(to_grid, num_parallel_calls=tf.data.AUTOTUNE)
        assert batches.element_spec == (
            tf.TensorSpec([batch_size, 8, 9, 10, 2]),
            tf.TensorSpec([batch_size], tf.float64),
        )
        grids, handed_on = zip(*batches, strict=True)
        kept = 18 if drop else 20
        assert np.array_equal(np.concatenate(handed_on), labels[:kept])
        assert tf.reduce_all(tf.concat(grids, 0) == to_grid(points)[:kept])


def test_points_of_unknown_batch_size_keep_the_rest_of_the_shape(rng: np.random.Generator) -> None:
    points, _ = molecules(rng)
    padded = points.to_tensor(-1.0)
    grids = tf.data.Dataset.from_tensor_slices(padded).batch(7).map(pg_tf.Voxelizer(num_channels=2, grid_shape=4))
    assert grids.element_spec == tf.TensorSpec([None, 2, 4, 4, 4])
    assert tf.reduce_all(tf.concat(list(grids), 0) == pg_tf.coord_to_grid(points, num_channels=2, grid_size=4))


def test_coord_to_grid_over_pairs_fails_loudly(rng: np.random.Generator) -> None:
    points, labels = molecules(rng)
    dataset = tf.data.Dataset.from_tensor_slices((points, labels)).ragged_batch(4)
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        dataset.map(pg_tf.coord_to_grid)


def test_voxelizer_hands_on_tuples_and_dicts_in_a_map(rng: np.random.Generator) -> None:
    points, labels = molecules(rng)
    to_grid = pg_tf.Voxelizer(num_channels=2, grid_shape=4)
    expected = to_grid(points)
    pairs = tf.data.Dataset.from_tensor_slices((points, labels)).ragged_batch(20).map(to_grid)
    grid, label = next(iter(pairs))
    assert tf.reduce_all(grid == expected)
    assert np.array_equal(label, labels)
    named = tf.data.Dataset.from_tensor_slices({"points": points, "gap": labels}).ragged_batch(20).map(to_grid)
    element = next(iter(named))
    assert element.keys() == {"grid", "gap"}
    assert tf.reduce_all(element["grid"] == expected)
    with_box = pg_tf.Voxelizer(num_channels=2, grid_shape=4, return_box=True)
    (grid, box), label = next(iter(tf.data.Dataset.from_tensor_slices((points, labels)).ragged_batch(20).map(with_box)))
    assert isinstance(box, pg_tf.Box)
    assert tf.reduce_all(grid == expected)
    assert box.origin.shape == (20, 3)


def test_bad_molecule_stops_the_pipeline_and_is_named(rng: np.random.Generator) -> None:
    points, _ = molecules(rng)
    bad = points.flat_values.numpy()
    bad[points.row_splits[13].numpy() + 0, 2] = np.nan
    dataset = tf.data.Dataset.from_tensor_slices(points.with_flat_values(bad)).ragged_batch(10)
    grids = dataset.map(pg_tf.Voxelizer(num_channels=2, grid_shape=4), num_parallel_calls=tf.data.AUTOTUNE)
    iterator = iter(grids)
    next(iterator)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="coords must be finite: molecule 3, atom 0, axis y is nan"
    ):
        next(iterator)


def test_training_takes_grids_from_an_augmented_pipeline(rng: np.random.Generator) -> None:
    points, labels = molecules(rng)
    dataset = (
        tf.data.Dataset.from_tensor_slices((points, labels))
        .ragged_batch(5)
        .apply(pg_tf.augment(seed=1))
        .map(pg_tf.Voxelizer(num_channels=2, grid_shape=6, data_format="channels_last"))
    )
    model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(dataset, epochs=2, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("through", ["Voxelizer", "voxelize"])
def test_autograph_leaves_pg_tf_as_it_is(through: str, rng: np.random.Generator) -> None:
    # Rewriting all that a grid is made by takes seconds at the start of every program.
    points, _ = molecules(rng)
    code = []

    def box(coords: tf.RaggedTensor, channels: tf.RaggedTensor) -> pg_tf.Box:
        code.append(inspect.currentframe().f_code.co_filename)
        return pg_tf.bounding_box(coords, channels=channels)

    def to_grid(points: tf.RaggedTensor) -> tf.Tensor:
        coords, channels = pg_tf.split_points(points)
        return pg_tf.voxelize(coords, channels, num_channels=2, box=box)

    make = pg_tf.Voxelizer(num_channels=2, box=box) if through == "Voxelizer" else to_grid
    tf.data.Dataset.from_tensor_slices(points).ragged_batch(4).map(make)
    assert code == [__file__]  # where AutoGraph rewrites a function it runs from a file of AutoGraph's own


def test_ops_are_not_stateful(rng: np.random.Generator) -> None:
    # tf.data service, snapshots and caching refuse or rerun stateful ops.
    points, _ = molecules(rng)

    @tf.function
    def make(points: tf.RaggedTensor) -> tf.Tensor:
        return pg_tf.coord_to_grid(points, num_channels=2)

    ops = {op.type: op for op in make.get_concrete_function(points).graph.get_operations()}
    own = {name for name in ops if name.startswith("PgTf>")}
    assert own == {"PgTf>SplitPoints", "PgTf>BoundingBox", "PgTf>Voxelize"}
    assert not any(ops[name].op_def.is_stateful for name in own)
