"""How far to trust a single atom: its likely error, and how much of the grid would be unexplained without it."""

import dataclasses

import numpy as np

from pg_tf.inversion.atoms import Array, Atoms
from pg_tf.inversion.columns import of_atoms
from pg_tf.inversion.least_squares import Free, normal_matrix
from pg_tf.inversion.problem import Problem


def uncertainty(problem: Problem, atoms: Atoms, free: Free, residuals: Array, rounding: float) -> Array:
    """Expected distance of each atom from the truth, Å: `[K, A]`.

    The covariance of least squares: (J^T J)^-1 times the variance of the noise. That is the mean square of the residual
    where the atom is, so that whatever is not explained there counts as noise; and at least the rounding of the largest
    voxel.
    """
    shape = atoms.present.shape
    coordinates = 3 * shape[1]
    matrix = normal_matrix(problem, atoms, free)
    diagonal = np.einsum("kpp->kp", matrix)
    absent = diagonal <= 1e-12 * diagonal.max(axis=1, initial=0, keepdims=True)
    root = np.where(absent, 1, 1 / np.sqrt(np.where(absent, 1, diagonal)))
    matrix *= root[:, :, np.newaxis] * root[:, np.newaxis, :]
    diagonal[:] = 1 + 1e-12  # atoms in one place make the matrix singular
    variance = np.einsum("kpp->kp", np.linalg.inv(matrix)) * root**2
    variance = np.where(absent, np.inf, variance)[:, :coordinates].reshape(*shape, 3).sum(axis=2)
    mass = np.maximum(problem.overlap(atoms, np.ones_like(residuals)), np.finfo(np.float64).tiny)
    floor = (rounding * problem.grids.max(axis=(1, 2, 3), initial=0)) ** 2 + np.finfo(np.float64).tiny
    local = np.maximum(problem.overlap(atoms, residuals**2) / mass, floor[:, np.newaxis])
    return np.where(atoms.present, np.sqrt(np.maximum(variance, 0) * local), 0)


def support(problem: Problem, atoms: Atoms, residuals: Array) -> tuple[Array, Array]:
    """By how much sum r^2 would grow without each atom, all others as they are, `[K, A]`; and, to compare it with, by
    how much without a single atom that is right and wholly inside, `[K]`. Two atoms where only one should be have a
    support of about 0."""
    scale, trust = of_atoms(atoms.scale), problem.trusted(atoms)
    above = residuals if problem.precision is None else residuals * problem.precision
    norm = problem.columns(atoms).norms() * scale**2 * trust
    grown = norm + 2 * scale * problem.overlap(atoms, above)
    middle = atoms.padded(1)
    middle = dataclasses.replace(
        middle, coords=problem.space.middle[:, np.newaxis], present=np.ones_like(middle.present)
    )
    alone = problem.columns(middle).norms()[:, 0] * scale.mean(axis=1) ** 2 * trust.mean(axis=1)
    return np.where(atoms.present, grown, np.inf), alone
