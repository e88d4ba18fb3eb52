"""Second derivatives of the op: against the dense form, and numerically."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import Case, off_by, random_case
from test_gradient import CLOSED, NAMES, OPEN, grid_of, tensors

import pg_tf


@dataclasses.dataclass
class Problem:
    """The value sum(vectors * gradient of sum(upstream * grid)), a function of all inputs of the gradient."""

    case: Case
    values: dict[str, tf.Tensor]
    vectors: dict[str, tf.Tensor]

    def value(self, values: dict[str, tf.Tensor], outputs: list[str], **options: object) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(values)
            grid = grid_of(self.case, values, **options)
        first = tape.gradient(grid, values, tf.reshape(values["upstream"], tf.shape(grid)))
        return tf.add_n([tf.reduce_sum(first[name] * self.vectors[name]) for name in outputs])

    def gradient(self, outputs: list[str], **options: object) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(self.values)
            value = self.value(self.values, outputs, **options)
        return tape.gradient(value, self.values, unconnected_gradients="zero")


@pytest.fixture
def periodic() -> tuple[bool, bool, bool]:
    """The axes along which the box of `problem` repeats, unless a test lists others."""
    return OPEN


@pytest.fixture
def problem(rng: np.random.Generator, periodic: tuple[bool, bool, bool]) -> Problem:
    case = random_case(rng, atoms=4, shape=(3, 2, 5), num_channels=2, periodic=periodic)
    case.sigma[:] = rng.uniform(0.8, 2.0, 4)
    values = tensors(case) | {"upstream": tf.constant(rng.normal(size=(2, 3, 2, 5)))}
    return Problem(case, values, {name: tf.constant(rng.normal(size=v.shape)) for name, v in values.items()})


@pytest.mark.parametrize(
    ("outputs", "data_format", "in_graph", "periodic"),
    [
        (["coords"], "channels_first", False, OPEN),
        (["coords"], "channels_first", True, OPEN),
        (["weights"], "channels_first", False, OPEN),
        (["sigma"], "channels_first", False, OPEN),
        (["lengths"], "channels_first", False, OPEN),
        (NAMES, "channels_first", False, OPEN),
        (NAMES, "channels_first", False, CLOSED),
        (NAMES, "channels_last", True, OPEN),
    ],
)
def test_second_gradient_of_the_op_agrees_with_the_dense_form(
    problem: Problem, outputs: list[str], data_format: str, in_graph: bool
) -> None:
    def compute(implementation: str) -> dict[str, tf.Tensor]:
        return problem.gradient(outputs, implementation=implementation, data_format=data_format)

    op = tf.function(compute)("op") if in_graph else compute("op")
    for name, expected in compute("dense").items():
        assert off_by(op[name], expected.numpy()) < tolerances.FLOAT64_SAME, name


@pytest.mark.parametrize("name", [*NAMES, "upstream"])
def test_second_gradient_agrees_with_central_differences(problem: Problem, name: str) -> None:
    def value(x: tf.Tensor) -> tf.Tensor:
        return problem.value({**problem.values, name: x}, NAMES)

    analytic, numeric = tf.test.compute_gradient(value, [problem.values[name]], delta=1e-4)
    assert off_by(analytic[0], numeric[0]) < tolerances.NUMERIC_GRADIENT


def test_second_gradient_of_a_ragged_batch_with_features_and_a_fitted_box(rng: np.random.Generator) -> None:
    lengths = [3, 0, 4]
    flat = tf.constant(rng.normal(size=(7, 3)))
    features = tf.constant(rng.normal(size=(7, 2)))

    def products(implementation: str) -> list[tf.Tensor]:
        with tf.GradientTape() as outer:
            outer.watch([flat, features])
            with tf.GradientTape() as inner:
                inner.watch(flat)
                grid = pg_tf.voxelize(
                    tf.RaggedTensor.from_row_lengths(flat, lengths),
                    features=tf.RaggedTensor.from_row_lengths(features, lengths),
                    num_channels=2,
                    grid_shape=5,
                    sigma=0.9,
                    dtype="float64",
                    implementation=implementation,
                )
                value = tf.reduce_sum(grid**3)
            force = inner.gradient(value, flat)
            total = tf.reduce_sum(force**2)
        return outer.gradient(total, [flat, features])

    for op, dense in zip(products("op"), products("dense"), strict=True):
        assert off_by(op, dense.numpy()) < tolerances.FLOAT64_SAME


def test_third_derivative_agrees_with_the_dense_form(rng: np.random.Generator) -> None:
    start = tf.constant(rng.normal(size=(2, 3)))

    def third(implementation: str) -> tf.Tensor:
        x = start
        tapes = [tf.GradientTape() for _ in range(3)]
        for tape in tapes:
            tape.__enter__()
            tape.watch(x)
        options = {"sigma": 0.9, "grid_shape": 4, "box": ([-2.0] * 3, [4.0] * 3), "dtype": "float64"}
        value = tf.reduce_sum(pg_tf.voxelize(x, implementation=implementation, **options) ** 2)
        for tape in reversed(tapes):
            tape.__exit__(None, None, None)
            value = tf.reduce_sum(tape.gradient(value, x) ** 2)
        return value

    assert off_by(third("op"), third("dense").numpy()) < tolerances.FLOAT64_SAME


def test_second_gradient_of_padding_is_zero_though_it_holds_nan(problem: Problem) -> None:
    clean = problem.gradient(NAMES)
    for name in ("coords", "weights", "sigma"):
        dirty = problem.values[name].numpy()
        dirty[-1] = np.nan
        problem.values[name] = tf.constant(dirty)
    for name, value in problem.gradient(NAMES).items():
        assert off_by(value, clean[name].numpy()) < tolerances.FLOAT64_SAME, name


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_second_gradient_in_lower_precision_follows_float64(problem: Problem, dtype: str) -> None:
    values = {name: tf.cast(v, tf.float32) for name, v in problem.values.items()}

    def gradient(values: dict[str, tf.Tensor], dtype: str) -> tf.Tensor:
        x = values["coords"]
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                grid = grid_of(problem.case, {**values, "coords": x}, dtype=dtype)
            first = inner.gradient(grid, x, tf.ones_like(grid))
            total = tf.reduce_sum(first**2)
        return outer.gradient(total, x)

    single, double = gradient(values, dtype), gradient(problem.values, "float64")
    assert off_by(single, double.numpy()) < 10 * tolerances.FLOAT32_GRADIENT
