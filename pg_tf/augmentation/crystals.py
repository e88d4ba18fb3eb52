"""Random changes of crystals that keep what they are: another origin, the rotations of the lattice, a small strain.

All move atoms, and leave it to `voxelize` and `lennard_jones` to make the grid anew: exact, where rolling or resampling
voxels would not be. Every structure of a batch is changed in its own way, and has its own cell or shares one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from pg_tf import cells
from pg_tf._arguments import checked_periodic
from pg_tf._atom_dicts import split
from pg_tf._atoms import AtomLayout, flat_atoms
from pg_tf.augmentation import lattice_symmetry

_KEYS = ("points", "coords", "channels", "atomic_numbers", "weights", "features", "sigma", "cell")


def random_shift(coords: Any, cell: Any, seed: Any, *, periodic: Any = None) -> Any:
    """Moves all atoms of a structure alike, to a uniformly random origin in the cell. The crystal stays the same.

    Args:
      coords: `[A, 3]`, `[B, A, 3]` or ragged `[B, (A), 3]`, Cartesian, Å.
      cell: `[3, 3]` or `[B, 3, 3]`, rows are lattice vectors, Å.
      seed: two integers; the same seed gives the same shift.
      periodic: the vectors along which the structure repeats, and is moved: a flag or three, None for all.

    Returns:
      Coordinates of the same layout. Differentiable.

    Raises:
      ValueError: if a shape does not fit.
    """
    repeats = checked_periodic(periodic, default=True)
    layout, flat, lattice = _checked(coords, cell)
    shift = tf.random.stateless_uniform([layout.num_molecules, 3], seed, dtype=flat.dtype) * tf.cast(
        repeats, flat.dtype
    )
    return layout.unflatten(flat + layout.per_atom(cells.rowwise_matmul(shift, lattice)))


def random_lattice_rotation(
    coords: Any, cell: Any, seed: Any, *, periodic: Any = None, proper: bool = True, tolerance: float = 1e-3
) -> Any:
    """Turns each structure by a random rotation of its lattice. The cell stays the same, and with it the shape of any
    grid; atoms are moved to other places in it, not relabelled to a turned one.

    Where voxels along the axes that are exchanged are of one size, the grid is that of the unturned structure with axes
    exchanged and flipped; for rotations of other lattices, by 60° in a hexagonal one, it is not, as its voxels are not
    turned into one another.

    Args:
      coords: as in `random_shift`.
      cell: as in `random_shift`; of any shape, reduced or not.
      seed: as in `random_shift`.
      periodic: as in `random_shift`. Of a slab only rotations that keep its plane are taken, about the middle of the
        box.
      proper: rotations only; otherwise reflections and the inversion too, which make the other one of what is chiral.
      tolerance: by how much lengths and cosines of the lattice may differ, of themselves; the metric of the crystal
        changes by as much.

    Returns:
      Coordinates of the same layout. Differentiable with respect to `coords` and `cell`.

    Raises:
      ValueError: if a shape does not fit.
      tf.errors.InvalidArgumentError: if a cell has no volume.
    """
    repeats = checked_periodic(periodic, default=True)
    layout, flat, lattice = _checked(coords, cell)
    cells.check_volume(lattice)
    matrices = lattice_symmetry.random_operations(
        tf.cast(tf.stop_gradient(lattice), tf.float64), seed, repeats, proper, tolerance
    )
    # About the middle of the box along axes that do not repeat.
    middle = tf.constant([0.0 if flag else 0.5 for flag in repeats], flat.dtype)
    fractional = cells.rowwise_matmul(flat, layout.per_atom(cells.inverse(lattice))) - middle
    turned = cells.rowwise_matmul(fractional, layout.per_atom(tf.cast(matrices, flat.dtype))) + middle
    return layout.unflatten(cells.rowwise_matmul(turned, layout.per_atom(lattice)))


def random_strain(coords: Any, cell: Any, seed: Any, *, magnitude: float = 0.02) -> tuple[Any, tf.Tensor]:
    """Strains each structure: atoms and lattice vectors r become r (1 + e), with a symmetric e. Atoms keep their
    fractional coordinates.

    Args:
      coords: as in `random_shift`.
      cell: as in `random_shift`.
      seed: as in `random_shift`.
      magnitude: the six components of e are uniform between minus and plus this.

    Returns:
      Coordinates of the same layout, and the cells, `[B, 3, 3]` (`[3, 3]` for a single structure). Differentiable.

    Raises:
      ValueError: if a shape does not fit, or the magnitude is not from 0 to 0.3.
    """
    if not 0 <= magnitude <= 0.3:
        raise ValueError(f"magnitude must be from 0 to 0.3, beyond which a cell may turn inside out; got {magnitude}")
    layout, flat, lattice = _checked(coords, cell)
    parts = tf.random.stateless_uniform([layout.num_molecules, 6], seed, -magnitude, magnitude, flat.dtype)
    strain = tf.gather(parts, [[0, 5, 4], [5, 1, 3], [4, 3, 2]], axis=1) + tf.eye(3, dtype=flat.dtype)
    return layout.unflatten(cells.rowwise_matmul(flat, layout.per_atom(strain))), layout.batch(
        tf.linalg.matmul(lattice, strain)
    )


def augment_crystals(
    seed: int = 0,
    *,
    shift: bool = True,
    rotation: bool = True,
    proper: bool = True,
    strain: float = 0.0,
    periodic: Any = None,
    tolerance: float = 1e-3,
    passthrough: Sequence[str] = (),
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """A step for `dataset.apply` that changes every crystal anew in every epoch.

    Example:

        dataset.ragged_batch(64).apply(pg_tf.augment_crystals(seed=1)).map(pg_tf.Voxelizer(num_channels=3))

    Args:
      seed: of the whole sequence; the same seed gives the same sequence, whatever runs in parallel.
      shift: whether to move the origin, as `random_shift`.
      rotation: whether to turn, as `random_lattice_rotation`.
      proper: as there.
      strain: magnitude of `random_strain`; 0 for none. Labels are handed on as they are: strain only where they do not
        change with it.
      periodic: as in `random_shift`.
      tolerance: as in `random_lattice_rotation`.
      passthrough: keys of dictionaries that are handed on, though they look like those of atoms.

    Returns:
      A function from a dataset to a dataset. Elements are dicts with the keys "cell" and "coords" or "points", as
      `pg_tf.Voxelizer` takes them, or tuples that begin with one; everything else in them is handed on. There can be no
      "box" or "center", which would not move along.
    """

    def apply(dataset: tf.data.Dataset) -> tf.data.Dataset:
        seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2, drop_remainder=True)
        return tf.data.Dataset.zip(dataset, seeds).map(change, num_parallel_calls=tf.data.AUTOTUNE)

    def change(element: Any, element_seed: tf.Tensor) -> Any:
        if isinstance(element, tuple):
            return (change(element[0], element_seed), *element[1:])
        if not isinstance(element, dict) or element.get("cell") is None:
            found = sorted(element) if isinstance(element, dict) else type(element).__name__
            raise ValueError(f"elements must be dicts with 'cell' and 'coords' or 'points', got {found}")
        atoms, _ = split(element, _KEYS, passthrough=passthrough)
        name = "points" if "points" in atoms else "coords"
        columns = {"coords": 0, "points": 1}[name]
        layout, flat = flat_atoms(name, atoms[name], columns + 3)
        coords, cell = layout.unflatten(flat[:, columns:]), element["cell"]
        seeds = tf.unstack(tf.random.split(element_seed, 3))
        if shift:
            coords = random_shift(coords, cell, seeds[0], periodic=periodic)
        if rotation:
            options = {"periodic": periodic, "proper": proper, "tolerance": tolerance}
            coords = random_lattice_rotation(coords, cell, seeds[1], **options)
        if strain:  # last: a strained lattice has hardly any rotation left
            coords, cell = random_strain(coords, cell, seeds[2], magnitude=strain)
        moved = tf.concat([flat[:, :columns], layout.flat(name, coords, (3,))], axis=1)
        return {**element, name: layout.unflatten(moved), "cell": cell}

    return apply


def _checked(coords: Any, cell: Any) -> tuple[AtomLayout, tf.Tensor, tf.Tensor]:
    """The layout of the atoms, their coordinates `[N, 3]` and a cell for each structure, `[B, 3, 3]`."""
    layout, flat = flat_atoms("coords", coords, 3)
    lattice = cells.batched(cell, layout, flat.dtype)
    return layout, flat, tf.broadcast_to(lattice, [layout.num_molecules, 3, 3])
