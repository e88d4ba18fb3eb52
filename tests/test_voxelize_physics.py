"""What a grid must be whatever the numbers: mass, symmetry, linearity; and brute force on random input."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from hypothesis import given
from hypothesis import strategies as st
from reference import Case, factors, largest, off_by, random_case

import pg_tf


def grid_of(case: Case, **options: object) -> np.ndarray:
    return pg_tf.voxelize(case.coords, case.channels, **{**case.options(), **options}).numpy()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Molecules, boxes and grids of any kind, with atoms placed where code tends to break."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = tuple(draw(st.sampled_from([1, 2, 3, 5, 6, 7, 8, 13, 16, 17, 31, 33, 37])) for _ in range(3))
    num_channels = draw(st.sampled_from([1, 1, 2, 3, 7, 40]))
    atoms = draw(st.sampled_from([0, 1, 2, 9, 64, 65, 150]))
    origin, lengths = rng.normal(scale=5, size=3), np.exp(rng.uniform(-1, 3, 3))
    inside = rng.uniform(-0.2, 1.2, (atoms, 3))
    on_edges = rng.integers(0, np.array(shape) + 1, (atoms, 3)) / shape  # voxel edges, faces and corners
    far = rng.uniform(-30, 30, (atoms, 3))
    where = rng.choice(3, p=[0.6, 0.3, 0.1], size=(atoms, 1))
    coords = origin + lengths * np.choose(where, [inside, on_edges, far])
    sigma = np.min(lengths / shape) * np.exp(rng.uniform(np.log(0.05), np.log(10), atoms))
    channels = rng.integers(-1, num_channels, atoms)
    return Case(coords, channels, rng.normal(size=atoms), sigma, origin, lengths, shape, num_channels)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@given(case=cases())
def test_grid_agrees_with_brute_force(dtype: str, data_format: str, case: Case) -> None:
    case = case.rounded(dtype)
    grid = grid_of(case, dtype=dtype, data_format=data_format)
    grid = grid if data_format == "channels_first" else np.moveaxis(grid, -1, 0)
    # What an atom outside of the box leaves in it counts against the peak of that atom.
    half = case.lengths / case.shape / 2
    peak = np.prod([factors(np.zeros(len(case.sigma)), case.sigma, -h, 2 * h, 1)[:, 0] for h in half], axis=0)
    scale = max(largest(case.grid()), largest(case.weights * peak))
    assert np.isfinite(grid).all()
    assert np.abs(grid - case.grid()).max(initial=0) < tolerances.GRID[dtype] * scale


@given(
    seed=st.integers(0, 2**32 - 1),
    num_channels=st.sampled_from([1, 2, 5]),
    implementation=st.sampled_from(["op", "dense"]),
)
def test_soft_channels_agree_with_brute_force(seed: int, num_channels: int, implementation: str) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(rng, atoms=9, num_channels=num_channels)
    features = rng.normal(size=(9, num_channels))
    # Of the channels only the sign counts here.
    channels = np.where(case.channels < 0, -1, rng.integers(0, 1000, 9))
    options = case.options() | {"weights": None, "features": features}
    grid = pg_tf.voxelize(case.coords, channels, **options, dtype="float64", implementation=implementation)
    features[channels < 0] = 0
    expected = np.einsum("ac,ax,ay,az->cxyz", features, *case.factors())
    assert off_by(grid, expected) < tolerances.FLOAT64_GRID


@pytest.mark.parametrize("voxels_per_sigma", [0.05, 0.067, 0.1, 0.3, 0.99, 1.01, 3.0, 10.0])
def test_float32_grid_keeps_its_bound_for_any_sigma(
    rng: np.random.Generator, voxels_per_sigma: float, implementation: str
) -> None:
    atoms, extent = 200, 20
    length = np.float32(7.4)
    width = float(length) / extent
    position = rng.uniform(3, extent - 3, (atoms, 3))
    # Half of them close to voxel edges, where a narrow Gaussian is steepest.
    position[::2] = np.round(position[::2]) + rng.normal(scale=0.1 * min(voxels_per_sigma, 1), size=(atoms // 2, 3))
    coords = (50 + position * width).astype(np.float32)[:, None]
    sigma = np.float32(voxels_per_sigma * width)
    grid = pg_tf.voxelize(
        coords, sigma=sigma, grid_shape=extent, box=([50.0] * 3, [length] * 3), implementation=implementation
    )
    along = [
        factors(coords[:, 0, d].astype(np.float64), np.full(atoms, np.float64(sigma)), 50.0, np.float64(length), extent)
        for d in range(3)
    ]
    truth = np.einsum("ax,ay,az->axyz", *along)
    error = np.abs(grid[:, 0].numpy() - truth).max((1, 2, 3)) / truth.max((1, 2, 3))
    assert error.max() < tolerances.FLOAT32_GRID


@pytest.mark.parametrize("shape", [(4, 4, 4), (32, 32, 32)])
def test_grid_of_20000_atoms_agrees_with_brute_force(
    rng: np.random.Generator, shape: tuple[int, int, int], dtype: str
) -> None:
    case = random_case(rng, 20_000, shape=shape, num_channels=2, sigma=np.full(20_000, 0.3), weights=np.ones(20_000))
    case = case.rounded(dtype)
    expected = np.zeros((2, *shape))
    for part in np.array_split(np.arange(20_000), 20):
        some = dataclasses.replace(
            case, **{n: getattr(case, n)[part] for n in ("coords", "channels", "weights", "sigma")}
        )
        expected += some.grid()
    assert off_by(grid_of(case, dtype=dtype), expected) < tolerances.GRID[dtype]


def test_float32_grid_keeps_its_bound_where_all_atoms_coincide() -> None:
    coords = np.tile([[5.3, 5.2, 5.1]], (20_000, 1)).astype(np.float32)
    options = {"sigma": 1.0, "grid_shape": 8, "box": ([0.0] * 3, [10.0] * 3)}
    one = pg_tf.voxelize(coords[:1].astype(np.float64), **options, dtype="float64").numpy()
    assert off_by(pg_tf.voxelize(coords, **options), 20_000 * one) < tolerances.FLOAT32_GRID


def test_grid_sums_to_the_weights_in_a_box_that_holds_them(
    rng: np.random.Generator, dtype: str, implementation: str
) -> None:
    case = random_case(rng, 40)
    case.coords[:] = rng.uniform(-3, 3, (40, 3))
    grid = grid_of(case, sigma=0.5, box=([-9.0] * 3, [18.0] * 3), dtype=dtype, implementation=implementation)
    mass = [case.weights[case.channels == c].sum() for c in range(3)]
    assert np.abs(grid.sum((1, 2, 3), np.float64) - mass).max() < tolerances.MASS[dtype] * np.abs(case.weights).sum()


def test_mass_of_an_atom_on_a_face_an_edge_and_a_corner_is_shared() -> None:
    atoms = np.array([[0.0, 2, 2], [4, 2, 2], [0, 4, 2], [4, 4, 4]])
    grid = pg_tf.voxelize(atoms[:, None], sigma=0.3, grid_shape=8, box=([0.0] * 3, [4.0] * 3), dtype="float64")
    assert np.allclose(grid.numpy().sum((1, 2, 3, 4)), [1 / 2, 1 / 2, 1 / 4, 1 / 8], rtol=tolerances.FLOAT64_MASS)


@pytest.mark.parametrize("sigma", [1e-3, 1e-12, 1e-30])
def test_atom_on_voxel_edges_is_shared_however_narrow(dtype: str, sigma: float) -> None:
    grid = pg_tf.voxelize(
        [[1.0, 2.0, 2.5]], sigma=sigma, grid_shape=4, box=([0.0] * 3, [4.0] * 3), dtype=dtype
    ).numpy()[0]
    expected = np.zeros((4, 4, 4))
    expected[0:2, 1:3, 2] = 0.25
    assert off_by(grid, expected) < tolerances.GRID[dtype]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("size", [4, 24])
def test_grid_holds_nothing_of_what_its_memory_held_before(size: int, dtype: str, data_format: str) -> None:
    shape = [3, 5, size, size, size]
    garbage = tf.fill(shape, tf.constant(7.0, dtype))
    del garbage  # freed memory is likely to come back as the next grid
    coords = tf.RaggedTensor.from_row_lengths(tf.zeros([1, 3]), [0, 1, 0])
    options = {"num_channels": 5, "grid_shape": size, "data_format": data_format, "dtype": dtype}
    grid = tf.cast(pg_tf.voxelize(coords, coords.with_flat_values(tf.constant([2])), **options), tf.float64)
    sums = np.sum(grid, (2, 3, 4) if data_format == "channels_first" else (1, 2, 3))
    assert np.allclose(sums, [[0] * 5, [0, 0, 1, 0, 0], [0] * 5], atol=5e-3)


def test_grid_larger_than_a_stack_sums_to_its_atoms() -> None:
    grid = pg_tf.voxelize([[1.0, 1, 1]], grid_shape=(300, 200, 100))  # 24 MB
    assert np.isclose(tf.reduce_sum(grid), 1, atol=1e-4)


def test_padding_may_hold_anything(rng: np.random.Generator) -> None:
    case = random_case(rng)
    kept = case.channels >= 0
    for name in ("coords", "weights", "sigma"):
        getattr(case, name)[~kept] = np.nan
    some = dataclasses.replace(case, **{n: getattr(case, n)[kept] for n in ("coords", "channels", "weights", "sigma")})
    for implementation in ("op", "dense"):
        padded, expected = (grid_of(c, dtype="float64", implementation=implementation) for c in (case, some))
        assert off_by(padded, expected) < tolerances.FLOAT64_SAME


@pytest.mark.parametrize("coordinate", [0.0, 1.0, -1e30, 1e38])
@pytest.mark.parametrize("sigma", [1e-38, 1e-30, 1.0, 1e30, 3e38])
@pytest.mark.parametrize("length", [1e-37, 1e-30, 1.0, 1e30, 3e38])
def test_extreme_numbers_give_finite_grids_and_gradients(coordinate: float, sigma: float, length: float) -> None:
    coords = tf.constant([[coordinate, 0, 0]])
    try:
        with tf.GradientTape() as tape:
            tape.watch(coords)
            grid = pg_tf.voxelize(coords, sigma=sigma, grid_shape=4, box=([0.0] * 3, [length] * 3))
        gradient = tape.gradient(grid, coords)
    except tf.errors.InvalidArgumentError as error:
        # TensorFlow may take a denormal for zero.
        assert sigma < 2e-38, error  # noqa: PT017
        return
    assert np.isfinite(grid).all()
    assert np.abs(grid).max() <= 1
    assert np.isfinite(gradient).all()
