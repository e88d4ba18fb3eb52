"""Grids against the golden files: float64 truth from SciPy."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import GOLDEN, golden, off_by

import pg_tf

by_golden = pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)


def channels_first(grid: tf.Tensor, data_format: str) -> np.ndarray:
    values = tf.cast(grid, tf.float64).numpy()
    return values if data_format == "channels_first" else np.moveaxis(values, -1, 0)


def test_golden_files_are_there() -> None:
    assert len(GOLDEN) == 7


@by_golden
def test_reference_agrees_with_golden(path: Path) -> None:
    case, arrays = golden(path)
    assert off_by(case.grid(), arrays["grid"]) < tolerances.FLOAT64_GRID / 100


@by_golden
def test_grid_agrees_with_golden(path: Path, dtype: str, implementation: str, data_format: str) -> None:
    case, arrays = golden(path)
    grid = pg_tf.voxelize(
        case.coords,
        case.channels,
        **case.options(),
        dtype=dtype,
        implementation=implementation,
        data_format=data_format,
    )
    assert grid.dtype == dtype
    truth = arrays["grid"] if dtype == "float64" else case.rounded(dtype).grid()
    assert off_by(channels_first(grid, data_format), truth) < tolerances.GRID[dtype]


@by_golden
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_grid_is_the_float32_grid_rounded_once(path: Path, dtype: str, data_format: str) -> None:
    case, arrays = golden(path)
    half, single = (
        pg_tf.voxelize(case.coords, case.channels, **case.options(), dtype=d, data_format=data_format)
        for d in (dtype, "float32")
    )
    assert half.dtype == dtype
    assert np.array_equal(tf.bitcast(half, tf.uint16), tf.bitcast(tf.cast(single, dtype), tf.uint16))
    truth = arrays["grid"]
    rounding = tolerances.FLOAT16_ROUNDING if dtype == "float16" else tolerances.BFLOAT16_ROUNDING
    bound = rounding * np.abs(truth) + tolerances.FLOAT16_SMALLEST + 10 * tolerances.FLOAT32_GRID * truth.max()
    assert np.all(np.abs(channels_first(half, data_format) - truth) <= bound)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_grid_rounds_to_nearest_even_for_all_magnitudes(dtype: str) -> None:
    # An atom in the middle of a voxel much wider than sigma puts its whole weight there.
    largest = 65519.0 if dtype == "float16" else 3e5  # 65520 rounds to infinity in float16
    weights = np.concatenate([[0.0], np.geomspace(1e-12, largest, 2999)]).astype(np.float32)
    weights[::3] *= -1
    centres = np.full((3000, 3), 0.5)
    centres[:, 2] += np.arange(3000)
    options = {"weights": weights, "sigma": 0.05, "grid_shape": (1, 1, 3000), "box": ([0.0] * 3, [1.0, 1.0, 3000.0])}
    single = pg_tf.voxelize(centres, **options)
    assert off_by(single[0, 0, 0], weights.astype(np.float64)) < tolerances.FLOAT32_GRID
    half = pg_tf.voxelize(centres, **options, dtype=dtype)
    assert np.array_equal(tf.bitcast(half, tf.uint16), tf.bitcast(tf.cast(single, dtype), tf.uint16))
