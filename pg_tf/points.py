"""Points `[..., A, 4]` with the columns channel, x, y, z: the form in which molecules travel through tf.data."""

import inspect
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pg_tf._arguments import as_tensor, uses_op
from pg_tf._atom_dicts import split
from pg_tf._atom_options import checked_elements, of_channels
from pg_tf._atoms import flat_atoms
from pg_tf._autograph import plain
from pg_tf._objects import arguments_of
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
    """`pg_tf.voxelize` with fixed options, as a function for `dataset.map`. Channels first, unless `data_format` says
    otherwise.

    Example:

        to_grid = pg_tf.Voxelizer(num_channels=8, grid_shape=32, sigma=0.4, data_format="channels_last")
        dataset.ragged_batch(256).map(to_grid, num_parallel_calls=tf.data.AUTOTUNE)   # (points, label) -> (grid, label)

    Args:
      passthrough: keys of dictionaries that are handed on, though they look like those of atoms.
      **options: keyword arguments of `pg_tf.voxelize`, but for those that describe the atoms themselves. An array as
        sigma has one for each channel.

    Raises:
      TypeError: if there is no such option.
      ValueError: if an option that does not depend on the atoms does not fit.
    """

    _OF_ATOMS = ("channels", "atomic_numbers", "weights", "features")

    def __init__(self, *, passthrough: Sequence[str] = (), **options: Any) -> None:
        allowed = [name for name in inspect.signature(voxelize).parameters if name not in ("coords", *self._OF_ATOMS)]
        for name in options:
            if name not in allowed:
                raise TypeError(f"{name!r} is not an option of Voxelizer; it takes {', '.join(allowed)}")
        if isinstance(passthrough, str):
            raise ValueError(f"passthrough must be a sequence of keys, got the string {passthrough!r}")
        self.passthrough = tuple(passthrough)
        _, elements = checked_elements(options.get("num_channels"), options.get("elements"))
        self.options = {**options, **({} if elements is None else {"elements": elements})}
        if "sigma" in options:
            self.options["sigma"] = of_channels(options["sigma"])

    @plain
    def __call__(self, *element: Any) -> Any:
        """Turns the atoms of one dataset element into a grid and hands everything else on.

        Args:
          *element: `atoms`; or `atoms, *rest`, also as one tuple. Atoms are points, as in `coord_to_grid`; a molecule,
            as in `pg_tf.voxelize`; or a dict. A dict has the key "points", or "coords" and where needed "channels",
            "atomic_numbers", "weights", "features" and "sigma", laid out as for `pg_tf.voxelize`; and "cell", "box" or
            "center", where each structure has its own. What it has comes before the options. All its other keys are
            handed on, but for those that look like one of these.

        Returns:
          The grid (with `return_box`, the pair of grid and box); or a tuple of it and the rest. Of a dict, a dict with
          "grid" (and "box") in place of what it was made from.

        Raises:
          ValueError: if a dict has neither points nor coords, or a key that looks like a slip; or as `pg_tf.voxelize`.
        """
        if len(element) == 1 and isinstance(element[0], tuple):
            element = element[0]
        atoms, *rest = element
        result = self._of_dict(atoms) if isinstance(atoms, dict) else self._of_atoms(atoms)
        return (result, *rest) if rest else result

    def _of_atoms(self, atoms: Any) -> Any:
        if arguments_of(atoms) is not None:
            return voxelize(atoms, **self.options)
        coords, channels = split_points(atoms)
        # Points hold channels already: elements only tell how many there are.
        options = {name: value for name, value in self.options.items() if name != "elements"}
        if "elements" in self.options:
            options["num_channels"] = self.options["elements"].num_channels
        return voxelize(coords, channels, **options)

    def _of_dict(self, element: dict[str, Any]) -> dict[str, Any]:
        atoms, rest = split(element, passthrough=self.passthrough)
        if "grid" in rest:
            raise ValueError("keys: the dictionary has 'grid', which is the name of what is made here; rename it")
        options = {**self.options, **atoms}
        if "points" in atoms:
            options["coords"], options["channels"] = split_points(options.pop("points"))
        if "box" in atoms:  # before the box of the options, whichever way they give one
            options.update(lengths=None, center=None)
        elif "center" in atoms and options.get("lengths") is None:
            raise ValueError("keys: 'center' is the middle of a box; give Voxelizer its lengths")
        if "channels" in options and "elements" in options:
            options["num_channels"] = options.pop("elements").num_channels
        grid = voxelize(**options)
        if self.options.get("return_box"):
            rest["grid"], rest["box"] = grid
        else:
            rest["grid"] = grid
        return rest
