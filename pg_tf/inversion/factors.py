"""Along one axis: the part of each atom's Gaussian in each voxel, and the columns that are products of such factors.

`pg_tf.dense.boxes` has these factors too, for another purpose: they are TensorFlow, so that XLA compiles them and
gradients of any order go through them, and have a fixed number of images. Those here are NumPy, as are all matrices of
the inversion, come with their derivatives, and have no more images than sigma asks for.
"""

import functools
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.special import erf

from pg_tf._limits import REACH_FLOAT64, WIDEST_PERIODS
from pg_tf.inversion.atoms import Array
from pg_tf.inversion.columns import Kind, of_atoms


class AxisFactors(NamedTuple):
    """Of every atom on one axis: `[K, A, n]` each.

    Attributes:
      value: P, the part of the Gaussian in each voxel (ParticleGrid paper, Eq. 4).
      to_position: dP / dmu, 1/Å (Eq. 15 with its sign corrected).
      to_sigma: dP / dsigma, 1/Å.
    """

    value: Array
    to_position: Array
    to_sigma: Array


def axis_factors(position: Array, sigma: Array, length: Array, extent: int, periodic: bool = False) -> AxisFactors:
    """Args:
    position: `[K, A]`, from the lower end of the axis, Å.
    sigma: `[K]` or `[K, A]`, Å.
    length: `[K]`, of the axis, Å.
    extent: voxels of the axis.
    periodic: whether the axis is periodic; the images of the atoms are summed then.
    """
    sigma, length = of_atoms(sigma), length[:, np.newaxis]
    edges = np.arange(extent + 1) / extent * length[:, :, np.newaxis]
    if not periodic:
        return _integrals(edges, position, sigma)
    position = position - np.floor(position / length) * length
    sigma = np.minimum(sigma, WIDEST_PERIODS * length)
    furthest = int(np.ceil(REACH_FLOAT64 * (sigma / length).max(initial=0)))
    images = [_integrals(edges, position + image * length, sigma) for image in range(-furthest, furthest + 1)]
    return AxisFactors(*(functools.reduce(np.add, parts) for parts in zip(*images, strict=True)))


def _integrals(edges: Array, position: Array, sigma: Array) -> AxisFactors:
    sigma = sigma[:, :, np.newaxis]
    t = (edges - position[:, :, np.newaxis]) / sigma
    density = np.exp(-0.5 * t * t) / (np.sqrt(2 * np.pi) * sigma)
    value = 0.5 * np.diff(erf(t * np.sqrt(0.5)), axis=-1)
    return AxisFactors(value, -np.diff(density, axis=-1), -np.diff(t * density, axis=-1))


class SeparableColumns:
    """Columns that are products of three factors, one along each axis, or sums of such products."""

    # The products, by the fields of `AxisFactors` along x, y and z: 0 is the value, 1 its derivative to the position
    # and 2 that to sigma.
    _PRODUCTS: ClassVar[dict[Kind, list[tuple[int, int, int]]]] = {
        Kind.VALUE: [(0, 0, 0)],
        Kind.X: [(1, 0, 0)],
        Kind.Y: [(0, 1, 0)],
        Kind.Z: [(0, 0, 1)],
        Kind.SIGMA: [(2, 0, 0), (0, 2, 0), (0, 0, 2)],
    }

    def __init__(self, factors: list[AxisFactors], with_sigma: bool) -> None:
        self._factors = [axis[: 3 if with_sigma else 2] for axis in factors]

    @functools.cached_property
    def _grams(self) -> list[Array]:
        """For each axis, the inner products of all its factors: `[K, factors, A, factors, A]`."""
        grams = []
        for axis in self._factors:
            num_grids, num_atoms, extent = axis[0].shape
            stacked = np.stack(axis, axis=1).reshape(num_grids, len(axis) * num_atoms, extent)
            gram = stacked @ stacked.transpose(0, 2, 1)
            grams.append(gram.reshape(num_grids, len(axis), num_atoms, len(axis), num_atoms))
        return grams

    def inner(self, one: Kind, other: Kind) -> Array:
        def product(a: tuple[int, int, int], b: tuple[int, int, int]) -> Array:
            x, y, z = (gram[:, a[axis], :, b[axis], :] for axis, gram in enumerate(self._grams))
            return x * y * z

        terms = [product(a, b) for a in self._PRODUCTS[one] for b in self._PRODUCTS[other]]
        return functools.reduce(np.add, terms)

    def projected(self, basis: list[Array]) -> list[Array]:
        along = [[factor @ basis[axis] for factor in factors] for axis, factors in enumerate(self._factors)]
        kinds = list(self._PRODUCTS)[: 5 if len(self._factors[0]) == 3 else 4]
        return [
            functools.reduce(np.add, [along[0][a] * along[1][b] * along[2][c] for a, b, c in self._PRODUCTS[kind]])
            for kind in kinds
        ]

    def norms(self) -> Array:
        return np.prod([(factors[0] ** 2).sum(axis=2) for factors in self._factors], axis=0)
