"""Every bad input of lennard_jones gives its error, which names the argument, the place and the value."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from refusals import BAD_VALUE, changed, names, refuses, refuses_in_both_modes

import pg_tf
from pg_tf import _library

ops = _library.load()
NAN, INF = np.nan, np.inf
COORDS = np.array([[[0.0, 0, 0], [1, 1, 1], [2, 2, 2]], [[0, 1, 0], [1, 0, 1], [2, 2, 0]]])
OXYGEN = np.full((2, 3), 8)
CUBE = 5 * np.eye(3)


def energies(coords: Any = COORDS, **options: Any) -> Any:
    return pg_tf.lennard_jones(coords, **{"atomic_numbers": OXYGEN, "cell": CUBE, "grid_shape": 3, **options})


def own(**parameters: Any) -> dict[str, Any]:
    return {"atomic_numbers": None, "mixing": None, "sigma": 3.0, "epsilon": 50.0, **parameters}


# Error, what it says (argument, place, value), options.
VALUES = [
    *(
        (BAD_VALUE, ("coords", "molecule 1, atom 2, axis y", text), {"coords": changed(COORDS, 1, 2, 1, v)})
        for v, text in ((NAN, NAN), (INF, INF), (-INF, -INF), (1e300, "1e+300"))
    ),
    *(
        (BAD_VALUE, ("cell", "molecule 0", text), {"cell": changed(CUBE, 1, 2, v)})
        for v, text in ((NAN, NAN), (INF, INF), (1e30, "1e+30"))
    ),
    *((BAD_VALUE, ("box", "molecule 0"), {"box": ([0.0] * 3, lengths)}) for lengths in ([1.0, 0, 1], [NAN, 1, 1])),
    *(
        (BAD_VALUE, ("cutoff", text), {"cutoff": v})
        for v, text in ((0.0, 0), (-1.0, -1), (NAN, NAN), (INF, INF), (1e9, "1e+09"))
    ),
    (BAD_VALUE, ("cutoff", "10000 Å", "molecule 0"), {"cutoff": 1e4}),
    *(
        (BAD_VALUE, ("max_energy", text), {"max_energy": v})
        for v, text in ((0.0, 0), (-1.0, -1), (NAN, NAN), (INF, INF), (1e25, "1e+25"))
    ),
    (BAD_VALUE, ("grid_shape", 2, "100000 x 100000 x 100000", "memory"), {"grid_shape": 10**5}),
    *(
        (BAD_VALUE, (name, "molecule 1, atom 0", text), own(**{name: changed(np.full((2, 3), 3.0), 1, 0, v)}))
        for name in ("sigma", "epsilon")
        for v, text in ((-1.0, -1), (NAN, NAN), (1e7, "1e+07"))
    ),
]
OPTIONS = [
    (("grid_shape", "(2, 3)"), {"grid_shape": (2, 3)}),
    (("dtype", "float32, float64", "'float16'"), {"dtype": "float16"}),
    (("mixing", "'kong'"), {"mixing": "kong"}),
    (("probe", "CH4", "'methane'"), {"probe": "methane"}),
    (("probe", "pair", "(1, 2, 3)"), {"probe": (1, 2, 3)}),
    (("probe: epsilon", -1.0), {"probe": (3.0, -1.0)}),
    (("sigma", "epsilon"), {"sigma": 3.0}),
    (("atomic_numbers", "sigma", "epsilon"), {"atomic_numbers": None}),
    (("pairs",), {"sigma": 3.0, "epsilon": 1.0, "pairs": {"O": (3, 50)}}),
    (("'Q'",), {"pairs": {"Q": (3.0, 50.0)}}),
    (("parameters: O",), {"pairs": {"O": (3.0, NAN)}}),
    (("periodic", "[True, False]"), {"periodic": [True, False]}),
    (("periodic", 1), {"periodic": 1}),
    (("cell",), {"cell": None, "periodic": True}),
    (("cell", "[3]"), {"cell": np.ones(3)}),
    (("cell", 2, "[3, 3, 3]"), {"cell": np.ones((3, 3, 3))}),
    (("coords", "[2, 3, 2]"), {"coords": COORDS[..., :2]}),
    (("atomic_numbers", "[2, 3]", "[2, 4]"), {"atomic_numbers": np.full((2, 4), 8)}),
    (("atomic_numbers", "whole numbers", "float64"), {"atomic_numbers": np.full((2, 3), 8.0)}),
    (("weights", "[2]"), {"weights": np.ones(2)}),
]


@pytest.mark.parametrize(("error", "says", "options"), names([*VALUES, *((ValueError, *case) for case in OPTIONS)]))
def test_bad_input_is_refused_with_argument_place_and_value(
    error: type[Exception], says: tuple[Any, ...], options: dict[str, Any]
) -> None:
    refuses_in_both_modes(error, says, lambda: energies(**options))


@pytest.mark.parametrize(
    "vectors",
    [
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[5, 0, 0], [0, 5, 0], [0, 0, 0]],
        [[5, 0, 0], [10, 0, 0], [0, 0, 5]],
        [[5, 0, 0], [5, 1e-9, 0], [0, 0, 5]],
    ],
    ids=["no vectors", "no vector", "parallel", "nearly parallel"],
)
def test_cell_without_volume_is_refused(vectors: Any) -> None:
    cell = np.array(vectors, np.float64)
    cells = np.stack([CUBE, cell])
    refuses_in_both_modes(BAD_VALUE, ("cell", "molecule 0", "volume"), lambda: energies(cell=cell))
    refuses_in_both_modes(BAD_VALUE, ("cell", "molecule 1", "volume"), lambda: energies(cell=cells))
    refuses(BAD_VALUE, ("cell", "molecule 1"), lambda: energies(cell=cells, box=([0.0] * 3, [1.0] * 3)))


def test_padding_may_hold_anything() -> None:
    energy = energies(changed(COORDS, 1, 2, 1, NAN), atomic_numbers=changed(OXYGEN, 1, 2, 0))
    assert np.isfinite(energy).all()


@pytest.mark.parametrize(("number", "text"), [(104, "Rf (atomic number 104)"), (119, 119), (-1, -1)])
def test_elements_without_parameters_are_named(number: int, text: Any) -> None:
    numbers = changed(OXYGEN, 1, 2, number)
    refuses(ValueError, ("molecule 1, atom 2", text), lambda: energies(atomic_numbers=numbers))
    # In a graph the values are not known until the op runs.
    in_graph = tf.function(lambda z: energies(atomic_numbers=z), autograph=False)
    refuses(BAD_VALUE, ("molecule 1, atom 2", NAN), lambda: in_graph(tf.constant(numbers)))


ATOMS: dict[str, Any] = {
    "coords": np.arange(15.0).reshape(5, 3),
    "sigma": np.full(5, 3.0),
    "epsilon": np.full(5, 50.0),
    "row_splits": np.array([0, 3, 5]),
    "origin": np.zeros((2, 3)),
    "edges": np.stack([4 * np.eye(3)] * 2),
    "cell": np.stack([4 * np.eye(3)] * 2),
    "cutoff": 5.0,
    "periodic": [True] * 3,
}


def forward(**changes: Any) -> Any:
    return ops.pg_tf_lennard_jones(**{**ATOMS, **changes}, max_energy=1e6, T=tf.float32, grid_shape=[2, 3, 4])


def gradient(**changes: Any) -> Any:
    return ops.pg_tf_lennard_jones_grad(**{**ATOMS, "upstream": np.ones((2, 2, 3, 4), np.float32), **changes})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("row_splits", np.array([0, 4, 3, 5]), ("row_splits", "row_splits[2] = 3", 4)),
        ("row_splits", np.array([0, 3, 6]), ("row_splits", 5, 6)),
        ("row_splits", np.array([0, -3, 5]), ("row_splits", "row_splits[1] = -3", 0)),
        ("sigma", np.ones(4), ("sigma", 5, "[4]")),
        ("epsilon", np.ones((5, 1)), ("epsilon", 5, "[5,1]")),
        ("origin", np.zeros((3, 3)), ("box: origin", 2, "[3,3]")),
        ("edges", np.ones((2, 3, 2)), ("box: edges", 2, "[2,3,2]")),
        ("cell", np.ones((3, 3, 3)), ("cell", 2, "[3,3,3]")),
        ("cutoff", np.ones(2), ("cutoff", "scalar", "[2]")),
        ("periodic", [True] * 4, ("periodic", 3, 4)),
    ],
    ids=str,
)
def test_raw_ops_refuse_what_does_not_fit(name: str, value: Any, says: tuple[Any, ...]) -> None:
    assert np.isfinite(forward()[0]).all()
    refuses(BAD_VALUE, says, lambda: forward(**{name: value}))
    refuses(BAD_VALUE, says, lambda: gradient(**{name: value}))


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((3, 2, 3, 4), ("upstream", 2, "[3,2,3,4]")),
        ((2, 3, 4), ("upstream", "rank 4", "[2,3,4]")),
        ((2, 0, 3, 4), ("grid_shape[0] = 0",)),
    ],
    ids=str,
)
def test_upstream_of_another_shape_is_refused(shape: tuple[int, ...], says: tuple[Any, ...]) -> None:
    refuses(BAD_VALUE, says, lambda: gradient(upstream=np.ones(shape, np.float32)))
