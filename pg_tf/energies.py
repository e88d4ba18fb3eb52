"""Lennard-Jones energy grids: what a probe feels in the middle of each voxel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pg_tf import _arguments, boxes, cells
from pg_tf._arguments import as_tensor, describe
from pg_tf._atoms import AtomLayout, flat_atoms, flat_or_one
from pg_tf._autograph import plain
from pg_tf._limits import LARGEST_ENERGY
from pg_tf._ops import lennard_jones as lennard_jones_op
from pg_tf.elements import SYMBOLS, atomic_number
from pg_tf.force_fields import PROBES, UFF, ForceField, Probe

_MIXINGS = ("lorentz-berthelot", "geometric", None)


@plain
def lennard_jones(
    coords: Any,
    atomic_numbers: Any = None,
    *,
    probe: Any = "CH4",
    force_field: ForceField = UFF,
    sigma: Any = None,
    epsilon: Any = None,
    mixing: str | None = "lorentz-berthelot",
    pairs: Mapping[str, tuple[float, float]] | None = None,
    weights: Any = None,
    grid_shape: int | Sequence[int] = 32,
    cell: Any = None,
    periodic: Any = None,
    box: Any = None,
    cutoff: float = 12.0,
    shift: bool = False,
    max_energy: float | None = 1e6,
    dtype: Any = "float32",
    with_gradient: bool = False,
    implementation: str = "auto",
) -> Any:
    """The energy of a probe at the centre of each voxel,

        E(p) = sum over atoms and images with r < cutoff of 4 epsilon [(sigma / r)^12 - (sigma / r)^6],

    r the distance from p, sigma and epsilon those of the pair of atom and probe (Zaman et al., ParticleGrid, 2022,
    III-A).

    Example:

        zeolite = pg_tf.structures.read_cif("MFI.cif")
        energy = pg_tf.lennard_jones(**zeolite.atoms(), probe="CH4", grid_shape=(100, 100, 67))   # K

    Args:
      coords: atoms of one structure `[A, 3]`, a padded batch `[B, A, 3]` or a ragged batch `[B, (A), 3]`, Å. In a
        periodic structure they may lie anywhere: only where they are modulo the lattice counts.
      atomic_numbers: integers `[A]`, `[B, A]` or ragged `[B, (A)]`; 0 marks padding.
      probe: a name in `pg_tf.force_fields.PROBES`, a `Probe`, or a pair (sigma in Å, epsilon in K), numbers or scalar
        tensors.
      force_field: sigma and epsilon of each element.
      sigma: instead of `atomic_numbers` and `force_field`: sigma of each atom, Å, a scalar or laid out as the atoms.
      epsilon: likewise, K. An atom with an epsilon of 0 does not act on the probe.
      mixing: from atom and probe to the pair. "lorentz-berthelot" is `(sigma_1 + sigma_2) / 2` and
        `sqrt(epsilon_1 epsilon_2)`; "geometric" takes the geometric mean of both; None takes sigma and epsilon for
        those of the pair as they are, and no probe.
      pairs: (sigma, epsilon) of the probe with certain elements, by symbol, in place of what mixing gives.
      weights: factors of each atom's energy, such as partial occupancies, at least 0: a scalar, or laid out as the
        atoms.
      grid_shape: voxels along the three axes of the grid, or one number for all.
      cell: rows are lattice vectors, Å: `[3, 3]` for all structures or `[B, 3, 3]`. Of any orientation and handedness,
        and as skewed as may be.
      periodic: for each lattice vector, whether the structure repeats along it: one flag or three. None: True with a
        cell, False without one.
      box: None puts the grid on the cell: voxel (i, j, k) has its centre at the fractional coordinates ((i + 1/2) / nx,
        (j + 1/2) / ny, (k + 1/2) / nz). Otherwise an orthogonal box as in `voxelize`, anywhere in the crystal. Without
        cell and box, that of `bounding_box`.
      cutoff: Å.
      shift: subtracts from each pair its energy at the cutoff, so that none jumps there.
      max_energy: energies are clamped to plus and minus this, K; None is 1e24, as good as no bound. Nothing is ever
        infinite.
      dtype: of the results, and of the arithmetic: float32 or float64. Coordinates, cells and boxes are taken in
        float64 either way. In float32 an energy is good to 1e-4 of itself, or of 100 K where it is smaller, and to 1e-5
        in more than 99 % of a framework's voxels: where the energy passes through zero, terms of thousands of K cancel.
        An atom that lies on the cutoff to seven digits may or may not count, which with `shift=True` changes nothing.
      with_gradient: also returns the gradient of the energy to the place of the probe; the force is its negative.
      implementation: "op" is the compiled CPU kernel. "dense" is made of TensorFlow's own ops: slower by orders of
        magnitude on a CPU, as it looks at all pairs, but it runs under XLA and on accelerators (padded or single
        structures only, under XLA), where bad values cannot raise: they make the grid NaN. Its arithmetic is float64
        whatever `dtype` is. "auto" is "dense" inside `tf.function(jit_compile=True)` and "op" elsewhere.

    Returns:
      Energies in K (divided by Boltzmann's constant), `[nx, ny, nz]`, with a leading batch axis unless `coords` is a
      single structure; 0 where no atom is within the cutoff. With `with_gradient` a pair with gradients in K/Å,
      `[..., nx, ny, nz, 3]`, Cartesian, 0 where the energy is clamped.
      Both are differentiable to any order with respect to coords, sigma, epsilon, weights, the probe, the box and the
      cell; second derivatives, and derivatives of the gradient, are computed by the dense form. The derivative to the
      cell is at fixed Cartesian coords; for that at fixed fractional ones, take `coords =
      pg_tf.to_cartesian(fractional, cell)` under the same tape. Derivatives leave out the jumps at the cutoff, and are
      0 where the energy is clamped.

    Raises:
      ValueError: if a shape, name or static value does not fit, or an element has no parameters.
      tf.errors.InvalidArgumentError: for bad values: coordinates that are not finite, a cell or box without volume, a
        cutoff that reaches too many images, a grid too large for the memory. The text names the molecule, the atom and
        the value.
    """
    shape = _arguments.checked_grid_shape(grid_shape)
    dtype = _arguments.checked_dtype(dtype, (tf.float32, tf.float64))
    use_op = _arguments.uses_op(implementation)
    layout, xyz = flat_atoms("coords", coords, 3, tf.float64)
    if atomic_numbers is not None:
        numbers = layout.flat("atomic_numbers", as_tensor("atomic_numbers", atomic_numbers, tf.int32), ())
        xyz = tf.where((numbers > 0)[:, tf.newaxis], xyz, 0)
    else:
        numbers = None
    pair_sigma, pair_epsilon = _pair_parameters(
        layout, numbers, probe, force_field, sigma, epsilon, mixing, pairs, weights
    )
    flags = _arguments.checked_periodic(periodic, default=cell is not None)
    if any(flags) and cell is None:
        raise ValueError("periodic: a structure can only repeat along the vectors of a cell; give cell as well")
    lattice = tf.eye(3, batch_shape=[1], dtype=tf.float64) if cell is None else cells.batched(cell, layout, tf.float64)
    origin, edges = _grid_frame(box, cell, lattice, coords, numbers, layout)
    energy, gradient = (lennard_jones_op.by_op if use_op else lennard_jones_op.by_dense)(
        lennard_jones_op.Structures(xyz, pair_sigma, pair_epsilon, origin, edges, lattice),
        layout,
        as_tensor("cutoff", cutoff, tf.float64),
        as_tensor("max_energy", LARGEST_ENERGY if max_energy is None else max_energy, tf.float64),
        dtype=dtype,
        grid_shape=shape,
        periodic=flags,
        shift=shift,
        with_gradient=with_gradient,
    )
    energy = layout.batch(energy)
    return (energy, layout.batch(gradient)) if with_gradient else energy


def _grid_frame(
    box: Any, cell: Any, lattice: tf.Tensor, coords: Any, numbers: tf.Tensor | None, layout: AtomLayout
) -> tuple[tf.Tensor, tf.Tensor]:
    """Corner `[1 or B, 3]` and edges `[1 or B, 3, 3]` of the grid."""
    if box is None and cell is not None:
        return tf.zeros([1, 3], tf.float64), lattice
    if box is None:
        box = boxes.bounding_box
    if callable(box):
        channels = None if numbers is None else layout.unflatten(tf.where(numbers > 0, 0, -1))
        box = box(coords, channels=channels)
    used = boxes.batched(box, layout, tf.float64)
    edges = tf.linalg.diag(used.lengths)
    return used.origin, edges if used.rotation is None else tf.linalg.matmul(edges, used.rotation)


def _pair_parameters(
    layout: AtomLayout,
    numbers: tf.Tensor | None,
    probe: Any,
    force_field: ForceField,
    sigma: Any,
    epsilon: Any,
    mixing: str | None,
    pairs: Mapping[str, tuple[float, float]] | None,
    weights: Any,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sigma and epsilon of each flat atom with the probe; epsilon is 0 for padding."""
    if mixing not in _MIXINGS:
        raise ValueError(f"mixing must be one of {', '.join(map(repr, _MIXINGS))}; got {mixing!r}")
    if (sigma is None) != (epsilon is None):
        raise ValueError("sigma and epsilon must be given together, or neither")
    if sigma is not None:
        if pairs:
            raise ValueError("pairs are by element, and go with atomic_numbers; they cannot be combined with sigma")
        sigma, epsilon = _per_atom("sigma", sigma, layout), _per_atom("epsilon", epsilon, layout)
        if numbers is not None:
            sigma, epsilon = tf.where(numbers > 0, sigma, 0), tf.where(numbers > 0, epsilon, 0)
    elif numbers is None:
        raise ValueError("give atomic_numbers, or sigma and epsilon of each atom")
    else:
        overridden = force_field.replace({} if pairs is None else pairs, force_field.name)
        known, splits = tf.get_static_value(numbers), tf.get_static_value(layout.row_splits)
        if known is not None:
            overridden.check(known, splits)
        # Where the values are not known yet, the op finds the NaN of an element without parameters.
        index = tf.clip_by_value(numbers, -1, len(SYMBOLS)) + 1
        sigma, epsilon = (
            tf.gather(tf.constant(np.pad(table, 1, constant_values=np.nan)), index)
            for table in (force_field.sigma, force_field.epsilon)
        )
    if mixing is not None:
        sigma, epsilon = _mixed(sigma, epsilon, _checked_probe(probe), mixing)
        if numbers is not None:
            epsilon = tf.where(numbers != 0, epsilon, 0)
    for symbol, values in (pairs or {}).items():
        of_element = numbers == atomic_number(symbol)
        pair = as_tensor(f"pairs: {symbol}", values, tf.float64)
        sigma, epsilon = tf.where(of_element, pair[0], sigma), tf.where(of_element, pair[1], epsilon)
    if weights is not None:
        factor = _per_atom("weights", weights, layout)
        epsilon *= factor if numbers is None else tf.where(numbers != 0, factor, 0)
    return sigma, epsilon


def _per_atom(name: str, value: Any, layout: AtomLayout) -> tf.Tensor:
    value = flat_or_one(name, value, layout, tf.float64)
    return tf.fill(tf.cast(layout.row_splits[-1:], tf.int32), value) if value.shape.rank == 0 else value


def _checked_probe(probe: Any) -> tuple[tf.Tensor, tf.Tensor]:
    if isinstance(probe, str):
        if probe not in PROBES:
            raise ValueError(f"probe must be a (sigma, epsilon) or one of {', '.join(PROBES)}; got {probe!r}")
        probe = PROBES[probe]
    try:
        sigma, epsilon = probe[:2] if isinstance(probe, Probe) else probe
    except (TypeError, ValueError):
        raise ValueError(f"probe must be a name or a pair (sigma, epsilon), got {probe!r}") from None
    sigma, epsilon = as_tensor("probe: sigma", sigma, tf.float64), as_tensor("probe: epsilon", epsilon, tf.float64)
    for name, value in (("sigma", sigma), ("epsilon", epsilon)):
        if value.shape.rank != 0:
            raise ValueError(f"probe: {name} must be a scalar, got {describe(value)}")
        known = tf.get_static_value(value)
        if known is not None and not (known >= 0 and np.isfinite(known)):
            raise ValueError(f"probe: {name} must be finite and at least 0, got {known}")
    return sigma, epsilon


def _mixed(
    sigma: tf.Tensor, epsilon: tf.Tensor, probe: tuple[tf.Tensor, tf.Tensor], mixing: str
) -> tuple[tf.Tensor, tf.Tensor]:
    if mixing == "lorentz-berthelot":
        return (sigma + probe[0]) / 2, _geometric_mean(epsilon, probe[1])
    return _geometric_mean(sigma, probe[0]), _geometric_mean(epsilon, probe[1])


def _geometric_mean(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """With a derivative of 0, and not an infinite one, where either is 0. What is negative stays NaN, for the op to
    refuse."""
    product = a * b
    return tf.where(product != 0, tf.sqrt(tf.where(product != 0, product, 1)), 0)
