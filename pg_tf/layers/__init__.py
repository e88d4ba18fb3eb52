"""Keras layers: grids made inside of a model, where gradients reach the atoms.

Atoms come as the layers' first argument: a tensor, padded or ragged, or a dict with the arguments of the function of
the same name. Ragged batches are declared with `keras.Input(..., ragged=True)`. Where nothing in front of the grid is
learned, make the grids in `tf.data` instead (`pg_tf.Voxelizer`): there they are made while the model trains.

Coordinates are never cast to half precision, whatever the dtype policy: only the grids are.
"""

from pg_tf.layers.atom_embedding import AtomEmbedding
from pg_tf.layers.lennard_jones import LennardJones
from pg_tf.layers.voxelize import Voxelize

__all__ = ["AtomEmbedding", "LennardJones", "Voxelize"]
