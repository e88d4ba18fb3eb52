"""Boxes that repeat: all images of an atom, on any of the axes."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import PERIODIC_GOLDEN, Case, golden, off_by, random_case
from test_gradient import NAMES, gradients, grid_of, tensors

import pg_tf

IMPLEMENTATIONS = ["op", "dense"]
SUBSETS = [s for s in itertools.product([False, True], repeat=3) if any(s)]


def voxelize(case: Case, **options: object) -> np.ndarray:
    return pg_tf.voxelize(case.coords, case.channels, **case.options(), **{"dtype": "float64", **options}).numpy()


def crystal(rng: np.random.Generator, **changes: object) -> Case:
    """Atoms up to two periods away from a box that repeats, on all axes if nothing else is said."""
    case = random_case(rng, **{"periodic": (True, True, True), **changes})
    far = rng.integers(-2, 3, case.coords.shape) * np.array(case.periodic)
    return dataclasses.replace(case, coords=case.coords + far * case.lengths)


def test_golden_files_are_there() -> None:
    assert len(PERIODIC_GOLDEN) == 3


@pytest.mark.parametrize("path", PERIODIC_GOLDEN, ids=lambda path: path.stem)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_periodic_grid_agrees_with_golden(path: Path, dtype: str, implementation: str) -> None:
    case, arrays = golden(path)
    truth = arrays["grid"] if dtype == "float64" else case.rounded(dtype).grid()
    assert off_by(voxelize(case, dtype=dtype, implementation=implementation), truth) < tolerances.GRID[dtype]


@pytest.mark.parametrize("periodic", SUBSETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_subset_of_axes_agrees_with_brute_force(
    rng: np.random.Generator, dtype: str, periodic: tuple[bool, bool, bool]
) -> None:
    case = crystal(rng, periodic=periodic)
    case.sigma[:4] = [0.05, 1.3, 3.0, 7.0]  # from a tenth of a voxel to more than the box
    for data_format in ("channels_first", "channels_last"):
        grid = voxelize(case, dtype=dtype, data_format=data_format)
        if data_format == "channels_last":
            grid = np.moveaxis(grid, -1, 0)
        assert off_by(grid, case.rounded(dtype).grid()) < tolerances.GRID[dtype]
    assert (
        off_by(voxelize(case, dtype=dtype, implementation="dense"), case.rounded(dtype).grid())
        < (tolerances.GRID[dtype])
    )


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 3), (2, 33, 5), (3, 4, 70)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_shape_agrees_with_brute_force(rng: np.random.Generator, dtype: str, shape: tuple[int, int, int]) -> None:
    case = crystal(rng, shape=shape, atoms=20)
    case.coords[:5] = case.origin + rng.integers(-3, 4, (5, 3)) * case.lengths / 2  # on faces, edges and corners
    case.sigma[:] = np.exp(rng.uniform(-3, 2, 20))
    assert off_by(voxelize(case, dtype=dtype), case.rounded(dtype).grid()) < tolerances.GRID[dtype]


@pytest.mark.parametrize("sigma", [0.05, 0.5, 2.0, 8.0, 40.0, 1e6, 1e30])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mass_is_kept_however_wide_the_atoms(rng: np.random.Generator, dtype: str, sigma: float) -> None:
    case = crystal(rng)
    case.sigma[:] = sigma
    mass = case.weights[:-1].sum()
    assert abs(voxelize(case, dtype=dtype).astype(np.float64).sum() - mass) < (
        tolerances.MASS[dtype] * np.abs(case.weights).sum()
    )


def test_atoms_far_wider_than_the_box_are_spread_evenly(rng: np.random.Generator) -> None:
    case = dataclasses.replace(crystal(rng, num_channels=1), channels=np.zeros(12, int))
    case.sigma[:] = 50.0
    even = case.weights.sum() / np.prod(case.shape)
    for implementation in IMPLEMENTATIONS:
        assert off_by(voxelize(case, implementation=implementation), np.full((1, *case.shape), even)) < (
            tolerances.FLOAT64_GRID
        )


def test_atoms_may_be_given_in_any_cell(rng: np.random.Generator) -> None:
    case = crystal(rng)
    moved = dataclasses.replace(case, coords=case.coords + rng.integers(-1000, 1000, (12, 3)) * case.lengths)
    assert off_by(voxelize(moved), voxelize(case)) < 1e-9  # the digits that coordinates a thousand times larger lose
    # The lengths are whole numbers of halves: nothing is lost.
    case.coords[:] = np.round(case.coords * 64) / 64
    moved = dataclasses.replace(case, coords=case.coords + rng.integers(-1000, 1000, (12, 3)) * case.lengths)
    assert np.array_equal(voxelize(moved), voxelize(case))


def test_moving_the_box_by_a_voxel_rolls_the_grid(rng: np.random.Generator) -> None:
    case = crystal(rng)
    steps = np.array([2, -5, 9])
    moved = dataclasses.replace(case, origin=case.origin + steps * case.lengths / case.shape)
    assert off_by(voxelize(moved), np.roll(voxelize(case), -steps, axis=(1, 2, 3))) < tolerances.FLOAT64_SAME


def test_supercell_repeats_the_grid(rng: np.random.Generator) -> None:
    case = crystal(rng)
    repeats = np.array([2, 1, 3])
    offsets = np.array(list(itertools.product(*map(range, repeats)))) * case.lengths
    supercell = dataclasses.replace(
        case,
        coords=(case.coords + offsets[:, None]).reshape(-1, 3),
        channels=np.tile(case.channels, 6),
        weights=np.tile(case.weights, 6),
        sigma=np.tile(case.sigma, 6),
        lengths=case.lengths * repeats,
        shape=tuple(int(n) for n in case.shape * repeats),
    )
    assert off_by(voxelize(supercell), np.tile(voxelize(case), (1, *repeats))) < tolerances.FLOAT64_SAME


def test_ragged_batch_with_a_box_for_each(rng: np.random.Generator) -> None:
    cases = [crystal(rng, atoms=n, lengths=rng.uniform(3, 9, 3), origin=rng.normal(size=3)) for n in (12, 2, 30)]
    ragged = {
        name: tf.RaggedTensor.from_row_lengths(np.concatenate([getattr(c, name) for c in cases]), [12, 2, 30])
        for name in ("coords", "channels", "weights", "sigma")
    }
    box = (np.stack([c.origin for c in cases]), np.stack([c.lengths for c in cases]))
    options = {"num_channels": 3, "grid_shape": cases[0].shape, "box": box, "periodic": True, "dtype": "float64"}
    for implementation in IMPLEMENTATIONS:
        grid = pg_tf.voxelize(
            ragged["coords"],
            ragged["channels"],
            weights=ragged["weights"],
            sigma=ragged["sigma"],
            implementation=implementation,
            **options,
        )
        assert off_by(grid, np.stack([case.grid() for case in cases])) < tolerances.FLOAT64_GRID


def test_thousands_of_atoms_across_the_faces_keep_the_accuracy_of_one(rng: np.random.Generator) -> None:
    case = crystal(rng, atoms=4000, num_channels=1, shape=(8, 8, 8))
    case.weights[:] = 1.0
    assert off_by(voxelize(case, dtype="float32"), case.rounded("float32").grid()) < tolerances.FLOAT32_GRID


def test_rotated_box_repeats_along_its_own_axes(rng: np.random.Generator) -> None:
    case = crystal(rng)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    box = pg_tf.Box(turn.T @ case.origin, case.lengths, turn)
    rotated = dataclasses.replace(case, coords=case.coords @ turn)
    options = case.options() | {"box": box, "dtype": "float64"}
    assert off_by(pg_tf.voxelize(rotated.coords, case.channels, **options), case.grid()) < tolerances.FLOAT64_SAME


@pytest.mark.parametrize("periodic", [(True, True, True), (True, False, True), (False, True, False)])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_periodic_gradient_agrees_with_brute_force(
    rng: np.random.Generator, dtype: str, implementation: str, periodic: tuple[bool, bool, bool]
) -> None:
    case = crystal(rng, periodic=periodic, atoms=40)
    case.sigma[:3] = [0.1, 2.0, 5.0]
    upstream = rng.normal(size=(3, *case.shape)).astype(dtype)
    expected = case.rounded(dtype).gradients(upstream.astype(np.float64))
    options = {"implementation": implementation, "periodic": periodic}
    for name, value in zip(NAMES, gradients(case, upstream, NAMES[:3], dtype, **options), strict=False):
        assert off_by(value[:-1], expected[name][:-1]) < tolerances.GRADIENT[dtype], name
        assert not np.any(value[-1])  # padding


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_periodic_gradient_agrees_with_central_differences(
    rng: np.random.Generator, name: str, implementation: str
) -> None:
    case = crystal(rng, atoms=5, shape=(5, 4, 7), num_channels=2, periodic=(True, False, True))
    case.sigma[:] = [0.7, 1.2, 2.0, 3.0, 1.0]
    upstream = rng.normal(size=(2, 5, 4, 7))
    values = tensors(case)

    def value(x: tf.Tensor) -> tf.Tensor:
        options = {"implementation": implementation, "periodic": case.periodic}
        return tf.reduce_sum(grid_of(case, {**values, name: x}, **options) * upstream)

    analytic, numeric = tf.test.compute_gradient(value, [values[name]], delta=1e-4)
    assert off_by(analytic[0], numeric[0]) < tolerances.NUMERIC_GRADIENT


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_features_across_faces_are_the_adjoint_of_the_grid(rng: np.random.Generator, data_format: str) -> None:
    case = crystal(rng, atoms=80)
    features = tf.constant(rng.normal(size=(80, 3)))
    options = case.options() | {"weights": None, "dtype": "float64", "data_format": data_format}
    with tf.GradientTape() as tape:
        tape.watch(features)
        grid = pg_tf.voxelize(case.coords, case.channels, features=features, **options)
    upstream = rng.normal(size=grid.shape)
    adjoint = tape.gradient(grid, features, tf.constant(upstream))
    assert np.isclose(np.sum(grid.numpy() * upstream), np.sum(adjoint.numpy() * features.numpy()), rtol=1e-10)


def test_forces_of_an_energy_without_origin_sum_to_zero(rng: np.random.Generator) -> None:
    # The sum of squares of a grid is that of its Fourier components, and those that the grid cannot tell from others
    # are exp(-(pi sigma / voxel)^2) = 7e-18 at 2 voxels: moving all atoms at once changes nothing.
    case = crystal(rng, shape=(10, 13, 16))
    case.sigma[:] = 2 * np.max(case.lengths / case.shape)
    coords = tf.constant(case.coords)
    with tf.GradientTape() as tape:
        tape.watch(coords)
        grid = pg_tf.voxelize(coords, case.channels, **case.options(), dtype="float64")
        energy = tf.reduce_sum(grid**2)
    forces = tape.gradient(energy, coords).numpy()
    assert np.abs(forces).max() > 1e-3
    assert np.abs(forces.sum(0)).max() < 1e-10 * np.abs(forces).max()


def test_second_gradient_agrees_with_the_dense_form(rng: np.random.Generator) -> None:
    case = crystal(rng, atoms=4, shape=(3, 2, 5), num_channels=2)
    case.sigma[:] = [0.8, 1.5, 2.0, 1.0]
    vectors = {name: rng.normal(size=getattr(case, name).shape) for name in NAMES}

    def second(implementation: str) -> dict[str, tf.Tensor]:
        values = tensors(case)
        with tf.GradientTape() as outer:
            outer.watch(values)
            with tf.GradientTape() as inner:
                inner.watch(values)
                grid = grid_of(case, values, periodic=case.periodic, implementation=implementation)
                energy = tf.reduce_sum(grid**3)
            first = inner.gradient(energy, values)
            total = tf.add_n([tf.reduce_sum(first[name] * vectors[name]) for name in NAMES])
        return outer.gradient(total, values)

    for name, expected in second("dense").items():
        assert off_by(second("op")[name], expected.numpy()) < tolerances.FLOAT64_SAME, name


def test_xla_sums_images_too(rng: np.random.Generator) -> None:
    case = crystal(rng)
    compiled = tf.function(
        lambda coords: pg_tf.voxelize(coords, case.channels, **case.options(), dtype="float64"), jit_compile=True
    )
    assert off_by(compiled(tf.constant(case.coords)), case.grid()) < tolerances.FLOAT64_GRID


@pytest.mark.parametrize("periodic", [1, [True, False], [1, 0, 1], "xy", [[True, True, True]]])
def test_periodic_must_be_flags(periodic: object) -> None:
    with pytest.raises(ValueError, match="periodic must be a flag or three flags"):
        pg_tf.voxelize([[0.0, 0.0, 0.0]], box=([0.0] * 3, [1.0] * 3), periodic=periodic)


def test_a_fitted_box_is_no_period() -> None:
    with pytest.raises(ValueError, match="periodic: give the box or the cell that repeats"):
        pg_tf.voxelize([[0.0, 0.0, 0.0]], periodic=[False, True, False])
