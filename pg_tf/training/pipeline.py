"""From a source of molecules to the batches that a network takes."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pg_tf import data_service, datasets
from pg_tf.augmentation import augment
from pg_tf.boxes import Box, bounding_box, centered_box
from pg_tf.points import Voxelizer, split_points
from pg_tf.training.config import Config
from pg_tf.voxelization import voxelize

# AutoGraph would rewrite all functions on the way to the op. None needs it, and it takes longer than the rest.
_PLAIN = tf.autograph.experimental.do_not_convert

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Parts:
    """The data of a training: sources with labels; official splits may have no test part."""

    train: Any
    validation: Any
    test: Any | None

    def present(self) -> dict[str, Any]:
        """The parts that there are, by name."""
        return {part: source for part in PARTS if (source := getattr(self, part)) is not None}

    def facts(self) -> dict[str, Any]:
        """What tells these data from others: fingerprints, counts, statistics of the training labels, elements."""
        return {
            **{part: len(source) for part, source in self.present().items()},
            "fingerprints": {part: source.fingerprint() for part, source in self.present().items()},
            "label_mean": float(self.train.label_mean),
            "label_std": float(self.train.label_std),
            "unit": self.train.unit,
            "symbols": list(self.train.symbols),
        }


def load_part(config: Config, part: str) -> Any:
    """The source of one part ("train", "validation", "test") of a config's data.

    Raises:
      ValueError: if it has no molecules or no labels, or as `pg_tf.datasets.load` (`MissingPart` among others).
    """
    source = datasets.load(config.data, part, label=config.label, splits=config.fractions(), seed=config.seed)
    if len(source) == 0:
        raise ValueError(
            f"data: the {part} part of {config.data} is empty (splits={config.splits}); use more molecules"
        )
    if math.isnan(source.label_mean):
        raise ValueError(f"label: {config.data} was read without labels; name the property that is to be learned")
    return source


def load_parts(config: Config) -> Parts:
    """The sources of all parts of a config's data; raises as `load_part`, but for a test part that is not there."""
    try:
        test = load_part(config, "test")
    except datasets.MissingPart:
        test = None
    return Parts(load_part(config, "train"), load_part(config, "validation"), test)


def with_grid_size(config: Config, train: Any) -> Config:
    """The config with as many voxels as the training molecules need, where it leaves that open.

    All but one molecule in a thousand fit into the box with the margin, whichever way they are turned.

    Args:
      config: of the training.
      train: source of the training molecules.
    """
    if config.grid_size is not None or config.voxel is None:
        return config
    edge = np.quantile(train.diameters(), 0.999, method="higher") + 2 * config.margin
    return dataclasses.replace(config, grid_size=math.ceil(edge / config.voxel))


def training_batches(
    source: Any,
    config: Config,
    start: int = 0,
    *,
    batch_size: int | None = None,
    shard: tuple[int, int] = (0, 1),
    drop_remainder: bool = False,
    service: str | None = None,
) -> tf.data.Dataset:
    """The endless stream of (grids, labels) of a training, from batch `start` on.

    Order and motions follow from the seed and the number of the batch, unless a data service mixes them.

    Args:
      source: of molecules.
      config: of the training.
      start: number of the first batch.
      batch_size: molecules in a batch; None for those of the config.
      shard: (i, n): the part of machine i of n.
      drop_remainder: whether to leave out the smaller batch at the end of an epoch.
      service: "host:port" of the dispatcher of a data service whose workers make the grids; None makes them here.
    """
    points = source.dataset(
        config.element_channels(),
        batch_size=config.batch_size if batch_size is None else batch_size,
        shuffle=True,
        seed=config.seed,
        repeat=True,
        start=start,
        shard=shard,
        drop_remainder=drop_remainder,
    )
    if config.rotation:
        points = points.apply(augment(config.seed, translation=0.0, start=start))
    if not config.translation:
        return _prefetched(_made_by(service, _voxelized(points, config)))
    # Fitted after the shift, a box would move along with the molecule, and the grid would not change. So it is fitted
    # before.
    shift = augment(config.seed, rotation=False, translation=config.translation, start=start)
    return _prefetched(_made_by(service, _voxelized_in(_boxed(points, config).apply(shift), config)))


def batches(source: Any, config: Config, motion: int | None = None) -> tf.data.Dataset:
    """All molecules in order, as grids `[b, n, n, n, C]`, or (grids, labels `[b]`) where there are labels.

    Args:
      source: of molecules.
      config: of the run.
      motion: number of a random rotation that every molecule gets; None leaves them as they are.
    """
    points = source.dataset(config.element_channels(), batch_size=config.batch_size)
    if motion is not None:
        points = points.apply(augment(motion, translation=0.0, start=0))
    return _prefetched(_voxelized(points, config))


def _voxelized(points: tf.data.Dataset, config: Config) -> tf.data.Dataset:
    return points.map(_PLAIN(voxelizer(config).__call__), num_parallel_calls=tf.data.AUTOTUNE)


def voxelizer(config: Config) -> Voxelizer:
    """Points to grids `[b, n, n, n, C]`, as the networks of this config take them."""
    return Voxelizer(**_options(config), box=_box(config))


def _options(config: Config) -> dict[str, Any]:
    return {
        "num_channels": config.element_channels().num_channels,
        "grid_shape": config.grid_size,
        "sigma": config.sigma,
        "data_format": "channels_last",
    }


def _box(config: Config) -> Callable[..., Box]:
    if config.edge is None:
        return functools.partial(bounding_box, margin=config.margin)
    return functools.partial(centered_box, lengths=config.edge)


def _boxed(points: tf.data.Dataset, config: Config) -> tf.data.Dataset:
    @_PLAIN
    def boxed(points: Any, *rest: Any) -> Any:
        coords, channels = split_points(points)
        box = _box(config)(coords, channels=channels)
        return (points, box.origin, box.lengths, *rest)

    return points.map(boxed, num_parallel_calls=tf.data.AUTOTUNE)


def _voxelized_in(boxed: tf.data.Dataset, config: Config) -> tf.data.Dataset:
    @_PLAIN
    def to_grid(points: Any, origin: tf.Tensor, lengths: tf.Tensor, *rest: Any) -> Any:
        coords, channels = split_points(points)
        return (voxelize(coords, channels, box=(origin, lengths), **_options(config)), *rest)

    return boxed.map(to_grid, num_parallel_calls=tf.data.AUTOTUNE)


def _made_by(service: str | None, grids: tf.data.Dataset) -> tf.data.Dataset:
    return grids if service is None else data_service.distribute(grids, service)


def _prefetched(grids: tf.data.Dataset) -> tf.data.Dataset:
    return grids.prefetch(tf.data.AUTOTUNE)
