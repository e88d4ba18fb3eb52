"""The rotations and reflections that turn a lattice into itself: its point group, for cells of any shape."""

import functools
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf import cells
from pg_tf._arguments import as_tensor, checked_periodic, describe

# Each round of a reduction shortens a vector, so few are needed for any cell. The bound is for values that are no cell.
_ROUNDS = 40


def lattice_operations(cell: Any, *, periodic: Any = None, proper: bool = True, tolerance: float = 1e-3) -> tf.Tensor:
    """All operations of one lattice: whole-numbered matrices W such that atoms at the fractional coordinates `f @ W`
    are those at `f`, turned or reflected as a rigid body together with their lattice, which stays the same. The
    Cartesian operation is `inverse(cell) @ W @ cell`, for rows: `coords @ (...)`.

    Example:

        len(pg_tf.lattice_operations(4.2 * np.eye(3)))                  # 24 rotations of the cube
        len(pg_tf.lattice_operations(4.2 * np.eye(3), proper=False))    # 48 with reflections

    Args:
      cell: `[3, 3]`, rows are lattice vectors, Å; of any shape and handedness, reduced or not.
      periodic: the vectors along which the structure repeats: a flag or three, None for all. Vectors that repeat go to
        such ones only, and of the others the box that they span stays where it is.
      proper: rotations only; otherwise reflections and the inversion as well.
      tolerance: by how much lengths and cosines may differ, of themselves.

    Returns:
      int32 `[n, 3, 3]`, a group; the identity is in it.

    Raises:
      ValueError: if the shape does not fit.
      tf.errors.InvalidArgumentError: if the cell has no volume.
    """
    cell = as_tensor("cell", cell, tf.float64)
    if cell.shape != (3, 3):
        raise ValueError(f"cell must have shape [3, 3], got {describe(cell)}")
    repeats = checked_periodic(periodic, default=True)
    cells.check_volume(cell[tf.newaxis])
    operations, valid = _operations(cell[tf.newaxis], repeats, proper, tolerance)
    return tf.boolean_mask(operations[0], valid[0])


def random_operations(
    cell: tf.Tensor, seed: tf.Tensor, periodic: tuple[bool, bool, bool], proper: bool, tolerance: float
) -> tf.Tensor:
    """One operation for each cell `[B, 3, 3]`, uniformly from its group: float64 `[B, 3, 3]`."""
    operations, valid = _operations(cell, periodic, proper, tolerance)
    lot = tf.random.stateless_uniform(tf.shape(valid), seed)
    drawn = tf.argmax(tf.where(valid, lot, -tf.ones_like(lot)), axis=1)
    return tf.cast(tf.gather(operations, drawn, axis=1, batch_dims=1), tf.float64)


