"""The one-dimensional factors of the separable model, and the least-squares matrices that are made of them."""

from __future__ import annotations

import enum
import functools
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import erf

Array = npt.NDArray[np.float64]

# Images farther than this, in sigma, are below float64's resolution.
_REACH = 8.6

# From this many periods of the axis on, the sum of all images is even to the last bit, and its derivatives are 0.
_WIDEST_PERIODS = 1.4


class AxisFactors(NamedTuple):
    """Of every atom on one axis: `[K, A, n]` each.

    Attributes:
      value: P, the part of the Gaussian in each voxel (ParticleGrid paper, Eq. 4).
      shift: dP / dmu, 1/Å (Eq. 15 with its sign corrected).
      spread: dP / dsigma, 1/Å.
    """

    value: Array
    shift: Array
    spread: Array


def axis_factors(position: Array, sigma: Array, length: Array, extent: int, periodic: bool = False) -> AxisFactors:
    """Args:
    position: `[K, A]`, from the lower end of the axis, Å.
    sigma: `[K]`, Å.
    length: `[K]`, of the axis, Å.
    extent: voxels of the axis.
    periodic: whether the axis is a circle; the images of the atoms are summed then.
    """
    edges = np.arange(extent + 1) / extent * length[:, np.newaxis, np.newaxis]
    if not periodic:
        return _integrals(edges, position, sigma)
    position = position - np.floor(position / length[:, np.newaxis]) * length[:, np.newaxis]
    sigma = np.minimum(sigma, _WIDEST_PERIODS * length)
    furthest = int(np.ceil(_REACH * (sigma / length).max(initial=0)))
    images = [
        _integrals(edges, position + image * length[:, np.newaxis], sigma) for image in range(-furthest, furthest + 1)
    ]
    return AxisFactors(*(functools.reduce(np.add, parts) for parts in zip(*images, strict=True)))


def _integrals(edges: Array, position: Array, sigma: Array) -> AxisFactors:
    spread = sigma[:, np.newaxis, np.newaxis]
    t = (edges - position[:, :, np.newaxis]) / spread
    density = np.exp(-0.5 * t * t) / (np.sqrt(2 * np.pi) * spread)
    value = 0.5 * np.diff(erf(t * np.sqrt(0.5)), axis=-1)
    return AxisFactors(value, -np.diff(density, axis=-1), -np.diff(t * density, axis=-1))


class Kind(enum.IntEnum):
    """The columns that an atom has in the Jacobian: its grid, and the derivatives of that."""

    VALUE = 0
    X = 1
    Y = 2
    Z = 3
    SIGMA = 4


COORDINATES = (Kind.X, Kind.Y, Kind.Z)


class Columns(Protocol):
    """The columns of atoms of integral 1, and 0 for padding: all that the solver asks of them are inner products."""

    def inner(self, one: Kind, other: Kind) -> Array:
        """Of the columns of two kinds, of each atom with each, `[K, A, A]`."""

    def projected(self, basis: list[Array]) -> list[Array]:
        """Of the columns of each kind with the grid that is the outer product of `[nx]`, `[ny]`, `[nz]`: `[K, A]`."""

    def norms(self) -> Array:
        """Sum of squares of the values of each atom, `[K, A]`."""


class SeparableColumns:
    """Columns that are products of a factor along x, y and z each."""

    # Of which factors a column is the product along x, y, z, 0 being the value, 1 the shift and 2 the spread: a sum of
    # such products.
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
