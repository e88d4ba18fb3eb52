"""Grids of feature vectors back to atoms: where they are, and what each adds to every channel."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf import boxes
from pg_tf._arguments import as_tensor
from pg_tf._atoms import AtomLayout
from pg_tf.inversion.arguments import checked_grids
from pg_tf.inversion.factors import axis_factors
from pg_tf.inversion.frame import checked_box
from pg_tf.inversion.invert import grid_to_coords
from pg_tf.inversion.result import Inversion


@dataclasses.dataclass(frozen=True)
class Decoded:
    """Atoms read from a grid of feature vectors. Of a single grid, everything is without the batch axis `B`.

    Attributes:
      coords: ragged `[B, (A), 3]` or `[A, 3]`, Å, in the frame in which the box was given.
      atomic_numbers: int32, ragged `[B, (A)]` or `[A]`.
      features: ragged `[B, (A), C]` or `[A, C]`: what each atom adds to every channel, by least squares.
      distance: ragged `[B, (A)]` or `[A]`: of each atom's features from the vector of its element. Where it is not much
        less than the distance between elements, the element is a guess.
      inversion: the inversion of the sum of the channels; `inversion.converged` tells whether to believe the positions.
    """

    coords: Any
    atomic_numbers: Any
    features: Any
    distance: Any
    inversion: Inversion


def decode_grid(
    grid: Any,
    embeddings: Any,
    atomic_numbers: Any,
    *,
    box: Any,
    sigma: float,
    data_format: str = "channels_last",
    **options: Any,
) -> Decoded:
    """Finds the atoms that a grid of feature vectors was made of, and their elements.

    The vector of each element sums to one, so that the sum of all channels is a plain grid of one channel, and its
    inversion tells the positions. With those known, each atom's vector follows by linear least squares, and the nearest
    embedding tells the element.

    Args:
      grid: `[B, nx, ny, nz, C]` (channels_first: `[B, C, nx, ny, nz]`), or a single one without the axis B.
      embeddings: `[E, C]`, the vector of each element; each sums to one.
      atomic_numbers: `[E]`.
      box: the `Box` it was made with, or `(origin, lengths)` in Å: `[3]`, or `[B, 3]` for a batch.
      sigma: standard deviation of the Gaussians, Å.
      data_format: "channels_last" or "channels_first".
      **options: more arguments of `pg_tf.grid_to_coords`, for the sum of the channels, such as `num_atoms`.

    Returns:
      A `Decoded`.

    Raises:
      ValueError: as `pg_tf.grid_to_coords`, and if the embeddings do not fit.
    """
    vectors = as_tensor("embeddings", embeddings, tf.float64)
    numbers = as_tensor("atomic_numbers", atomic_numbers, tf.int32)
    if vectors.shape.rank != 2 or numbers.shape != vectors.shape[:1]:
        raise ValueError(f"embeddings must be [E, C] and atomic_numbers [E], got {vectors.shape} and {numbers.shape}")
    if not np.allclose(tf.reduce_sum(vectors, axis=1), 1, atol=1e-3):
        raise ValueError("embeddings: each must sum to one, or the positions cannot be found without the elements")
    grid = tf.convert_to_tensor(grid)
    axis = -1 if data_format == "channels_last" else -4
    wide = tf.cast(grid, tf.float64 if grid.dtype == tf.float64 else tf.float32)
    # The inversion takes from the dtype how exact the numbers are.
    total = tf.cast(tf.reduce_sum(wide, axis=axis, keepdims=True), grid.dtype)
    found = grid_to_coords(total, box=box, sigma=sigma, data_format=data_format, **options)
    coords = found.points[..., 1:]
    features = atom_features(wide, coords, box=box, sigma=sigma, data_format=data_format)
    flat = features.flat_values if isinstance(features, tf.RaggedTensor) else features
    if flat.shape[-1] != vectors.shape[1]:
        raise ValueError(f"embeddings have {vectors.shape[1]} components, but the grid has {flat.shape[-1]} channels")
    index, distance = nearest(flat, vectors)
    of_atoms = [tf.gather(numbers, index), distance]
    if isinstance(features, tf.RaggedTensor):
        of_atoms = [features.with_flat_values(values) for values in of_atoms]
    return Decoded(coords, of_atoms[0], features, of_atoms[1], found)


def atom_features(grid: Any, coords: Any, *, box: Any, sigma: float, data_format: str = "channels_last") -> Any:
    """What each atom adds to every channel of a grid: the vectors F with the least sum (G - G')^2, G' their grid.

    The normal equations are `M F = R`: M holds the inner products of the atoms' Gaussians, which are products of three
    inner products over one axis each, and R those of the Gaussians with the channels.

    Args:
      grid: as in `decode_grid`.
      coords: ragged `[B, (A), 3]`, or `[A, 3]` for a single grid, Å.
      box: as in `decode_grid`.
      sigma: Å.
      data_format: "channels_last" or "channels_first".

    Returns:
      float64, ragged `[B, (A), C]` or `[A, C]`. Where atoms left no trace in the box, or cannot be told apart, the
      solution with the smallest sum of squares.
    """
    values, single, _ = checked_grids(grid, data_format)
    origin, lengths, rotation = checked_box(box, len(values))
    if single:
        coords = as_tensor("coords", coords, tf.float64)[tf.newaxis]
    layout, flat = _rows(coords, len(values))
    at = boxes.Box(origin, lengths, rotation).to_box_frame(layout.unflatten(flat))
    splits = layout.row_splits.numpy()
    positions = (at.flat_values if isinstance(at, tf.RaggedTensor) else tf.reshape(at, [-1, 3])).numpy()
    features = [
        _features_of(values[b], positions[splits[b] : splits[b + 1]], float(sigma), lengths[b])
        for b in range(len(values))
    ]
    result = np.concatenate([np.zeros((0, values.shape[1])), *features])
    return tf.constant(result) if single else tf.RaggedTensor.from_row_splits(result, layout.row_splits)


def _rows(coords: Any, batch_size: int) -> tuple[AtomLayout, tf.Tensor]:
    coords = as_tensor("coords", coords, tf.float64)
    layout = AtomLayout.of("coords", coords, 3)
    if layout.batch_size not in (batch_size, None):
        raise ValueError(f"coords are of {layout.batch_size} molecules, but there are {batch_size} grids")
    return layout, layout.flat("coords", coords, (3,))


def _features_of(
    grid: npt.NDArray[Any], positions: npt.NDArray[np.float64], sigma: float, lengths: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Of one molecule: grid `[C, nx, ny, nz]`, positions `[A, 3]` from the corner of the box; `[A, C]`."""
    x, y, z = (
        axis_factors(positions[np.newaxis, :, d], np.array([sigma]), lengths[d : d + 1], grid.shape[1 + d]).value[0]
        for d in range(3)
    )
    overlap = (x @ x.T) * (y @ y.T) * (z @ z.T)
    along_z = grid @ z.T  # [C, nx, ny, A]
    projected = np.einsum("cxya,ay,ax->ac", along_z, y, x)
    return np.linalg.lstsq(overlap, projected, rcond=1e-12)[0]


def nearest(features: Any, vectors: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Index of the vector `[E, C]` nearest to each of `[..., C]`, and its distance."""
    squared = tf.reduce_sum((features[..., tf.newaxis, :] - vectors) ** 2, axis=-1)
    return tf.argmin(squared, axis=-1), tf.sqrt(tf.reduce_min(squared, axis=-1))
