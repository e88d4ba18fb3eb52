"""The table of disturbed grids: counts, errors and false claims for each kind of error that a network's grids have."""

import time
from typing import Any

import numpy as np

import pg_tf
from benchmarks.inversion.disturbances import DISTURBANCES, Scene
from benchmarks.inversion.targets import CHANNELS
from pg_tf.datasets import Molecules
from pg_tf.metrics import match_points

NEAR = 0.3  # Å: a claim is false if an atom is farther off

HEADER = f"{'channels':10s} {'disturbance':22s} counts   RMSD, Å  converged  false  CPU s     target"


def measure(kind: str, name: str, molecules: Molecules, seed: int = 0) -> dict[str, Any]:
    """One row: 32^3 grids of the molecules, disturbed and inverted in one batch."""
    channels, disturbance = CHANNELS[kind], DISTURBANCES[name]
    points = molecules.points(channels)
    to_grid = pg_tf.Voxelizer(num_channels=channels.num_channels, grid_shape=32, sigma=0.4, return_box=True)
    grids, box = to_grid(points)
    disturbed = disturbance.make(Scene(grids.numpy(), points, box, 0.4, np.random.default_rng(seed)))
    clock = time.process_time()
    found = pg_tf.grid_to_coords(disturbed, box=box, sigma=0.4, **disturbance.options)
    seconds = time.process_time() - clock
    matches = [match_points(true, atoms) for true, atoms in zip(points, found.points, strict=True)]
    far = np.array([match.largest_error > NEAR for match in matches])
    squares = [match.distances**2 for match in matches if match.same_counts]
    return {
        "channels": kind,
        "disturbance": name,
        "right_count": float(np.mean([match.same_counts for match in matches])),
        "rmsd": float(np.sqrt(np.concatenate(squares).mean())) if squares else float("nan"),
        "converged": float(np.mean(found.converged)),
        "converged but wrong": int((far & found.converged).sum()),
        "cpu_seconds": seconds / len(molecules),
        "target": disturbance.one if kind == "one" else disturbance.elements,
    }


def line(row: dict[str, Any]) -> str:
    """A row as text."""
    target = "" if row["target"] is None else f"{100 * row['target'][0]:.0f} % / {row['target'][1]:g}"
    return (
        f"{row['channels']:10s} {row['disturbance']:22s} {100 * row['right_count']:4.0f} % {row['rmsd']:9.5f} "
        f"{100 * row['converged']:8.0f} % {row['converged but wrong']:6d} {row['cpu_seconds']:6.3f}     {target}"
    )
