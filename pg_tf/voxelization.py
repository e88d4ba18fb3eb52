"""Atoms to grids: the exact integral of each atom's Gaussian over each voxel."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pg_tf import _arguments, boxes, cells, windows
from pg_tf._atoms import AtomLayout, FlatAtoms, flat_atoms, flat_channels, flat_or_one
from pg_tf._autograph import plain
from pg_tf._ops import voxelize as voxelize_op
from pg_tf._ops import voxelize_cell as voxelize_cell_op
from pg_tf.dense import cells as dense_cells

DTYPES = (tf.float32, tf.float64, tf.float16, tf.bfloat16)


@plain
def voxelize(
    coords: Any,
    channels: Any = None,
    *,
    num_channels: int = 1,
    grid_shape: int | Sequence[int] = 32,
    sigma: Any = 0.4,
    weights: Any = None,
    features: Any = None,
    box: Any = None,
    cell: Any = None,
    periodic: Any = None,
    data_format: str = "channels_first",
    dtype: Any = "float32",
    implementation: str = "auto",
    return_box: bool = False,
) -> Any:
    """Turns atoms into voxel grids.

    An atom is a normalised Gaussian, and a voxel holds its exact integral: `w P_x(i) P_y(j) P_z(k)` with
    `P(i) = (erf((e_i+1 - mu) / (sqrt2 sigma)) - erf((e_i - mu) / (sqrt2 sigma))) / 2` (Zaman et al., ParticleGrid,
    2022, Eq. 1-5). A grid whose box holds all atoms sums to the sum of their weights (Eq. 6).

    Example:

        grid = pg_tf.voxelize([[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]], sigma=0.4)   # [1, 32, 32, 32], sums to 2

    Args:
      coords: atoms of one molecule `[A, 3]`, a padded batch `[B, A, 3]` or a ragged batch `[B, (A), 3]`, Å.
      channels: integers `[A]`, `[B, A]` or ragged `[B, (A)]`; None puts all atoms into channel 0. A negative channel
        marks padding: no contribution, gradients of zero.
      num_channels: channels of the grid.
      grid_shape: voxels along x, y and z, or one number for all three.
      sigma: standard deviation of the Gaussians, Å: a scalar, or one for each atom, laid out as `channels`.
      weights: integral of each atom, 1 if None: a scalar, or one for each atom, laid out as `channels`.
      features: `[A, C]`, `[B, A, C]` or ragged `[B, (A), C]` with C = num_channels: soft channels. Atom a adds
        `features[a, c]` times its Gaussian to every channel c; of `channels` only the sign is looked at then.
      box: a `Box` or `(origin, lengths)` in Å, `[3]` for all molecules or `[B, 3]`; or a function that is called as
        `box(coords, channels=channels)` and returns one, such as `functools.partial(pg_tf.centered_box, lengths=16.0)`.
        None fits one to each molecule with `bounding_box`: cubic, 2 Å margin.
      cell: lattice vectors as rows, Å: `[3, 3]` for all molecules or `[B, 3, 3]`, of any orientation and handedness.
        Without a box, voxels lie along them: voxel (i, j, k) holds the fractional coordinates from i / nx to
        (i + 1) / nx and so on, and where the cell is oblique the voxel is. Its integral then needs quadrature, good to
        2e-6 of the largest voxel in float32 and 1e-12 in float64. With a box, the grid is a window into the crystal.
      periodic: along which lattice vectors (without a cell: along which axes of the box) the structure repeats: a flag
        or three. Atoms count wherever they are given, and with all their images, however wide they are. None: all
        lattice vectors of a cell, no axis of a box.
      data_format: "channels_first" `[C, nx, ny, nz]` or "channels_last" `[nx, ny, nz, C]`.
      dtype: of the grid: float32, float64, float16 or bfloat16. float64 grids are computed in float64, all others in
        float32 and rounded once. Coordinates, boxes and cells are taken in float64 either way: given so, they may be
        far from the origin.
      implementation: "op" is the compiled CPU kernel. "dense" is made of TensorFlow's own ops: slower on a CPU, but it
        runs under XLA and on accelerators (padded or single molecules only, under XLA), where bad values cannot raise:
        they make the grid NaN. "auto" is "dense" inside `tf.function(jit_compile=True)` and "op" elsewhere.
      return_box: also returns the box; one that was fitted to coordinates in float64 is float64.

    Returns:
      The grid, with a leading batch axis unless `coords` is a single molecule. With `return_box`, `(grid, box)`.
      Differentiable to any order with respect to coords, weights, features, sigma, the box and the cell. Derivatives to
      box and cell are those at fixed Cartesian `coords`; for those at fixed fractional ones, take `coords =
      pg_tf.to_cartesian(fractional, cell)` under the same tape.

    Raises:
      ValueError: if a shape, name or static value does not fit.
      tf.errors.InvalidArgumentError: for bad values: numbers that are not finite, sigma <= 0, a channel that does not
        exist, a box or cell of no volume, a grid too large for the memory, a sigma below a twelfth of the edge of an
        oblique voxel. The text names the molecule, the atom and the value.
    """
    dtype = _arguments.checked_dtype(dtype, DTYPES)
    compute = tf.float64 if dtype == tf.float64 else tf.float32
    attributes: dict[str, Any] = {
        "num_channels": _arguments.checked_num_channels(num_channels),
        "grid_shape": _arguments.checked_grid_shape(grid_shape),
        "data_format": _arguments.checked_data_format(data_format),
        "periodic": _arguments.checked_periodic(periodic, default=cell is not None),
        "dtype": dtype,
    }
    use_op = _arguments.uses_op(implementation)
    if weights is not None and features is not None:
        raise ValueError("give weights or features, not both: a feature vector already holds the atom's weights")
    if any(attributes["periodic"]) and cell is None and box is None:
        raise ValueError("periodic: give the box or the cell that repeats; a box fitted to the atoms is no period")
    if return_box and cell is not None and box is None:
        raise ValueError("return_box: the grid of a cell has no box; its voxels lie along the lattice vectors")

    # Far from the origin float32 has no digits left for where an atom is in its box: coordinates, boxes and cells are
    # float64 until the corner of the box is subtracted.
    layout, flat_coords = flat_atoms("coords", coords, 3, tf.float64)
    atoms = FlatAtoms(
        flat_coords,
        flat_channels(channels, layout, flat_coords),
        _weights(weights, features, num_channels, layout, compute),
        flat_or_one("sigma", sigma, layout, compute),
        layout,
    )
    lattice = None if cell is None else cells.batched(cell, layout, tf.float64)
    if lattice is not None and box is None:
        if use_op:
            return layout.batch(voxelize_cell_op.by_op(atoms, lattice, **attributes))
        if _arguments.under_xla():
            shape, repeats = attributes["grid_shape"], attributes["periodic"]
            attributes["orders"] = dense_cells.static_orders(cell, sigma, shape, repeats, compute)
        return layout.batch(voxelize_cell_op.by_dense(atoms, lattice, **attributes))

    if callable(box):
        box = box(coords, channels=None if channels is None else layout.unflatten(atoms.channels))
    if box is None:
        # In the caller's precision, so that the box that is returned is the one that was used.
        narrow = getattr(coords, "dtype", None) not in (None, tf.float64)
        fitted = tf.cast(atoms.coords, compute) if narrow else atoms.coords
        box = boxes.fit(fitted, atoms.channels, layout, margin=2.0, cubic=True, rotation=None, use_op=use_op)
        used = boxes.Box(tf.cast(box.origin, tf.float64), tf.cast(box.lengths, tf.float64))
        box = boxes.Box(layout.batch(box.origin), layout.batch(box.lengths))
    else:
        used = boxes.batched(box, layout, tf.float64)
    if lattice is not None and any(attributes["periodic"]):
        if _arguments.under_xla():
            raise ValueError(
                "box, cell: under XLA a window into a crystal is not possible; its images have no fixed number"
            )
        atoms = windows.seen_through(used, atoms, lattice, attributes["periodic"], dense_cells.REACH[compute])
        attributes["periodic"] = (False, False, False)
    grid = layout.batch(_in_box(atoms, used, use_op, **attributes))
    return (grid, boxes.Box(*box)) if return_box else grid


def _weights(weights: Any, features: Any, num_channels: int, layout: AtomLayout, dtype: tf.DType) -> tf.Tensor:
    """The integral of each atom as the ops take it: `[]`, `[N]` or, of soft channels, `[N, num_channels]`."""
    if features is None:
        return flat_or_one("weights", 1.0 if weights is None else weights, layout, dtype)
    features = _arguments.as_tensor("features", features, dtype)
    if features.shape.rank is None or features.shape[-1] not in (num_channels, None):
        raise ValueError(
            f"features must have num_channels = {num_channels} columns, got {_arguments.describe(features)}"
        )
    return layout.flat("features", features, (num_channels,))


def _in_box(atoms: FlatAtoms, box: boxes.Box, use_op: bool, **attributes: Any) -> tf.Tensor:
    """The grids of atoms in their boxes, which may be turned."""
    origin = box.origin
    if box.rotation is not None:
        per_atom = atoms.layout.per_atom
        turned = boxes.rotate(per_atom(box.rotation), atoms.coords - per_atom(origin))
        atoms, origin = dataclasses.replace(atoms, coords=turned), tf.zeros_like(origin)
    return (voxelize_op.by_op if use_op else voxelize_op.by_dense)(atoms, origin, box.lengths, **attributes)
