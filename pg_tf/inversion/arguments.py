"""Checks of the arguments of `grid_to_coords`; each raises a ValueError that names the argument and the value."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pg_tf._arguments import checked_data_format
from pg_tf.boxes import Box
from pg_tf.inversion.atoms import Array

# Degrees of the polynomials; without a background there are none.
_BACKGROUNDS = {None: -1, "constant": 0, "linear": 1, "quadratic": 2}


def checked_grids(grid: Any, data_format: str) -> tuple[npt.NDArray[Any], bool, float]:
    """Grids `[B, C, nx, ny, nz]` in float32 or float64, whether a single one was given, and the epsilon of the dtype
    that was given."""
    checked_data_format(data_format)
    given = grid.dtype if tf.is_tensor(grid) else np.asarray(grid).dtype
    given = tf.as_dtype(given)
    if not (given.is_floating or given.is_integer or given.is_bool):
        raise ValueError(f"grid must be an array of numbers, got dtype {given.name}")
    epsilon = float(np.finfo(np.float32).eps)
    if given in (tf.float16, tf.bfloat16):
        epsilon = 2.0**-10 if given == tf.float16 else 2.0**-7
    values = np.asarray(grid)
    values = values.astype(np.float64 if given == tf.float64 else np.float32)
    if values.ndim not in (4, 5):
        raise ValueError(f"grid must have rank 4, or 5 for a batch; got shape {list(values.shape)}")
    if not np.isfinite(values).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"grid must be finite: grid{list(place)} is {values[place]}")
    single = values.ndim == 4
    if single:
        values = values[np.newaxis]
    if data_format == "channels_last":
        values = np.moveaxis(values, -1, 1)
    if 0 in values.shape[1:]:
        raise ValueError(f"grid must have a channel and voxels, got shape {list(np.shape(grid))}")
    return np.ascontiguousarray(values), single, epsilon


def per_channel(name: str, value: Any, num_channels: int) -> Array:
    """A positive number for each channel, `[C]`."""
    array = np.asarray(value, np.float64)
    if array.shape not in ((), (num_channels,)):
        raise ValueError(f"{name} must be a scalar or one for each of the {num_channels} channels, got {value!r}")
    if not (np.isfinite(array).all() and (array > 0).all()):
        raise ValueError(f"{name} must be finite and greater than 0, got {value!r}")
    return np.broadcast_to(array, num_channels)


def atom_counts(num_atoms: Any, batch_size: int, num_channels: int) -> npt.NDArray[np.int64]:
    """`[B, C]`, -1 where unknown."""
    shape = (batch_size, num_channels)
    if num_atoms is None:
        return np.full(shape, -1)
    counts = np.asarray(num_atoms)
    if counts.shape not in (shape, shape[1:]) or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError(
            f"num_atoms must be whole numbers of at least 0 of shape {list(shape[1:])} or {list(shape)}, "
            f"got {num_atoms!r}"
        )
    return np.broadcast_to(counts, shape).astype(np.int64)


def polynomial_exponents(background: str | None) -> npt.NDArray[np.int64]:
    """The powers of x, y, z in each polynomial of a background, `[Q, 3]`."""
    if background not in _BACKGROUNDS:
        raise ValueError(f"fit_background must be None, 'constant', 'linear' or 'quadratic', got {background!r}")
    degree = _BACKGROUNDS[background]
    powers = [(i, j, d - i - j) for d in range(degree + 1) for i in range(d, -1, -1) for j in range(d - i, -1, -1)]
    return np.array(powers, np.int64).reshape(-1, 3)


def likely_format(shape: tuple[int, ...], box: Any, data_format: str) -> str | None:
    """What to say of grids whose channels are evidently on the other side; None of others.

    They are where the axis that is taken for the channels is as long as two of the space, the third is shorter, and the
    box is a cube: the other way round the voxels are cubes.

    Args:
      shape: `(C, nx, ny, nz)`, as the grids are taken.
      box: of the caller, or None.
      data_format: of the caller.
    """
    if box is None:
        return None
    lengths = np.asarray(Box(*box).lengths, np.float64)
    if not np.allclose(lengths, lengths.reshape(-1)[0], rtol=1e-3):
        return None
    num_channels, x, y, z = shape
    first = data_format == "channels_first"
    others, odd = ({x, y}, z) if first else ({y, z}, x)
    if others != {num_channels} or odd >= num_channels:
        return None
    other = "channels_last" if first else "channels_first"
    given = [num_channels, x, y, z] if first else [x, y, z, num_channels]
    return (
        f"data_format: a grid of shape {given} in a cubic box is taken as {data_format}, for {num_channels} channels; "
        f"{data_format!r} may be wrong and {other!r} right, for {odd}"
    )
