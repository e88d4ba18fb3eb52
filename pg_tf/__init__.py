"""Molecules and crystals as 3D voxel grids, inside TensorFlow."""

from pg_tf.augment import augment, random_motion
from pg_tf.box import Box, bounding_box, principal_axes
from pg_tf.elements import ElementChannels
from pg_tf.points import Voxelizer, coord_to_grid, split_points
from pg_tf.voxelize import simd_levels, voxelize

__all__ = [
    "Box",
    "ElementChannels",
    "Voxelizer",
    "augment",
    "bounding_box",
    "coord_to_grid",
    "principal_axes",
    "random_motion",
    "simd_levels",
    "split_points",
    "voxelize",
]
