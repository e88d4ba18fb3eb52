"""`grid_to_coords`: checks, and the way between the caller's grids and the solver's problems of one channel."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from threadpoolctl import threadpool_limits

from pg_tf.inversion import evidence, solver
from pg_tf.inversion.factors import Array
from pg_tf.inversion.frame import Frame
from pg_tf.inversion.least_squares import Free
from pg_tf.inversion.problem import Atoms, Problem
from pg_tf.inversion.result import Inversion

# Grids are solved together as far as they have this many voxels in all: some hundred MiB of work space.
_VOXELS_AT_ONCE = 1 << 21

_BACKGROUNDS = {None: -1, "constant": 0, "linear": 1, "quadratic": 2}

# What a grid may leave unexplained, at least: the grids of the op are good to 1e-6 of the largest voxel.
_EPSILON = 1e-10
_ROUNDING = 1e-7


def grid_to_coords(
    grid: Any,
    *,
    sigma: Any,
    box: Any = None,
    cell: Any = None,
    periodic: Any = None,
    weights: Any = None,
    num_atoms: Any = None,
    data_format: str = "channels_first",
    fit_sigma: bool = False,
    fit_scale: bool = False,
    fit_background: str | None = None,
    seeds: str = "op",
    optimizer: keras.optimizers.Optimizer | None = None,
    max_steps: int | None = None,
    max_repairs: int = 12,
    epsilon: float | None = None,
) -> Inversion:
    """Finds the atoms that a grid was made of.

    Seeds are the most persistent peaks of each channel (H0 of the superlevel filtration) after the grid was sharpened,
    as many as the mass of the channel tells (ParticleGrid paper, Eq. 6), or as stand out where the mass tells nothing.
    Levenberg-Marquardt in float64 then minimises sum (G - G')^2 over all coordinates (Eq. 7-16). Where something is
    left of the grid, atoms are added, moved and dropped while that helps.

    Example:

        grid, box = pg_tf.voxelize(coords, channels, num_channels=8, return_box=True)
        found = pg_tf.grid_to_coords(grid, box=box, sigma=0.4)
        found.points, found.converged

        grid = pg_tf.voxelize(crystal.coords, channels, num_channels=2, cell=crystal.cell, grid_shape=48, sigma=0.35)
        found = pg_tf.grid_to_coords(grid, cell=crystal.cell, sigma=0.35)
        found.fractional, found.to_structure(("Na", "Cl"))

    Args:
      grid: `[C, nx, ny, nz]` or `[B, C, nx, ny, nz]` (channels_last: C in the end). All atoms of a channel have the
        same sigma and weight. Of a half-precision grid keep the dtype: it tells how coarse the numbers are.
      sigma: standard deviation of the Gaussians, Å: a scalar or one for each channel `[C]`.
      box: the `Box` it was made with, or `(origin, lengths)` in Å: `[3]`, or `[B, 3]` for a batch. Of a window into a
        crystal, made with box and cell, the box alone: that grid repeats along no axis.
      cell: instead of a box, the lattice vectors along which the voxels lie, as rows, Å: `[3, 3]`, or `[B, 3, 3]`.
      periodic: along which of the three vectors of the box or cell the structure repeats, as in `pg_tf.voxelize`: a
        flag or three. None: all of a cell, none of a box.
      weights: integral of an atom, 1 if None: a scalar or one for each channel `[C]`.
      num_atoms: number of atoms in each channel, `[C]` or `[B, C]`; None finds it.
      data_format: "channels_first" or "channels_last".
      fit_sigma: also fits the sigma of each channel, starting from the one given: for grids that a network has blurred.
      fit_scale: also fits a factor to the weights of each channel: for grids that were normalised otherwise.
      fit_background: also fits a polynomial to each channel: "constant", "linear" or "quadratic".
      seeds: "op", pg_tf's persistent homology, or "cripser", the same pairs from the package of that name, which knows
        no periodic axes.
      optimizer: None for Levenberg-Marquardt, or any Keras optimizer, for the paper's plain descent from the seeds.
      max_steps: of one descent; None is 30, or 600 with an optimizer.
      max_repairs: rounds in which atoms are added, moved and dropped; 0 with an optimizer.
      epsilon: the loss at which a grid counts as explained, see `Inversion.loss`. None is 1e-10, or the square of the
        dtype's epsilon where that is larger. Noisy grids also count as explained when white noise is all that is left.

    Returns:
      An `Inversion`.

    Raises:
      ValueError: if a shape does not fit, a number is not finite or out of range, box and cell are both missing or
        both given, or one of them has no volume.
    """
    values, single, rounding = _grids(grid, data_format)
    batch_size, num_channels = values.shape[:2]
    sigmas = _per_channel("sigma", sigma, num_channels)
    integrals = _per_channel("weights", 1.0 if weights is None else weights, num_channels)
    counts = _atom_counts(num_atoms, batch_size, num_channels)
    frame = Frame.of(box, cell, periodic, batch_size, values.dtype.name)
    frame.check_sigma(sigmas, values.shape[2:])
    exponents = _exponents(fit_background)
    if seeds not in ("op", "cripser"):
        raise ValueError(f"seeds must be 'op' or 'cripser', got {seeds!r}")
    if seeds == "cripser" and any(frame.space.periodic):
        raise ValueError("seeds: 'cripser' finds no peaks across periodic faces; leave out seeds")
    if optimizer is not None and (fit_sigma or fit_scale or fit_background):
        raise ValueError(
            "an optimizer fits coordinates only: leave out optimizer, or fit_sigma, fit_scale, fit_background"
        )
    for name, value in (("max_steps", max_steps), ("max_repairs", max_repairs), ("epsilon", epsilon)):
        if value is not None and not value >= 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
    options = solver.Options(
        Free(fit_sigma, fit_scale),
        max(_EPSILON, rounding**2) if epsilon is None else epsilon,
        max(_ROUNDING, rounding / 4),
        (30 if optimizer is None else 600) if max_steps is None else max_steps,
        max_repairs if optimizer is None else 0,
        seeds,
    )

    structure_of_grid = np.repeat(np.arange(batch_size), num_channels)
    problem = Problem(values.reshape(-1, *values.shape[2:]), frame.space[structure_of_grid], exponents)
    size = len(problem.grids)
    start = Atoms(
        np.zeros((size, 1, 3)),
        np.zeros((size, 1), bool),
        np.tile(sigmas, batch_size),
        np.tile(integrals, batch_size),
        np.zeros((size, len(exponents))),
    )
    solution, uncertainty_of_atoms, unexplained = _solve(problem, start, counts.reshape(-1), options, optimizer)
    energy = np.einsum("kxyz,kxyz->k", problem.grids, problem.grids, dtype=np.float64)

    def per_channel(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return value.reshape(batch_size, num_channels, *value.shape[1:])

    def single_or_batch(value: Any) -> Any:
        return value[0] if single else value

    points, fractional, uncertainty = _ragged(
        solution.atoms, uncertainty_of_atoms, batch_size, num_channels, frame, values.dtype
    )
    scale = solution.atoms.scale / start.scale
    return Inversion(
        points=single_or_batch(points),
        fractional=single_or_batch(fractional),
        uncertainty=single_or_batch(uncertainty),
        converged=single_or_batch(per_channel(solution.explained).all(axis=1)),
        loss=single_or_batch(_ratio(per_channel(solution.loss).sum(axis=1), per_channel(energy).sum(axis=1))),
        unexplained=single_or_batch(per_channel(unexplained).sum(axis=1)),
        noise=single_or_batch(per_channel(solution.noise)),
        iterations=single_or_batch(per_channel(solution.steps).max(axis=1, initial=0)),
        sigma=single_or_batch(per_channel(solution.atoms.sigma)),
        scale=single_or_batch(per_channel(scale)),
        background=single_or_batch(per_channel(solution.atoms.background)),
        cell=single_or_batch(frame.cell),
        periodic=frame.space.periodic,
    )


def _solve(
    problem: Problem,
    start: Atoms,
    counts: npt.NDArray[np.int64],
    options: solver.Options,
    optimizer: keras.optimizers.Optimizer | None,
) -> tuple[solver.Solution, Array, Array]:
    """All problems, some at a time: those of similar size together, empty ones not at all. The solution, the
    uncertainties `[K, A]` in Å, and what is unexplained `[K]` in atoms."""
    solution = solver.Solution.empty(start)
    unexplained, uncertainties = np.zeros(len(counts)), []
    mass = problem.grids.sum(axis=(1, 2, 3), dtype=np.float64) / start.scale
    live = np.flatnonzero((problem.grids != 0).any(axis=(1, 2, 3)) | (counts > 0))
    live = live[np.argsort(-mass[live], kind="stable")]
    # An optimizer has a state of its own and goes through them one after another.
    threads = len(os.sched_getaffinity(0)) if optimizer is None else 1
    rounding = float(np.finfo(problem.grids.dtype).eps) / 4
    at_once = max(_VOXELS_AT_ONCE // max(problem.grids[:1].size, 1), 1)
    at_once = min(at_once, -(-len(live) // threads)) or 1

    def solve(rows: npt.NDArray[np.int64]) -> tuple[solver.Solution, Array, Array]:
        part = problem[rows]
        found = solver.solve(part, start[rows], counts[rows], options, optimizer)
        residuals = part.residual(found.atoms)
        left = evidence.leftover(residuals, found.noise) / found.atoms.scale
        return found, left, evidence.uncertainty(part, found.atoms, options.free, residuals, rounding)

    parts = [live[first : first + at_once] for first in range(0, len(live), at_once)]
    # The matrices are small: a thread for each part serves better than several for each product.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for rows, (found, left, values) in zip(parts, pool.map(solve, parts), strict=True):
            unexplained[rows] = left
            uncertainties.append((rows, values))
            solution.put(rows, found)
    uncertainty = np.zeros(solution.atoms.present.shape)
    for rows, values in uncertainties:
        uncertainty[rows, : values.shape[1]] = values
    return solution, uncertainty, unexplained


def _ragged(
    atoms: Atoms,
    uncertainty: Array,
    batch_size: int,
    num_channels: int,
    frame: Frame,
    dtype: npt.DTypeLike,
) -> list[tf.RaggedTensor]:
    """Points, fractional coordinates and uncertainties of each molecule, in the caller's frame."""
    grid, atom = np.nonzero(atoms.present)
    molecule, channel = np.divmod(grid, num_channels)
    coords, fractional = frame.placed(atoms.coords[grid, atom], molecule, dtype)
    splits = np.searchsorted(molecule, np.arange(batch_size + 1)).astype(np.int64)
    points = np.concatenate([channel[:, np.newaxis], coords], axis=1)
    return [
        tf.RaggedTensor.from_row_splits(values.astype(dtype), splits, validate=False)
        for values in (points, fractional, uncertainty[grid, atom])
    ]


def _ratio(part: Array, whole: Array) -> Array:
    return part / np.maximum(whole, np.finfo(np.float64).tiny)


def _grids(grid: Any, data_format: str) -> tuple[npt.NDArray[Any], bool, float]:
    """Grids `[B, C, nx, ny, nz]` in float32 or float64, whether it was a single one, and the epsilon of its dtype."""
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"data_format must be 'channels_first' or 'channels_last', got {data_format!r}")
    given = grid.dtype if tf.is_tensor(grid) else np.asarray(grid).dtype
    given = tf.as_dtype(given)
    if not (given.is_floating or given.is_integer or given.is_bool):
        raise ValueError(f"grid must be an array of numbers, got dtype {given.name}")
    epsilon = float(np.finfo(np.float32).eps)
    if given in (tf.float16, tf.bfloat16):
        epsilon = 2.0**-10 if given == tf.float16 else 2.0**-7
    values = np.asarray(grid)
    values = values.astype(np.float64 if given == tf.float64 else np.float32)
    if values.ndim not in (4, 5):
        raise ValueError(f"grid must have rank 4, or 5 for a batch; got shape {list(values.shape)}")
    if not np.isfinite(values).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"grid must be finite: grid{list(place)} is {values[place]}")
    single = values.ndim == 4
    if single:
        values = values[np.newaxis]
    if data_format == "channels_last":
        values = np.moveaxis(values, -1, 1)
    if 0 in values.shape[1:]:
        raise ValueError(f"grid must have a channel and voxels, got shape {list(np.shape(grid))}")
    return np.ascontiguousarray(values), single, epsilon


