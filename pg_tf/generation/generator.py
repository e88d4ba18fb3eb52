"""A trained denoiser and all that is needed to make molecules with it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Literal

import keras
import tensorflow as tf

from pg_tf.augmentation import random_motion
from pg_tf.datasets import Molecules
from pg_tf.generation import sdf
from pg_tf.generation.grids import GridFormat
from pg_tf.generation.guidance import unconditional
from pg_tf.generation.samplers import Denoise, descend, noise_levels, noisy_start, walk_jump


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How grids are made of noise.

    Args:
      sampler: "diffusion" descends through all levels of noise (`descend`), "walk-jump" walks at one (`walk_jump`).
      steps: levels of the descent, or steps of the walk before its jump; None for 40 and 500.
      highest: first level of the descent, in units of the value of a voxel with an atom in its middle.
      lowest: last level of the descent before 0.
      level: of the walk.
      churn: of the descent.
    """

    sampler: Literal["diffusion", "walk-jump"] = "diffusion"
    steps: int | None = None
    highest: float = 10.0
    lowest: float = 0.02
    level: float = 0.6
    churn: float = 0.0

    def __post_init__(self) -> None:
        if self.sampler not in ("diffusion", "walk-jump"):
            raise ValueError(f"sampler: must be diffusion or walk-jump, got {self.sampler!r}")
        if self.steps is not None and self.steps < 2:
            raise ValueError(f"steps: must be at least 2, got {self.steps}")
        if not 0 < self.lowest < self.highest:
            raise ValueError(f"lowest: must be between 0 and highest, {self.highest}, got {self.lowest}")
        if not self.level > 0:
            raise ValueError(f"level: must be positive, got {self.level}")

    def grids(self, denoise: Denoise, shape: tuple[int, ...], seed: tuple[int, int]) -> tf.Tensor:
        """Clean grids of a shape `[B, nx, ny, nz, C]`; all randomness follows from the seed."""
        first, second = (tuple(pair) for pair in tf.random.split(seed, 2).numpy().tolist())
        if self.sampler == "walk-jump":
            start = noisy_start(shape, self.level, seed=first)
            return walk_jump(denoise, start, self.level, seed=second, walk=self.steps or 500)
        levels = noise_levels(self.steps or 40, self.lowest, self.highest)
        start = float(levels[0]) * tf.random.stateless_normal(shape, first)
        return descend(denoise, start, levels.tolist(), seed=second, churn=self.churn)


class Generator:
    """Makes molecules with a denoiser.

    Args:
      model: a denoiser (`pg_tf.models.denoiser`).
      format: of its grids.
      sampling: how they are made of noise.
      guide: what is asked for: a function from a `Denoise` to another, such as those of `pg_tf.generation` with their
        further arguments bound. None asks for nothing.
    """

    def __init__(
        self,
        model: keras.Model,
        format: GridFormat,
        sampling: Sampling | None = None,
        guide: Callable[[Denoise], Denoise] | None = None,
    ) -> None:
        self.format = format
        self.sampling = sampling or Sampling()
        plain = unconditional(model)
        self.denoise = plain if guide is None else guide(plain)

    def grids(self, count: int, seed: tuple[int, int]) -> tf.Tensor:
        """Clean grids `[count, nx, ny, nz, C]`, scaled as `format` says."""
        return self.sampling.grids(self.denoise, (count, *self.format.shape), seed)

    def molecules(self, count: int, seed: tuple[int, int]) -> Molecules:
        """Molecules, turned at random; one in whose grid no atom was found has none.

        Whatever orientations the network was trained on, all are equally likely here.
        """
        first, second = (tuple(pair) for pair in tf.random.split(seed, 2).numpy().tolist())
        return _turned(self.format.molecules(self.grids(count, first)), self.format, second)

    def write(self, path: str | os.PathLike[str], count: int, *, seed: int = 0, batch_size: int = 64) -> None:
        """Writes molecules to an SDF file, with the bonds that their distances tell; all of them, also impossible ones.

        A file that is there already is gone on with, after its last whole batch: killed at any moment, the same call
        brings it to the same end. It does not know what the file was made with.

        Args:
          path: of the file.
          count: number of molecules in the end.
          seed: of all of them; they also depend on the batch size.
          batch_size: molecules that are made at once.
        """
        done = sdf.whole_records(path, count)
        done = sdf.whole_records(path, done - done % batch_size)
        for start in range(done, count, batch_size):
            made = self.molecules(min(batch_size, count - start), (seed, start))
            sdf.append(path, made, start, {"seed": seed})


def _turned(molecules: Molecules, format: GridFormat, seed: tuple[int, int]) -> Molecules:
    points = random_motion(molecules.points(format.channels), seed, translation=0.0)
    return dataclasses.replace(molecules, coords=points.flat_values[:, 1:].numpy())
