"""Molecules from noise: grids that a denoiser makes, and the atoms in them.

format = GridFormat(("H", "C", "N", "O", "F"))          # grids.py: molecules to grids and back
pairs = format.to_dataset(points).apply(denoising_pairs(NoiseLevels(rms)))             # noise.py
model = models.denoiser(models.unet3d(format.shape), rms); model.fit(pairs)
grids = descend(unconditional(model), noise, noise_levels(40, 0.01, 10), seed=(0, 0))  # samplers.py
molecules = format.molecules(grids)

Generator(model, format).write("molecules.sdf", 1000)   # generator.py: the last two, into a file
"""

from pg_tf.generation.generator import Generator, Sampling
from pg_tf.generation.grids import GridFormat
from pg_tf.generation.guidance import conditional, inpainted, property_likelihood, towards, unconditional
from pg_tf.generation.noise import NoiseLevels, denoising_pairs, root_mean_square
from pg_tf.generation.samplers import (
    Denoise,
    ascend,
    between,
    descend,
    jump,
    langevin,
    noise_levels,
    noisy_start,
    walk_jump,
)

__all__ = [
    "Denoise",
    "Generator",
    "GridFormat",
    "NoiseLevels",
    "Sampling",
    "ascend",
    "between",
    "conditional",
    "denoising_pairs",
    "descend",
    "inpainted",
    "jump",
    "langevin",
    "noise_levels",
    "noisy_start",
    "property_likelihood",
    "root_mean_square",
    "towards",
    "unconditional",
    "walk_jump",
]
