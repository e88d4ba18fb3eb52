"""The network of invariants: its symmetries, what it tells apart, its two ways of summing, its life as a model."""

import importlib.util
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf

import pg_tf
from pg_tf import models
from pg_tf.models.moments import FullestVoxels, Invariants, MomentsOfGrid, MomentsOfPairs, PairKernels

SMALL = {"width": 16, "hidden": 16, "fields": 4, "products": 8}

KINDS = [
    {},
    {"voxels": 80, "empty": 0.02},
    {"weighting": "uniform"},
    {"periodic": True},
    {"weighting": "uniform", "periodic": True},
]

# Ethanol, MMFF94: elements as channels H, C, O.
CHANNELS = np.int32([1, 1, 2, 0, 0, 0, 0, 0, 0])
ETHANOL = np.float32(
    [
        [-0.89, -0.17, -0.02],
        [0.46, 0.49, 0.03],
        [1.43, -0.55, -0.13],
        [-1.00, -0.71, -0.96],
        [-1.01, -0.88, 0.81],
        [-1.70, 0.57, 0.03],
        [0.59, 1.02, 0.98],
        [0.57, 1.22, -0.78],
        [2.32, -0.20, -0.09],
    ]
)


def _network(shape: tuple[int | None, ...] = (9, 9, 9, 2), **options: object) -> keras.Model:
    keras.utils.set_random_seed(0)
    return models.invariant3d(shape, **(SMALL | options))


def _grids(*shape: int) -> np.ndarray:
    """Sparse grids with voxels as full as those of atoms."""
    return 0.2 * np.random.default_rng(3).random(shape, dtype=np.float32) ** 4


def _symmetries(grids: np.ndarray) -> Iterator[np.ndarray]:
    """The 48 images of grids `[batch, n, n, n, channels]` under rotations and reflections of the cube."""
    for axes in itertools.permutations((1, 2, 3)):
        for flips in itertools.product((1, -1), repeat=3):
            yield np.transpose(grids, (0, *axes, 4))[:, :: flips[0], :: flips[1], :: flips[2]]


def _rotations(count: int) -> np.ndarray:
    """Random rotation matrices `[count, 3, 3]`."""
    q, r = np.linalg.qr(np.random.default_rng(1).normal(size=(count, 3, 3)))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return q * np.linalg.det(q)[:, None, None]


