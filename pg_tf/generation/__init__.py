"""Molecules from noise: grids that a denoiser makes, and the atoms in them.

format = GridFormat(("H", "C", "N", "O", "F"))          # grids.py: molecules to grids and back
pairs = format.to_dataset(points).apply(denoising_pairs(NoiseLevels(rms)))             # noise.py
model = models.denoiser(models.unet3d(format.shape), rms); model.fit(pairs)
grids = descend(unconditional(model), noise, noise_levels(40, 0.01, 10), seed=(0, 0))  # samplers.py
molecules = format.molecules(grids)
"""

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
    "GridFormat",
    "NoiseLevels",
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
