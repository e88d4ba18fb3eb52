"""What is counted of the atoms that a method found."""

import dataclasses
import time
from typing import Any

import numpy as np

import pg_tf
from benchmarks.inversion.methods import METHODS
from benchmarks.inversion.targets import CHANNELS, Case
from pg_tf.datasets import Molecules
from pg_tf.metrics import match_points

EXACT = 1e-3  # Å
NEAR = 0.5  # Å, of a grid with noise


def measure(case: Case, method: str, molecules: Molecules, batch_size: int, seed: int = 0) -> dict[str, Any]:
    """One row of the table as numbers: makes the grids of `molecules`, has `method` (a key of METHODS) invert them, and
    counts how well that went."""
    channels = CHANNELS[case.channels]
    points = molecules.points(channels)
    to_grid = pg_tf.Voxelizer(
        num_channels=channels.num_channels, grid_shape=case.grid_size, sigma=case.sigma, return_box=True
    )
    rng = np.random.default_rng(seed)
    causes = dict.fromkeys(("too few", "too many", "wrong channel", "displaced"), 0)
    exact = right = unconverged = false_claims = 0
    errors, squares, seconds = [], [], 0.0
    for start in range(0, len(molecules), batch_size):
        batch = points[start : start + batch_size]
        grids, box = to_grid(batch)
        grids = grids.numpy()
        if case.noise:
            peaks = grids.max(axis=(1, 2, 3, 4), keepdims=True)
            grids += (case.noise * peaks * rng.standard_normal(grids.shape)).astype(np.float32)
        clock = time.perf_counter()
        found = METHODS[method](grids, box, case.sigma)
        seconds += time.perf_counter() - clock
        for true, atoms, converged in zip(batch, found.points, found.converged, strict=True):
            match = match_points(true, atoms)
            is_exact = match.largest_error < EXACT
            exact += is_exact
            right += match.same_counts
            unconverged += not converged
            believable = match.largest_error < (EXACT if not case.noise else NEAR)
            false_claims += bool(converged) and not believable
            if match.same_counts:
                errors.append(match.largest_error)
                squares.append(match.distances**2)
                causes["displaced"] += not is_exact
            elif match.num_found != match.num_true:
                causes["too few" if match.num_found < match.num_true else "too many"] += 1
            else:
                causes["wrong channel"] += 1
    count = len(molecules)
    return {
        **dataclasses.asdict(case),
        "method": method,
        "molecules": count,
        "exact": exact / count,
        "right_count": right / count,
        **causes,
        "not converged": unconverged,
        "converged but wrong": false_claims,
        "median_error": float(np.median(errors)) if errors else None,
        "max_error": float(max(errors)) if errors else None,
        "rmsd": float(np.sqrt(np.concatenate(squares).mean())) if errors else None,
        "ms_per_molecule": 1e3 * seconds / count,
    }
