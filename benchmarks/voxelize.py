#!/usr/bin/env python3
"""Molecules per second of the op on one core, beside NumPy and beside writing the same memory.

    .venv/bin/python benchmarks/voxelize.py [--data FILE.npz] [--grid-size 32]

FILE.npz holds `pos` [atoms, 3] and `offsets` [molecules + 1]; the shipped sample if left out. Ratios within a run are
what counts: machines differ, and so do their moods.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from scipy.special import ndtr

import pg_tf
from pg_tf.datasets import load_sample

SIGMA = 0.4


def best_rate(run: Callable[[], object], molecules: int, seconds: float) -> float:
    """Molecules per second in the fastest of many runs, after one that is not counted."""
    run()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return molecules / best


def numpy_grid(coords: np.ndarray, origin: np.ndarray, lengths: np.ndarray, side: int) -> np.ndarray:
    """One dense NumPy pass an atom: what one would write first."""
    grid = np.zeros((side,) * 3, np.float32)
    edges = origin + lengths * np.arange(side + 1)[:, None] / side
    for atom in coords:
        x, y, z = np.diff(ndtr((edges - atom) / SIGMA), axis=0).T.astype(np.float32)
        grid += x[:, None, None] * y[:, None] * z
    return grid


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--grid-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)

    if options.data:
        with np.load(options.data) as data:
            positions, offsets = data["pos"].astype(np.float32), data["offsets"]
    else:
        sample = load_sample("test")
        positions, offsets = sample.coords, sample.row_splits
    offsets = offsets[: options.batch + 1].astype(np.int64)
    batch = tf.RaggedTensor.from_row_splits(positions[: offsets[-1]], offsets)
    count, side = len(offsets) - 1, options.grid_size
    box = pg_tf.bounding_box(batch)
    origin, lengths = box.origin.numpy(), box.lengths.numpy()
    molecules = [positions[offsets[i] : offsets[i + 1]] for i in range(count)]
    few = min(count, 4)

    with tf.GradientTape(persistent=True) as tape:
        coords = tf.convert_to_tensor(batch.flat_values)
        tape.watch(coords)
        grid = pg_tf.voxelize(batch.with_flat_values(coords), grid_shape=side, sigma=SIGMA, box=box)
    upstream = tf.random.normal(grid.shape)
    target = np.empty(grid.shape, np.float32)

    runs: dict[str, tuple[Callable[[], object], int]] = {
        "pg_tf.voxelize": (lambda: pg_tf.voxelize(batch, grid_shape=side, sigma=SIGMA, box=box), count),
        "its gradient to the coordinates": (lambda: tape.gradient(grid, coords, upstream), count),
        "writing the same memory": (lambda: target.fill(0), count),
        "NumPy, a pass an atom": (
            lambda: [numpy_grid(molecules[i], origin[i], lengths[i], side) for i in range(few)],
            few,
        ),
    }
    rates = {name: best_rate(run, number, options.seconds) for name, (run, number) in runs.items()}
    own = rates["pg_tf.voxelize"]
    print(f"{count} molecules, {offsets[-1] / count:.1f} atoms each, {side}^3 voxels, sigma {SIGMA} Å, one core")
    print(f"instruction set {pg_tf.simd_levels()[1]}, TensorFlow {tf.__version__}")
    for name, rate in rates.items():
        print(f"{name:34s} {rate:12,.0f} molecules/s   pg_tf.voxelize is {own / rate:8.2f} times as fast")


if __name__ == "__main__":
    main()
