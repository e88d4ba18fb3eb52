"""What every source of molecules offers a training, and the order in which its molecules come."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf.elements import ElementChannels

_LARGEST_SEED = 2**63 - 1
# Rounds of the cipher by which TensorFlow permutes. With its default of 4, orders of consecutive epochs are visibly
# alike (rank correlations 10 times those of independent orders); with 8 and more they are not.
_ROUNDS = 12


@runtime_checkable
class Source(Protocol):
    """Molecules that a model can be trained on, wherever they are kept.

    Attributes:
      label_mean: mean of the labels, in `unit`; NaN without labels.
      label_std: their standard deviation.
      unit: of the labels, such as "eV"; "" if not known.
      symbols: symbols of the elements that occur, by atomic number.
    """

    @property
    def label_mean(self) -> float: ...
    @property
    def label_std(self) -> float: ...
    @property
    def unit(self) -> str: ...
    @property
    def symbols(self) -> tuple[str, ...]: ...

    def __len__(self) -> int:
        """How many molecules there are."""
        ...

    def fingerprint(self) -> str:
        """Hexadecimal digits that tell these molecules, in this order and with these labels, from all others: the same
        for the same part of a folder in memory and on disk."""
        ...

    def diameters(self) -> npt.NDArray[np.float32]:
        """The largest distance between two atoms of each molecule, Å, `[len(self)]`. Reads all coordinates."""
        ...

    def count_larger_than(self, box: float) -> int:
        """How many molecules do not fit, in every orientation, into a cube of this edge (Å) around the middle of their
        bounding box: their largest distance between two atoms exceeds it. Reads all coordinates."""
        ...

    def dataset(
        self,
        channels: ElementChannels | Sequence[str],
        *,
        batch_size: int = 256,
        shuffle: bool = False,
        seed: int | None = None,
        repeat: bool = False,
        start: int = 0,
        shard: tuple[int, int] = (0, 1),
        drop_remainder: bool = False,
    ) -> tf.data.Dataset:
        """Ragged batches: points `[b, (A), 4]` with the columns channel, x, y, z (Å), or (points, labels `[b]`) if
        there are labels.

        Args:
          channels: the channel of each element, also as symbols such as `("C", "N", "O", "H")`.
          batch_size: molecules in a batch. The last batch of an epoch may be smaller.
          shuffle: a new order in every epoch.
          seed: makes the order a function of it and the number of the epoch, the same in every process. None draws one.
            Without `repeat`, each pass over the dataset is an epoch of its own.
          repeat: an endless stream, epoch after epoch; batches do not reach across the end of an epoch.
          start: leave out this many batches at the start of the stream. They are not read: a training goes on in its
            400th epoch as fast as it began.
          shard: (i, n): one part of n, for the i-th of n workers with the same seed. In each epoch the parts of all
            workers together are all molecules, once.
          drop_remainder: leave out the last batch of an epoch where it is smaller.

        Raises:
          ValueError: if an argument is out of its range, or an element has no channel.
        """
        ...


def check_stream(batch_size: int, start: int, shard: tuple[int, int]) -> None:
    """Refuses arguments of `Source.dataset` that are out of range.

    Raises:
      ValueError: and says what they must be.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: must be at least 1, got {batch_size}")
    if start < 0:
        raise ValueError(f"start: must be at least 0, got {start}")
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f"shard: must be (i, n) with 0 <= i < n, got {shard}")


def epochs(
    batches: int, *, shuffle: bool, seed: int | None, repeat: bool, start: int
) -> tuple[tf.data.Dataset, int, tf.Tensor]:
    """The epochs of a stream, and where in the first of them it starts.

    Args:
      batches: in an epoch.
      shuffle, seed, repeat, start: as in `Source.dataset`.

    Returns:
      A dataset of (epoch, batches to leave out at its start), int64; how many batches the whole stream has,
      `tf.data.INFINITE_CARDINALITY` where it is endless; and the seed, int64.
    """
    if seed is None:
        seed = int(tf.random.uniform([], 0, _LARGEST_SEED, tf.int64)) if shuffle else 0
    if repeat and batches:
        first, left_out = divmod(start, batches)
        numbers = tf.data.Dataset.counter(first)
        total = tf.data.INFINITE_CARDINALITY
    else:
        left_out, total = min(start, batches), max(batches - start, 0)
        # Each pass over a dataset of one epoch needs an order of its own: it draws a random number (from the seed) as
        # the number of its epoch.
        numbers = (
            tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1)
            if shuffle
            else tf.data.Dataset.range(1)
        )
    at_first = [left_out] if left_out else []
    skips = tf.data.Dataset.from_tensor_slices(tf.constant(at_first, tf.int64)).concatenate(
        tf.data.Dataset.from_tensors(tf.constant(0, tf.int64)).repeat()
    )
    return tf.data.Dataset.zip(numbers, skips), total, tf.constant(seed, tf.int64)


def shuffled(positions: tf.Tensor, count: tf.Tensor, seed: Sequence[Any]) -> tf.Tensor:
    """The elements at `positions` of a permutation of `0 ... count - 1`, computed without making the permutation.

    Args:
      positions: int64 vector, each below `count`.
      count: int64 scalar.
      seed: three integers that the permutation is a function of.
    """
    key = tf.stack([tf.cast(part, tf.int64) for part in seed])
    # The op refuses an empty vector, so one more position goes in.
    index = tf.concat([positions, tf.zeros([1], tf.int64)], axis=0)
    largest = tf.maximum(count - 1, 0)
    return tf.raw_ops.RandomIndexShuffle(index=index, seed=key, max_index=largest, rounds=_ROUNDS)[:-1]


def endless(units: int, first: int) -> tf.data.Dataset:
    """An endless stream of (epoch, number of a unit in it), from the `first` unit of the whole stream on.

    It springs from one range, which is what a data service can split among its workers, a unit at a time.

    Args:
      units: in an epoch, batches or windows.
      first: counted from the first unit of epoch 0.
    """
    return (
        tf.data.Dataset.range(first, tf.int64.max)
        .map(lambda ticket: (ticket // units, ticket % units))
        .apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    )


def batches_of_epochs(
    stream: tuple[tf.data.Dataset, int, tf.Tensor], batches: int, batch: Callable[[tf.Tensor, tf.Tensor], Any]
) -> tf.data.Dataset:
    """A dataset from a function of (epoch, number of the batch in it)."""
    numbers, total, _ = stream

    def of_epoch(epoch: tf.Tensor, left_out: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.range(left_out, batches).map(lambda number: (epoch, number))

    # Numbers only: what takes time is mapped in parallel, and in order.
    plan = numbers.flat_map(of_epoch).apply(tf.data.experimental.assert_cardinality(total))
    return plan.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
