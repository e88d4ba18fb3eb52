"""What is made of points and grids compiles with XLA and gives the same numbers."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tolerances

import pg_tf
from pg_tf import adsorption

POINTS = np.array([[[0, 1.0, 2, 3], [1, 4, 5, 6], [-1, 0, 0, 0]], [[1, 2.0, 2, 2], [0, 3, 3, 5], [2, 1, 2, 6]]])


def compiled(function: Any, *arguments: Any) -> Any:
    return tf.function(function, jit_compile=True, autograph=False)(*arguments)


def test_points_become_the_same_grids_with_the_same_gradients() -> None:
    to_grid = pg_tf.Voxelizer(num_channels=3, grid_shape=8, sigma=0.5, data_format="channels_last")
    upstream = tf.linspace(0.0, 1.0, 8)

    def everything(points: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(points)
            grid, label = to_grid(points, tf.constant([1, 2]))
            total = tf.reduce_sum(grid * upstream[:, tf.newaxis])
        lengths = {"width": 8.0, "height": 8.0, "depth": 8.0}
        given = pg_tf.coord_to_grid(points, num_channels=3, grid_size=8, **lengths)
        return grid, label, given, tape.gradient(total, points)

    points = tf.constant(POINTS, tf.float32)
    for actual, expected in zip(compiled(everything, points), everything(points), strict=True):
        assert np.allclose(actual, expected, rtol=0, atol=tolerances.FLOAT32_GRADIENT * np.max(np.abs(expected)))


@pytest.mark.parametrize("channel", [0.5, np.nan, 1e12, -0.5])
def test_channel_that_is_none_makes_the_molecule_not_a_number(channel: float) -> None:
    points = POINTS.astype(np.float32)
    points[1, 2, 0] = channel
    grid = compiled(lambda values: pg_tf.coord_to_grid(values, num_channels=3, grid_size=4), tf.constant(points))
    assert np.isfinite(grid[0]).all()
    assert np.isnan(grid[1]).any()


def test_adsorption_is_the_same(rng: np.random.Generator) -> None:
    energy = tf.constant(rng.normal(-500, 900, (2, 4, 4, 4)))
    for function in (adsorption.henry_coefficient, adsorption.isosteric_heat, adsorption.void_fraction):
        assert np.allclose(compiled(function, energy, 300.0), function(energy, 300.0), rtol=tolerances.FLOAT64_SAME)