def _voxelized(coords: object, dtype: str = "float32") -> tf.Tensor:
    """Grids of ethanol's atoms at coords `[batch, 9, 3]`, in 12^3 voxels of 0.8 Å."""
    channels = tf.tile(CHANNELS[None], [coords.shape[0], 1])
    box = pg_tf.Box([-4.8] * 3, [9.6] * 3)
    return pg_tf.voxelize(
        coords,
        channels,
        num_channels=3,
        grid_shape=12,
        sigma=0.56,
        box=box,
        data_format="channels_last",
        dtype=dtype,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_network_is_invariant_under_the_symmetries_of_the_cube(kind: dict[str, object]) -> None:
    predictions = np.asarray(_network(**kind)(np.concatenate(list(_symmetries(_grids(1, 9, 9, 9, 2))))))
    assert np.ptp(predictions) < 1e-5 * max(1, np.abs(predictions).max())


def test_voxels_that_tie_for_the_last_place_count_nothing() -> None:
    """64 voxels of equal density and 8 fuller ones: of the 64, some are kept and others not."""
    grid = np.zeros((1, 9, 9, 9, 1), np.float32)
    grid[:, 3:7, 3:7, 3:7] = 0.1
    grid[:, 1:5, 1:5, 1:5] = 0.1
    grid[:, 2, 3:5, 3:7] = 0.2
    predictions = np.asarray(_network((9, 9, 9, 1), voxels=30)(np.concatenate(list(_symmetries(grid)))))
    assert np.ptp(predictions) < 1e-5 * max(1, np.abs(predictions).max())


@pytest.mark.parametrize("weighting", ["density", "uniform"])
def test_periodic_network_is_invariant_under_shifts_of_the_cell(weighting: str) -> None:
    grids, network = _grids(1, 5, 6, 7, 2), _network((5, 6, 7, 2), periodic=True, weighting=weighting)
    expected = np.asarray(network(grids))
    for shifts in ((1, 0, 0), (2, 3, 4)):
        shifted = np.asarray(network(np.roll(grids, shifts, axis=(1, 2, 3))))
        np.testing.assert_allclose(shifted, expected, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("voxels", [None, 200])
def test_rotated_molecule_is_told_from_others_and_not_from_itself(voxels: int | None) -> None:
    """Random rotations change a prediction by less than a thirtieth of what 0.1 Å in each coordinate does."""
    turned = np.einsum("rij,aj->rai", _rotations(24), ETHANOL).astype(np.float32)
    moved = ETHANOL + np.random.default_rng(0).normal(scale=0.1, size=(24, 9, 3)).astype(np.float32)
    network = _network((12, 12, 12, 3), voxels=voxels, empty=0.01)
    spread_turned, spread_moved = (float(np.std(network(_voxelized(coords)))) for coords in (turned, moved))
    assert spread_turned < spread_moved / 30


# Four points with the same six distances: a trapezoid and a kite (Boutin and Kemper 2004, arXiv:math/0304192).
TRAPEZOID = ((2, 4, 4), (6, 4, 4), (3, 5, 4), (5, 5, 4))
KITE = ((2, 4, 4), (6, 4, 4), (3, 5, 4), (3, 3, 4))


def _points(*geometries: tuple[tuple[int, int, int], ...]) -> np.ndarray:
    grids = np.zeros((len(geometries), 9, 9, 9, 1), np.float32)
    for grid, points in zip(grids, geometries, strict=True):
        for point in points:
            grid[point] = 0.2
    return grids


def test_geometries_of_equal_distances_are_told_apart() -> None:
    grids = _points(TRAPEZOID, KITE)
    moments = np.asarray(MomentsOfGrid((1.5,), 2)(grids), np.float64)
    pairs = (grids * moments[:, 0]).sum(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(pairs[0], pairs[1], rtol=1e-6)
    for part in (slice(1, 4), slice(4, 10)):
        squares = (grids[:, None] * moments[:, part] ** 2).sum(axis=(1, 2, 3, 4, 5))
        assert np.ptp(squares) > 0.05 * squares.max()
    predictions = np.asarray(_network((9, 9, 9, 1))(grids))
    assert np.ptp(predictions) > 1e-3 * np.abs(predictions).max()


@pytest.mark.parametrize(("neighbour", "cosine"), [((1, 4, 4), -1.0), ((4, 7, 4), 0.0), ((6, 6, 3), 2 / 3)])
def test_moments_of_two_neighbours_hold_the_angle_between_them(neighbour: tuple[int, int, int], cosine: float) -> None:
    """Neighbours a and b of voxel (4, 4, 4), each three voxels away from it."""
    moments = np.asarray(MomentsOfGrid((2.0,), 2)(_points(((7, 4, 4), neighbour)))[0, :, 4, 4, 4, 0], np.float64)
    each = 0.2 * np.exp(-9 / 8)
    assert moments[0] == pytest.approx(2 * each, rel=1e-5)
    assert (moments[1:4] ** 2).sum() == pytest.approx((each * 3 / 2) ** 2 * 2 * (1 + cosine), rel=1e-5, abs=1e-9)
    of_pair = cosine**2 - 1 / 3
    times = np.array([1, 1, 1, 2, 2, 2])
    assert (times * moments[4:] ** 2).sum() == pytest.approx((each * 9 / 4) ** 2 * 2 * (2 / 3 + of_pair), rel=1e-5)


def test_network_of_kept_voxels_is_the_whole_one_where_the_rest_is_empty() -> None:
    grids = _grids(2, 6, 5, 4, 2)
    flat = grids.reshape(2, -1, 2)
    flat[:, 50:] = 0
    kept, whole = _network((6, 5, 4, 2), voxels=60), _network((None, None, None, 2))
    whole.set_weights(kept.get_weights())
    np.testing.assert_allclose(kept(grids), whole(grids), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("empty", [0.0, 0.15])
def test_voxels_weigh_what_their_density_exceeds_that_of_the_next(empty: float) -> None:
    grids = _grids(3, 4, 5, 6, 2)
    channels, weights, places = map(np.asarray, FullestVoxels(20, empty)(grids))
    sums = np.sort(grids.sum(axis=-1).reshape(3, -1))[:, ::-1]
    expected = np.maximum(sums[:, :20] - np.maximum(sums[:, 20:21], empty), 0)
    assert (expected == 0).any() == (empty > 0)
    np.testing.assert_allclose(weights[..., 0], expected, atol=1e-6)
    whole = np.stack([grid[tuple(place.T)] for grid, place in zip(grids, places, strict=True)])
    np.testing.assert_allclose(channels, whole * weights / whole.sum(axis=-1, keepdims=True), rtol=1e-3, atol=1e-5)


def test_periodic_moments_are_those_of_many_cells() -> None:
    cell = _grids(1, 3, 4, 5, 1)
    crystal = np.tile(cell, (1, 9, 9, 9, 1))
    periodic = MomentsOfGrid((1.5,), 2, periodic=True)(cell)
    middle = MomentsOfGrid((1.5,), 2)(crystal)[:, :, 12:15, 16:20, 20:25]
    np.testing.assert_allclose(periodic, middle, rtol=1e-4, atol=1e-5)


def test_averages_of_a_constant_are_the_constant() -> None:
    moments = np.asarray(MomentsOfGrid((1.0, 1.5), 2, periodic=True, averages=True)(np.full((1, 6, 6, 6, 2), 0.7)))
    np.testing.assert_allclose(moments[:, 0], 0.7, rtol=1e-4)
    np.testing.assert_allclose(moments[:, 1:], 0.0, atol=1e-4)


def test_invariants_of_pairs_are_those_of_the_grid() -> None:
    grids = _grids(2, 4, 4, 4, 3)
    places = np.stack(np.unravel_index(np.arange(64), (4, 4, 4)), axis=-1)[None].repeat(2, axis=0)
    invariants = Invariants(5)
    of_grid = invariants(MomentsOfGrid((0.8, 1.3, 2.0), 2)(grids))
    of_pairs = invariants(MomentsOfPairs()([grids.reshape(2, 64, 3), *PairKernels((0.8, 1.3, 2.0), 2)(places)]))
    np.testing.assert_allclose(of_pairs, np.reshape(of_grid, (2, 64, -1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("voxels", [None, 160])
def test_gradient_to_the_atoms_is_that_of_finite_differences(voxels: int | None) -> None:
    policy, floats = keras.config.dtype_policy(), keras.config.floatx()
    try:
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        network = _network((12, 12, 12, 3), voxels=voxels, empty=0.01)
    finally:
        keras.config.set_floatx(floats)
        keras.config.set_dtype_policy(policy)
    coords = tf.constant(ETHANOL[None], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(coords)
        energy = network(_voxelized(coords, "float64"))
    gradient = tape.gradient(energy, coords)[0].numpy()
    step = 1e-5
    steps = step * np.eye(27).reshape(27, 9, 3)
    after, before = (network(_voxelized(coords + sign * steps, "float64")).numpy()[:, 0] for sign in (1, -1))
    np.testing.assert_allclose(
        gradient.ravel(), (after - before) / (2 * step), rtol=1e-5, atol=1e-5 * abs(gradient).max()
    )


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (4, 7, 5, 3), (None, None, None, 2)])
def test_any_shape_and_number_of_channels(shape: tuple[int | None, ...]) -> None:
    network = _network(shape, outputs=2)
    assert network.output_shape == (None, 2)
    grids = _grids(3, *(side or 6 for side in shape))
    assert np.isfinite(network(grids)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_empty_grids_have_a_prediction(kind: dict[str, object]) -> None:
    assert np.isfinite(_network(**kind)(np.zeros((2, 9, 9, 9, 2), np.float32))).all()


def test_channel_that_training_never_saw_does_not_explode() -> None:
    """The normalisation must not divide by the variance of a channel that is always empty in training."""
    network = _network()
    grids = _grids(64, 9, 9, 9, 2)
    grids[..., 1] = 0
    network.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    network.fit(grids, np.zeros(64), batch_size=8, epochs=40, verbose=0)
    changed = grids[:8].copy()
    changed[:, 4, 4, 4] = 0.0, 0.2
    difference = np.abs(network(changed) - network(grids[:8])).max()
    assert 0 < difference < 2


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", [{}, {"voxels": 80}])
def test_mixed_precision_predicts_nearly_the_same(policy: str, kind: dict[str, object]) -> None:
    plain, before = _network(**kind), keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = _network(**kind)
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(plain.get_weights())
    grids = _grids(4, 9, 9, 9, 2)
    predictions = mixed(grids)
    assert predictions.dtype == "float32"
    # bfloat16 has 8 bits; how errors add up differs between processors.
    np.testing.assert_allclose(predictions, plain(grids), atol=0.1 * np.abs(plain(grids)).max())


def test_compiled_by_xla_it_predicts_the_same() -> None:
    network, grids = _network(voxels=80), _grids(2, 9, 9, 9, 2)
    compiled = tf.function(network, jit_compile=True)
    np.testing.assert_allclose(compiled(grids), network(grids), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [{}, {"voxels": 80}, {"periodic": True, "weighting": "uniform", "heads": 0}])
def test_saved_network_predicts_the_same(kind: dict[str, object], tmp_path: os.PathLike[str]) -> None:
    network, grids = _network(**kind), _grids(2, 9, 9, 9, 2)
    path = os.path.join(tmp_path, "network.keras")
    network.save(path)
    np.testing.assert_array_equal(keras.saving.load_model(path)(grids), network(grids))


def test_saved_network_is_read_where_the_models_are_imported(tmp_path: os.PathLike[str]) -> None:
    _network().save(tmp_path / "network.keras")
    program = "import sys, keras, pg_tf.models; print(keras.saving.load_model(sys.argv[1]).output_shape)"
    command = [sys.executable, "-c", program, tmp_path / "network.keras"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert ended.stdout.splitlines()[-1] == "(None, 1)"


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_saved_network_predicts_the_same_on_other_backend(backend: str, tmp_path: os.PathLike[str]) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    network, grids = _network(voxels=80), _grids(2, 9, 9, 9, 2)
    path, given, answer = (os.path.join(tmp_path, name) for name in ("network.keras", "grids.npy", "answer.npy"))
    network.save(path)
    np.save(given, grids)
    code = (
        "import sys, keras, numpy as np, pg_tf.models\n"
        "network = keras.saving.load_model(sys.argv[1])\n"
        "np.save(sys.argv[3], keras.ops.convert_to_numpy(network(np.load(sys.argv[2]))))\n"
    )
    environment = os.environ | {"KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", code, path, given, answer], check=True, env=environment)
    np.testing.assert_allclose(np.load(answer), network(grids), rtol=1e-4, atol=1e-5)


def test_network_learns_a_fixed_batch() -> None:
    network = _network(voxels=80, dropout=0.1)
    network.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=False)
    labels = np.linspace(-1, 1, 4, dtype=np.float32)[:, None]
    losses = network.fit(_grids(4, 9, 9, 9, 2), labels, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 0}, "blocks must be at least 1.*blocks=0"),
        ({"width": 0}, "width must be at least 1.*width=0"),
        ({"outputs": 0}, "outputs must be at least 1.*outputs=0"),
        ({"heads": -1}, "heads must be at least 0.*heads=-1"),
        ({"reach": ()}, r"reach must be positive numbers.*reach=\(\)"),
        ({"channel_reach": (1.0, 0.0)}, r"channel_reach must be positive numbers.*\(1.0, 0.0\)"),
        ({"weighting": "mass"}, "weighting must be.*'mass'"),
        ({"voxels": 0}, "voxels must be at least 1.*voxels=0"),
        ({"voxels": 729}, "fewer than the grid has.*voxels=729"),
        ({"voxels": 9, "periodic": True}, "voxels: only in.*periodic=True"),
        ({"voxels": 9, "weighting": "uniform"}, "voxels: only in.*'uniform'"),
    ],
)
def test_error_names_the_argument(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _network(**options)


@pytest.mark.parametrize("shape", [(9, 9, 9), (9, 9, 9, None), (9, 0, 9, 1)])
def test_error_names_the_input_shape(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(ValueError, match="input_shape must be"):
        _network(shape)
