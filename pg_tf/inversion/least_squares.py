"""The descent: Levenberg and Marquardt's method, on many grids at once.

A step solves (J^T J + damping) step = J^T r, with the residual r and its Jacobian J. Every entry of J^T J is an inner
product of two columns (`columns.py`), and J^T r is the gradient of the op, so that J itself is never made.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.columns import COORDINATES, Kind, of_atoms
from pg_tf.inversion.problem import Problem

# How far one step may move an atom, in sigma: farther away the model is far from linear.
_LONGEST_STEP = 0.7

# An atom this many sigma outside of the box has left no trace in it.
_OUTSIDE = 3.0

_LARGEST_DAMPING = 1e6
_SMALLEST_DAMPING = 1e-9


@dataclasses.dataclass(frozen=True)
class Free:
    """What is fitted beside the coordinates. A background is fitted whenever the problem has polynomials for it.

    Attributes:
      sigma: one of each grid.
      scale: one of each grid.
      weights: a scale of each atom, which is normally distributed around `Problem.integral` with this standard
        deviation, as a share of it; 0 for none. It takes the place of `scale`.
    """

    sigma: bool = False
    scale: bool = False
    weights: float = 0.0


class Fit(NamedTuple):
    """Attributes:
    atoms: where the descent ended.
    loss: sum of the squared residual, `[K]`.
    steps: taken, `[K]`.
    """

    atoms: Atoms
    loss: Array
    steps: npt.NDArray[np.int64]


def refine(
    problem: Problem,
    start: Atoms,
    free: Free,
    *,
    max_steps: int,
    precision: float = 1e-6,
    smallest_step: float = 0.0,
) -> Fit:
    """Lowers sum r^2 of each grid, in at most `max_steps` steps.

    A grid is done when the next step promises to lower its sum by no more than the share `precision`, when that step
    would change no parameter by `smallest_step` or by the resolution of the space (coordinates: Å), or when the damping
    has reached its bound, because not even very short steps help.
    """
    size = max(int(start.counts.max(initial=0)), 1)
    best = start.padded(size)
    loss = np.empty(len(problem.grids))
    steps = np.zeros(len(loss), np.int64)
    rows = np.arange(len(loss))
    part, atoms = problem, best
    system = _System.of(part, atoms, free)
    loss[:] = system.loss
    damping = np.full(len(loss), 1e-3)
    for _ in range(max_steps):
        step, promise = system.solve(damping)
        done = (promise <= precision * system.loss) | (damping >= _LARGEST_DAMPING)
        done |= np.abs(step).max(axis=1) < max(part.space.resolution, smallest_step)
        if done.any():
            going = ~done
            rows, damping, step, promise = rows[going], damping[going], step[going], promise[going]
            if not len(rows):
                break
            part, atoms, system = part[going], atoms[going], system[going]
        trial = _moved(part, atoms, step, free)
        there = _System.of(part, trial, free)
        better = there.loss < system.loss
        gain = (system.loss - there.loss) / np.maximum(promise, np.finfo(float).tiny)
        factor = np.where(better, np.where(gain > 0.5, 0.1, 1.0), 8.0)
        damping = np.clip(damping * factor, _SMALLEST_DAMPING, None)
        atoms = trial.where(better, atoms)
        system = there.where(better, system)
        steps[rows] += 1
        loss[rows] = system.loss
        for field in dataclasses.fields(best):
            getattr(best, field.name)[rows] = getattr(atoms, field.name)
    return Fit(best, loss, steps)


@dataclasses.dataclass(frozen=True)
class _System:
    """The normal equations at a point."""

    matrix: Array  # [K, P, P]
    slope: Array  # [K, P]
    loss: Array  # [K]
    scale: Array  # [K, P], diagonal of an atom that is wholly inside

    @classmethod
    def of(cls, problem: Problem, atoms: Atoms, free: Free) -> _System:
        residual, to_coords, to_sigma, to_scale = problem.slopes(atoms, free.sigma)
        matrix = normal_matrix(problem, atoms, free)
        slope = [to_coords.reshape(len(to_coords), -1)]
        if to_sigma is not None:
            slope.append(to_sigma[:, np.newaxis])
        loss = problem.loss(residual)
        if free.weights:
            assert problem.integral is not None, "what the weights are expected to be"
            spread = free.weights * problem.integral[:, np.newaxis]
            astray = np.where(atoms.present, (problem.integral[:, np.newaxis] - atoms.scale) / spread, 0)
            slope.append(to_scale * atoms.present + astray / spread)
            loss += (astray**2).sum(axis=1)
        elif free.scale:
            slope.append(to_scale[:, np.newaxis])
        if len(problem.exponents):
            x, y, z = (problem.polynomials(axis) for axis in range(3))
            above = residual if problem.precision is None else residual * problem.precision
            slope.append(np.einsum("kxyz,qx,qy,qz->kq", above, x, y, z, optimize=True))
        diagonal = np.einsum("kpp->kp", matrix)
        # Atoms that the box cuts, and padding, must not move just because nothing holds them.
        floor = 1e-2 * diagonal.max(axis=1, initial=0, keepdims=True)
        coordinates = np.arange(diagonal.shape[1]) < 3 * atoms.present.shape[1]
        scale = np.where(coordinates, np.maximum(diagonal, floor), diagonal) + np.finfo(float).tiny
        return cls(matrix, np.concatenate(slope, axis=1), loss, scale)

    def solve(self, damping: Array) -> tuple[Array, Array]:
        """The step `[K, P]` and the fall of the loss that the linear model promises for it `[K]`."""
        root = 1 / np.sqrt(self.scale)
        matrix = self.matrix * root[:, :, np.newaxis] * root[:, np.newaxis, :]
        diagonal = np.einsum("kpp->kp", matrix)
        diagonal += damping[:, np.newaxis]
        slope = self.slope * root
        step = tf.linalg.cholesky_solve(tf.linalg.cholesky(matrix), slope[:, :, np.newaxis])[:, :, 0].numpy()
        promise = np.einsum("kp,kp->k", step, slope + damping[:, np.newaxis] * step)
        return step * root, promise

    def __getitem__(self, rows: npt.NDArray[np.bool_]) -> _System:
        return _System(self.matrix[rows], self.slope[rows], self.loss[rows], self.scale[rows])

    def where(self, chosen: npt.NDArray[np.bool_], other: _System) -> _System:
        return _System(
            np.where(chosen[:, np.newaxis, np.newaxis], self.matrix, other.matrix),
            np.where(chosen[:, np.newaxis], self.slope, other.slope),
            np.where(chosen, self.loss, other.loss),
            np.where(chosen[:, np.newaxis], self.scale, other.scale),
        )


def normal_matrix(problem: Problem, atoms: Atoms, free: Free, exact: bool = False) -> Array:
    """J^T W J, `[K, P, P]`: the coordinates x, y, z of the first atom, of the second, ...; then sigma and the scale, of
    the grid or of each atom, where they are free; then the background. `exact` as in `Space.columns`.

    W, the precision of the voxels, is not exact: each atom's columns count by the precision around the atom.
    """
    num_grids, num_atoms = atoms.present.shape
    columns = problem.columns(atoms, free.sigma, exact)
    trust = np.sqrt(problem.trusted(atoms))
    factor = of_atoms(atoms.scale) * trust
    outer = factor[:, :, np.newaxis] * factor[:, np.newaxis]
    size = 3 * num_atoms
    own_scales = bool(free.weights)
    num_scales = num_atoms if own_scales else int(free.scale)
    total = size + free.sigma + num_scales + len(problem.exponents)
    matrix = np.zeros((num_grids, total, total))
    blocks = matrix[:, :size, :size].reshape(num_grids, num_atoms, 3, num_atoms, 3) if total == size else None
    if blocks is None:
        blocks = np.zeros((num_grids, num_atoms, 3, num_atoms, 3))
    for i in range(3):
        for j in range(i + 1):
            block = columns.inner(COORDINATES[i], COORDINATES[j]) * outer
            blocks[:, :, i, :, j] = block
            if i != j:
                blocks[:, :, j, :, i] = block.transpose(0, 2, 1)
    if total == size:
        return matrix
    matrix[:, :size, :size] = blocks.reshape(num_grids, size, size)

    # Columns beside the coordinates: their kind, what each atom's part in them is multiplied by, and whether they are
    # sums over all atoms or each atom has its own.
    others = []
    if free.sigma:
        others.append((Kind.SIGMA, factor, True))
    if num_scales:
        others.append((Kind.VALUE, trust, not own_scales))
    row = size
    places = []
    for kind, mine, summed in others:
        rows = slice(row, row + (1 if summed else num_atoms))
        places.append(rows)
        row = rows.stop
        to_atoms = np.stack([columns.inner(kind, along) for along in COORDINATES], axis=3)  # [K, A, A, 3]
        to_atoms *= mine[:, :, np.newaxis, np.newaxis] * factor[:, np.newaxis, :, np.newaxis]
        to_atoms = to_atoms.reshape(num_grids, num_atoms, size)
        matrix[:, rows, :size] = to_atoms.sum(axis=1, keepdims=True) if summed else to_atoms
        for (other, theirs, their_sum), column in zip(others, places, strict=False):
            inner = columns.inner(kind, other) * mine[:, :, np.newaxis] * theirs[:, np.newaxis]
            inner = inner.sum(axis=1, keepdims=True) if summed else inner
            matrix[:, rows, column] = inner.sum(axis=2, keepdims=True) if their_sum else inner
    if own_scales:
        assert problem.integral is not None, "what the weights are expected to be"
        diagonal = np.einsum("kpp->kp", matrix)
        diagonal[:, places[-1]] += 1 / (free.weights * problem.integral[:, np.newaxis]) ** 2
    # The background's polynomials.
    first = row
    polynomials = [problem.polynomials(axis) for axis in range(3)]
    everywhere = np.ones(num_grids) if problem.precision is None else problem.precision.mean(axis=(1, 2, 3))
    for q in range(len(problem.exponents)):
        basis = [along[q] for along in polynomials]
        projected = columns.projected(basis)
        outside = np.sqrt(everywhere)[:, np.newaxis]
        to_atoms = np.stack([projected[kind] for kind in COORDINATES], axis=2) * (factor * outside)[:, :, np.newaxis]
        matrix[:, first + q, :size] = to_atoms.reshape(num_grids, size)
        for (kind, mine, summed), column in zip(others, places, strict=True):
            inner = projected[kind] * mine * outside
            matrix[:, first + q, column] = inner.sum(axis=1, keepdims=True) if summed else inner
        for p in range(q + 1):
            product = np.prod([basis[axis] @ polynomials[axis][p] for axis in range(3)])
            matrix[:, first + q, first + p] = everywhere * product
    lower = np.tril(matrix)
    return lower + np.tril(matrix, -1).transpose(0, 2, 1)


def _moved(problem: Problem, atoms: Atoms, step: Array, free: Free) -> Atoms:
    num_grids, num_atoms = atoms.present.shape
    shift = step[:, : 3 * num_atoms].reshape(num_grids, num_atoms, 3)
    longest = _LONGEST_STEP * of_atoms(atoms.sigma)[:, :, np.newaxis]
    distance = np.sqrt((shift**2).sum(axis=2, keepdims=True))
    shift = shift * np.minimum(1, longest / np.maximum(distance, np.finfo(float).tiny))
    coords = problem.space.confined(atoms.coords + shift, _OUTSIDE * atoms.sigma)
    rest = 3 * num_atoms
    sigma, scale = atoms.sigma, atoms.scale
    if free.sigma:
        sigma = np.clip(sigma + step[:, rest], 0.8 * sigma, 1.25 * sigma)
    rest += free.sigma
    if free.weights:
        scale = np.clip(scale + step[:, rest : rest + num_atoms], 0.7 * scale, 1.4 * scale)
        rest += num_atoms
    elif free.scale:
        scale = np.clip(scale + step[:, rest], 0.7 * scale, 1.4 * scale)
        rest += 1
    background = atoms.background + step[:, rest:]
    return Atoms(coords, atoms.present, sigma, scale, background)
