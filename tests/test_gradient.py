"""First derivatives: against the golden files, numerically, and by what gradient and grid must have in common."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import GOLDEN, Case, golden, off_by, random_case

import pg_tf

NAMES = ["coords", "weights", "sigma", "origin", "lengths"]
OPEN = (False, False, False)
CLOSED = (True, True, True)


def tensors(case: Case, dtype: str = "float64") -> dict[str, tf.Tensor]:
    """Coordinates and boxes are taken in float64 whatever the grid is."""
    return {name: tf.constant(getattr(case, name), dtype if name in case.FLOATS else "float64") for name in NAMES}


def grid_of(case: Case, values: dict[str, tf.Tensor], **options: object) -> tf.Tensor:
    given = {name: values[name] for name in ("coords", "weights", "sigma")}
    given |= {"box": (values["origin"], values["lengths"]), "dtype": values["weights"].dtype}
    return pg_tf.voxelize(channels=case.channels, **{**case.options(), **given, **options})


def gradients(case: Case, upstream: np.ndarray, watched: list[str], dtype: str = "float64", **options: object) -> list:
    values = tensors(case, dtype)
    with tf.GradientTape() as tape:
        tape.watch([values[name] for name in watched])
        grid = grid_of(case, values, **options)
    return tape.gradient(grid, [values[name] for name in watched], tf.cast(upstream, grid.dtype))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_gradient_agrees_with_golden(path: Path, dtype: str, implementation: str, data_format: str) -> None:
    case, arrays = golden(path)
    upstream = arrays["upstream"]
    expected = {name: arrays[f"grad_{name}"] for name in NAMES[:3]}
    if dtype == "float32":
        expected = case.rounded(dtype).gradients(upstream.astype(dtype).astype(np.float64))
    if data_format == "channels_last":
        upstream = np.moveaxis(upstream, 0, -1)
    options = {"implementation": implementation, "data_format": data_format}
    for name, value in zip(NAMES, gradients(case, upstream, NAMES[:3], dtype, **options), strict=False):
        assert off_by(value, expected[name]) < tolerances.GRADIENT[dtype], name


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_reference_gradient_agrees_with_golden(path: Path) -> None:
    case, arrays = golden(path)
    for name, value in case.gradients(arrays["upstream"]).items():
        assert off_by(value, arrays[f"grad_{name}"]) < tolerances.FLOAT64_GRADIENT, name


@pytest.mark.parametrize("periodic", [OPEN, (True, False, True)])
@pytest.mark.parametrize("name", NAMES)
def test_gradient_agrees_with_central_differences(
    rng: np.random.Generator, name: str, periodic: tuple[bool, bool, bool], implementation: str
) -> None:
    case = random_case(rng, atoms=5, shape=(5, 4, 7), num_channels=2, periodic=periodic)
    case.sigma[:] = rng.uniform(0.8, 3.0, 5)
    upstream = rng.normal(size=(2, 5, 4, 7))
    values = tensors(case)

    def value(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(grid_of(case, {**values, name: x}, implementation=implementation) * upstream)

    analytic, numeric = tf.test.compute_gradient(value, [values[name]], delta=1e-4)
    assert off_by(analytic[0], numeric[0]) < tolerances.NUMERIC_GRADIENT


@pytest.mark.parametrize("num_channels", [1, 3])
def test_gradient_of_soft_channels_agrees_with_central_differences(
    rng: np.random.Generator, implementation: str, num_channels: int
) -> None:
    case = random_case(rng, atoms=4, shape=(5, 4, 7), num_channels=num_channels)
    channels = [7, 0, 2, -1]  # only the sign counts
    upstream = rng.normal(size=(num_channels, 5, 4, 7))

    def value(coords: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        options = case.options() | {"weights": None, "sigma": 1.1, "dtype": "float64"}
        return tf.reduce_sum(
            pg_tf.voxelize(coords, channels, features=features, implementation=implementation, **options) * upstream
        )

    inputs = [tf.constant(case.coords), tf.constant(rng.normal(size=(4, num_channels)))]
    for analytic, numeric in zip(*tf.test.compute_gradient(value, inputs, delta=1e-4), strict=True):
        assert off_by(analytic, numeric) < tolerances.NUMERIC_GRADIENT


@pytest.mark.parametrize("rotated", [False, True])
def test_gradient_through_a_fitted_box_agrees_with_central_differences(
    rng: np.random.Generator, rotated: bool, implementation: str
) -> None:
    upstream = rng.normal(size=(1, 5, 4, 7))
    turn = pg_tf.principal_axes(rng.normal(size=(9, 3))) if rotated else None

    def value(coords: tf.Tensor) -> tf.Tensor:
        box = pg_tf.bounding_box(coords, margin=1.7, cubic=not rotated, rotation=turn) if rotated else None
        options = {"sigma": 1.1, "grid_shape": (5, 4, 7), "dtype": "float64", "implementation": implementation}
        return tf.reduce_sum(pg_tf.voxelize(coords, box=box, **options) * upstream)

    analytic, numeric = tf.test.compute_gradient(value, [tf.constant(rng.normal(size=(6, 3)))], delta=1e-4)
    assert off_by(analytic[0], numeric[0]) < tolerances.NUMERIC_GRADIENT


def test_gradient_to_points_leaves_the_channel_column_alone(rng: np.random.Generator) -> None:
    points = tf.constant(np.concatenate([[[0.0], [1], [1]], rng.normal(size=(3, 3))], axis=1))
    with tf.GradientTape() as tape:
        tape.watch(points)
        coords, channels = pg_tf.split_points(points)
        grid = pg_tf.voxelize(coords, channels, num_channels=2, grid_shape=6, dtype="float64")
        value = tf.reduce_sum(grid**2)
    gradient = tape.gradient(value, points).numpy()
    assert not gradient[:, 0].any()
    assert gradient[:, 1:].all()


@pytest.mark.parametrize("in_graph", [False, True])
def test_gradient_does_not_depend_on_what_else_is_watched(rng: np.random.Generator, in_graph: bool) -> None:
    case = random_case(rng)
    upstream = rng.normal(size=(3, *case.shape))
    together = gradients(case, upstream, NAMES)
    for watched in (*([name] for name in NAMES), ["coords", "sigma"], ["weights", "lengths"], NAMES):
        compute = functools.partial(gradients, case, upstream, watched)
        for name, value in zip(watched, tf.function(compute)() if in_graph else compute(), strict=True):
            assert off_by(value, together[NAMES.index(name)].numpy()) < tolerances.FLOAT64_SAME, (name, watched)


def test_gradient_of_a_graph_function_from_outside(rng: np.random.Generator) -> None:
    case = random_case(rng)
    values = tensors(case)
    compute = tf.function(lambda values: tf.reduce_sum(grid_of(case, values) ** 2))
    results = []
    for function in (compute, lambda values: tf.reduce_sum(grid_of(case, values) ** 2)):
        with tf.GradientTape() as tape:
            tape.watch(values)
            value = function(values)
        results.append(tape.gradient(value, values))
    for name in NAMES:
        assert off_by(results[0][name], results[1][name].numpy()) < tolerances.FLOAT64_SAME


def test_gradient_to_scalars_sums_over_the_atoms(rng: np.random.Generator) -> None:
    case = random_case(rng)
    case.channels[-1] = 0
    upstream = rng.normal(size=(3, *case.shape))
    case.weights[:], case.sigma[:] = 1.5, 0.6
    each = gradients(case, upstream, NAMES)
    case.weights, case.sigma = np.array(1.5), np.array(0.6)
    scalar = gradients(case, upstream, NAMES)
    for name, value, values in zip(NAMES, scalar, each, strict=True):
        expected = tf.reduce_sum(values) if name in ("weights", "sigma") else values
        assert off_by(value, expected.numpy()) < tolerances.FLOAT64_SAME, name


@pytest.mark.parametrize("periodic", [OPEN, CLOSED])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_gradient_to_features_is_the_adjoint_of_the_grid(
    rng: np.random.Generator, dtype: str, data_format: str, periodic: tuple[bool, bool, bool]
) -> None:
    # The grid is linear in the features: <A f, u> = <f, A' u>.
    case = random_case(rng, atoms=80, periodic=periodic)
    compute = "float64" if dtype == "float64" else "float32"
    features = tf.constant(rng.normal(size=(80, 3)), compute)
    options = case.options() | {"weights": None, "dtype": dtype, "data_format": data_format}
    with tf.GradientTape() as tape:
        tape.watch(features)
        grid = pg_tf.voxelize(case.coords, case.channels, features=features, **options)
    upstream = tf.cast(rng.normal(size=grid.shape), dtype)
    adjoint = tape.gradient(grid, features, upstream)
    assert adjoint.dtype == compute
    left, right = ((np.float64(a), np.float64(b)) for a, b in ((grid, upstream), (adjoint, features)))
    # A grid in half precision is rounded, its gradient is that of the grid before rounding.
    rounding = {"float16": tolerances.FLOAT16_ROUNDING, "bfloat16": tolerances.BFLOAT16_ROUNDING}.get(dtype, 0.0)
    bound = (tolerances.MASS[compute] + rounding) * np.abs(left[0] * left[1]).sum()
    assert abs((left[0] * left[1]).sum() - (right[0] * right[1]).sum()) < bound


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_upstream_gives_the_gradient_of_its_values(rng: np.random.Generator, dtype: str) -> None:
    case = random_case(rng)
    upstream = tf.cast(rng.normal(size=(3, *case.shape)), dtype)
    values = tensors(case, "float32")
    results = []
    for grid_dtype in (dtype, "float32"):
        with tf.GradientTape() as tape:
            tape.watch(values)
            grid = grid_of(case, values, dtype=grid_dtype)
        results.append(tape.gradient(grid, values, tf.cast(upstream, grid_dtype)))
    for name in NAMES:
        assert off_by(results[0][name], results[1][name].numpy()) < tolerances.FLOAT32_GRADIENT


@pytest.mark.parametrize("in_graph", [False, True])
def test_gradient_of_padding_is_zero_though_it_holds_nan(
    rng: np.random.Generator, implementation: str, in_graph: bool
) -> None:
    case = random_case(rng)
    upstream = rng.normal(size=(3, *case.shape))
    compute = functools.partial(gradients, case, upstream, NAMES, implementation=implementation)
    clean = compute()
    case.coords[-1] = case.weights[-1] = case.sigma[-1] = np.nan
    dirty = tf.function(compute)() if in_graph else compute()
    for name, value, expected in zip(NAMES, dirty, clean, strict=True):
        assert off_by(value, expected.numpy()) < tolerances.FLOAT64_SAME, name
    for value in dirty[:3]:
        assert not value[-1].numpy().any()


@pytest.mark.parametrize("box", [None, ([-3.0] * 3, [6.0] * 3)], ids=["fitted", "given"])
def test_gradient_of_padding_is_zero_in_a_batch(rng: np.random.Generator, box: Any) -> None:
    coords = tf.constant(np.where(np.arange(3)[:, None] < 2, rng.normal(size=(2, 3, 3)), np.nan))
    channels = [[0, 0, -1], [0, 0, -1]]
    with tf.GradientTape() as tape:
        tape.watch(coords)
        grid = pg_tf.voxelize(coords, channels, box=box, grid_shape=5, dtype="float64")
        value = tf.reduce_sum(grid**2)
    gradient = tape.gradient(value, coords).numpy()
    assert np.isfinite(gradient).all()
    assert gradient[:, :2].all()
    assert not gradient[:, 2].any()


def test_gradient_of_an_empty_batch_has_the_shapes_of_its_inputs() -> None:
    for batch_size in (0, 2):
        inputs = [tf.zeros([batch_size, 0, 3]), tf.zeros(3), tf.ones(3), tf.constant(0.4), tf.constant(1.0)]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            coords, origin, lengths, sigma, weights = inputs
            grid = pg_tf.voxelize(coords, box=(origin, lengths), sigma=sigma, weights=weights, grid_shape=4)
        for value, of in zip(tape.gradient(grid, inputs), inputs, strict=True):
            assert value.shape == of.shape
            assert not value.numpy().any()


def test_gradient_of_an_atom_out_of_reach_is_zero() -> None:
    coords = tf.constant([[100.0, 0, 0], [0, 0, 0]])
    with tf.GradientTape() as tape:
        tape.watch(coords)
        value = tf.reduce_sum(pg_tf.voxelize(coords, box=([-2.0] * 3, [4.0] * 3), grid_shape=7) ** 2)
    assert not tape.gradient(value, coords)[0].numpy().any()


def test_gradient_of_the_total_mass_vanishes_far_from_the_faces(rng: np.random.Generator) -> None:
    case = random_case(rng, coords=rng.uniform(-1, 1, (12, 3)), origin=np.full(3, -9.0), lengths=np.full(3, 18.0))
    case.sigma[:] = 0.8
    to_coords, to_weights, to_sigma = gradients(case, np.ones((3, *case.shape)), NAMES[:3])
    assert np.abs(to_coords).max() < tolerances.FLOAT64_MASS
    assert np.abs(to_sigma).max() < tolerances.FLOAT64_MASS
    assert np.allclose(to_weights, case.channels >= 0, atol=tolerances.FLOAT64_MASS)


@pytest.mark.parametrize("layout", ["padded", "ragged"])
def test_gradient_of_a_batch_is_that_of_its_molecules(rng: np.random.Generator, layout: str) -> None:
    def gradient(values: tf.Tensor, layout: Callable[[tf.Tensor], Any] = lambda values: values) -> np.ndarray:
        with tf.GradientTape() as tape:
            tape.watch(values)
            value = tf.reduce_sum(pg_tf.voxelize(layout(values), grid_shape=9, dtype="float64") ** 2)
        return tape.gradient(value, values).numpy().reshape(-1, 3)

    coords = tf.constant(rng.normal(size=(2, 70, 3)))
    if layout == "padded":
        together, molecules = gradient(coords), list(coords)
    else:
        batch, molecules = tf.RaggedTensor.from_tensor(coords, lengths=[70, 31]), [coords[0], coords[1, :31]]
        together = gradient(batch.flat_values, batch.with_flat_values)
    assert off_by(together, np.concatenate([gradient(x) for x in molecules])) < tolerances.FLOAT64_SAME


@pytest.mark.parametrize("periodic", [OPEN, CLOSED])
def test_xla_takes_the_dense_implementation_by_itself(
    rng: np.random.Generator, periodic: tuple[bool, bool, bool]
) -> None:
    case = random_case(rng, periodic=periodic)
    values = tensors(case)

    def value_and_gradients(values: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(values)
            grid = grid_of(case, values)
            value = tf.reduce_sum(grid**2)
        return grid, tape.gradient(value, values)

    compiled = tf.function(value_and_gradients, jit_compile=True)(values)
    expected = value_and_gradients(values)
    assert off_by(compiled[0], expected[0].numpy()) < tolerances.FLOAT64_SAME
    for name in NAMES:
        assert off_by(compiled[1][name], expected[1][name].numpy()) < tolerances.FLOAT64_SAME
    for jit_compile in (False, True):
        graph = tf.function(value_and_gradients, jit_compile=jit_compile).get_concrete_function(values).graph
        ops = {op.type for op in graph.get_operations() if op.type.startswith("PgTf")}
        assert ("PgTf>Voxelize" in ops, bool(ops)) == (not jit_compile, not jit_compile)


def test_xla_fits_the_box_by_itself(rng: np.random.Generator) -> None:
    coords = tf.constant(rng.normal(size=(3, 5, 3)))
    channels = tf.constant([[0, 1, 0, 1, -1]] * 3)
    options = {"num_channels": 2, "grid_shape": 6, "dtype": "float64"}
    compiled = tf.function(lambda x: pg_tf.voxelize(x, channels, **options), jit_compile=True)(coords)
    assert off_by(compiled, pg_tf.voxelize(coords, channels, **options).numpy()) < tolerances.FLOAT64_SAME


def test_upstream_that_is_not_finite_reaches_only_atoms_whose_window_holds_it(data_format):
    coords = tf.constant([[0.5, 0.5, 6.5]])  # its window ends some voxels before the NaN, in another channel too
    with tf.GradientTape() as tape:
        tape.watch(coords)
        options = {"num_channels": 2, "grid_shape": (1, 1, 8), "sigma": 0.1, "data_format": data_format}
        grid = pg_tf.voxelize(coords, box=([0.0] * 3, [1.0, 1, 8]), **options)
    upstream = np.ones(grid.shape, np.float32)
    by_channel = upstream if data_format == "channels_first" else np.moveaxis(upstream, -1, 0)  # the same memory
    by_channel[0, 0, 0, 3] = np.inf
    by_channel[1] = np.nan
    assert np.isfinite(tape.gradient(grid, coords, tf.constant(upstream))).all()
