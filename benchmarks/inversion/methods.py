"""What turns grids back into atoms: pg_tf, and the baseline."""

import dataclasses
from collections.abc import Callable

import numpy as np

import pg_tf
from benchmarks.baselines import voxmol


@dataclasses.dataclass(frozen=True)
class Found:
    """What a method makes of the grids of one batch."""

    points: list[np.ndarray]  # of [A, 4]
    converged: np.ndarray  # [B]


Method = Callable[[np.ndarray, pg_tf.Box, float], Found]


def own(grids: np.ndarray, box: pg_tf.Box, sigma: float) -> Found:
    """`pg_tf.grid_to_coords`, the whole batch at once."""
    result = pg_tf.grid_to_coords(grids, box=box, sigma=sigma)
    return Found([points.numpy() for points in result.points], np.asarray(result.converged))


def baseline(grids: np.ndarray, box: pg_tf.Box, sigma: float) -> Found:
    """Strict maxima and L-BFGS as in VoxMol, one molecule after another."""
    corners, lengths = np.asarray(box.origin), np.asarray(box.lengths)
    found = [voxmol.invert(*one, sigma) for one in zip(grids, corners, lengths, strict=True)]
    return Found([points for points, _ in found], np.array([converged for _, converged in found]))


METHODS: dict[str, Method] = {"pg_tf": own, "VoxMol-style": baseline}
