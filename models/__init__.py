"""Keras models for voxel grids. They are plain Keras 3 and know nothing of how a grid was made."""

from .denoiser import denoiser, denoising_weight
from .invariant import invariant3d
from .regressor import regressor
from .resnet import resnet3d, resnet3d10, resnet3d18, resnet3d34, resnet3d50
from .unet import unet3d

__all__ = [
    "denoiser",
    "denoising_weight",
    "invariant3d",
    "regressor",
    "resnet3d",
    "resnet3d10",
    "resnet3d18",
    "resnet3d34",
    "resnet3d50",
    "unet3d",
]
