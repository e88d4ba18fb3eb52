"""The figures of merit as Keras metrics."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.metrics import figures


class _PairedMetric(keras.metrics.Metric):
    """A ratio of two sums over molecules whose atoms have been paired off.

    Pairing runs in NumPy, which XLA cannot compile: in a compiled model, give `jit_compile=False`.
    """

    parts: figures.Parts

    def __init__(self, within: float | None, channel: int | None, name: str | None, dtype: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        self.within = figures.checked_distance(within)
        self.channel = channel
        self.numerator = self.add_variable(shape=(), initializer="zeros", name="numerator")
        self.denominator = self.add_variable(shape=(), initializer="zeros", name="denominator")

    def update_state(self, true_points: Any, found_points: Any, sample_weight: Any = None) -> None:
        """Adds a batch of molecules.

        Args:
          true_points: `[A, 4]`, padded `[B, A, 4]` or ragged `[B, (A), 4]`, columns channel, x, y, z in Å.
          found_points: points of as many molecules; they need not have as many atoms, nor the same layout.
          sample_weight: how much each molecule counts: a scalar or `[B]`.

        Raises:
          ValueError: if a shape does not fit or, in eager mode, the numbers of molecules differ or a coordinate is not
            finite.
          tf.errors.OpError: for the latter two in a graph.
        """

        def of_molecules(*batches: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
            return figures.parts_of_molecules(type(self).parts, batches, self.within, self.channel)

        batches = figures.flat_batches(true_points, found_points)
        if tf.executing_eagerly():
            parts = tf.constant(of_molecules(*(batch.numpy() for batch in batches)))
        else:
            parts = tf.ensure_shape(tf.numpy_function(of_molecules, batches, tf.float64), [None, 2])
        if sample_weight is not None:
            parts *= tf.reshape(tf.cast(sample_weight, tf.float64), [-1, 1])
        numerator, denominator = tf.unstack(tf.cast(tf.reduce_sum(parts, axis=0), self.numerator.dtype))
        self.numerator.assign_add(numerator)
        self.denominator.assign_add(denominator)

    def result(self) -> Any:
        """The figure over all molecules so far; NaN where there was nothing to measure."""
        return tf.convert_to_tensor(self.numerator) / tf.convert_to_tensor(self.denominator)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "within": self.within, "channel": self.channel}


@keras.saving.register_keras_serializable(package="pg_tf")
class AtomCountError(_PairedMetric):
    """By how many atoms a molecule is wrong, on average; the Keras form of `atom_count_error`."""

    parts = staticmethod(figures.count_parts)

    def __init__(self, channel: int | None = None, name: str | None = "atom_count_error", dtype: Any = None) -> None:
        super().__init__(None, channel, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {key: value for key, value in super().get_config().items() if key != "within"}


@keras.saving.register_keras_serializable(package="pg_tf")
class RecoveredFraction(_PairedMetric):
    """Fraction of all true atoms found within a distance (Å); the Keras form of `recovered_fraction`."""

    parts = staticmethod(figures.recovered_parts)

    def __init__(
        self,
        within: float = 0.5,
        channel: int | None = None,
        name: str | None = "recovered_fraction",
        dtype: Any = None,
    ) -> None:
        super().__init__(within, channel, name, dtype)


@keras.saving.register_keras_serializable(package="pg_tf")
class ExactFraction(_PairedMetric):
    """Fraction of molecules that are right to a distance (Å) in every atom; the Keras form of `exact_fraction`."""

    parts = staticmethod(figures.exact_parts)

    def __init__(
        self,
        within: float = 1e-3,
        channel: int | None = None,
        name: str | None = "exact_fraction",
        dtype: Any = None,
    ) -> None:
        super().__init__(within, channel, name, dtype)


@keras.saving.register_keras_serializable(package="pg_tf")
class MatchedRMSD(_PairedMetric):
    """Root of the mean squared distance over all pairs of atoms, Å; the Keras form of `matched_rmsd`."""

    parts = staticmethod(figures.square_parts)

    def __init__(
        self,
        within: float | None = None,
        channel: int | None = None,
        name: str | None = "matched_rmsd",
        dtype: Any = None,
    ) -> None:
        super().__init__(within, channel, name, dtype)

    def result(self) -> Any:
        return tf.sqrt(super().result())
