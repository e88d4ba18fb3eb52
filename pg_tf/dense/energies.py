"""Lennard-Jones grids as sums over all pairs, in TensorFlow's own ops.

It costs atoms x images x voxels, where the compiled op looks only at what is within the cutoff. But it differentiates
to any order, compiles with XLA (`jit_compile=True`, also where the values are not known beforehand) and runs on
accelerators. Memory is that of some tens of grids, whatever the number of atoms and images.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from pg_tf import cells
from pg_tf._limits import (
    CLOSEST_ADDEND,
    CLOSEST_SQUARED,
    LARGEST_COORDINATE,
    LARGEST_ENERGY,
    LARGEST_PARAMETER,
    LEAST_ENERGY_VOLUME,
    MOST_IMAGES,
)

# Pairs of a source and a voxel that are worked on at once: some tens of MiB where steps are not fused.
_PAIRS = 2**19
_IMAGES = 32


class Structures(NamedTuple):
    """What energies have derivatives with respect to, all float64.

    Attributes:
      coords: `[B, A, 3]`, Å.
      sigma: `[B, A]`, of the pair of atom and probe, Å.
      epsilon: `[B, A]`, likewise, K; 0 for padding.
      origin: `[B, 3]`, the corner of the grid, Å.
      edges: `[B, 3, 3]`, rows the edges of the grid.
      cell: `[B, 3, 3]`, rows the lattice vectors; looked at only along periodic ones.
    """

    coords: tf.Tensor
    sigma: tf.Tensor
    epsilon: tf.Tensor
    origin: tf.Tensor
    edges: tf.Tensor
    cell: tf.Tensor


def lennard_jones(
    structures: Structures,
    cutoff: tf.Tensor,
    grid_shape: tuple[int, int, int],
    periodic: tuple[bool, bool, bool],
    shift: bool,
    with_gradient: bool,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Energies of a dense batch before they are clamped, in float64. Differentiable to any order.

    Args:
      structures: the batch.
      cutoff: scalar, float64, Å.
      grid_shape: `(nx, ny, nz)`.
      periodic: the lattice vectors along which the structure repeats.
      shift: whether each pair's energy at the cutoff is subtracted.
      with_gradient: whether the gradient is wanted too.

    Returns:
      `[B, nx, ny, nz]`, K, NaN for a structure that the compiled op would refuse; and the gradient to the place of the
      probe, `[B, nx, ny, nz, 3]`, K/Å, or None.
    """
    coords, sigma, epsilon, origin, edges, cell = structures
    batch, voxels = tf.shape(coords)[0], math.prod(grid_shape)
    if not any(periodic):
        cell = tf.eye(3, batch_shape=[1], dtype=tf.float64) + tf.zeros_like(cell)
    heights = 1 / tf.norm(cells.inverse(cell), axis=-2)
    # Of all images of a pair the nearest in lattice coordinates is no further away than half a vector along each.
    most = tf.where(tf.constant(periodic), tf.floor(cutoff / heights + 0.5), tf.zeros_like(heights))
    most = tf.where(tf.math.is_finite(most), most, tf.zeros_like(most))  # NaN below
    most = tf.stop_gradient(tf.reduce_max(most, axis=0))
    atoms = tf.shape(coords)[1]
    countable = tf.reduce_prod(2 * most + 1) * tf.cast(atoms, tf.float64) <= MOST_IMAGES
    most = tf.cast(tf.where(countable, most, tf.zeros_like(most)), tf.int32)
    images = tf.reduce_prod(2 * most + 1)

    # A structure with a value that the op would refuse becomes NaN as a whole, at the end.
    sound = _sound(structures._replace(cell=cell), cutoff, any(periodic)) & countable
    # A source is one image of an atom. As many as memory allows are worked on together.
    sources = atoms * images
    at_most = atoms * (_IMAGES if any(periodic) else 1)  # not `sources`: XLA wants to know it beforehand
    together = tf.maximum(1, tf.minimum(at_most, _PAIRS // tf.maximum(batch * voxels, 1)))

    def pairs(run: tf.Tensor, *values: tf.Tensor) -> tf.Tensor:
        x, s, e, probes, lattice = values
        source = run * together + tf.range(together)
        atom, number = tf.minimum(source, sources - 1) // images, source % images
        count_y, count_z = 2 * most[1] + 1, 2 * most[2] + 1
        image = tf.stack([number // (count_y * count_z), number // count_z % count_y, number % count_z], axis=1) - most
        x, s, e = (tf.gather(part, atom, axis=1) for part in (x, s, e))
        e = tf.where(source < sources, e, tf.zeros_like(e))
        return _energy(x, s, e, probes, lattice, tf.cast(image, tf.float64), cutoff, periodic, shift)

    centres = [(tf.range(n, dtype=tf.float64) + 0.5) / n for n in grid_shape]
    steps = tf.reshape(tf.stack(tf.meshgrid(*centres, indexing="ij"), axis=-1), [voxels, 3])
    probes = origin[:, tf.newaxis] + tf.einsum("vd,bde->bve", steps, edges)
    total = _summed(pairs, -(-sources // together), tf.stack([batch, voxels]))
    inputs = [coords, sigma, epsilon, probes, cell]
    slope = None
    if with_gradient:
        with tf.GradientTape() as tape:
            tape.watch(probes)
            energy = total(*inputs)
        slope = tf.where(sound[:, tf.newaxis, tf.newaxis], tape.gradient(energy, probes), math.nan)
        slope = tf.reshape(slope, [-1, *grid_shape, 3])
    else:
        energy = total(*inputs)
    return tf.reshape(tf.where(sound[:, tf.newaxis], energy, math.nan), [-1, *grid_shape]), slope


def clamped(energy: tf.Tensor, max_energy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The energies within plus and minus `max_energy` with derivatives of 0 where they were beyond, and whether they
    are within. NaN where `max_energy` is none that the compiled op takes."""
    bound = tf.where((max_energy > 0) & (max_energy <= LARGEST_ENERGY), max_energy, math.nan)
    inside = tf.abs(energy) < bound
    beyond = tf.where(tf.math.is_nan(energy), energy, tf.sign(tf.stop_gradient(energy)) * bound)
    return tf.where(inside, energy, beyond), inside


def pulled_back(
    function: Callable[..., Any], inputs: Sequence[tf.Tensor], upstream: Sequence[tf.Tensor]
) -> list[tf.Tensor]:
    """The gradient of a function, which returns a tensor or a list of them, to each of its inputs."""
    inputs = [tf.identity(value) for value in inputs]  # two may be one tensor, and have derivatives of their own
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = tf.nest.flatten(function(*inputs))
    gradients = tape.gradient(outputs, inputs, list(upstream), unconnected_gradients="zero")
    return [tf.convert_to_tensor(gradient) for gradient in gradients]  # padding rows makes tf.IndexedSlices of its own


def _sound(structures: Structures, cutoff: tf.Tensor, repeats: bool) -> tf.Tensor:
    """`[B]`: whether a structure has numbers that the compiled op takes."""

    def bounded(values: tf.Tensor, low: float, high: float) -> tf.Tensor:
        return tf.reduce_all((values >= low) & (values <= high), axis=list(range(1, values.shape.rank)))

    coords, sigma, epsilon, origin, edges, cell = structures
    result = (cutoff > 0) & (cutoff <= LARGEST_PARAMETER)
    for values in (sigma, epsilon):
        result &= bounded(values, 0, LARGEST_PARAMETER)
    for values in (coords, origin, edges, *([cell] if repeats else [])):
        result &= bounded(values, -LARGEST_COORDINATE, LARGEST_COORDINATE)
    for vectors in (edges, *([cell] if repeats else [])):
        result &= cells.volume_ratio(vectors) > LEAST_ENERGY_VOLUME
    return result


def _energy(
    coords: tf.Tensor,
    sigma: tf.Tensor,
    epsilon: tf.Tensor,
    probes: tf.Tensor,
    cell: tf.Tensor,
    image: tf.Tensor,
    cutoff: tf.Tensor,
    periodic: tuple[bool, bool, bool],
    shift: bool,
) -> tf.Tensor:
    """What some atoms `[B, k]` add at the probes `[B, V, 3]`, by one image each: the one `image` `[k, 3]` lattice
    vectors from that nearest to the probe. `[B, V]`."""
    apart = probes[:, :, tf.newaxis] - coords[:, tf.newaxis]
    if any(periodic):
        nearest = tf.round(tf.einsum("bvkd,bde->bvke", tf.stop_gradient(apart), tf.stop_gradient(cells.inverse(cell))))
        nearest = tf.where(tf.constant(periodic), nearest, tf.zeros_like(nearest))
        apart -= tf.einsum("bvkd,bde->bvke", tf.stop_gradient(nearest + image), cell)
    r_squared = tf.reduce_sum(apart**2, axis=-1)
    inside = r_squared < cutoff**2
    sigma_squared, four_epsilon = (sigma**2)[:, tf.newaxis], 4 * epsilon[:, tf.newaxis]
    closest = sigma_squared * CLOSEST_SQUARED + CLOSEST_ADDEND
    r_squared = tf.maximum(r_squared, closest)
    # Beyond the cutoff anything finite will do, also for the derivatives.
    s6 = (sigma_squared / tf.where(inside, r_squared, tf.ones_like(r_squared))) ** 3
    energy = (s6 - 1) * s6
    if shift:
        at_cutoff = (sigma_squared / tf.maximum(cutoff**2, closest)) ** 3
        energy -= (at_cutoff - 1) * at_cutoff
    return tf.reduce_sum(tf.where(inside, four_epsilon * energy, 0), axis=-1)


def _summed(term: Callable[..., Any], count: tf.Tensor, *shapes: tf.Tensor) -> Callable[..., Any]:
    """The function `values -> sum over i < count of term(i, *values)`, of which a derivative of any order is a loop
    like it: nothing has to be kept from one term to the next, and the number of terms need not be known beforehand.

    `term` returns a tensor or a list of them, of the shapes given, float64.
    """

    @tf.custom_gradient
    def total(*values: tf.Tensor) -> Any:
        def gradient(*upstream: tf.Tensor) -> Any:
            def term_gradient(index: tf.Tensor, *both: tf.Tensor) -> list[tf.Tensor]:
                return pulled_back(functools.partial(term, index), both[: len(values)], both[len(values) :])

            return tf.nest.flatten(_summed(term_gradient, count, *map(tf.shape, values))(*values, *upstream))

        def step(index: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            terms = tf.nest.flatten(term(index, *values))
            return (index + 1, *(a + b for a, b in zip(sums, terms, strict=True)))

        start = [tf.zeros(shape, tf.float64) for shape in shapes]
        sums = tf.while_loop(lambda index, *_: index < count, step, [tf.constant(0), *start], parallel_iterations=1)[1:]
        return (sums[0] if len(sums) == 1 else list(sums)), gradient

    return total
