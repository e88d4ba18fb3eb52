"""Every bad input of lennard_jones gives its error, and the text names the argument, the place and the value."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import pg_tf
from pg_tf import _library

BAD_VALUE = tf.errors.InvalidArgumentError
COORDS = np.array([[[0.0, 0, 0], [1, 1, 1], [2, 2, 2]], [[0, 1, 0], [1, 0, 1], [2, 2, 0]]])
GOOD: dict[str, Any] = {"atomic_numbers": np.full((2, 3), 8), "cell": 5 * np.eye(3), "grid_shape": 3}


def changed(values: Any, *place_and_value: Any) -> np.ndarray:
    *place, value = place_and_value
    result = np.array(values, np.float64)
    result[tuple(place)] = value
    return result


def refuses(error: type[Exception], *texts: str, coords: Any = COORDS, graph: bool = True, **options: Any) -> None:
    functions = [pg_tf.lennard_jones, tf.function(pg_tf.lennard_jones, autograph=False)][: 1 + graph]
    for function in functions:
        with pytest.raises(error) as caught:
            function(coords, **{**GOOD, **options})
        for text in texts:
            assert text in str(caught.value), str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_coords_must_be_finite(value: float) -> None:
    refuses(
        BAD_VALUE,
        "coords must be finite and at most 1e+09 Å: molecule 1, atom 2, axis y is",
        coords=changed(COORDS, 1, 2, 1, value),
    )


def test_padding_may_hold_anything() -> None:
    numbers = GOOD["atomic_numbers"].copy()
    numbers[1, 2] = 0
    energy = pg_tf.lennard_jones(changed(COORDS, 1, 2, 1, np.nan), **{**GOOD, "atomic_numbers": numbers})
    assert np.isfinite(energy).all()


@pytest.mark.parametrize(
    "cell",
    [np.zeros((3, 3)), np.diag([5.0, 5, 0]), [[5, 0, 0], [10, 0, 0], [0, 0, 5]], [[5, 0, 0], [5, 1e-9, 0], [0, 0, 5]]],
)
def test_cell_must_have_a_volume(cell: Any) -> None:
    refuses(BAD_VALUE, "cell: the lattice vectors of molecule 0 lie in one plane", cell=np.array(cell, float))
    cells = np.stack([5 * np.eye(3), np.array(cell, float)])
    refuses(BAD_VALUE, "molecule 1 lie in one plane", "the volume is", cell=cells)
    refuses(BAD_VALUE, "cell: the lattice vectors of molecule 1", cell=cells, box=([0.0] * 3, [1.0] * 3))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_cell_must_be_finite(value: float) -> None:
    refuses(BAD_VALUE, "must be finite and at most 1e+09 Å: molecule 0 has", cell=changed(5 * np.eye(3), 1, 2, value))


@pytest.mark.parametrize("lengths", [[1.0, 0, 1], [np.nan, 1, 1]])
def test_box_must_have_a_volume(lengths: Any) -> None:
    refuses(BAD_VALUE, "box: ", "molecule 0", box=([0.0] * 3, lengths))


@pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan, np.inf, 1e9])
def test_cutoff_must_be_a_distance(cutoff: float) -> None:
    refuses(BAD_VALUE, "cutoff must be greater than 0 and at most 1e+06, got", cutoff=cutoff)


def test_cutoff_beyond_all_memory_is_refused() -> None:
    refuses(BAD_VALUE, "cutoff: within 10000 Å of the grid there may be", "molecule 0", cutoff=1e4)


@pytest.mark.parametrize("max_energy", [0.0, -1.0, np.nan, np.inf, 1e25])
def test_max_energy_must_be_a_bound(max_energy: float) -> None:
    refuses(BAD_VALUE, "max_energy must be greater than 0 and at most", max_energy=max_energy)


def test_grid_larger_than_the_memory_is_refused() -> None:
    refuses(BAD_VALUE, "do not fit into this machine's memory", grid_shape=10**5)


@pytest.mark.parametrize("value", [-1.0, np.nan, 1e7])
def test_parameters_must_be_possible(value: float) -> None:
    good = {"atomic_numbers": None, "sigma": 3.0, "epsilon": 50.0, "mixing": None}
    each = changed(np.full((2, 3), 3.0), 1, 0, value)
    refuses(BAD_VALUE, "sigma must be from 0 to 1e+06: molecule 1, atom 0 has", **{**good, "sigma": each})
    refuses(BAD_VALUE, "epsilon must be from 0 to 1e+06: molecule 1, atom 0 has", **{**good, "epsilon": each})


@pytest.mark.parametrize(("number", "text"), [(104, "is Rf (atomic number 104)"), (119, "has 119"), (-1, "has -1")])
def test_elements_without_parameters_are_named(number: int, text: str) -> None:
    numbers = GOOD["atomic_numbers"].copy()
    numbers[1, 2] = number
    refuses(ValueError, "molecule 1, atom 2", text, graph=False, atomic_numbers=numbers)
    # In a graph the values are not known until the op runs.
    in_graph = tf.function(lambda z: pg_tf.lennard_jones(COORDS, z, cell=GOOD["cell"], grid_shape=3), autograph=False)
    with pytest.raises(BAD_VALUE, match="molecule 1, atom 2 has nan"):
        in_graph(tf.constant(numbers))


STATIC = {
    "grid shape": ({"grid_shape": (2, 3)}, "grid_shape must be"),
    "dtype": ({"dtype": "float16"}, "dtype must be one of float32, float64"),
    "mixing": ({"mixing": "kong"}, "mixing must be one of"),
    "probe": ({"probe": "methane"}, "probe must be a (sigma, epsilon) or one of CH4"),
    "probe pair": ({"probe": (1, 2, 3)}, "probe must be a name or a pair"),
    "probe value": ({"probe": (3.0, -1.0)}, "probe: epsilon must be finite and at least 0, got -1.0"),
    "sigma alone": ({"sigma": 3.0}, "sigma and epsilon must be given together"),
    "no atoms": ({"atomic_numbers": None}, "give atomic_numbers, or sigma and epsilon"),
    "pairs and sigma": ({"sigma": 3.0, "epsilon": 1.0, "pairs": {"O": (3, 50)}}, "pairs are by element"),
    "pair of no element": ({"pairs": {"Q": (3.0, 50.0)}}, "'Q' is not an element symbol"),
    "pair value": ({"pairs": {"O": (3.0, np.nan)}}, "parameters: O"),
    "periodic": ({"periodic": [True, False]}, "periodic must be a flag or three flags"),
    "periodic number": ({"periodic": 1}, "periodic must be a flag or three flags"),
    "periodic without cell": ({"cell": None, "periodic": True}, "can only repeat along the vectors of a cell"),
    "cell shape": ({"cell": np.ones(3)}, "cell must have shape"),
    "cells": ({"cell": np.ones((3, 3, 3))}, "cell must be one for all or one for each of the 2 molecules"),
    "coords": ({"coords": COORDS[..., :2]}, "coords must have shape"),
    "numbers": ({"atomic_numbers": np.full((2, 4), 8)}, "atomic_numbers must have as many atoms"),
    "number type": ({"atomic_numbers": np.full((2, 3), 8.0)}, "atomic_numbers must be whole numbers"),
    "weights": ({"weights": np.ones(2)}, "weights must have shape"),
}


@pytest.mark.parametrize("name", STATIC)
def test_what_is_known_beforehand_is_a_value_error(name: str) -> None:
    options, text = STATIC[name]
    refuses(ValueError, text, **options)


RAW: dict[str, Any] = {
    "coords": np.arange(15.0).reshape(5, 3),
    "sigma": np.full(5, 3.0),
    "epsilon": np.full(5, 50.0),
    "row_splits": np.array([0, 3, 5]),
    "origin": np.zeros((2, 3)),
    "edges": np.stack([4 * np.eye(3)] * 2),
    "cell": np.stack([4 * np.eye(3)] * 2),
    "cutoff": 5.0,
}
OF_GRID = {"max_energy": 1e6, "T": tf.float32, "grid_shape": [2, 3, 4]}
OF_GRADIENT = {"upstream": np.ones((2, 2, 3, 4), np.float32)}
BAD_RAW = {
    "row splits fall": ({"row_splits": np.array([0, 4, 3, 5])}, "row_splits must not fall"),
    "row splits end late": ({"row_splits": np.array([0, 3, 6])}, "row_splits must end with the number of atoms"),
    "row splits negative": ({"row_splits": np.array([0, -3, 5])}, "row_splits must not fall"),
    "sigma short": ({"sigma": np.ones(4)}, "must have one value for each|must be equal"),
    "epsilon rank": ({"epsilon": np.ones((5, 1))}, "must have one value for each|rank"),
    "origins": ({"origin": np.zeros((3, 3))}, "box: origin must be one for all or one for each of the 2"),
    "edges": ({"edges": np.ones((2, 3, 2))}, "box: edges must be one for all"),
    "cells": ({"cell": np.ones((3, 3, 3))}, "cell must be one for all"),
    "cutoff": ({"cutoff": np.ones(2)}, "rank|scalar"),
    "periodic": ({"periodic": [True] * 4}, "periodic must have 3 flags"),
}


@pytest.mark.parametrize("name", BAD_RAW)
def test_compiled_ops_check_their_inputs(name: str) -> None:
    ops = _library.load()
    changes, text = BAD_RAW[name]
    good = {**RAW, "periodic": [True] * 3}
    assert np.isfinite(ops.pg_tf_lennard_jones(**good, **OF_GRID)[0]).all()
    with pytest.raises((BAD_VALUE, ValueError), match=text):
        ops.pg_tf_lennard_jones(**{**good, **changes}, **OF_GRID)
    with pytest.raises((BAD_VALUE, ValueError), match=text):
        ops.pg_tf_lennard_jones_grad(**{**good, **changes}, **OF_GRADIENT)


def test_gradient_op_checks_its_upstream() -> None:
    ops, good = _library.load(), {**RAW, "periodic": [True] * 3}
    for shape, text in (
        ((3, 2, 3, 4), "one grid for each of the 2"),
        ((2, 3, 4), "rank 4"),
        ((2, 0, 3, 4), "grid_shape"),
    ):
        with pytest.raises((BAD_VALUE, ValueError), match=text):
            ops.pg_tf_lennard_jones_grad(**good, upstream=np.ones(shape, np.float32))