def _per_channel(name: str, value: Any, num_channels: int) -> Array:
    array = np.asarray(value, np.float64)
    if array.shape not in ((), (num_channels,)):
        raise ValueError(f"{name} must be a scalar or one for each of the {num_channels} channels, got {value!r}")
    if not (np.isfinite(array).all() and (array > 0).all()):
        raise ValueError(f"{name} must be finite and greater than 0, got {value!r}")
    return np.broadcast_to(array, num_channels)


def _atom_counts(num_atoms: Any, batch_size: int, num_channels: int) -> npt.NDArray[np.int64]:
    """`[B, C]`, -1 where unknown."""
    shape = (batch_size, num_channels)
    if num_atoms is None:
        return np.full(shape, -1)
    counts = np.asarray(num_atoms)
    if counts.shape not in (shape, shape[1:]) or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError(
            f"num_atoms must be whole numbers of at least 0 of shape {list(shape[1:])} or {list(shape)}, "
            f"got {num_atoms!r}"
        )
    return np.broadcast_to(counts, shape).astype(np.int64)


def _exponents(background: str | None) -> npt.NDArray[np.int64]:
    if background not in _BACKGROUNDS:
        raise ValueError(f"fit_background must be None, 'constant', 'linear' or 'quadratic', got {background!r}")
    degree = _BACKGROUNDS[background]
    powers = [(i, j, d - i - j) for d in range(degree + 1) for i in range(d, -1, -1) for j in range(d - i, -1, -1)]
    return np.array(powers, np.int64).reshape(-1, 3)
