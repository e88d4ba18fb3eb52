"""Grids on disk, in the formats of other programs: `write_grid` and `read_grid` go by the name of the file."""

from pg_tf.grid_files.read import read_grid
from pg_tf.grid_files.stored_grid import StoredGrid
from pg_tf.grid_files.write import SUFFIXES, write_grid

__all__ = ["SUFFIXES", "StoredGrid", "read_grid", "write_grid"]
