"""The compiled ops, called as no Python function of pg_tf would: nothing may be read or written out of bounds."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pg_tf import _library

ops = _library.load()
BAD_VALUE = tf.errors.InvalidArgumentError

ATOMS: dict[str, Any] = {
    "coords": np.arange(15, dtype=np.float32).reshape(5, 3) / 4,
    "channels": np.array([0, 1, -1, 0, 1], np.int32),
    "weights": np.ones(5, np.float32),
    "sigma": np.full(5, 0.5, np.float32),
    "row_splits": np.array([0, 3, 5], np.int64),
    "origin": np.zeros((2, 3), np.float32),
    "lengths": np.full((2, 3), 4, np.float32),
}
GRID = {"num_channels": 2, "grid_shape": [4, 5, 6], "data_format": "channels_first", "dtype": tf.float32}
UPSTREAM = {"upstream": np.ones((2, 2, 4, 5, 6), np.float32), "data_format": "channels_first", "with_sigma": True}


def voxelize(**changes: Any) -> tf.Tensor:
    return ops.pg_tf_voxelize(**{**ATOMS, **GRID, **changes})


def gradient(**changes: Any) -> Any:
    return ops.pg_tf_voxelize_grad(**{**ATOMS, **UPSTREAM, **changes})


def at(name: str, index: Any, value: Any) -> np.ndarray:
    values = ATOMS[name].copy()
    values[index] = value
    return values


BAD_ATOMS = {
    "channel too large": ({"channels": at("channels", 3, 2)}, r"molecule 1, atom 0 has channel 2"),
    "channel largest": ({"channels": at("channels", 0, 2**31 - 1)}, r"molecule 0, atom 0 has channel 2147483647"),
    "row splits fall": (
        {"row_splits": np.array([0, 4, 3, 5])},
        r"row_splits must not fall: row_splits\[2\] = 3 after 4",
    ),
    "row splits negative": ({"row_splits": np.array([0, -3, 5])}, r"row_splits must not fall: row_splits\[1\] = -3"),
    "row splits begin later": ({"row_splits": np.array([1, 3, 5])}, "row_splits must begin with 0, got 1"),
    "row splits begin below": ({"row_splits": np.array([-5, 3, 5])}, "row_splits must begin with 0, got -5"),
    "row splits end early": (
        {"row_splits": np.array([0, 3, 4])},
        "row_splits must end with the number of atoms, 5, got 4",
    ),
    "row splits end late": (
        {"row_splits": np.array([0, 3, 6])},
        "row_splits must end with the number of atoms, 5, got 6",
    ),
    "row splits huge": ({"row_splits": np.array([0, 2**62, 5])}, "row_splits must not fall"),
    "row splits end huge": ({"row_splits": np.array([0, 3, 2**62])}, "row_splits must end with"),
    "row splits empty": ({"row_splits": np.zeros(0, np.int64)}, "row_splits|Dimension"),
    "row splits scalar": ({"row_splits": np.int64(0)}, "row_splits|rank 1"),
    "row splits matrix": ({"row_splits": np.array([[0, 3, 5]])}, "row_splits|rank 1"),
    "coords vector": ({"coords": np.zeros(15, np.float32)}, "coords|rank 2"),
    "coords two columns": ({"coords": np.zeros((5, 2), np.float32)}, "coords|must be 3"),
    "coords four columns": ({"coords": np.zeros((5, 4), np.float32)}, "coords|must be 3"),
    "coords too few": ({"coords": np.zeros((4, 3), np.float32)}, "channels must have shape|must be equal"),
    "coords none": ({"coords": np.zeros((0, 3), np.float32)}, "channels must have shape|must be equal"),
    "coords nan": ({"coords": at("coords", (4, 1), np.nan)}, "molecule 1, atom 1, axis y is nan"),
    "channels too few": ({"channels": np.zeros(4, np.int32)}, "channels must have shape|must be equal"),
    "channels too many": ({"channels": np.zeros(6, np.int32)}, "channels must have shape|must be equal"),
    "channels scalar": ({"channels": np.int32(0)}, "channels|rank 1"),
    "channels matrix": ({"channels": np.zeros((5, 1), np.int32)}, "channels|rank 1"),
    "weights too few": ({"weights": np.ones(4, np.float32)}, r"weights must be a scalar .* 5 atoms, got shape \[4\]"),
    "weights none": ({"weights": np.ones(0, np.float32)}, r"weights .* got shape \[0\]"),
    "weights too many": ({"weights": np.ones(6, np.float32)}, r"weights .* got shape \[6\]"),
    "weights cube": ({"weights": np.ones((5, 2, 1), np.float32)}, "weights|rank at most 2"),
    "features too few": ({"weights": np.ones((4, 2), np.float32)}, r"weights .* got shape \[4,2\]"),
    "features too narrow": ({"weights": np.ones((5, 1), np.float32)}, "features must have num_channels = 2 columns"),
    "features too wide": ({"weights": np.ones((5, 3), np.float32)}, "features must have num_channels = 2 columns"),
    "features empty": ({"weights": np.ones((5, 0), np.float32)}, "features must have num_channels = 2 columns"),
    "weights nan": ({"weights": at("weights", 4, np.nan)}, "weights must be finite: molecule 1, atom 1 has nan"),
    "sigma too few": ({"sigma": np.ones(4, np.float32)}, r"sigma must be a scalar .* got shape \[4\]"),
    "sigma none": ({"sigma": np.ones(0, np.float32)}, r"sigma must be a scalar .* got shape \[0\]"),
    "sigma matrix": ({"sigma": np.ones((5, 1), np.float32)}, "sigma|rank at most 1"),
    "sigma zero": ({"sigma": at("sigma", 1, 0)}, "sigma must be .*: molecule 0, atom 1 has 0"),
    "sigma negative": ({"sigma": np.float32(-1)}, "sigma must be .*, got -1"),
    "origin vector": ({"origin": np.zeros(3, np.float32)}, "origin|rank 2"),
    "origin too many": ({"origin": np.zeros((3, 3), np.float32)}, r"box: origin must have shape \[1, 3\] or \[2, 3\]"),
    "origin none": ({"origin": np.zeros((0, 3), np.float32)}, r"box: origin must have shape \[1, 3\] or \[2, 3\]"),
    "lengths two columns": ({"lengths": np.ones((2, 2), np.float32)}, "box: lengths must have shape"),
    "lengths none": ({"lengths": np.ones((0, 3), np.float32)}, "box: lengths must have shape"),
    "lengths zero": ({"lengths": np.zeros((1, 3), np.float32)}, "box: lengths must be .*: molecule 0, axis x is 0"),
    "origin nan": ({"origin": at("origin", (1, 2), np.nan)}, "box: origin must be finite: molecule 1, axis z is nan"),
}


@pytest.mark.parametrize("case", BAD_ATOMS)
def test_bad_atoms_are_refused(case: str) -> None:
    changes, text = BAD_ATOMS[case]
    for op in (voxelize, gradient):
        with pytest.raises(BAD_VALUE, match=text):
            op(**changes)


@pytest.mark.parametrize("case", BAD_ATOMS)
def test_bad_atoms_are_refused_in_a_graph_that_does_not_know_the_shapes(case: str) -> None:
    changes, text = BAD_ATOMS[case]
    inputs = {name: tf.constant(changes.get(name, value)) for name, value in ATOMS.items()}
    inputs["upstream"] = tf.constant(UPSTREAM["upstream"])
    signature = {name: tf.TensorSpec(None, value.dtype) for name, value in inputs.items()}

    @tf.function(input_signature=[signature])
    def both(values: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        grid = ops.pg_tf_voxelize(**{name: values[name] for name in ATOMS}, **GRID)
        return grid, ops.pg_tf_voxelize_grad(**{**UPSTREAM, **values})

    # In this order of the alternatives: with all shapes known the error may come from the shape function.
    with pytest.raises(BAD_VALUE, match=text.split("|")[0]):
        both(inputs)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"grid_shape": [4, 5]}, "grid_shape"),
        ({"grid_shape": [4, 5, 6, 7]}, "grid_shape must have 3 extents"),
        ({"grid_shape": [4, 0, 6]}, r"grid_shape\[1\] = 0 must be from 1"),
        ({"grid_shape": [4, -1, 6]}, r"grid_shape\[1\] = -1 must be from 1"),
        ({"grid_shape": [4, 5, -(2**63)]}, r"-9223372036854775808 must be"),
        ({"grid_shape": [4, 5, 2**31]}, r"grid_shape\[2\] = 2147483648 must be from 1"),
        ({"grid_shape": [2**30, 2**30, 2**30]}, "larger than can be addressed"),
        ({"grid_shape": [2**30, 2**30, 4]}, "do not fit|larger than can be addressed"),
        ({"num_channels": 2**62}, "larger than can be addressed"),
        ({"num_channels": 2**55}, "do not fit"),
        ({"num_channels": 0}, "num_channels"),
        ({"num_channels": -1}, "num_channels"),
        ({"data_format": "NCDHW"}, "data_format"),
    ],
)
def test_bad_grids_are_refused(changes: dict[str, Any], text: str) -> None:
    for call in (voxelize, tf.function(voxelize, autograph=False)):
        with pytest.raises((BAD_VALUE, ValueError), match=text):
            call(**changes)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((2, 2, 4, 5), "upstream must have rank 5|rank 5"),
        ((), "rank 5"),
        ((1, 2, 4, 5, 6), "upstream must hold one grid for each of the 2 molecules"),
        ((3, 2, 4, 5, 6), "upstream must hold one grid for each of the 2 molecules"),
        ((0, 2, 4, 5, 6), "upstream must hold one grid for each of the 2 molecules"),
        ((2, 1, 4, 5, 6), "has channel 1"),
        ((2, 0, 4, 5, 6), "num_channels = 0 must be at least 1"),
        ((2, 2, 0, 5, 6), r"grid_shape\[0\] = 0"),
        ((2, 2, 4, 5, 0), r"grid_shape\[2\] = 0"),
    ],
)
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_upstream_of_another_shape_is_refused(shape: tuple[int, ...], text: str, data_format: str) -> None:
    if data_format == "channels_last" and len(shape) == 5:
        shape = (shape[0], *shape[2:], shape[1])
    with pytest.raises(BAD_VALUE, match=text):
        gradient(upstream=np.ones(shape, np.float32), data_format=data_format)


def test_upstream_without_channels_is_refused_for_features_too() -> None:
    with pytest.raises(BAD_VALUE, match="num_channels = 0 must be at least 1"):
        gradient(weights=np.ones((5, 0), np.float32), upstream=np.ones((2, 0, 4, 5, 6), np.float32))


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("num_channels", [1, 2])
def test_channels_of_soft_atoms_are_no_index(num_channels: int, data_format: str) -> None:
    features = np.linspace(1, 2, 5 * num_channels, dtype=np.float32).reshape(5, num_channels)
    upstream = np.random.default_rng(0).normal(size=(2, 4, 5, 6, num_channels)).astype(np.float32)
    if data_format == "channels_first":
        upstream = np.moveaxis(upstream, -1, 1)
    results = []
    for channels in ([0, 0, -1, 0, 0], [7, 2**31 - 1, -(2**31), 10**6, 3]):
        atoms = {"channels": np.array(channels, np.int32), "weights": features, "data_format": data_format}
        grid = voxelize(**atoms, num_channels=num_channels)
        results.append([grid, *gradient(**atoms, upstream=upstream)])
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)
        assert np.any(one)


def test_dtypes_that_do_not_go_together_are_refused() -> None:
    for changes in ({"dtype": tf.float64}, {"dtype": tf.int32}, {"coords": ATOMS["coords"].astype(np.float64)}):
        with pytest.raises((BAD_VALUE, tf.errors.NotFoundError, TypeError, ValueError)):
            voxelize(**changes)


@pytest.mark.parametrize("value", [np.nan, 0.5, np.inf, -1e30, 2.0**31])
def test_split_points_refuses_fractions(value: float) -> None:
    points = np.zeros((5, 4), np.float32)
    points[4, 0] = value
    with pytest.raises(BAD_VALUE, match="molecule 1, atom 1 has"):
        ops.pg_tf_split_points(points, ATOMS["row_splits"])


@pytest.mark.parametrize("shape", [(5, 3), (5, 5), (20,), (5, 4, 1), ()])
def test_split_points_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(BAD_VALUE, match=r"points|rank 2|must be 4"):
        ops.pg_tf_split_points(np.zeros(shape, np.float32), ATOMS["row_splits"])


@pytest.mark.parametrize("case", [name for name in BAD_ATOMS if name.startswith(("row splits", "coords", "channels "))])
def test_bounding_box_refuses_bad_atoms(case: str) -> None:
    changes, text = BAD_ATOMS[case]
    atoms = {name: changes.get(name, ATOMS[name]) for name in ("coords", "channels", "row_splits")}
    with pytest.raises(BAD_VALUE, match=text):
        ops.pg_tf_bounding_box(**atoms, margin=2.0, cubic=True)


@pytest.mark.parametrize("margin", [np.nan, -1.0, np.inf, [1.0], [1.0, 2.0]])
def test_bounding_box_refuses_a_margin_that_is_none(margin: Any) -> None:
    atoms = {name: ATOMS[name] for name in ("coords", "channels", "row_splits")}
    with pytest.raises(BAD_VALUE, match=r"margin|rank 0"):
        ops.pg_tf_bounding_box(**atoms, margin=margin, cubic=True)
