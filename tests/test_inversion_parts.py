"""The pieces of the inversion, each against brute force."""

import dataclasses
import warnings

import numpy as np
import pytest

import pg_tf
from pg_tf.inversion.arguments import polynomial_exponents
from pg_tf.inversion.atoms import Atoms
from pg_tf.inversion.least_squares import Free, normal_matrix, refine
from pg_tf.inversion.noise import is_white, noise_level, residual_noise
from pg_tf.inversion.orthogonal import Orthogonal
from pg_tf.inversion.peaks import persistent_peaks
from pg_tf.inversion.problem import Problem
from pg_tf.inversion.sharpen_orthogonal import SeparableSharpener
from tests.tolerances import NUMERIC_GRADIENT


def problem_of(coords, *, sigma=0.4, scale=1.0, shape=(9, 10, 11), lengths=(4.0, 4.4, 5.0), background=None):
    """Two grids of the same atoms in boxes of different size, and those atoms."""
    coords = np.asarray(coords, np.float64)
    exponents = polynomial_exponents(background)
    lengths = np.array([lengths, lengths]) * [[1.0], [1.1]]
    atoms = Atoms(
        np.stack([coords, coords]),
        np.ones((2, len(coords)), bool),
        np.full(2, sigma),
        np.full(2, scale),
        np.zeros((2, len(exponents))),
    )
    empty = Problem(np.zeros((2, *shape)), Orthogonal(lengths), exponents)
    return dataclasses.replace(empty, grids=-empty.residual(atoms)), atoms


@pytest.fixture
def coords(rng):
    return rng.uniform(1.0, 3.0, size=(4, 3))


def test_normal_matrix_is_that_of_the_numeric_jacobian(coords):
    problem, atoms = problem_of(coords, scale=1.3, background="linear")
    free = Free(sigma=True, scale=True)

    def model(vector):
        moved = Atoms(
            vector[:12].reshape(1, 4, 3), atoms.present[:1], vector[12:13], vector[13:14], vector[14:].reshape(1, -1)
        )
        part = problem[:1]
        return (part.grids - part.residual(moved)).ravel()

    here = np.concatenate([coords.ravel(), [0.4, 1.3], np.zeros(4)])
    step = 1e-4
    columns = [(model(here + step * e) - model(here - step * e)) / (2 * step) for e in np.eye(len(here))]
    jacobian = np.stack(columns, axis=1)
    matrix = normal_matrix(problem, atoms, free)[0]
    np.testing.assert_allclose(matrix, jacobian.T @ jacobian, atol=NUMERIC_GRADIENT * np.abs(matrix).max())


def test_padding_changes_nothing(coords):
    problem, atoms = problem_of(coords)
    padded = atoms.padded(6)
    np.testing.assert_array_equal(problem.residual(padded), problem.residual(atoms))
    matrix = normal_matrix(problem, padded, Free())
    np.testing.assert_array_equal(matrix[:, :12, :12], normal_matrix(problem, atoms, Free()))
    assert not matrix[:, 12:].any()


def test_descent_ends_at_the_truth_with_everything_free(coords, rng):
    problem, truth = problem_of(coords, background="quadratic")
    background = rng.normal(scale=0.01, size=truth.background.shape)
    truth = dataclasses.replace(truth, background=background, sigma=np.array([0.45, 0.38]), scale=np.array([1.2, 0.9]))
    problem = dataclasses.replace(problem, grids=problem.grids - problem.residual(truth))
    start = dataclasses.replace(
        truth,
        coords=truth.coords + rng.normal(scale=0.1, size=truth.coords.shape),
        sigma=np.full(2, 0.4),
        scale=np.ones(2),
        background=np.zeros_like(background),
    )
    fit = refine(problem, start, Free(sigma=True, scale=True), max_steps=50)
    for name in ("coords", "sigma", "scale", "background"):
        # float64 with a condition of some thousands.
        np.testing.assert_allclose(getattr(fit.atoms, name), getattr(truth, name), atol=1e-9)


def test_descent_leaves_its_start_as_it_was(coords, rng):
    problem, truth = problem_of(coords, background="linear")
    shifted = truth.coords + rng.normal(scale=0.1, size=truth.coords.shape)
    start = dataclasses.replace(truth, coords=shifted, sigma=np.full(2, 0.45), scale=np.full(2, 1.1))
    before = {field.name: getattr(start, field.name).copy() for field in dataclasses.fields(start)}
    fit = refine(problem, start, Free(sigma=True, scale=True), max_steps=50)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(start, name), value)
        assert name == "present" or not np.array_equal(getattr(fit.atoms, name), value)


