"""Boxes that repeat: all images of an atom, on any of the axes."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tolerances
from reference import PERIODIC_GOLDEN, Case, golden, off_by, random_case
from test_gradient import NAMES, gradients

import pg_tf

SUBSETS = [s for s in itertools.product([False, True], repeat=3) if any(s)]


def voxelize(case: Case, **options: object) -> np.ndarray:
    return pg_tf.voxelize(case.coords, case.channels, **case.options(), **{"dtype": "float64", **options}).numpy()


def crystal(rng: np.random.Generator, **changes: object) -> Case:
    """A box that repeats on all axes if nothing else is said."""
    return random_case(rng, **{"periodic": (True, True, True), **changes})


def test_golden_files_are_there() -> None:
    assert len(PERIODIC_GOLDEN) == 3


@pytest.mark.parametrize("path", PERIODIC_GOLDEN, ids=lambda path: path.stem)
def test_periodic_grid_agrees_with_golden(path: Path, dtype: str, implementation: str) -> None:
    case, arrays = golden(path)
    truth = arrays["grid"] if dtype == "float64" else case.rounded(dtype).grid()
    assert off_by(voxelize(case, dtype=dtype, implementation=implementation), truth) < tolerances.GRID[dtype]


@pytest.mark.parametrize("periodic", SUBSETS)
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
    dense = voxelize(case, dtype=dtype, implementation="dense")
    assert off_by(dense, case.rounded(dtype).grid()) < tolerances.GRID[dtype]


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 3), (2, 33, 5), (3, 4, 70)])
def test_any_shape_agrees_with_brute_force(rng: np.random.Generator, dtype: str, shape: tuple[int, int, int]) -> None:
    case = crystal(rng, shape=shape, atoms=20)
    case.coords[:5] = case.origin + rng.integers(-3, 4, (5, 3)) * case.lengths / 2  # on faces, edges and corners
    case.sigma[:] = np.exp(rng.uniform(-3, 2, 20))
    assert off_by(voxelize(case, dtype=dtype), case.rounded(dtype).grid()) < tolerances.GRID[dtype]


@pytest.mark.parametrize("sigma", [0.05, 0.5, 2.0, 8.0, 40.0, 1e6, 1e30])
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
    for implementation in ("op", "dense"):
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


def test_ragged_batch_with_a_box_for_each(rng: np.random.Generator) -> None:
    cases = [crystal(rng, atoms=n, lengths=rng.uniform(3, 9, 3), origin=rng.normal(size=3)) for n in (12, 2, 30)]
    ragged = {
        name: tf.RaggedTensor.from_row_lengths(np.concatenate([getattr(c, name) for c in cases]), [12, 2, 30])
        for name in ("coords", "channels", "weights", "sigma")
    }
    box = (np.stack([c.origin for c in cases]), np.stack([c.lengths for c in cases]))
    options = {"num_channels": 3, "grid_shape": cases[0].shape, "box": box, "periodic": True, "dtype": "float64"}
    for implementation in ("op", "dense"):
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


@pytest.mark.parametrize("periodic", [(True, True, True), (True, False, True), (False, True, False)])
def test_periodic_gradient_agrees_with_brute_force(
    rng: np.random.Generator, dtype: str, implementation: str, periodic: tuple[bool, bool, bool]
) -> None:
    case = crystal(rng, periodic=periodic, atoms=40)
    case.sigma[:3] = [0.1, 2.0, 5.0]
    upstream = rng.normal(size=(3, *case.shape)).astype(dtype)
    expected = case.rounded(dtype).gradients(upstream.astype(np.float64))
    values = gradients(case, upstream, NAMES[:3], dtype, implementation=implementation)
    for name, value in zip(NAMES, values, strict=False):
        assert off_by(value[:-1], expected[name][:-1]) < tolerances.GRADIENT[dtype], name
        assert not np.any(value[-1])  # padding


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
