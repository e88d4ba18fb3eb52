"""Grids back to atoms (ParticleGrid paper, section IV)."""

from pg_tf.inversion.export import to_rdkit, to_structure, to_xyz
from pg_tf.inversion.invert import grid_to_coords
from pg_tf.inversion.result import Inversion

__all__ = ["Inversion", "grid_to_coords", "to_rdkit", "to_structure", "to_xyz"]