def test_sharpened_noise_is_as_predicted(rng):
    shape, lengths = (16, 16, 16), np.full((2, 3), 7.0)
    noise = np.array([0.001, 0.01])
    sharpener = SeparableSharpener.of(
        shape, lengths, np.full(2, 0.4), np.ones(2), noise=noise, num_atoms=np.full(2, 10.0), reach=0.0
    )
    sharp = sharpener(rng.normal(size=(2, *shape)) * noise[:, np.newaxis, np.newaxis, np.newaxis])
    third = [slice(n // 3, 2 * n // 3) for n in sharpener.shape]
    deviation = np.sqrt((sharp[(slice(None), *third)] ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(deviation, sharpener.noise, rtol=0.25)  # of some hundred independent voxels


def test_merged_atoms_show_as_two_peaks_once_sharpened():
    # 1.6 sigma apart: below 2 sigma two equal Gaussians have one peak.
    problem, _ = problem_of([[2.0, 2.0, 2.0], [2.0, 2.0, 2.8]], sigma=0.5, shape=(20, 20, 20), lengths=(5.0, 5.0, 5.0))
    assert len(persistent_peaks(problem.grids, np.zeros(2)).grid) == 2  # one in each grid
    sharpener = SeparableSharpener.of(
        problem.shape,
        problem.space.lengths,
        np.full(2, 0.5),
        np.ones(2),
        noise=np.full(2, 1e-8),
        num_atoms=np.full(2, 2.0),
        reach=0.0,
    )
    peaks = persistent_peaks(sharpener(problem.grids), np.full(2, 0.3))
    assert np.bincount(peaks.grid).tolist() == [2, 2]
    np.testing.assert_allclose(np.sort(sharpener.place(peaks.position, peaks.grid)[:2, 2]), [2.0, 2.8], atol=0.1)


def test_white_noise_is_told_from_structure(rng, coords):
    problem, atoms = problem_of(coords, shape=(20, 20, 20))
    sharpener = SeparableSharpener.of(
        problem.shape,
        problem.space.lengths,
        atoms.sigma,
        atoms.scale,
        noise=np.full(2, 1e-3),
        num_atoms=np.full(2, 4.0),
        reach=0.0,
    )
    residuals = rng.normal(scale=1e-3, size=problem.grids.shape)
    noise = residual_noise(residuals)
    np.testing.assert_allclose(noise, 1e-3, rtol=0.05)  # of 8000 voxels
    assert is_white(residuals, noise, sharpener).all()
    shifted = dataclasses.replace(atoms, coords=atoms.coords + 0.1)
    structured = residuals + problem.residual(shifted)
    assert not is_white(structured, residual_noise(structured), sharpener).any()


def test_noise_is_known_before_the_atoms_are(rng, coords):
    problem, _ = problem_of(coords, shape=(24, 24, 24), lengths=(9.0, 9.0, 9.0))
    noisy = problem.grids + rng.normal(scale=1e-3, size=problem.grids.shape)
    np.testing.assert_allclose(noise_level(dataclasses.replace(problem, grids=noisy), 1e-7), 1e-3, rtol=0.15)
    assert (noise_level(problem, 1e-7) < 1e-5).all()


@pytest.mark.parametrize(
    ("data_format", "other"), [("channels_first", "channels_last"), ("channels_last", "channels_first")]
)
def test_grid_whose_channels_are_on_the_other_side_is_told_of(data_format: str, other: str) -> None:
    points = [[0.0, 3.0, 3.0, 3.0], [1.0, 5.0, 4.0, 4.0]]
    box = pg_tf.Box([0.0] * 3, [8.0] * 3)
    grid = pg_tf.Voxelizer(num_channels=2, grid_shape=16, box=box, sigma=0.6, data_format=other)(points)
    with pytest.warns(UserWarning, match=f"data_format: a grid of shape .* and '{other}' right, for 2"):
        pg_tf.grid_to_coords(grid, box=box, sigma=0.6, data_format=data_format, max_repairs=0, max_steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pg_tf.grid_to_coords(grid, box=box, sigma=0.6, data_format=other)
    assert repr(found) == "<Inversion of 1 grid: 2 atoms, 1 of 1 converged, at most 0 atoms unexplained>"
