"""A learned vector for each element, from which the element can be told again."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf import embedding
from pg_tf._arguments import as_tensor, checked_num_channels
from pg_tf._atom_options import looked_up
from pg_tf.elements import SYMBOLS, ElementChannels, atomic_number
from pg_tf.layers import _options
from pg_tf.layers.far_apart import FarApart


@keras.saving.register_keras_serializable(package="pg_tf")
class AtomEmbedding(keras.layers.Layer):
    """Turns atomic numbers into learned feature vectors (Zaman et al., ParticleGrid, 2022, section VIII), for
    `Voxelize` to spread into space.

    The vectors are non-negative and sum to one (the softmax of what is learned). So an atom still has a mass of one,
    shared out among the channels: the grid sums to the number of atoms (Eq. 6), and the sum of its channels is the grid
    of one channel that `pg_tf.grid_to_coords` inverts, whatever was learned. Element channels are the special case of
    unit vectors. To tell the elements apart again their vectors must differ: pairs that are closer than `margin` add
    to the loss of the model.

    Args:
      num_channels: components of a vector, at least 2 to tell elements apart.
      elements: symbols of the elements that have a vector; None is all 118. The first start farthest apart.
      margin: distance of two vectors below which they add to the loss; two unit vectors are 1.41 apart. 0 adds nothing.
      separation: factor of that loss, `sum over pairs of max(0, 1 - (distance / margin)^2)`.
      initializer: of the weights `[len(elements), num_channels]` whose softmax the vectors are; `FarApart` if None.
      **layer_options: arguments of every Keras layer. Vectors are of the variable dtype, and not half precision under
        "mixed_float16" and "mixed_bfloat16".

    Input shape:
      Integers `[B, A]`, 0 for padding, or ragged `[B, (A)]`.

    Output shape:
      `[B, A, num_channels]` or ragged `[B, (A), num_channels]`; zeros for padding.

    Raises:
      ValueError: if an option does not fit; when called with an element that has no vector.
      tf.errors.InvalidArgumentError: for such an element inside of a `tf.function`, such as `fit`. Under XLA, where
        nothing can raise, its vector is NaN.

    Example:

        coords, numbers = keras.Input((None, 3), ragged=True), keras.Input((None,), dtype="int32", ragged=True)
        features = pg_tf.layers.AtomEmbedding(4)(numbers)
        grid = pg_tf.layers.Voxelize(4)({"coords": coords, "atomic_numbers": numbers, "features": features})
    """

    def __init__(
        self,
        num_channels: int,
        elements: Sequence[str] | None = None,
        *,
        margin: float = 0.2,
        separation: float = 0.01,
        initializer: Any = None,
        **layer_options: Any,
    ) -> None:
        super().__init__(autocast=False, **layer_options)
        self.num_channels = checked_num_channels(num_channels)
        if not (0 <= margin < np.inf and 0 <= separation < np.inf):
            raise ValueError(f"margin and separation must be finite and at least 0, got {margin} and {separation}")
        if isinstance(elements, str):
            raise ValueError(f"elements must be a sequence of symbols, got the string {elements!r}")
        self.elements = SYMBOLS[1:] if elements is None else tuple(elements)
        self.atomic_numbers = np.array([atomic_number(symbol) for symbol in self.elements], np.int32)
        self.margin = float(margin)
        self.separation = float(separation)
        self.initializer = keras.initializers.get(FarApart() if initializer is None else initializer)
        self._rows = ElementChannels(self.elements)
        self._logits: Any = None

    def build(self, input_shape: Any = None) -> None:
        self._logits = self.add_weight(
            shape=(len(self.elements), self.num_channels),
            initializer=self.initializer,
            name="logits",
            autocast=False,
        )

    @property
    def embeddings(self) -> tf.Tensor:
        """The vectors, `[len(elements), num_channels]`."""
        if not self.built:
            self.build((None, None))
        return tf.nn.softmax(self._logits)

    def call(self, inputs: Any) -> Any:
        vectors = self.embeddings
        if self.margin and self.separation:
            self.add_loss(self.separation * self._crowding(vectors))
        # Rows for padding, for each element, and for elements that have none.
        table = tf.pad(tf.pad(vectors, [[1, 0], [0, 0]]), [[0, 1], [0, 0]], constant_values=np.nan)
        numbers = as_tensor("atomic_numbers", inputs, tf.int32)
        splits = _options.row_splits(numbers)

        def of_atoms(flat: tf.Tensor) -> tf.Tensor:
            return tf.gather(table, looked_up(self._rows, flat, splits, "vector") + 1)

        result = _options.flattened(of_atoms, numbers)
        return (
            tf.ensure_shape(result, self.compute_output_shape(numbers.shape))
            if isinstance(numbers, tf.Tensor)
            else result
        )

    def _crowding(self, vectors: tf.Tensor) -> tf.Tensor:
        difference = vectors[:, tf.newaxis] - vectors
        closeness = tf.nn.relu(1 - tf.reduce_sum(difference**2, axis=-1) / self.margin**2)
        return (tf.reduce_sum(closeness) - len(self.elements)) / 2  # without those of an element with itself

    def decode(self, features: Any) -> Any:
        """The elements whose vectors are nearest.

        Args:
          features: `[..., num_channels]` or ragged.

        Returns:
          Atomic numbers, int32 without the last axis; 0 where the vector of zeros, that of padding, is nearer than any.
        """
        features = as_tensor("features", features, tf.float64)
        numbers, vectors = self._candidates()
        return _options.map_flat(lambda flat: tf.gather(numbers, embedding.nearest(flat, vectors)[0]), features)

    def decode_grid(self, grid: Any, *, box: Any, sigma: float, **options: Any) -> embedding.Decoded:
        """Finds the atoms that a grid of feature vectors was made of, and their elements: see
        `pg_tf.embedding.decode_grid`."""
        return embedding.decode_grid(grid, self.embeddings, self.atomic_numbers, box=box, sigma=sigma, **options)

    def _candidates(self) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.constant([0, *self.atomic_numbers]), tf.pad(tf.cast(self.embeddings, tf.float64), [[1, 0], [0, 0]])

    def closest_pair(self) -> tuple[float, tuple[str, str]]:
        """The least distance between two elements' vectors, and the two."""
        vectors: npt.NDArray[np.float64] = np.asarray(self.embeddings, np.float64)
        distance = np.linalg.norm(vectors[:, np.newaxis] - vectors, axis=-1)
        np.fill_diagonal(distance, np.inf)
        i, j = np.unravel_index(np.argmin(distance), distance.shape)
        return float(distance[i, j]), (self.elements[i], self.elements[j])

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*input_shape, self.num_channels)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(
            self.compute_output_shape(inputs.shape), self.variable_dtype, ragged=getattr(inputs, "ragged", False)
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_channels": self.num_channels,
            "elements": list(self.elements),
            "margin": self.margin,
            "separation": self.separation,
            "initializer": keras.initializers.serialize(self.initializer),
        }
