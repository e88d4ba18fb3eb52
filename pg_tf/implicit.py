"""Public names for inversions that can be differentiated: the function, the Keras layer and the loss on coordinates."""

from pg_tf.inversion.differentiable import refine_coords
from pg_tf.layers.grid_to_coords import GridToCoords
from pg_tf.losses import CoordinateLoss

__all__ = ["CoordinateLoss", "GridToCoords", "refine_coords"]
