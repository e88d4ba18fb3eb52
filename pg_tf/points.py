"""Points `[..., A, 4]` with the columns channel, x, y, z: the form in which molecules travel through tf.data."""

import inspect
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pg_tf._arguments import as_tensor, uses_op
from pg_tf._atoms import flat_atoms
from pg_tf._autograph import plain
from pg_tf._ops import split_points as split_points_op
from pg_tf.boxes import Box
from pg_tf.voxelization import voxelize


@plain
def coord_to_grid(
    points: Any,
    *,
    width: Any = None,
    height: Any = None,
    depth: Any = None,
    num_channels: int = 1,
    grid_size: int | Sequence[int] = 32,
    variance: Any = 0.4,
) -> tf.Tensor:
    """Turns points into voxel grids (Zaman et al., ParticleGrid, 2022, Listing 2).

    Example:

        dataset.ragged_batch(256).map(pg_tf.coord_to_grid, num_parallel_calls=tf.data.AUTOTUNE)

    Args:
      points: one molecule `[A, 4]`, a padded batch `[B, A, 4]` or a ragged batch `[B, (A), 4]`; columns channel, x, y,
        z in Å. A negative channel marks padding.
      width: length of the box along x, Å; the box begins at 0. All three lengths None: the bounding box of each
        molecule, cubic, with 2 Å margin (`pg_tf.bounding_box` gives the same box).
      height: length along y, Å.
      depth: length along z, Å.
      num_channels: channels of the grid.
      grid_size: voxels along x, y and z, or one number for all three.
      variance: what the paper calls variance: the standard deviation of the Gaussians, Å.

    Returns:
      float32 `[num_channels, nx, ny, nz]`, with a leading batch axis for batches.

    Raises:
      ValueError: as `pg_tf.voxelize`, and if only some of the lengths are given.
      tf.errors.InvalidArgumentError: as `pg_tf.voxelize`, and if a channel is not a whole number.
    """
    lengths = {"width": width, "height": height, "depth": depth}
    missing = [name for name, length in lengths.items() if length is None]
    if missing and len(missing) < 3:
        raise ValueError(f"give all of width, height and depth, or none for a fitted box; {', '.join(missing)} missing")
    box = (
        None if missing else Box([0.0, 0.0, 0.0], tf.stack([as_tensor(*item, tf.float32) for item in lengths.items()]))
    )
    coords, channels = split_points(points)
    return voxelize(coords, channels, num_channels=num_channels, grid_shape=grid_size, sigma=variance, box=box)


@plain
def split_points(points: Any, *, implementation: str = "auto") -> tuple[Any, Any]:
    """Coordinates and channels of points.

    Args:
      points: `[A, 4]`, `[B, A, 4]` or ragged `[B, (A), 4]`, columns channel, x, y, z.
      implementation: as in `voxelize`.

    Returns:
      coords, with 3 columns, and channels, int32 without columns, in the layout of `points`. Differentiable with
      respect to the coordinates.

    Raises:
      ValueError: if the shape does not fit.
      tf.errors.InvalidArgumentError: if a channel is not a whole number. With "dense", which cannot raise, the atom's
        coordinates become NaN.
    """
    layout, flat = flat_atoms("points", points, 4)
    coords, channels = (split_points_op.by_op if uses_op(implementation) else split_points_op.by_dense)(flat, layout)
    return layout.unflatten(coords), layout.unflatten(channels)


class Voxelizer:
    """`pg_tf.voxelize` with fixed options, as a function for `dataset.map`.

    Example:

        to_grid = pg_tf.Voxelizer(num_channels=8, grid_shape=32, sigma=0.4, data_format="channels_last")
        dataset.ragged_batch(256).map(to_grid, num_parallel_calls=tf.data.AUTOTUNE)   # (points, label) -> (grid, label)

    Args:
      **options: keyword arguments of `pg_tf.voxelize`, but for those that describe the atoms themselves.

    Raises:
      TypeError: if there is no such option.
    """

    _OF_ATOMS = ("channels", "weights", "features")

    def __init__(self, **options: Any) -> None:
        allowed = [name for name in inspect.signature(voxelize).parameters if name not in ("coords", *self._OF_ATOMS)]
        for name in options:
            if name not in allowed:
                raise TypeError(f"{name!r} is not an option of Voxelizer; it takes {', '.join(allowed)}")
        self.options = options

    @plain
    def __call__(self, *element: Any) -> Any:
        """Turns the points of one dataset element into a grid and hands everything else on.

        Args:
          *element: `points`; or `points, *rest`, also as one tuple; or a dict. Points are as in `coord_to_grid`. A dict
            has the key "points", or "coords" and where needed "channels", "weights", "features" and "sigma", laid
            out as for `pg_tf.voxelize`; and "cell", where each structure has its own.

        Returns:
          The grid (with `return_box`, the pair of grid and box); or a tuple of it and the rest; or a dict with "grid"
          (and "box") in place of what it was made from.

        Raises:
          KeyError: if a dict has neither points nor coords.
        """
        if len(element) == 1 and isinstance(element[0], tuple):
            element = element[0]
        if len(element) == 1 and isinstance(element[0], dict):
            return self._of_dict(dict(element[0]))
        points, *rest = element
        coords, channels = split_points(points)
        grid = voxelize(coords, channels, **self.options)
        return (grid, *rest) if rest else grid

    def _of_dict(self, element: dict[str, Any]) -> dict[str, Any]:
        if "points" in element:
            element["coords"], element["channels"] = split_points(element.pop("points"))
        if "coords" not in element:
            raise KeyError(f"the element has neither 'points' nor 'coords': it has {sorted(element)}")
        atoms = {name: element.pop(name) for name in ("coords", *self._OF_ATOMS, "sigma", "cell") if name in element}
        grid = voxelize(**{**self.options, **atoms})
        if self.options.get("return_box"):
            element["grid"], element["box"] = grid
        else:
            element["grid"] = grid
        return element
