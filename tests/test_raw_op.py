"""The compiled ops, called as no Python function of pg_tf would: nothing may be read or written out of bounds."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from refusals import BAD_VALUE, changed, refuses

from pg_tf import _library

ops = _library.load()

ATOMS: dict[str, Any] = {
    "coords": np.arange(15, dtype=np.float64).reshape(5, 3) / 4,
    "channels": np.array([0, 1, -1, 0, 1], np.int32),
    "weights": np.ones(5, np.float32),
    "sigma": np.full(5, 0.5, np.float32),
    "row_splits": np.array([0, 3, 5], np.int64),
    "origin": np.zeros((2, 3)),
    "lengths": np.full((2, 3), 4.0),
}
GRID = {"num_channels": 2, "grid_shape": [4, 5, 6], "data_format": "channels_first", "dtype": tf.float32}
BOUNDING_BOX = {**{name: ATOMS[name] for name in ("coords", "channels", "row_splits")}, "margin": 2.0, "cubic": True}
UPSTREAM = {"upstream": np.ones((2, 2, 4, 5, 6), np.float32), "data_format": "channels_first", "with_sigma": True}


def voxelize(**changes: Any) -> tf.Tensor:
    return ops.pg_tf_voxelize(**{**ATOMS, **GRID, **changes})


def gradient(**changes: Any) -> Any:
    return ops.pg_tf_voxelize_grad(**{**ATOMS, **UPSTREAM, **changes})


def bounding_box(**changes: Any) -> Any:
    return ops.pg_tf_bounding_box(**{**BOUNDING_BOX, **changes})


def splits(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def at(name: str, *place_and_value: Any) -> np.ndarray:
    return changed(ATOMS[name], *place_and_value).astype(ATOMS[name].dtype)


# What differs from ATOMS, and what is said of it: argument, place, value.
BAD_ATOMS: list[tuple[str, Any, tuple[Any, ...]]] = [
    ("channels", at("channels", 3, 2), ("channels", "molecule 1, atom 0", 2)),
    ("channels", at("channels", 0, 2**31 - 1), ("channels", "molecule 0, atom 0", 2147483647)),
    ("row_splits", splits(0, 4, 3, 5), ("row_splits", "row_splits[2] = 3", 4)),
    ("row_splits", splits(0, -3, 5), ("row_splits", "row_splits[1] = -3", 0)),
    ("row_splits", splits(1, 3, 5), ("row_splits", "begin with 0", 1)),
    ("row_splits", splits(-5, 3, 5), ("row_splits", "begin with 0", -5)),
    ("row_splits", splits(0, 3, 4), ("row_splits", "number of atoms, 5", 4)),
    ("row_splits", splits(0, 3, 6), ("row_splits", "number of atoms, 5", 6)),
    ("row_splits", splits(0, 2**62, 5), ("row_splits", "row_splits[2] = 5", 2**62)),
    ("row_splits", splits(0, 3, 2**62), ("row_splits", "number of atoms, 5", 2**62)),
    ("row_splits", splits(), ("row_splits", "[0]")),
    ("row_splits", np.int64(0), ("row_splits", "[]")),
    ("row_splits", splits(0, 3, 5)[np.newaxis], ("row_splits", "[1,3]")),
    ("coords", ones(15), ("coords", "[15]")),
    ("coords", ones(5, 2), ("coords", "[5,2]")),
    ("coords", ones(5, 4), ("coords", "[5,4]")),
    ("coords", ones(4, 3), ("channels", "[4]", "[5]")),
    ("coords", ones(0, 3), ("channels", "[0]", "[5]")),
    ("coords", at("coords", 4, 1, np.nan), ("coords", "molecule 1, atom 1, axis y", np.nan)),
    ("channels", np.zeros(4, np.int32), ("channels", "[5]", "[4]")),
    ("channels", np.zeros(6, np.int32), ("channels", "[5]", "[6]")),
    ("channels", np.int32(0), ("channels", "[5]", "[]")),
    ("channels", np.zeros((5, 1), np.int32), ("channels", "[5]", "[5,1]")),
    *(("weights", ones(n), ("weights", "5 atoms", f"[{n}]")) for n in (4, 0, 6)),
    ("weights", ones(5, 2, 1), ("weights", "[5,2,1]")),
    ("weights", ones(4, 2), ("weights", "5 atoms", "[4,2]")),
    *(("weights", ones(5, n), ("features", "num_channels = 2", f"[5,{n}]")) for n in (0, 1, 3)),
    ("weights", at("weights", 4, np.nan), ("weights", "molecule 1, atom 1", np.nan)),
    *(("sigma", ones(n), ("sigma", "5 atoms", f"[{n}]")) for n in (4, 0)),
    ("sigma", ones(5, 1), ("sigma", "[5,1]")),
    ("sigma", at("sigma", 1, 0.0), ("sigma", "molecule 0, atom 1", 0)),
    ("sigma", np.float32(-1), ("sigma", -1)),
    ("origin", ones(3), ("box: origin", "[3]")),
    *(("origin", ones(n, 3), ("box: origin", "[1, 3] or [2, 3]", f"[{n},3]")) for n in (3, 0)),
    ("lengths", ones(2, 2), ("box: lengths", "[2,2]")),
    ("lengths", ones(0, 3), ("box: lengths", "[0,3]")),
    ("lengths", 0 * ones(1, 3), ("box: lengths", "molecule 0, axis x", 0)),
    ("origin", at("origin", 1, 2, np.nan), ("box: origin", "molecule 1, axis z", np.nan)),
]
IDS = [f"{number} {name}: {' '.join(map(str, says))}" for number, (name, _, says) in enumerate(BAD_ATOMS)]


@pytest.mark.parametrize(("name", "value", "says"), BAD_ATOMS, ids=IDS)
def test_bad_atoms_are_refused(name: str, value: Any, says: tuple[Any, ...]) -> None:
    value = np.asarray(value).astype(ATOMS[name].dtype)
    inputs = {key: tf.constant(value if key == name else good) for key, good in ATOMS.items()}
    unknown = {key: tf.TensorSpec(None, tensor.dtype) for key, tensor in inputs.items()}
    for op in (voxelize, gradient):
        refuses(BAD_VALUE, says, lambda op=op: op(**{name: value}))
        in_graph = tf.function(lambda given, op=op: op(**given), input_signature=[unknown], autograph=False)
        refuses(BAD_VALUE, says, lambda in_graph=in_graph: in_graph(inputs))
    if name in BOUNDING_BOX and not (name == "channels" and value.shape == (5,)):  # to a box any channel is as good
        refuses(BAD_VALUE, says, lambda: bounding_box(**{name: value}))


def test_bad_atoms_are_refused_by_shape_functions_that_know_the_shapes() -> None:
    for name, value in (("coords", np.ones((5, 2))), ("channels", np.zeros(4, np.int32)), ("sigma", ones(5, 1))):
        for op in (voxelize, gradient):
            with pytest.raises(ValueError, match=r"must be|rank"):
                tf.function(op, autograph=False).get_concrete_function(**{name: value})


BAD_GRIDS: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({"grid_shape": [4, 5]}, ("grid_shape",)),
    ({"grid_shape": [4, 5, 6, 7]}, ("grid_shape", "3 extents", 4)),
    ({"grid_shape": [4, 0, 6]}, ("grid_shape[1] = 0",)),
    ({"grid_shape": [4, -1, 6]}, ("grid_shape[1] = -1",)),
    ({"grid_shape": [4, 5, -(2**63)]}, ("-9223372036854775808",)),
    ({"grid_shape": [4, 5, 2**31]}, ("grid_shape[2] = 2147483648",)),
    ({"grid_shape": [2**30, 2**30, 2**30]}, ("grid_shape", "1073741824 x 1073741824 x 1073741824", "addressed")),
    ({"grid_shape": [2**30, 2**30, 4]}, ("grid_shape", "1073741824 x 1073741824 x 4")),
    ({"num_channels": 2**62}, ("grid_shape", 2**62, "addressed")),
    ({"num_channels": 2**55}, ("grid_shape", 2**55, "memory")),
    ({"num_channels": 0}, ("num_channels", 0)),
    ({"num_channels": -1}, ("num_channels", -1)),
    ({"data_format": "NCDHW"}, ("data_format", "NCDHW")),
]


@pytest.mark.parametrize(("changes", "says"), BAD_GRIDS, ids=str)
def test_bad_grids_are_refused(changes: dict[str, Any], says: tuple[Any, ...]) -> None:
    for call in (voxelize, tf.function(voxelize, autograph=False)):
        refuses((BAD_VALUE, ValueError), says, lambda call=call: call(**changes))


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((2, 2, 4, 5), ("upstream", "rank 5", "[2,2,4,5]")),
        ((), ("upstream", "rank 5", "[]")),
        *(((n, 2, 4, 5, 6), ("upstream", 2, "molecules", f"[{n}")) for n in (0, 1, 3)),
        ((2, 1, 4, 5, 6), ("molecule 0, atom 1", "channel 1")),
        ((2, 0, 4, 5, 6), ("num_channels = 0",)),
        ((2, 2, 0, 5, 6), ("grid_shape[0] = 0",)),
        ((2, 2, 4, 5, 0), ("grid_shape[2] = 0",)),
    ],
    ids=str,
)
def test_upstream_of_another_shape_is_refused(shape: tuple[int, ...], says: tuple[Any, ...], data_format: str) -> None:
    if data_format == "channels_last" and len(shape) == 5:
        shape = (shape[0], *shape[2:], shape[1])
    refuses(BAD_VALUE, says, lambda: gradient(upstream=ones(*shape), data_format=data_format))
    if "num_channels = 0" in says:
        refuses(BAD_VALUE, says, lambda: gradient(weights=ones(5, 0), upstream=ones(*shape), data_format=data_format))


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
    for changes in ({"dtype": tf.float64}, {"dtype": tf.int32}, {"weights": ATOMS["weights"].astype(np.float64)}):
        with pytest.raises((BAD_VALUE, tf.errors.NotFoundError, TypeError, ValueError)):
            voxelize(**changes)


@pytest.mark.parametrize("value", [np.nan, 0.5, np.inf, -1e30, 2.0**31])
def test_split_points_refuses_channels_that_are_no_whole_numbers(value: float) -> None:
    points = changed(np.zeros((5, 4), np.float32), 4, 0, value)
    refuses(BAD_VALUE, ("molecule 1, atom 1",), lambda: ops.pg_tf_split_points(points, ATOMS["row_splits"]))


@pytest.mark.parametrize("shape", [(5, 3), (5, 5), (20,), (5, 4, 1), ()])
def test_split_points_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    text = str(list(shape)).replace(" ", "")
    refuses(BAD_VALUE, ("points", text), lambda: ops.pg_tf_split_points(ones(*shape), ATOMS["row_splits"]))


@pytest.mark.parametrize("margin", [np.nan, -1.0, np.inf, [1.0], [1.0, 2.0]])
def test_bounding_box_refuses_a_margin_that_is_none(margin: Any) -> None:
    refuses(BAD_VALUE, ("margin",), lambda: bounding_box(margin=margin))
