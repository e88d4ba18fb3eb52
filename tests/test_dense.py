"""The implementation in TensorFlow's own ops, which also runs under XLA."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import GOLDEN, factors, golden, off_by

import pg_tf
from pg_tf import dense


def test_axis_factors_agree_with_brute_force(rng: np.random.Generator, dtype: str) -> None:
    origin, lengths = np.array([0.0, -1.5, 2.0]), np.array([10.0, 12.25, 5.5])
    sigma = np.exp(rng.uniform(-3, 2, (3, 40))).astype(dtype).astype(np.float64)
    # Up to four sigma outside of the box.
    outside = rng.uniform(-4, 4, (3, 40)) * sigma
    coords = origin[:, None] + rng.uniform(0, 1, (3, 40)) * lengths[:, None] + outside
    coords = coords.astype(dtype).astype(np.float64)
    result = dense.axis_factors(*(tf.constant(v, dtype) for v in (coords, sigma, origin, lengths)), 13)
    assert result.dtype == dtype
    for b in range(3):
        expected = factors(coords[b], sigma[b], origin[b], lengths[b], 13)
        # In the tails too: of each atom's own largest factor.
        error = np.abs(result[b] - expected).max(1) / expected.max(1)
        assert error.max() < (1e-10 if dtype == "float64" else tolerances.FLOAT32_GRID)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_compiled_dense_grid_agrees_with_golden(path: Path, dtype: str) -> None:
    case, arrays = golden(path)

    @tf.function(jit_compile=True)
    def compute() -> tf.Tensor:
        return pg_tf.voxelize(case.coords, case.channels, **case.options(), dtype=dtype)

    truth = arrays["grid"] if dtype == "float64" else case.rounded(dtype).grid()
    assert off_by(compute(), truth) < tolerances.GRID[dtype]


def test_sigma_may_differ_between_the_axes(rng: np.random.Generator) -> None:
    coords, sigma = rng.uniform(0, 5, (1, 4, 3)), rng.uniform(0.3, 1.5, (1, 4, 3))
    grid = dense.voxelize(
        tf.constant(coords),
        tf.ones([1, 4, 1], tf.float64),
        tf.constant(sigma),
        tf.zeros([1, 3], tf.float64),
        tf.fill([1, 3], tf.constant(5.0, tf.float64)),
        (4, 5, 6),
        "channels_last",
    )
    along = [factors(coords[0, :, d], sigma[0, :, d], 0.0, 5.0, n) for d, n in enumerate((4, 5, 6))]
    assert off_by(grid[0, ..., 0], np.einsum("ax,ay,az->xyz", *along)) < tolerances.FLOAT64_GRID
