"""Cells, windows and periods that make no sense are refused by name."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import pg_tf
from pg_tf import _library

ops = _library.load()
BAD_VALUE = tf.errors.InvalidArgumentError
CELL = np.array([[4.2, 0, 0], [1.7, 3.6, 0], [-1.1, 0.9, 4.3]])
ATOM = [[0.1, 0.2, 0.3]]


def batch(**changes: Any) -> tf.Tensor:
    options = {"coords": [ATOM, ATOM], "cell": [CELL, CELL], "grid_shape": 4, **changes}
    return pg_tf.voxelize(**options)


def changed(index: tuple[int, int], value: float) -> np.ndarray:
    cell = CELL.copy()
    cell[index] = value
    return cell


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (changed((1, 2), np.nan), "molecule 1, vector b, axis z is nan"),
        (changed((0, 0), np.inf), "molecule 1, vector a, axis x is inf"),
        (CELL * [[1], [0], [1]], "vectors of molecule 1 lie in one plane or nearly so: their volume is 0"),
        (np.zeros((3, 3)), "vectors of molecule 1 lie in one plane"),
        (CELL[[0, 0, 2]], "vectors of molecule 1 lie in one plane"),
        (np.array([[1, 0, 0], [1, 1e-4, 0], [0, 0, 1]]), "lie in one plane or nearly so: their volume is"),
    ],
)
def test_cells_without_volume_are_refused(cell: np.ndarray, text: str) -> None:
    with pytest.raises(BAD_VALUE, match=text):
        batch(cell=[CELL, cell])
    with pytest.raises(BAD_VALUE, match=text):
        tf.function(batch)(cell=tf.constant([CELL, cell]))
    with pytest.raises(BAD_VALUE, match="cell: must be finite"):
        batch(cell=[CELL, cell], box=([0.0] * 3, [1.0] * 3))
    for convert in (pg_tf.to_fractional, pg_tf.wrap):
        with pytest.raises(BAD_VALUE, match="cell: must be finite"):
            convert(ATOM, cell)
    assert np.all(np.isnan(batch(cell=[CELL, cell], implementation="dense")))


@pytest.mark.parametrize("shape", [(3,), (9,), (2, 3), (3, 2), (3, 3, 3), (1, 1, 3, 3), (0, 3, 3)])
def test_cells_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"cell must (have shape|be one for all or one for each of the 2 molecules)"):
        batch(cell=np.ones(shape))


def test_cells_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="cell must be an array of numbers"):
        batch(cell="cubic")


@pytest.mark.parametrize("coordinate", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("box", [None, ([0.0] * 3, [5.0] * 3)])
def test_coordinates_that_are_not_finite_are_refused(coordinate: float, box: Any) -> None:
    with pytest.raises(BAD_VALUE, match="coords must be finite: molecule 1, atom 0, axis y"):
        batch(coords=[ATOM, [[0.0, coordinate, 0.0]]], box=box)


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("box", [None, ([0.0] * 3, [5.0] * 3)])
def test_bad_sigma_is_refused(sigma: float, box: Any) -> None:
    with pytest.raises(BAD_VALUE, match="sigma must be finite and greater than 0: molecule 1, atom 0"):
        batch(sigma=[[0.5], [sigma]], box=box)


def test_sigma_too_narrow_for_the_quadrature_is_refused_with_what_would_do() -> None:
    with pytest.raises(BAD_VALUE, match=r"molecule 1, atom 0 has 0\.01 Å; quadrature .* needs at least 0\.\d+ Å"):
        batch(sigma=[[0.5], [0.01]])
    assert np.isclose(np.sum(batch(sigma=[[0.5], [0.01]], grid_shape=48)), 2, atol=1e-5)


def test_sigma_too_wide_to_sum_is_refused() -> None:
    with pytest.raises(BAD_VALUE, match=r"sigma: molecule 0, atom 0 has 1e\+06 Å and reaches .* voxels"):
        batch(sigma=1e6, periodic=[True, True, False])
    # Periodic on all vectors it is spread evenly, and open on all it leaves nothing.
    assert np.allclose(batch(sigma=1e6), 1 / 64)
    assert np.allclose(batch(sigma=1e6, periodic=False), 0)
    assert np.allclose(batch(sigma=1e30, periodic=False), 0)


@pytest.mark.parametrize("place", [1e4, 1e15, 3e38])
def test_atoms_far_away_do_no_harm(place: float) -> None:
    grid = batch(coords=[ATOM, [[place, -place, place]]])
    assert np.allclose(np.sum(grid, axis=(1, 2, 3, 4)), 1, atol=1e-5)
    assert np.allclose(np.sum(batch(coords=[ATOM, [[place, -place, place]]], periodic=False)[1]), 0)
    with pytest.raises(BAD_VALUE, match="molecule 1, atom 0 is too far away"):
        batch(coords=[ATOM, [[1.7e308] * 3]], dtype="float64", grid_shape=64)


def test_a_window_with_more_images_than_memory_is_refused() -> None:
    with pytest.raises(BAD_VALUE, match="box: the window holds more images"):
        batch(box=([0.0] * 3, [1e5] * 3))


@pytest.mark.parametrize("sigma", [8.0, 1e6])
def test_a_window_into_a_crystal_of_wide_atoms_is_even(sigma: float) -> None:
    grid = batch(box=([0.0] * 3, [2.0] * 3), sigma=sigma, dtype="float64")
    assert np.allclose(grid, 0.5**3 / np.linalg.det(CELL), rtol=1e-12)  # an atom in each cell


def test_a_flat_cell_is_refused_with_its_molecule() -> None:
    cells = np.stack([4 * np.eye(3), [[1.0, 0, 0], [1, 0, 0], [0, 0, 1]]])
    with pytest.raises(BAD_VALUE, match=r"cell: must be finite, and its volume .* molecule 1 has 0 and the cell"):
        pg_tf.wrap(np.zeros((2, 1, 3)), cells)


def test_options_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="return_box: the grid of a cell has no box"):
        batch(return_box=True)
    with pytest.raises(ValueError, match="under XLA a window into a crystal is not possible"):
        tf.function(lambda: batch(box=([0.0] * 3, [5.0] * 3)), jit_compile=True)()
    with pytest.raises(ValueError, match="periodic must be a flag or three flags"):
        batch(periodic=[True, False])


ATOMS: dict[str, Any] = {
    "coords": np.arange(15, dtype=np.float32).reshape(5, 3) / 4,
    "channels": np.array([0, 1, -1, 0, 1], np.int32),
    "weights": np.ones(5, np.float32),
    "sigma": np.full(5, 0.5, np.float32),
    "row_splits": np.array([0, 3, 5], np.int64),
    "cell": np.stack([CELL, CELL]).astype(np.float32),
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cell": np.eye(3, dtype=np.float32)}, "cell|rank 3"),
        ({"cell": np.ones((3, 3, 3), np.float32)}, r"cell must have shape \[1, 3, 3\] or \[2, 3, 3\]"),
        ({"cell": np.ones((2, 3, 2), np.float32)}, "cell|must be 3"),
        ({"cell": np.ones((0, 3, 3), np.float32)}, r"cell must have shape \[1, 3, 3\] or \[2, 3, 3\]"),
        ({"channels": np.array([0, 1, -1, 2, 1], np.int32)}, "molecule 1, atom 0 has channel 2"),
        ({"row_splits": np.array([0, 3, 6])}, "row_splits must end with the number of atoms"),
        ({"weights": np.ones((5, 3), np.float32)}, "features must have num_channels = 2 columns"),
        ({"periodic": [True, True]}, "periodic must have 3"),
    ],
)
def test_raw_ops_refuse_what_does_not_fit(changes: dict[str, Any], text: str) -> None:
    upstream = np.ones((2, 2, 4, 5, 6), np.float32)
    with pytest.raises(BAD_VALUE, match=text):
        ops.pg_tf_voxelize_cell(**{**ATOMS, **changes}, num_channels=2, grid_shape=[4, 5, 6], dtype=tf.float32)
    with pytest.raises(BAD_VALUE, match=text):
        ops.pg_tf_voxelize_cell_grad(**{**ATOMS, **changes}, upstream=upstream, with_virial=True)


@pytest.mark.parametrize("shape", [(2, 2, 4, 5), (1, 2, 4, 5, 6), (2, 1, 4, 5, 6), (2, 2, 0, 5, 6)])
def test_upstream_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BAD_VALUE, match=r"upstream|rank 5|has channel 1|grid_shape\[0\] = 0"):
        ops.pg_tf_voxelize_cell_grad(**ATOMS, upstream=np.ones(shape, np.float32), with_virial=False)
