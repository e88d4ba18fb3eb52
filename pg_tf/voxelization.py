"""Atoms to grids: the exact integral of each atom's Gaussian over each voxel."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pg_tf import _arguments, _atom_options, _objects, boxes, cells, windows
from pg_tf._atoms import AtomLayout, FlatAtoms, flat_atoms, flat_or_one
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
    atomic_numbers: Any = None,
    elements: Any = None,
    num_channels: int | None = None,
    grid_shape: int | Sequence[int] = 32,
    sigma: Any = 0.4,
    radius_scale: float = 0.5,
    weights: Any = None,
    features: Any = None,
    normalize: str | None = None,
    box: Any = None,
    lengths: Any = None,
    center: Any = None,
    cell: Any = None,
    periodic: Any = None,
    data_format: str = "channels_first",
    dtype: Any = "float32",
    implementation: str = "auto",
    return_box: bool = False,
) -> Any:
    """Turns atoms into voxel grids: channels first, unless `data_format` says otherwise (the Keras layers: last).

    An atom is a normalised Gaussian, and a voxel holds its exact integral: `w P_x(i) P_y(j) P_z(k)` with
    `P(i) = (erf((e_i+1 - mu) / (sqrt2 sigma)) - erf((e_i - mu) / (sqrt2 sigma))) / 2` (Zaman et al., ParticleGrid,
    2022, Eq. 1-5). A grid whose box holds all atoms sums to the sum of their weights (Eq. 6).

    Example:

        grid = pg_tf.voxelize([[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]], sigma=0.4)   # [1, 32, 32, 32], sums to 2
        grid = pg_tf.voxelize(molecule, elements=("C", "N", "O", "H"))   # of RDKit, ASE, pymatgen or pg_tf.structures

    Args:
      coords: atoms of one molecule `[A, 3]`, a padded batch `[B, A, 3]` or a ragged batch `[B, (A), 3]`, Å. Or a
        `pg_tf.structures.Structure` or what makes one, an `rdkit.Chem.Mol`, `ase.Atoms` or a pymatgen structure, or a
        list of these: atomic numbers, occupancies as weights and the cell come with it, unless they are given.
      channels: integers `[A]`, `[B, A]` or ragged `[B, (A)]`; None puts all atoms into channel 0. A negative channel
        marks padding: no contribution, gradients of zero.
      atomic_numbers: laid out as `channels`, 0 for padding; for `elements` and radii.
      elements: the channel of each element, `pg_tf.ElementChannels` or symbols such as `("C", "N", "O", "H")`.
      num_channels: channels of the grid; None takes those of `elements`, or one.
      grid_shape: voxels along x, y and z, or one number for all three.
      sigma: standard deviation of the Gaussians, Å: a scalar; one for each atom, laid out as `channels`; of a batch
        also one for each channel, `[num_channels]`; or "vdw", "bondi" (the same) or "alvarez": van der Waals radii
        (`pg_tf.radii`) times `radius_scale`.
      radius_scale: sigma in units of the radius; 0.5 is what libmolgrid and others who write exp(-2 r^2 / radius^2)
        have.
      weights: integral of each atom, 1 if None: a scalar, or one for each atom, laid out as `channels`.
      features: `[A, C]`, `[B, A, C]` or ragged `[B, (A), C]` with C = num_channels: soft channels. Atom a adds
        `features[a, c]` times its Gaussian to every channel c; of `channels` only the sign is looked at then.
      normalize: None for Gaussians that sum to the weight; "peak" for Gaussians that are the weight at their middle,
        of which a voxel holds the mean over itself.
      box: a `Box` or `(origin, lengths)` in Å, `[3]` for all molecules or `[B, 3]`; or a function that is called as
        `box(coords, channels=channels)` and returns one, such as `functools.partial(pg_tf.centered_box, lengths=16.0)`.
        None fits one to each molecule with `bounding_box`: cubic, 2 Å margin.
      lengths: instead of a box: its edges, Å, a scalar or `[3]`. Its middle is `center` or that of the atoms, as in
        `centered_box`.
      center: with `lengths`: the middle of the box, `[3]` for all molecules or `[B, 3]`, Å.
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
    if (given := _objects.arguments_of(coords)) is not None:
        coords = given.pop("coords")
        atomic_numbers = given["atomic_numbers"] if atomic_numbers is None else atomic_numbers
        weights = given["weights"] if weights is None and features is None else weights
        cell = given["cell"] if cell is None else cell
        periodic = given["periodic"] if periodic is None else periodic
    num_channels, elements = _atom_options.checked_elements(num_channels, elements)
    dtype = _arguments.checked_dtype(dtype, DTYPES)
    compute = tf.float64 if dtype == tf.float64 else tf.float32
    attributes: dict[str, Any] = {
        "num_channels": num_channels,
        "grid_shape": _arguments.checked_grid_shape(grid_shape),
        "data_format": _arguments.checked_data_format(data_format),
        "periodic": _arguments.checked_periodic(periodic, default=cell is not None),
        "dtype": dtype,
    }
    use_op = _arguments.uses_op(implementation)
    if weights is not None and features is not None:
        raise ValueError("give weights or features, not both: a feature vector already holds the atom's weights")
    if box is not None and (lengths is not None or center is not None):
        raise ValueError("box, lengths: give one of them; lengths and center are those of a box")
    if center is not None and lengths is None:
        raise ValueError("center: the middle of a box needs its lengths too")
    if normalize not in _atom_options.NORMALIZATIONS:
        raise ValueError(f"normalize must be one of {_atom_options.NORMALIZATIONS}, got {normalize!r}")
    if any(attributes["periodic"]) and cell is None and box is None and lengths is None:
        raise ValueError("periodic: give the box or the cell that repeats; a box fitted to the atoms is no period")
    if return_box and cell is not None and box is None and lengths is None:
        raise ValueError("return_box: the grid of a cell has no box; its voxels lie along the lattice vectors")

    # Far from the origin float32 has no digits left for where an atom is in its box: coordinates, boxes and cells are
    # float64 until the corner of the box is subtracted.
    layout, flat_coords = flat_atoms("coords", coords, 3, tf.float64)
    # What is returned has the caller's precision, so that it is the box that was used.
    narrow = getattr(coords, "dtype", None) not in (None, tf.float64)
    soft = features is not None
    flat, numbers = _atom_options.channels_of(
        channels, atomic_numbers, elements, num_channels, soft, layout, flat_coords
    )
    atoms = FlatAtoms(
        flat_coords,
        flat,
        _weights(weights, features, num_channels, layout, compute),
        _atom_options.sigma_of(sigma, radius_scale, numbers, flat, num_channels, soft, layout, compute),
        layout,
    )
    lattice = None if cell is None else cells.batched(cell, layout, tf.float64)
    voxels = math.prod(attributes["grid_shape"])
    if lengths is not None:
        box = _of_lengths(lengths, center, compute if narrow else tf.float64, implementation)
    if lattice is not None and box is None:
        if normalize == "peak":
            atoms = _atom_options.peak_of_one(atoms, tf.abs(tf.linalg.det(lattice)) / voxels)
        if use_op:
            return layout.batch(voxelize_cell_op.by_op(atoms, lattice, **attributes))
        if _arguments.under_xla():
            shape, repeats = attributes["grid_shape"], attributes["periodic"]
            attributes["orders"] = dense_cells.static_orders(cell, sigma, shape, repeats, compute)
        return layout.batch(voxelize_cell_op.by_dense(atoms, lattice, **attributes))

    if callable(box):
        unknown = channels is None and atomic_numbers is None
        box = box(coords, channels=None if unknown else layout.unflatten(atoms.channels))
    if box is None:
        fitted = tf.cast(atoms.coords, compute) if narrow else atoms.coords
        box = boxes.fit(fitted, atoms.channels, layout, margin=2.0, cubic=True, rotation=None, use_op=use_op)
        used = boxes.Box(tf.cast(box.origin, tf.float64), tf.cast(box.lengths, tf.float64))
        box = boxes.Box(layout.batch(box.origin), layout.batch(box.lengths))
    else:
        used = boxes.batched(box, layout, tf.float64)
    if normalize == "peak":
        atoms = _atom_options.peak_of_one(atoms, tf.reduce_prod(used.lengths, axis=-1) / voxels)
    if lattice is not None and any(attributes["periodic"]):
        if _arguments.under_xla():
            raise ValueError(
                "box, cell: under XLA a window into a crystal is not possible; its images have no fixed number"
            )
        atoms = windows.seen_through(used, atoms, lattice, attributes["periodic"], dense_cells.REACH[compute])
        attributes["periodic"] = (False, False, False)
    grid = layout.batch(_in_box(atoms, used, use_op, **attributes))
    return (grid, boxes.Box(*box)) if return_box else grid


def _of_lengths(lengths: Any, center: Any, dtype: tf.DType, implementation: str) -> Any:
    """A box as `voxelize` takes it, or the function that makes one."""
    if center is None:
        return functools.partial(boxes.centered_box, lengths=lengths, implementation=implementation)
    edges = tf.broadcast_to(_arguments.as_tensor("lengths", lengths, dtype), [3])
    return boxes.Box(_arguments.as_tensor("center", center, dtype) - edges / 2, edges)


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
