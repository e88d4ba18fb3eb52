"""Public names for reading atoms back from grids of feature vectors, which `pg_tf.inversion.decoding` does."""

from pg_tf.inversion.decoding import Decoded, atom_features, decode_grid, nearest

__all__ = ["Decoded", "atom_features", "decode_grid", "nearest"]
