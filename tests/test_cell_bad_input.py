"""Cells, windows and periods that make no sense are refused, with argument, place and value."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from refusals import BAD_VALUE, changed, names, refuses, refuses_in_both_modes
from test_raw_op import ATOMS as IN_BOXES

import pg_tf
from pg_tf import _library

ops = _library.load()
NAN, INF = np.nan, np.inf
CELL = np.array([[4.2, 0, 0], [1.7, 3.6, 0], [-1.1, 0.9, 4.3]])
ATOM = [[0.1, 0.2, 0.3]]
WINDOW = ([0.0] * 3, [5.0] * 3)


def batch(**changes: Any) -> tf.Tensor:
    return pg_tf.voxelize(**{"coords": [ATOM, ATOM], "cell": [CELL, CELL], "grid_shape": 4, **changes})


# Error, what it says (argument, place, value), options of voxelize.
REFUSED = [
    *(
        (ValueError, ("cell", says), {"cell": np.ones(shape)})
        for shape in ((3,), (9,), (2, 3), (3, 2), (3, 3, 3), (1, 1, 3, 3), (0, 3, 3))
        for says in [f"[{', '.join(map(str, shape))}]"]
    ),
    (ValueError, ("cell", "array of numbers"), {"cell": "cubic"}),
    *(
        (BAD_VALUE, ("coords", "molecule 1, atom 0, axis y", v), {"coords": [ATOM, [[0.0, v, 0.0]]], "box": box})
        for v in (NAN, INF, -INF)
        for box in (None, WINDOW)
    ),
    *(
        (BAD_VALUE, ("sigma", "molecule 1, atom 0", text), {"sigma": [[0.5], [v]], "box": box})
        for v, text in ((0.0, 0), (-1.0, -1), (NAN, NAN), (INF, INF))
        for box in (None, WINDOW)
    ),
    # Too narrow for the quadrature, which says what would do; and too wide to sum.
    (BAD_VALUE, ("molecule 1, atom 0", "0.01 Å", "at least 0"), {"sigma": [[0.5], [0.01]]}),
    (BAD_VALUE, ("sigma", "molecule 0, atom 0", "1e+06 Å"), {"sigma": 1e6, "periodic": [True, True, False]}),
    (BAD_VALUE, ("molecule 1, atom 0",), {"coords": [ATOM, [[1.7e308] * 3]], "dtype": "float64", "grid_shape": 64}),
    (ValueError, ("return_box",), {"return_box": True}),
    (ValueError, ("periodic", "[True, False]"), {"periodic": [True, False]}),
]


@pytest.mark.parametrize(("error", "says", "options"), names(REFUSED))
def test_bad_input_is_refused_with_argument_place_and_value(
    error: type[Exception], says: tuple[Any, ...], options: dict[str, Any]
) -> None:
    refuses_in_both_modes(error, says, lambda: batch(**options))


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (changed(CELL, 1, 2, NAN), ("molecule 1, vector b, axis z", NAN)),
        (changed(CELL, 0, 0, INF), ("molecule 1, vector a, axis x", INF)),
        (CELL * [[1], [0], [1]], ("molecule 1", "volume", 0)),
        (np.zeros((3, 3)), ("molecule 1", "volume", 0)),
        (CELL[[0, 0, 2]], ("molecule 1", "volume")),
        (np.array([[1, 0, 0], [1, 1e-4, 0], [0, 0, 1]]), ("molecule 1", "volume")),
    ],
    ids=["nan", "inf", "no vector", "no vectors", "the same twice", "flat"],
)
def test_cell_without_volume_is_refused(cell: np.ndarray, says: tuple[Any, ...]) -> None:
    cells = np.stack([CELL, cell])
    refuses_in_both_modes(BAD_VALUE, ("cell", *says), lambda: batch(cell=cells))
    refuses(BAD_VALUE, ("cell", "molecule 1"), lambda: batch(cell=cells, box=([0.0] * 3, [1.0] * 3)))
    for convert in (pg_tf.to_fractional, pg_tf.wrap):
        refuses(BAD_VALUE, ("cell", "molecule 1"), lambda convert=convert: convert([ATOM, ATOM], cells))
    assert np.all(np.isnan(batch(cell=cells, implementation="dense")[1]))


def test_window_with_more_images_than_memory_or_under_xla_is_refused() -> None:
    refuses(BAD_VALUE, ("box", "images"), lambda: batch(box=([0.0] * 3, [1e5] * 3)))
    refuses(ValueError, ("XLA", "window"), tf.function(lambda: batch(box=WINDOW), jit_compile=True))


def test_sigma_that_is_refused_fits_a_finer_grid_or_other_periods() -> None:
    assert np.isclose(np.sum(batch(sigma=[[0.5], [0.01]], grid_shape=48)), 2, atol=1e-5)
    # Periodic on all vectors a wide atom is spread evenly, and open on all it leaves nothing.
    assert np.allclose(batch(sigma=1e6), 1 / 64)
    assert np.allclose(batch(sigma=1e6, periodic=False), 0)
    assert np.allclose(batch(sigma=1e30, periodic=False), 0)


@pytest.mark.parametrize("place", [1e4, 1e15, 3e38])
def test_atoms_far_away_do_no_harm(place: float) -> None:
    coords = [ATOM, [[place, -place, place]]]
    assert np.allclose(np.sum(batch(coords=coords), axis=(1, 2, 3, 4)), 1, atol=1e-5)
    assert np.allclose(np.sum(batch(coords=coords, periodic=False)[1]), 0)


@pytest.mark.parametrize("sigma", [8.0, 1e6])
def test_a_window_into_a_crystal_of_wide_atoms_is_even(sigma: float) -> None:
    grid = batch(box=([0.0] * 3, [2.0] * 3), sigma=sigma, dtype="float64")
    assert np.allclose(grid, 0.5**3 / np.linalg.det(CELL), rtol=1e-12)  # an atom in each cell


ATOMS = {name: value for name, value in IN_BOXES.items() if name not in ("origin", "lengths")}
ATOMS["cell"] = np.stack([CELL, CELL]).astype(np.float64)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        *(
            ("cell", np.ones(shape, np.float32), ("cell", "[1, 3, 3] or [2, 3, 3]", str(list(shape)).replace(" ", "")))
            for shape in ((3, 3), (3, 3, 3), (2, 3, 2), (0, 3, 3))
        ),
        ("channels", np.array([0, 1, -1, 2, 1], np.int32), ("channels", "molecule 1, atom 0", 2)),
        ("row_splits", np.array([0, 3, 6]), ("row_splits", 5, 6)),
        ("weights", np.ones((5, 3), np.float32), ("features", "num_channels = 2", "[5,3]")),
        ("periodic", [True, True], ("periodic", 3, 2)),
    ],
    ids=str,
)
def test_raw_ops_refuse_what_does_not_fit(name: str, value: Any, says: tuple[Any, ...]) -> None:
    given, upstream = {**ATOMS, name: value}, np.ones((2, 2, 4, 5, 6), np.float32)
    grid = {"num_channels": 2, "grid_shape": [4, 5, 6], "dtype": tf.float32}
    refuses(BAD_VALUE, says, lambda: ops.pg_tf_voxelize_cell(**given, **grid))
    refuses(BAD_VALUE, says, lambda: ops.pg_tf_voxelize_cell_grad(**given, upstream=upstream, with_virial=True))


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((2, 2, 4, 5), ("upstream", "rank 5", "[2,2,4,5]")),
        ((1, 2, 4, 5, 6), ("upstream", 2, "[1,2,4,5,6]")),
        ((2, 1, 4, 5, 6), ("channels", "molecule 0, atom 1", 1)),
        ((2, 2, 0, 5, 6), ("grid_shape[0] = 0",)),
    ],
    ids=str,
)
def test_upstream_of_another_shape_is_refused(shape: tuple[int, ...], says: tuple[Any, ...]) -> None:
    upstream = np.ones(shape, np.float32)
    refuses(BAD_VALUE, says, lambda: ops.pg_tf_voxelize_cell_grad(**ATOMS, upstream=upstream, with_virial=False))
