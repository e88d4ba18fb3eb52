"""Molecules and crystals as 3D voxel grids, inside TensorFlow."""

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

from pg_tf import _keras_names
from pg_tf._ops.simd_levels import simd_levels
from pg_tf.augmentation import (
    augment,
    augment_crystals,
    lattice_operations,
    random_lattice_rotation,
    random_motion,
    random_shift,
    random_strain,
)
from pg_tf.boxes import Box, bounding_box, centered_box, principal_axes
from pg_tf.cells import to_cartesian, to_fractional, wrap
from pg_tf.elements import ElementChannels
from pg_tf.energies import lennard_jones
from pg_tf.points import Voxelizer, coord_to_grid, split_points
from pg_tf.voxelization import voxelize

if TYPE_CHECKING:
    __version__: str
    from pg_tf.inversion import Inversion, grid_to_coords

__all__ = [
    "Box",
    "ElementChannels",
    "Inversion",
    "Voxelizer",
    "augment",
    "augment_crystals",
    "bounding_box",
    "centered_box",
    "coord_to_grid",
    "grid_to_coords",
    "lattice_operations",
    "lennard_jones",
    "principal_axes",
    "random_lattice_rotation",
    "random_motion",
    "random_shift",
    "random_strain",
    "simd_levels",
    "split_points",
    "to_cartesian",
    "to_fractional",
    "voxelize",
    "wrap",
]

# Imported when they are first used: workers of a data pipeline need none of what these load.
_SUBMODULES = (
    "adsorption",
    "callbacks",
    "data_service",
    "datasets",
    "dense",
    "distribution",
    "embedding",
    "force_fields",
    "grid_files",
    "implicit",
    "inversion",
    "layers",
    "losses",
    "metrics",
    "models",
    "plot",
    "radii",
    "structures",
)
_NAMES = {"Inversion": "pg_tf.inversion", "grid_to_coords": "pg_tf.inversion"}

_keras_names.register()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("pg_tf")
    if name in _SUBMODULES:
        return importlib.import_module(f"pg_tf.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'pg_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_NAMES})
