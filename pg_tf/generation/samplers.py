"""From noise to grids with a denoiser: walk-jump chains at one noise level, and a descent through all levels.

A `Denoise` maps noisy grids `[B, nx, ny, nz, C]` and the standard deviation of their noise `[B, 1]` to estimates of the
clean grids. Everything here asks of a denoiser only that, so that conditions, guidance and inpainting
(`guidance.py`) are functions from one `Denoise` to another. All noise follows from a seed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Denoise = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def walk_jump(
    denoise: Denoise,
    start: Any,
    level: float,
    *,
    seed: Sequence[int],
    walk: int = 500,
    time_step: float = 0.5,
    friction: float = 1.0,
) -> tf.Tensor:
    """Neural empirical Bayes: walks through noisy grids of one level by Langevin dynamics, then jumps to clean ones.

    The walk is underdamped Langevin dynamics (Saremi and Hyvärinen 2019, arXiv:1903.02334; Pinheiro et al. 2023,
    arXiv:2306.07473) in the splitting ABOBA, with one call of the denoiser a step (Leimkuhler and Matthews 2013, doi
    10.1093/amrx/abs010). It samples the density of x + level n; the jump is the denoiser's estimate of x.

    Args:
      denoise: the denoiser.
      start: noisy grids to walk from, `[B, nx, ny, nz, C]`: `noisy_start` makes new ones, and where a walk ended it can
        go on.
      level: standard deviation of the noise.
      seed: two integers.
      walk: number of steps before the jump.
      time_step: of the walk, in units of the level.
      friction: of the walk, in units of 1 / level.

    Returns:
      Clean grids, of the shape of `start`.
    """
    return jump(
        denoise, langevin(denoise, start, level, seed=seed, walk=walk, time_step=time_step, friction=friction)[0], level
    )


def noisy_start(shape: Sequence[int], level: float, *, seed: Sequence[int]) -> tf.Tensor:
    """Grids of noise to begin a walk with: uniform in 0 to 1, and white noise of the level on top.

    Args:
      shape: `[B, nx, ny, nz, C]`.
      level: standard deviation of the noise.
      seed: two integers.
    """
    first, second = tf.unstack(tf.random.split(seed, 2))
    return tf.random.stateless_uniform(shape, first) + level * tf.random.stateless_normal(shape, second)


def langevin(
    denoise: Denoise,
    start: Any,
    level: float,
    *,
    seed: Sequence[int],
    walk: int,
    velocity: Any = None,
    time_step: float = 0.5,
    friction: float = 1.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The walk of `walk_jump` alone: noisy grids and velocities after it, from which `langevin` goes on."""
    grids = tf.convert_to_tensor(start)
    levels = tf.fill([grids.shape[0], 1], tf.constant(level, grids.dtype))
    if velocity is None:
        velocity = tf.random.stateless_normal(tf.shape(grids), _seed(seed, -1), dtype=grids.dtype)
    kept = math.exp(-friction * time_step)
    half = time_step * level / 2

    @tf.function
    def step(grids: tf.Tensor, velocity: tf.Tensor, step_seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        grids += half * velocity
        # The score times the level: the force in units in which the noise has the mass 1.
        kick = time_step / 2 * (denoise(grids, levels) - grids) / level
        noise = tf.random.stateless_normal(tf.shape(grids), step_seed, dtype=grids.dtype)
        velocity = kept * (velocity + kick) + math.sqrt(1 - kept**2) * noise + kick
        return grids + half * velocity, velocity

    for number in range(walk):
        grids, velocity = step(grids, velocity, _seed(seed, number))
    return grids, velocity


def jump(denoise: Denoise, noisy: tf.Tensor, level: float) -> tf.Tensor:
    """The denoiser's estimate of the clean grids behind noisy ones of a level."""
    return tf.function(denoise)(noisy, tf.fill([noisy.shape[0], 1], tf.constant(level, noisy.dtype)))


def noise_levels(steps: int, lowest: float, highest: float, curvature: float = 7.0) -> np.ndarray:
    """Falling noise levels of a descent, `[steps + 1]`, the last one 0 (Karras et al. 2022, eq. 5)."""
    if steps < 2 or not 0 < lowest < highest:
        raise ValueError(f"steps: must be at least 2 from highest > lowest > 0, got {steps}, {highest}, {lowest}")
    ramp = np.linspace(highest ** (1 / curvature), lowest ** (1 / curvature), steps) ** curvature
    return np.append(ramp, 0.0)


def descend(
    denoise: Denoise,
    start: Any,
    levels: Sequence[float],
    *,
    seed: Sequence[int],
    churn: float = 0.0,
) -> tf.Tensor:
    """Diffusion: from pure noise to clean grids along the probability flow, by Heun's method.

    Karras et al. 2022 (arXiv:2206.00364), algorithm 2. Twice as many calls of the denoiser as levels.

    Args:
      denoise: the denoiser, trained for all the levels.
      start: noise of the first level, `[B, nx, ny, nz, C]`.
      levels: falling standard deviations of the noise, the last one 0 (`noise_levels`).
      seed: two integers.
      churn: how much of the noise is renewed on the way, 0 for none: the noise a step adds is `churn / steps`, at most
        sqrt(2) - 1, of its level.

    Returns:
      Clean grids, of the shape of `start`.
    """
    grids = tf.convert_to_tensor(start)
    more = min(churn / max(len(levels) - 1, 1), math.sqrt(2) - 1)

    @tf.function
    def slope(grids: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
        return (grids - denoise(grids, tf.fill([grids.shape[0], 1], level))) / level

    for number, (level, following) in enumerate(itertools.pairwise(levels)):
        higher = level * (1 + more)
        if more:
            noise = tf.random.stateless_normal(tf.shape(grids), _seed(seed, number), dtype=grids.dtype)
            grids += math.sqrt(higher**2 - level**2) * noise
        here, there = (tf.constant(value, grids.dtype) for value in (higher, following))
        first = slope(grids, here)
        guess = grids + (there - here) * first
        if following > 0:
            guess = grids + (there - here) * (first + slope(guess, there)) / 2
        grids = guess
    return grids


def ascend(denoise: Denoise, clean: Any, levels: Sequence[float]) -> tf.Tensor:
    """The noise that `descend` (without churn) makes given grids of: the same path in the other direction.

    Args:
      denoise: the denoiser.
      clean: grids `[B, nx, ny, nz, C]`.
      levels: as for `descend`.
    """
    grids = tf.convert_to_tensor(clean)
    upwards = list(levels[:-1])[::-1]

    @tf.function
    def slope(grids: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
        return (grids - denoise(grids, tf.fill([grids.shape[0], 1], level))) / level

    # Below the lowest level the slope is that at it.
    grids += tf.constant(upwards[0], grids.dtype) * slope(grids, tf.constant(upwards[0], grids.dtype))
    for level, following in itertools.pairwise(upwards):
        here, there = (tf.constant(value, grids.dtype) for value in (level, following))
        first = slope(grids, here)
        guess = grids + (there - here) * first
        grids += (there - here) * (first + slope(guess, there)) / 2
    return grids


def between(first: Any, second: Any, fractions: Sequence[float]) -> tf.Tensor:
    """Noise on the great circle from one to another, `[F, nx, ny, nz, C]`: between two molecules, after `ascend`.

    Args:
      first: noise `[nx, ny, nz, C]`.
      second: noise of the same shape.
      fractions: of the way, 0 to 1.
    """
    a, b = tf.convert_to_tensor(first), tf.convert_to_tensor(second)
    cosine = tf.reduce_sum(a * b) / (tf.norm(a) * tf.norm(b))
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    if float(angle) < 1e-4:
        return tf.stack([(1 - t) * a + t * b for t in fractions])
    return tf.stack([(tf.sin((1 - t) * angle) * a + tf.sin(t * angle) * b) / tf.sin(angle) for t in fractions])


def _seed(seed: Sequence[int], number: int) -> tf.Tensor:
    """The seed of a step."""
    return tf.random.fold_in(tf.constant(list(seed), tf.int64), tf.constant(number, tf.int64))
