"""`grid_to_coords`: makes a problem of one channel of each of the caller's grids, and a result of what is found."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from threadpoolctl import threadpool_limits

from pg_tf.inversion.arguments import atom_counts, checked_grids, likely_format, per_channel, polynomial_exponents
from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.confidence import uncertainty
from pg_tf.inversion.frame import Frame
from pg_tf.inversion.least_squares import Free
from pg_tf.inversion.likelihood import Noise
from pg_tf.inversion.noise import above_noise
from pg_tf.inversion.problem import Problem
from pg_tf.inversion.repair import Options, Solution
from pg_tf.inversion.result import Inversion
from pg_tf.inversion.strategy import find_atoms

# So many voxels are worked on at once, which takes some hundred MiB of work space.
_VOXELS_AT_ONCE = 1 << 21

# What counts as rounding, for the op's own float32 grids are good to about 1e-6 of the largest voxel only: a grid is
# explained when no more than this share of its sum of squares is left, ...
_EPSILON = 1e-10
# ... and the noise of a voxel is taken to be at least this share of the largest voxel.
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
    noise: Noise | float | None = None,
    seeds: str = "op",
    optimizer: keras.optimizers.Optimizer | None = None,
    max_steps: int | None = None,
    max_repairs: int = 12,
    epsilon: float | None = None,
) -> Inversion:
    """Finds the atoms that a grid was made of.

    The search begins at the most persistent peaks of each channel (H0 of the superlevel filtration) of the sharpened
    grid: as many as the mass of the channel tells (ParticleGrid paper, Eq. 6), or all that stand out where the mass
    does not tell the number. Levenberg-Marquardt in float64 then minimises sum (G - G')^2 over all coordinates
    (Eq. 7-16). Where the atoms do not explain the grid, some are added, moved and dropped while that helps.

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
      noise: what is known of the noise: the standard deviation of white noise, in the grid's units, or a
        `pg_tf.inversion.Noise` that also has parts in proportion to the value. None estimates it from the grid. Grids
        that are exact to rounding are inverted as such, whatever it says.
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
    values, single, rounding = checked_grids(grid, data_format)
    batch_size, num_channels = values.shape[:2]
    if guess := likely_format(values.shape[1:], box, data_format):
        warnings.warn(guess, stacklevel=2)
    sigmas = per_channel("sigma", sigma, num_channels)
    integrals = per_channel("weights", 1.0 if weights is None else weights, num_channels)
    counts = atom_counts(num_atoms, batch_size, num_channels)
    frame = Frame.of(box, cell, periodic, batch_size, values.dtype.name)
    frame.check_sigma(sigmas, values.shape[2:])
    exponents = polynomial_exponents(fit_background)
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
    options = Options(
        Free(fit_sigma, fit_scale),
        max(_EPSILON, rounding**2) if epsilon is None else epsilon,
        max(_ROUNDING, rounding / 4),
        (30 if optimizer is None else 600) if max_steps is None else max_steps,
        max_repairs if optimizer is None else 0,
        seeds,
        noise if noise is None or isinstance(noise, Noise) else Noise(noise),
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

    def of_channels(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return value.reshape(batch_size, num_channels, *value.shape[1:])

    def single_or_batch(value: Any) -> Any:
        return value[0] if single else value

    points, fractional, likely_error = _ragged(
        solution.atoms, uncertainty_of_atoms, batch_size, num_channels, frame, values.dtype
    )
    scale = solution.atoms.scale / start.scale
    # A channel of noise alone is explained, but where all channels are, there may be anything below the noise.
    something = of_channels(solution.atoms.counts).any(axis=1) | (of_channels(energy) == 0).all(axis=1)
    return Inversion(
        points=single_or_batch(points),
        fractional=single_or_batch(fractional),
        uncertainty=single_or_batch(likely_error),
        converged=single_or_batch(of_channels(solution.explained).all(axis=1) & something),
        loss=single_or_batch(_ratio(of_channels(solution.loss).sum(axis=1), of_channels(energy).sum(axis=1))),
        unexplained=single_or_batch(of_channels(unexplained).sum(axis=1)),
        noise=single_or_batch(of_channels(solution.noise)),
        iterations=single_or_batch(of_channels(solution.steps).max(axis=1, initial=0)),
        sigma=single_or_batch(of_channels(solution.atoms.sigma)),
        scale=single_or_batch(of_channels(scale)),
        background=single_or_batch(of_channels(solution.atoms.background)),
        cell=single_or_batch(frame.cell),
        periodic=frame.space.periodic,
    )


def _solve(
    problem: Problem,
    start: Atoms,
    counts: npt.NDArray[np.int64],
    options: Options,
    optimizer: keras.optimizers.Optimizer | None,
) -> tuple[Solution, Array, Array]:
    """Solves all problems but the empty ones, some at a time, those with similar numbers of atoms together.

    Returns:
      The solution, the uncertainties `[K, A]` in Å, and what is unexplained `[K]` in atoms.
    """
    solution = Solution.empty(start)
    unexplained, uncertainties = np.zeros(len(counts)), []
    mass = problem.grids.sum(axis=(1, 2, 3), dtype=np.float64) / start.scale
    live = np.flatnonzero((problem.grids != 0).any(axis=(1, 2, 3)) | (counts > 0))
    live = live[np.argsort(-mass[live], kind="stable")]
    # A Keras optimizer has a state of its own, and so solves them one after another.
    threads = len(os.sched_getaffinity(0)) if optimizer is None else 1
    rounding = float(np.finfo(problem.grids.dtype).eps) / 4
    at_once = max(_VOXELS_AT_ONCE // max(problem.grids[:1].size, 1), 1)
    at_once = min(at_once, -(-len(live) // threads)) or 1

    def solve(rows: npt.NDArray[np.int64]) -> tuple[Solution, Array, Array]:
        part = problem[rows]
        found = find_atoms(part, start[rows], counts[rows], options, optimizer)
        residuals = part.residual(found.atoms)
        left = above_noise(residuals, found.noise) / found.atoms.scale
        return found, left, uncertainty(part, found.atoms, options.free, residuals, rounding)

    parts = [live[first : first + at_once] for first in range(0, len(live), at_once)]
    # The matrices are small: one thread for each part is faster than several threads for each product.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for rows, (found, left, values) in zip(parts, pool.map(solve, parts), strict=True):
            unexplained[rows] = left
            uncertainties.append((rows, values))
            solution.put(rows, found)
    of_atoms = np.zeros(solution.atoms.present.shape)
    for rows, values in uncertainties:
        of_atoms[rows, : values.shape[1]] = values
    return solution, of_atoms, unexplained


def _ragged(
    atoms: Atoms,
    likely_error: Array,
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
        for values in (points, fractional, likely_error[grid, atom])
    ]


def _ratio(part: Array, whole: Array) -> Array:
    return part / np.maximum(whole, np.finfo(np.float64).tiny)
