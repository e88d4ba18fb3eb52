"""Every bad input of voxelize and bounding_box gives its error, which names the argument, the place and the value."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from refusals import BAD_VALUE, changed, names, refuses, refuses_in_both_modes

import pg_tf

NAN, INF = np.nan, np.inf
COORDS = np.array([[[0.0, 0, 0], [1, 1, 1], [2, 2, 2]], [[0, 1, 0], [1, 0, 1], [2, 2, 0]]])
RAGGED = tf.RaggedTensor.from_row_lengths(COORDS.reshape(6, 3), [4, 2])
GIVEN = ([0.0] * 3, [4.0] * 3)
EACH, TWO = np.ones((2, 3)), np.ones((2, 3, 2))
PER_ATOM = ("channels", "weights", "sigma", "features")


def voxelize(coords: Any = COORDS, **options: Any) -> tf.Tensor:
    return pg_tf.voxelize(coords, **{"grid_shape": 4, "box": GIVEN, **options})


def of_shape(name: str, *shape: int) -> dict[str, Any]:
    """An argument with a value for each atom; features have two columns more."""
    return {name: np.ones((*shape, 2) if name == "features" else shape, np.int32), "num_channels": 2}


def channel(value: int) -> dict[str, Any]:
    return {"channels": changed(np.zeros((2, 3), np.int64), 1, 1, value), "num_channels": 2}


def box(**part: Any) -> dict[str, Any]:
    return {"box": pg_tf.Box(**{"origin": np.zeros(3), "lengths": np.ones(3), **part})}


# Error, what it says (argument, place, value), options of voxelize.
VALUES = [
    *(
        (BAD_VALUE, ("coords", place, value), {"coords": coords, "box": given, "dtype": dtype})
        for value in (NAN, INF, -INF)
        for given in (None, GIVEN)
        for dtype in ("float32", "float64")
        for place, coords in (
            ("molecule 1, atom 2, axis y", changed(COORDS, 1, 2, 1, value)),
            ("molecule 1, atom 1, axis y", RAGGED.with_flat_values(changed(RAGGED.flat_values, 5, 1, value))),
        )
    ),
    # No digits left for the margin of a fitted box.
    *(
        (BAD_VALUE, ("coords", 2, "molecule 1", f"{v:g} along z"), {"coords": changed(COORDS, 1, 0, 2, v), "box": None})
        for v in (1e17, 1e30, 3e38)
    ),
    *((BAD_VALUE, ("sigma", text), {"sigma": v}) for v, text in ((0.0, 0), (-1.0, -1), (NAN, NAN), (INF, INF))),
    *(
        (BAD_VALUE, ("sigma", "molecule 0, atom 2", text), {"sigma": changed(EACH, 0, 2, v)})
        for v, text in ((0.0, 0), (-1.0, -1), (NAN, NAN), (INF, INF), (1e-60, 0))
    ),
    *((BAD_VALUE, ("weights", text), {"weights": v}) for v, text in ((NAN, NAN), (INF, INF), (1e300, INF))),
    *(
        (BAD_VALUE, ("weights", "molecule 1, atom 0", text), {"weights": changed(EACH, 1, 0, v)})
        for v, text in ((NAN, NAN), (INF, INF), (1e300, INF))
    ),
    *(
        (
            BAD_VALUE,
            ("features", "molecule 1, atom 2, channel 1", text),
            {"features": changed(TWO, 1, 2, 1, v), "num_channels": 2},
        )
        for v, text in ((NAN, NAN), (INF, INF), (1e300, INF))
    ),
    *(
        (BAD_VALUE, ("channels", 2, "molecule 1, atom 1", min(c, 2**31 - 1)), channel(c))
        for c in (2, 3, 1000, 2**31 - 1, 2**31, 2**32, 2**62)
    ),
    *(
        (BAD_VALUE, ("box: lengths", "molecule 1, axis z", text), {**box(lengths=changed(EACH, 1, 2, v)), "dtype": d})
        for v, text in ((0.0, 0), (-4.0, -4), (NAN, NAN), (INF, INF))
        for d in ("float32", "float64")
    ),
    (BAD_VALUE, ("box: lengths", "molecule 0, axis x", 0), {"box": pg_tf.bounding_box([[1.0, 2, 3]], margin=0.0)}),
    *((BAD_VALUE, ("box: origin", "molecule 1, axis x", v), box(origin=changed(EACH, 1, 0, v))) for v in (NAN, INF)),
    *(
        (BAD_VALUE, ("grid_shape", *says), options)
        for says, options in (
            ((1, "1073741824 x 1073741824 x 1073741824"), {"grid_shape": 2**30}),
            ((2, 1, "20000 x 20000 x 20000", "memory"), {"grid_shape": 20_000}),
            ((8, "larger than can be addressed"), {"grid_shape": 2**20, "num_channels": 2**3}),
            ((7, "memory"), {"grid_shape": 2**20, "num_channels": 7}),
            (("1 x 1 x 1073741824", "memory"), {"grid_shape": (1, 1, 2**30), "num_channels": 2**31 - 1}),
            ((4, "memory"), {"grid_shape": 2**20, "num_channels": 4, "dtype": "float64"}),
        )
    ),
]

SHAPES = [
    *(
        ((name, "[2, 3]", list(of_shape(name, *shape)[name].shape)), of_shape(name, *shape))
        for name in PER_ATOM
        for shape in ((3, 2), (1, 6), (2, 4), (2, 2), (1, 3), (6, 1))
    ),
    *(
        ((name, "[molecules, atoms", list(of_shape(name, *shape)[name].shape)), of_shape(name, *shape))
        for name in PER_ATOM
        for shape in ((6,), (2, 3, 1), (2, 3, 1, 1), (3,))
    ),
    *(
        ((name, "[3]", list(of_shape(name, n)[name].shape)), {"coords": COORDS[0], **of_shape(name, n)})
        for name in PER_ATOM
        for n in (0, 1, 2, 4)
    ),
    *(
        (("features", 2, [2, 3, columns]), {"features": np.ones((2, 3, columns)), "num_channels": 2})
        for columns in (0, 1, 3)
    ),
    *(
        (("coords", "[atoms, 3]", list(shape)), {"coords": np.zeros(shape)})
        for shape in ((), (3,), (2, 4), (3, 2), (2, 3, 4), (1, 2, 3, 3), (0,), (0, 0), (3, 0))
    ),
    (("coords", "ragged_rank=1"), {"coords": tf.ragged.constant([[[[0.0, 0, 0]]]])}),
    (("coords", "ragged_rank=1"), {"coords": tf.ragged.constant([[[0.0, 0, 0]], [[1, 1, 1], [2, 2, 2]]])}),
    (("channels", "[molecules, (atoms)]", [6]), {"coords": RAGGED, "channels": [0] * 6}),
    (("channels", "ragged tensor"), {"channels": RAGGED.with_values(tf.zeros(6, tf.int32))}),
    *(
        ((f"box: {part}", list(shape)), box(**{part: np.ones(shape)}))
        for part in ("origin", "lengths")
        for shape in ((), (2,), (4,), (3, 3), (2, 2), (2, 3, 3), (0, 3))
    ),
    *((("box: rotation", "[3, 3]"), box(rotation=r)) for r in (np.eye(2), np.ones(3), np.eye(3)[None, None])),
    *((("box: rotation", 2, list(r.shape)), box(rotation=r)) for r in (np.stack([np.eye(3)] * 3), np.zeros((0, 3, 3)))),
    *((("box",), {"box": b}) for b in (5, [1.0], "cubic", ([0.0] * 3, None), (1, 2, 3, 4), {"a": 1, "b": 2})),
]

OPTIONS = [
    *(
        (("channels", "whole numbers", "float64"), {"channels": v})
        for v in (np.zeros((2, 3)), np.full((2, 3), NAN), np.full((2, 3), 1e20))
    ),
    (("channels", "whole numbers", "float32"), {"channels": tf.fill([2, 3], 0.5)}),
    (("weights", "features"), {"weights": 1.0, "features": np.ones((2, 3, 1))}),
    *(
        (("grid_shape", repr(v)), {"grid_shape": v})
        for v in (0, -1, 4.5, "abc", None, (4, 4), (4, 4, 4, 4), (4, 0, 4), (4, 4.5, 4), 2**40, 10**30, ())
    ),
    *((("num_channels", repr(v)), {"num_channels": v}) for v in (0, -1, 1.5, "2", 2**31, 10**30)),
    (("data_format", "'channels_first'", "'NCDHW'"), {"data_format": "NCDHW"}),
    (("dtype", "float32, float64, float16, bfloat16", "'int32'"), {"dtype": "int32"}),
    (("dtype", "'floaty'"), {"dtype": "floaty"}),
    (("implementation", "'op'", "'gpu'"), {"implementation": "gpu"}),
    *(
        (("periodic", "a flag or three flags"), {"periodic": v})
        for v in (1, [True, False], [1, 0, 1], "xy", [[True, True, True]])
    ),
    (("periodic", "the box or the cell that repeats"), {"periodic": [False, True, False], "box": None}),
]


@pytest.mark.parametrize(
    ("error", "says", "options"), names([*VALUES, *((ValueError, *case) for case in [*SHAPES, *OPTIONS])])
)
def test_bad_input_is_refused_with_argument_place_and_value(
    error: type[Exception], says: tuple[Any, ...], options: dict[str, Any]
) -> None:
    refuses_in_both_modes(error, says, lambda: voxelize(**options))


NO_NUMBERS = [
    [["a", "b", "c"]],
    np.array([[1, 2, 3], [4, 5, 6]], object),
    [[None, 1, 2]],
    np.zeros((2, 3), complex),
    [[[0, 0, 0]], [[1, 1, 1], [2, 2, 2]]],
    tf.constant([["1", "2", "3"]]),
    tf.zeros([2, 3], tf.complex64),
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=str)
@pytest.mark.parametrize("name", ["coords", "sigma", "channels"])
def test_what_is_no_array_of_numbers_is_refused(name: str, value: Any) -> None:
    refuses(ValueError, (name, "array of numbers"), lambda: voxelize(**{name: value}))


def test_coords_that_are_none_are_refused() -> None:
    refuses(ValueError, ("coords", "array of numbers"), lambda: pg_tf.voxelize(None))
    refuses(ValueError, ("sigma", "array of numbers"), lambda: voxelize(sigma=None))


def test_ragged_batches_of_other_sizes_are_refused() -> None:
    other = tf.RaggedTensor.from_row_lengths(tf.zeros(6, tf.int32), [3, 3])
    refuses_in_both_modes(BAD_VALUE, ("channels", "atoms in each molecule"), lambda: voxelize(RAGGED, channels=other))


def test_coords_of_unknown_rank_are_refused() -> None:
    for function in (lambda x: pg_tf.voxelize(x), lambda x: pg_tf.voxelize(COORDS, sigma=x)):
        with pytest.raises(ValueError, match=r"known rank|unknown rank"):
            tf.function(function, input_signature=[tf.TensorSpec(None)])(COORDS)


@pytest.mark.parametrize(
    "rotation",
    [2 * np.eye(3), np.zeros((3, 3)), -np.eye(3), np.diag([1.0, 1, -1]), np.full((3, 3), NAN), np.ones((3, 3))],
    ids=["scaled", "zero", "inverted", "mirrored", "nan", "singular"],
)
def test_rotation_that_is_none_is_refused(rotation: np.ndarray) -> None:
    refuses(BAD_VALUE, ("box: rotation",), lambda: voxelize(**box(rotation=rotation)))
    if np.isfinite(rotation).all():  # in a graph the op may be first, and finds coordinates that are not finite
        refuses_in_both_modes(BAD_VALUE, ("box: rotation",), lambda: voxelize(**box(rotation=rotation)))
    refuses(BAD_VALUE, ("rotation",), lambda: pg_tf.bounding_box(COORDS, rotation=rotation))


def test_bounding_box_refuses_a_margin_or_rotation_that_is_none() -> None:
    refuses(
        ValueError, ("rotation", "'principal'", "'upright'"), lambda: pg_tf.bounding_box(COORDS, rotation="upright")
    )
    for margin in (-1.0, NAN):
        refuses(ValueError, ("margin", 0, margin), lambda margin=margin: pg_tf.bounding_box(COORDS, margin=margin))
    refuses((ValueError, BAD_VALUE), ("margin", INF), lambda: pg_tf.bounding_box(COORDS, margin=INF))


def test_coords_that_are_large_in_a_given_box_and_negative_channels_are_no_errors() -> None:
    for value in (1e8, 1e30, 3e38):
        assert np.isfinite(voxelize(changed(COORDS, 1, 0, 2, value))).all()
    grid = voxelize(channels=[[-1, -(2**31), -(2**40)], [0, -2, -1]])
    assert not np.any(grid[0])
    assert tf.reduce_all(grid[1] == voxelize(COORDS[1, :1])[0])


# XLA cannot raise errors: the dense form makes the grid of the molecule nan and leaves no atom out.
NAN_WHEN_DENSE: dict[str, tuple[dict[str, Any], bool]] = {
    "coords nan": ({"coords": changed(COORDS, 1, 2, 1, NAN)}, True),
    "coords inf": ({"coords": changed(COORDS, 1, 2, 1, INF)}, True),
    "sigma zero": ({"sigma": changed(EACH, 1, 2, 0.0)}, True),
    "sigma negative for all": ({"sigma": -1.0}, False),
    "sigma inf for all": ({"sigma": INF}, False),
    "weights nan": ({"weights": changed(EACH, 1, 2, NAN)}, True),
    "channel": ({"channels": changed(np.zeros((2, 3), int), 1, 2, 1)}, True),
    "lengths zero": (box(lengths=changed(EACH, 1, 1, 0.0)), True),
    "lengths negative": (box(lengths=changed(EACH, 1, 1, -1.0)), True),
}


@pytest.mark.parametrize("name", NAN_WHEN_DENSE)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_bad_values_make_the_dense_grid_nan(name: str, jit_compile: bool) -> None:
    options, other_is_finite = NAN_WHEN_DENSE[name]

    def compute() -> tf.Tensor:
        return voxelize(**options, implementation="dense")

    grid = tf.function(compute, jit_compile=True)() if jit_compile else compute()
    assert np.isnan(grid[1]).all()
    if other_is_finite:
        assert np.isfinite(grid[0]).all()
