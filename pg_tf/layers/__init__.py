"""Keras layers: grids made inside of a model, where gradients reach the atoms.

Atoms come as the layers' first argument: a tensor, padded or ragged, or a dict with the arguments of the function of
the same name. Ragged batches are declared with `keras.Input(..., ragged=True)`. Where nothing in front of the grid is
learned, make the grids in `tf.data` instead (`pg_tf.Voxelizer`): there they are made while the model trains.

Coordinates are never cast to half precision, whatever the dtype policy: only the grids are.

`import pg_tf` is enough for `keras.models.load_model` to find the layers of a saved model. `model.export` makes a
SavedModel that takes padded batches, also of a model with ragged inputs.
"""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"pg_tf.layers are made of TensorFlow, but Keras runs on {keras.backend.backend()}: set "
        f"KERAS_BACKEND=tensorflow, or make the grids in tf.data by pg_tf.Voxelizer, which serves every backend"
    )

from pg_tf.layers.atom_embedding import AtomEmbedding
from pg_tf.layers.far_apart import FarApart
from pg_tf.layers.grid_to_coords import GridToCoords
from pg_tf.layers.lennard_jones import LennardJones
from pg_tf.layers.voxelize import Voxelize

__all__ = ["AtomEmbedding", "FarApart", "GridToCoords", "LennardJones", "Voxelize"]