def _operations(
    cell: tf.Tensor, periodic: tuple[bool, bool, bool], proper: bool, tolerance: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Of cells `[B, 3, 3]`: candidates int32 `[B, n, 3, 3]`, and whether each is an operation, `[B, n]`."""
    change = _reduction(cell, periodic)
    reduced = tf.linalg.matmul(change, cell)
    metric = tf.linalg.matmul(reduced, reduced, transpose_b=True)
    candidates = tf.constant(_candidates(periodic, proper))
    matrices = tf.cast(candidates, tf.float64)
    turned = tf.einsum("nij,bjk,nlk->bnil", matrices, metric, matrices)
    lengths = tf.sqrt(tf.linalg.diag_part(metric))
    scale = lengths[:, :, tf.newaxis] * lengths[:, tf.newaxis]
    same = tf.reduce_all(tf.abs(turned - metric[:, tf.newaxis]) <= tolerance * scale[:, tf.newaxis], axis=[2, 3])
    # From the reduced vectors back to those given: T^-1 W T.
    back = tf.einsum("bij,njk,bkl->bnil", tf.round(cells.inverse(change)), matrices, change)
    return tf.cast(tf.round(back), tf.int32), same


def _reduction(cell: tf.Tensor, periodic: tuple[bool, bool, bool]) -> tf.Tensor:
    """Whole-numbered `[B, 3, 3]` that makes the repeating vectors as short as they can be (Minkowski's reduction, by
    Semaev's algorithm, Lect. Notes Comput. Sci. 2146, 181 (2001)), without changing their order."""
    change = tf.eye(3, batch_shape=[tf.shape(cell)[0]], dtype=tf.float64)
    repeating = [d for d in range(3) if periodic[d]]
    if len(repeating) < 2:
        return change
    # A vector is replaced by the shortest that it makes with whole multiples, up to one, of the others after the
    # multiples of each alone that fit best have been taken off.
    steps = [
        np.array(step, float)
        for step in itertools.product((-1, 0, 1), repeat=3)
        if any(step) and all(n == 0 or periodic[d] for d, n in enumerate(step))
    ]

    def shorten(round_: tf.Tensor, _: tf.Tensor, change: tf.Tensor) -> tuple[tf.Tensor, ...]:
        before = change
        for i, j in itertools.permutations(repeating, 2):
            vectors = tf.linalg.matmul(change, cell)
            along = tf.reduce_sum(vectors[:, i] * vectors[:, j], axis=1) / tf.reduce_sum(vectors[:, j] ** 2, axis=1)
            # Halves are left where they are, or rounding would send them back and forth.
            times = tf.where(tf.abs(along) > 0.5 + 1e-9, tf.round(along), tf.zeros_like(along))
            elementary = np.zeros((3, 3))
            elementary[i, j] = 1
            change -= tf.linalg.matmul(times[:, tf.newaxis, tf.newaxis] * elementary, change)
        for i in repeating:
            vectors = tf.linalg.matmul(change, cell)
            others = tf.constant(np.array([step for step in steps if step[i] == 0]))
            lengths = tf.norm(vectors[:, tf.newaxis, i] + tf.linalg.matmul(others, vectors), axis=-1)
            best = tf.argmin(lengths, axis=1)
            shorter = tf.gather(lengths, best, axis=1, batch_dims=1) < (1 - 1e-9) * tf.norm(vectors[:, i], axis=1)
            added = tf.where(shorter[:, tf.newaxis], tf.gather(others, best), 0)
            row = tf.constant(np.eye(3)[i])
            change += tf.linalg.matmul(row[:, tf.newaxis] * added[:, tf.newaxis], change)
        return round_ + 1, tf.reduce_any(change != before), change

    def unfinished(round_: tf.Tensor, changed: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return changed & (round_ < _ROUNDS)

    return tf.while_loop(unfinished, shorten, [tf.constant(0), tf.constant(True), change])[2]


@functools.cache
def _candidates(periodic: tuple[bool, bool, bool], proper: bool) -> npt.NDArray[np.int32]:
    """Matrices that can be an operation of some lattice with reduced vectors: their entries are -1, 0 or 1 then, and
    they have the order 1, 2, 3, 4 or 6."""
    matrices = np.array(list(itertools.product((-1, 0, 1), repeat=9)), np.int32).reshape(-1, 3, 3)
    determinant = np.round(np.linalg.det(matrices)).astype(int)
    matrices = matrices[determinant == 1 if proper else np.abs(determinant) == 1]
    matrices = matrices[(np.linalg.matrix_power(matrices, 12) == np.eye(3, dtype=int)).all(axis=(1, 2))]
    repeats = np.array(periodic)
    matrices = matrices[~matrices[:, repeats[:, None] != repeats].any(axis=1)]
    # A box that does not repeat is only turned into itself by exchanging its edges.
    open_part = np.abs(matrices) * ~(repeats[:, None] | repeats)
    return matrices[(open_part.sum(axis=1) <= 1).all(axis=1) & (open_part.sum(axis=2) <= 1).all(axis=1)]
