"""Every bad input of the Python functions gives its error, and the text names the argument, the place and the value."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import pg_tf

BAD_VALUE = tf.errors.InvalidArgumentError
COORDS = np.array([[[0.0, 0, 0], [1, 1, 1], [2, 2, 2]], [[0, 1, 0], [1, 0, 1], [2, 2, 0]]])
GIVEN = ([0.0] * 3, [4.0] * 3)


def changed(values: Any, *place_and_value: Any) -> np.ndarray:
    """A copy with another value at one place."""
    *place, value = place_and_value
    result = np.array(values, np.float64)
    result[tuple(place)] = value
    return result


def refuses(error: type[Exception], *texts: str, coords: Any = COORDS, **options: Any) -> None:
    """That voxelize raises `error`, and its text holds all of `texts`; eagerly and in a graph."""
    for function in (pg_tf.voxelize, tf.function(pg_tf.voxelize, autograph=False)):
        with pytest.raises(error) as caught:
            function(coords, **{"grid_shape": 4, "box": GIVEN, **options})
        for text in texts:
            assert text in str(caught.value), str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("box", [None, GIVEN])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_coords_must_be_finite(value: float, box: Any, dtype: str) -> None:
    coords = changed(COORDS, 1, 2, 1, value)
    place = ("coords must be finite", "molecule 1, atom 2, axis y", str(value))
    refuses(BAD_VALUE, *place, coords=coords, box=box, dtype=dtype)
    ragged = tf.RaggedTensor.from_row_lengths(coords.reshape(6, 3), [4, 2])
    refuses(BAD_VALUE, "molecule 1, atom 1, axis y", coords=ragged, box=box, dtype=dtype)


@pytest.mark.parametrize("value", [1e39, -1e300])
def test_coords_beyond_float32_are_refused(value: float) -> None:
    refuses(BAD_VALUE, "coords must be finite", "molecule 0, atom 1, axis x", coords=changed(COORDS, 0, 1, 0, value))


@pytest.mark.parametrize("value", [1e8, 1e30, 3e38])
def test_fitted_box_needs_digits_for_its_margin(value: float) -> None:
    coords = changed(COORDS, 1, 0, 2, value)
    text = ("coords: no box with a margin of 2 around molecule 1", f"{value:g} along z", "move it to the origin")
    refuses(BAD_VALUE, *text, coords=coords, box=None)
    assert np.isfinite(pg_tf.voxelize(coords, grid_shape=4, box=GIVEN)).all()


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, 1e-60])
def test_sigma_must_be_finite_and_greater_than_zero(value: float) -> None:
    refuses(BAD_VALUE, "sigma must be finite and greater than 0", sigma=value)
    each = changed(np.ones((2, 3)), 0, 2, value)
    refuses(BAD_VALUE, "sigma must be finite and greater than 0: molecule 0, atom 2 has", sigma=each)
    if value == -1.0:
        refuses(BAD_VALUE, "-1", sigma=value)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_weights_and_features_must_be_finite(value: float) -> None:
    refuses(BAD_VALUE, "weights must be finite", weights=value)
    refuses(BAD_VALUE, "weights must be finite: molecule 1, atom 0 has", weights=changed(np.ones((2, 3)), 1, 0, value))
    features = changed(np.ones((2, 3, 2)), 1, 2, 1, value)
    refuses(BAD_VALUE, "features must be finite: molecule 1, atom 2, channel 1 has", features=features, num_channels=2)


@pytest.mark.parametrize("channel", [2, 3, 1000, 2**31 - 1, 2**31, 2**32, 2**62])
def test_channel_that_does_not_exist_is_named(channel: int) -> None:
    channels = np.zeros((2, 3), np.int64)
    channels[1, 1] = channel
    text = "channels must be below num_channels = 2: molecule 1, atom 1 has channel"
    refuses(BAD_VALUE, f"{text} {min(channel, 2**31 - 1)}", channels=channels, num_channels=2)


def test_negative_channels_of_any_size_are_padding() -> None:
    grid = pg_tf.voxelize(COORDS, [[-1, -(2**31), -(2**40)], [0, -2, -1]], grid_shape=4, box=GIVEN)
    assert not np.any(grid[0])
    assert tf.reduce_all(grid[1] == pg_tf.voxelize(COORDS[1, :1], grid_shape=4, box=GIVEN))


@pytest.mark.parametrize(
    "channels", [np.zeros((2, 3)), np.full((2, 3), np.nan), np.full((2, 3), 1e20), tf.fill([2, 3], 0.5)]
)
def test_channels_must_be_integers(channels: Any) -> None:
    refuses(ValueError, "channels must be whole numbers", "dtype float", channels=channels)


@pytest.mark.parametrize("name", ["channels", "weights", "sigma", "features"])
@pytest.mark.parametrize("shape", [(3, 2), (1, 6), (2, 4), (2, 2), (1, 3), (6, 1)])
def test_arguments_of_other_lengths_than_coords_are_refused(name: str, shape: tuple[int, ...]) -> None:
    value = np.ones((*shape, 2) if name == "features" else shape, np.int32)
    text = (f"{name} must have as many atoms in each molecule as the coordinates, [2, 3]", str(list(value.shape)))
    refuses(ValueError, *text, **{name: value}, num_channels=2)


@pytest.mark.parametrize("name", ["channels", "weights", "sigma", "features"])
@pytest.mark.parametrize("shape", [(6,), (2, 3, 1), (2, 3, 1, 1), (3,)])
def test_arguments_of_another_rank_are_refused(name: str, shape: tuple[int, ...]) -> None:
    value = np.ones((*shape, 2) if name == "features" else shape, np.int32)
    refuses(
        ValueError, f"{name} must have shape [molecules, atoms", str(list(value.shape)), **{name: value}, num_channels=2
    )


@pytest.mark.parametrize("name", ["channels", "weights", "sigma", "features"])
@pytest.mark.parametrize("length", [0, 1, 2, 4])
def test_arguments_of_another_length_than_a_single_molecule_are_refused(name: str, length: int) -> None:
    value = np.ones((length, 2) if name == "features" else length, np.int32)
    text = (f"{name} must have as many atoms in each molecule as the coordinates, [3]", str(list(value.shape)))
    refuses(ValueError, *text, coords=COORDS[0], **{name: value}, num_channels=2)


@pytest.mark.parametrize("columns", [0, 1, 3])
def test_features_need_one_column_for_each_channel(columns: int) -> None:
    text = ("features must have num_channels = 2 columns", f"[2, 3, {columns}]")
    refuses(ValueError, *text, features=np.ones((2, 3, columns)), num_channels=2)


def test_weights_and_features_together_are_refused() -> None:
    refuses(ValueError, "weights or features, not both", weights=1.0, features=np.ones((2, 3, 1)))


def test_ragged_arguments_must_be_laid_out_as_coords() -> None:
    coords = tf.RaggedTensor.from_row_lengths(COORDS.reshape(6, 3), [4, 2])
    other = tf.RaggedTensor.from_row_lengths(tf.zeros(6, tf.int32), [3, 3])
    refuses(BAD_VALUE, "channels must have as many atoms in each molecule", coords=coords, channels=other)
    refuses(ValueError, "channels must be laid out as the coordinates", coords=coords, channels=[0] * 6)
    refuses(ValueError, "channels must be laid out as the coordinates", "ragged tensor", channels=other)
    deep = tf.ragged.constant([[[[0.0, 0, 0]]]])
    refuses(ValueError, "coords must have shape [molecules, (atoms), 3]", "ragged_rank=1", coords=deep)
    inner = tf.ragged.constant([[[0.0, 0, 0]], [[1, 1, 1], [2, 2, 2]]])
    refuses(ValueError, "coords must have shape [molecules, (atoms), 3]", "ragged_rank=1", coords=inner)


@pytest.mark.parametrize("shape", [(), (3,), (2, 4), (3, 2), (2, 3, 4), (1, 2, 3, 3), (0,), (0, 0), (3, 0)])
def test_coords_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    refuses(ValueError, "coords must have shape [atoms, 3]", str(list(shape)), coords=np.zeros(shape))


@pytest.mark.parametrize(
    "value",
    [
        [["a", "b", "c"]],
        np.array([[1, 2, 3], [4, 5, 6]], object),
        [[None, 1, 2]],
        np.zeros((2, 3), complex),
        [[[0, 0, 0]], [[1, 1, 1], [2, 2, 2]]],
        tf.constant([["1", "2", "3"]]),
        tf.zeros([2, 3], tf.complex64),
        None,
    ],
    ids=["strings", "objects", "none inside", "complex", "lists", "string tensor", "complex tensor", "none"],
)
def test_coords_must_be_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match="coords must be an array of numbers"):
        pg_tf.voxelize(value)
    for name in ("sigma", "channels"):
        if value is not None or name == "sigma":
            with pytest.raises(ValueError, match=f"{name} must be an array of numbers"):
                pg_tf.voxelize(COORDS, **{name: value})


def test_coords_of_unknown_rank_are_refused() -> None:
    unknown = tf.TensorSpec(None)
    for function in (lambda x: pg_tf.voxelize(x), lambda x: pg_tf.voxelize(COORDS, sigma=x)):
        with pytest.raises(ValueError, match=r"known rank|unknown rank"):
            tf.function(function, input_signature=[unknown])(COORDS)


@pytest.mark.parametrize("part", ["origin", "lengths"])
@pytest.mark.parametrize("shape", [(), (2,), (4,), (3, 3), (2, 2), (2, 3, 3), (0, 3)])
def test_box_of_another_shape_is_refused(part: str, shape: tuple[int, ...]) -> None:
    box = {"origin": np.zeros(3), "lengths": np.ones(3), part: np.ones(shape)}
    refuses(ValueError, f"box: {part} must", str(list(shape)), box=pg_tf.Box(**box))


@pytest.mark.parametrize("box", [5, [1.0], "cubic", ([0.0] * 3, None), (1, 2, 3, 4), {"a": 1, "b": 2}])
def test_what_is_no_box_is_refused(box: Any) -> None:
    refuses(ValueError, "box", box=box)


@pytest.mark.parametrize("value", [0.0, -4.0, np.nan, np.inf])
def test_box_of_no_volume_is_refused(value: float) -> None:
    lengths = changed(np.ones((2, 3)), 1, 2, value)
    text = "box: lengths must be finite and greater than 0: molecule 1, axis z is"
    refuses(BAD_VALUE, text, box=(np.zeros(3), lengths))
    refuses(BAD_VALUE, text, box=(np.zeros(3), lengths), dtype="float64")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_box_origin_must_be_finite(value: float) -> None:
    box = (changed(np.zeros((2, 3)), 1, 0, value), np.ones(3))
    refuses(BAD_VALUE, "box: origin must be finite: molecule 1, axis x is", box=box)


@pytest.mark.parametrize(
    "rotation",
    [2 * np.eye(3), np.zeros((3, 3)), -np.eye(3), np.diag([1.0, 1, -1]), np.full((3, 3), np.nan), np.ones((3, 3))],
    ids=["scaled", "zero", "inverted", "mirrored", "nan", "singular"],
)
def test_rotation_that_is_none_is_refused(rotation: np.ndarray) -> None:
    refuses(BAD_VALUE, "box: rotation must be a rotation matrix", box=pg_tf.Box(*GIVEN, rotation))
    with pytest.raises(BAD_VALUE, match="rotation must be a rotation matrix"):
        pg_tf.bounding_box(COORDS, rotation=rotation)


def test_rotation_of_another_shape_is_refused() -> None:
    for rotation in (np.eye(2), np.ones(3), np.eye(3)[None, None]):
        refuses(ValueError, "box: rotation must have shape [3, 3]", box=pg_tf.Box(*GIVEN, rotation))
    for rotation in (np.stack([np.eye(3)] * 3), np.zeros((0, 3, 3))):
        refuses(ValueError, "box: rotation must be one for all", box=pg_tf.Box(*GIVEN, rotation))
    with pytest.raises(ValueError, match="None, 'principal' or a rotation matrix, got 'upright'"):
        pg_tf.bounding_box(COORDS, rotation="upright")


@pytest.mark.parametrize("margin", [-1.0, np.nan])
def test_margin_must_not_be_negative(margin: float) -> None:
    with pytest.raises(ValueError, match=f"margin must be at least 0 Å, got {margin}"):
        pg_tf.bounding_box(COORDS, margin=margin)


def test_margin_must_be_finite() -> None:
    with pytest.raises((ValueError, BAD_VALUE), match=r"margin .* inf"):
        pg_tf.bounding_box(COORDS, margin=np.inf)


def test_molecule_of_one_point_without_margin_has_a_box_of_no_volume() -> None:
    box = pg_tf.bounding_box([[1.0, 2, 3]], margin=0.0)
    refuses(BAD_VALUE, "box: lengths must be finite and greater than 0: molecule 0, axis x is 0", box=box)


@pytest.mark.parametrize(
    "shape", [0, -1, 4.5, "abc", None, (4, 4), (4, 4, 4, 4), (4, 0, 4), (4, 4.5, 4), 2**40, 10**30, ()]
)
def test_grid_shape_must_be_whole_numbers(shape: Any) -> None:
    text = f"grid_shape must be one or three whole numbers from 1 to 2^30, got {shape!r}"
    with pytest.raises(ValueError, match=re.escape(text)):
        pg_tf.voxelize(COORDS, grid_shape=shape)


@pytest.mark.parametrize("number", [0, -1, 1.5, "2", None, 2**31])
def test_num_channels_must_be_a_whole_number(number: Any) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"num_channels must be a whole number from 1 to 2^31 - 1, got {number!r}")
    ):
        pg_tf.voxelize(COORDS, num_channels=number)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"grid_shape": 2**30}, "1 channels of 1073741824 x 1073741824 x 1073741824 voxels is larger"),
        ({"grid_shape": 20_000}, "2 grids with 1 channels of 20000 x 20000 x 20000 voxels do not fit"),
        ({"grid_shape": 2**20, "num_channels": 2**3}, "larger than can be addressed"),
        ({"grid_shape": 2**20, "num_channels": 7}, "do not fit into this machine's memory"),
        ({"grid_shape": (1, 1, 2**30), "num_channels": 2**31 - 1}, "do not fit"),
        ({"grid_shape": 2**20, "num_channels": 4, "dtype": "float64"}, "do not fit"),
    ],
)
def test_grid_that_cannot_be_allocated_is_refused(options: dict[str, Any], text: str) -> None:
    refuses(BAD_VALUE, "grid_shape", text, **options)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("data_format", "NCDHW", "data_format must be 'channels_first' or 'channels_last', got 'NCDHW'"),
        ("dtype", "int32", "dtype must be one of float32, float64, float16, bfloat16; got 'int32'"),
        ("dtype", "floaty", "dtype must be one of"),
        ("implementation", "gpu", "implementation must be 'auto', 'op' or 'dense', got 'gpu'"),
    ],
)
def test_unknown_names_are_refused(name: str, value: str, text: str) -> None:
    refuses(ValueError, text, **{name: value})


BAD_FOR_DENSE: dict[str, Callable[[], dict[str, Any]]] = {
    "coords nan": lambda: {"coords": changed(COORDS, 1, 2, 1, np.nan)},
    "coords inf": lambda: {"coords": changed(COORDS, 1, 2, 1, np.inf)},
    "sigma zero": lambda: {"sigma": changed(np.ones((2, 3)), 1, 2, 0.0)},
    "sigma negative": lambda: {"sigma": -1.0},
    "sigma inf": lambda: {"sigma": np.inf},
    "weights nan": lambda: {"weights": changed(np.ones((2, 3)), 1, 2, np.nan)},
    "channel": lambda: {"channels": np.array([[0, 0, 0], [0, 0, 1]])},
    "lengths zero": lambda: {"box": (np.zeros(3), changed(np.ones((2, 3)), 1, 1, 0.0))},
    "lengths negative": lambda: {"box": (np.zeros(3), changed(np.ones((2, 3)), 1, 1, -1.0))},
}


@pytest.mark.parametrize("bad", BAD_FOR_DENSE)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_bad_values_make_the_dense_grid_nan(bad: str, jit_compile: bool) -> None:
    # XLA cannot raise errors; what it must not do is leave the atom out.
    options = {"coords": COORDS, "grid_shape": 4, "box": GIVEN, **BAD_FOR_DENSE[bad]()}

    def compute() -> tf.Tensor:
        return pg_tf.voxelize(**options, implementation="dense")

    grid = tf.function(compute, jit_compile=True)() if jit_compile else compute()
    assert np.isnan(grid[1]).all()
    if "negative" not in bad and bad != "sigma inf":
        assert np.isfinite(grid[0]).all()
