"""Grids made sharper, so that atoms whose Gaussians have merged show as peaks of their own.

A grid is a linear image of a density of point atoms: each axis of it is seen through the factors of that axis. The
ridge estimate of that density, in the basis of the singular vectors of the three axes, is a product of one-dimensional
transforms and one filter. All of the sharpness that the noise and the voxels allow would ring; so only a power of the
singular values is taken back, as if the Gaussians had become narrower by the square root of `1 - power`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pg_tf.inversion.columns import Array
from pg_tf.inversion.factors import axis_factors

# What the spectrum of the sharpened Gaussian has fallen to where the voxels end it; higher is sharper and rings more.
# The same where the noise is as strong as the signal: the ridge ends that softly, so it may be higher.
_CUT_BY_VOXELS = 0.3
_CUT_BY_NOISE = 0.6

# Of the ridge that gives the least mean square error. That one smooths more than is good for telling peaks apart.
_RIDGE = 0.25

# Voxels of the result, of the sharpened Gaussian's sigma.
_SPACING = 0.8


def powers(at_nyquist: Array, at_noise: Array) -> Array:
    """Which power of the spectrum of a Gaussian to keep: as low as its values where the voxels and the noise end it
    allow."""
    by_voxels = np.log(_CUT_BY_VOXELS) / np.log(np.clip(at_nyquist, 1e-9, 0.99))
    by_noise = np.log(_CUT_BY_NOISE) / np.log(np.clip(at_noise, 1e-9, 0.99))
    return np.clip(np.maximum(by_voxels, by_noise), 0.1, 1.0)


def density(finest: Array) -> Array:
    """Places a voxel on each axis, for sharpened Gaussians of that sigma in voxels; from 1 to 2."""
    return np.clip(_SPACING / finest, 1, 2)


def ridge(at_noise: Array) -> Array:
    """What is added to the square of the spectrum of an atom."""
    return (_RIDGE * at_noise) ** 2


class Sharpener(Protocol):
    """What shows the atoms of grids as peaks."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the result; from the number of voxels of the grid to twice as many a side."""

    @property
    def periodic(self) -> tuple[bool, bool, bool]:
        """Along which axes it closes to a circle."""

    @property
    def noise(self) -> Array:
        """`[K]`, standard deviation of a voxel of the result, in atoms."""

    @property
    def width(self) -> Array:
        """`[K]`, sigma of the sharpened Gaussian on the axis where it is widest, Å."""

    def place(self, position: Array, grid: npt.NDArray[np.int64]) -> Array:
        """Coordinates `[P, 3]`, Å, of positions in voxels of the result, `[P, 3]`, in the grids `[P]`."""

    def __call__(self, grids: Array) -> npt.NDArray[np.float32]:
        """Sharpened grids, float32 `[K, *shape]`, in atoms: about 1 at the peak of an atom by itself."""

    def matched(self, residuals: Array) -> tuple[Array, Array]:
        """The matched filter: how many atoms a residual would best take at each place (`[K, *shape]`), and the standard
        deviation of that for a noise of 1 a voxel (`[K]`, of an atom in the middle of the box)."""

    def __getitem__(self, rows: Any) -> Sharpener: ...


@dataclasses.dataclass(frozen=True)
class SeparableSharpener:
    """A `Sharpener` of orthogonal boxes.

    Attributes:
      lower, upper: `[K, 3]`, the corners of the result, Å. Across open faces it reaches out of the box where that may
        cut atoms: without the places that such atoms are at, their remains could only be explained by very many atoms
        inside.
    """

    shape: tuple[int, int, int]
    periodic: tuple[bool, bool, bool]
    noise: Array
    width: Array
    lower: Array
    upper: Array
    _to_spectrum: list[Array]  # [K, n, n] for each axis
    _from_spectrum: list[Array]  # [K, m, n]
    _filter: Array  # [K, nx, ny, nz]
    _scale: Array  # [K]

    @classmethod
    def of(
        cls,
        shape: tuple[int, int, int],
        lengths: Array,
        sigma: Array,
        scale: Array,
        *,
        noise: Array,
        num_atoms: Array,
        reach: float,
        periodic: tuple[bool, bool, bool] = (False, False, False),
    ) -> SeparableSharpener:
        """Args:
        shape: voxels of the grids.
        lengths: `[K, 3]`, Å.
        sigma: `[K]`, Å.
        scale: `[K]`, integral of an atom.
        noise: `[K]`, standard deviation of a voxel.
        num_atoms: `[K]`, how many atoms to expect; the order of magnitude matters.
        reach: how far beyond open faces atoms are looked for, in sigma.
        periodic: which axes are circles.
        """
        noise = noise / scale
        width = sigma[:, np.newaxis] * np.array(shape) / lengths  # in voxels
        at_nyquist = np.exp(-0.5 * (np.pi * width) ** 2) * 2 / np.pi
        voxels = np.prod(shape)
        at_noise = noise * np.sqrt(voxels / np.maximum(num_atoms, 1))
        power = powers(at_nyquist, at_noise[:, np.newaxis])
        finest = (width * np.sqrt(power)).min(axis=0)
        margin = np.where(periodic, 0, reach * sigma[:, np.newaxis])
        lower, upper = -margin, lengths + margin
        stretch = (upper - lower) / lengths
        dense = density(finest) * stretch.max(axis=0)
        nx, ny, nz = np.ceil(shape * dense).astype(int).tolist()
        fine = (nx, ny, nz)

        axes: list[tuple[Array, Array, Array]] = []
        for d in range(3):
            same = [
                e
                for e in range(d)
                if (shape[e], periodic[e]) == (shape[d], periodic[d]) and np.array_equal(lengths[:, e], lengths[:, d])
            ]
            position = (
                lower[:, d, np.newaxis] + (np.arange(fine[d]) + 0.5) / fine[d] * (upper - lower)[:, d, np.newaxis]
            )
            axes.append(axes[same[0]] if same else _spectrum(position, sigma, lengths[:, d], shape[d], periodic[d]))
        to_spectrum, from_spectrum, values = zip(*axes, strict=True)
        places = np.array(fine) / (shape * stretch)  # a voxel
        least = ridge(at_noise) * places.prod(axis=1)
        transfer = [v / np.sqrt(places[:, d, np.newaxis]) for d, v in enumerate(values)]
        kept = _outer([t ** power[:, d, np.newaxis] for d, t in enumerate(transfer)])
        gain = kept / (_outer([v**2 for v in values]) + least[:, np.newaxis, np.newaxis, np.newaxis])
        # The height of a lone atom in the middle, and the noise there.
        middle = _outer([b[:, b.shape[1] // 2] ** 2 for b in from_spectrum])
        height = (gain * middle).sum(axis=(1, 2, 3))
        spread = np.sqrt((gain**2 * middle).sum(axis=(1, 2, 3)))
        gain /= (height * scale)[:, np.newaxis, np.newaxis, np.newaxis]
        return cls(
            fine,
            periodic,
            noise * spread / height,
            sigma * np.sqrt(power.max(axis=1)),
            lower,
            upper,
            list(to_spectrum),
            list(from_spectrum),
            gain,
            scale,
        )

    def place(self, position: Array, grid: npt.NDArray[np.int64]) -> Array:
        return self.lower[grid] + position / self.shape * (self.upper - self.lower)[grid]

    def __call__(self, grids: Array) -> npt.NDArray[np.float32]:
        spectrum = _transform(grids, [u.transpose(0, 2, 1) for u in self._to_spectrum])
        spectrum *= self._filter
        # What was amplified is behind: from here on float32 is enough for peaks, and half the memory to go through.
        return _transform(spectrum.astype(np.float32), [b.astype(np.float32) for b in self._from_spectrum])

    def matched(self, residuals: Array) -> tuple[Array, Array]:
        spectrum = _transform(residuals, [u.transpose(0, 2, 1) for u in self._to_spectrum])
        norms = [(b**2).sum(axis=2) for b in self._from_spectrum]
        middle = np.prod([norm[:, norm.shape[1] // 2] for norm in norms], axis=0)
        # By the norm in the middle everywhere: what the box cuts is worth less, and 0 / 0 must not come up.
        found = (
            _transform(spectrum, self._from_spectrum) / (middle * self._scale)[:, np.newaxis, np.newaxis, np.newaxis]
        )
        return found, 1 / (np.sqrt(middle) * self._scale)

    def __getitem__(self, rows: Any) -> SeparableSharpener:
        return SeparableSharpener(
            self.shape,
            self.periodic,
            self.noise[rows],
            self.width[rows],
            self.lower[rows],
            self.upper[rows],
            [u[rows] for u in self._to_spectrum],
            [u[rows] for u in self._from_spectrum],
            self._filter[rows],
            self._scale[rows],
        )


def _spectrum(position: Array, sigma: Array, length: Array, extent: int, periodic: bool) -> tuple[Array, Array, Array]:
    """Of one axis, on which atoms may be at `[K, m]`: singular vectors on the side of the voxels `[K, n, n]`, those on
    the side of the places times the singular values `[K, m, n]`, and the values `[K, n]`."""
    factors = axis_factors(position, sigma, length, extent, periodic).value.transpose(0, 2, 1)  # [K, n, m]
    squares, vectors = np.linalg.eigh(factors @ factors.transpose(0, 2, 1))
    # Smaller ones are lost to rounding, and to the ridge.
    return vectors, factors.transpose(0, 2, 1) @ vectors, np.sqrt(np.maximum(squares, 1e-18))


def _outer(values: tuple[Array, ...] | list[Array]) -> Array:
    x, y, z = values
    return x[:, :, np.newaxis, np.newaxis] * y[:, np.newaxis, :, np.newaxis] * z[:, np.newaxis, np.newaxis, :]


def _transform(grids: npt.NDArray[Any], matrices: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    x, y, z = matrices
    num_grids, nx, ny, nz = grids.shape
    grids = (x @ grids.reshape(num_grids, nx, ny * nz)).reshape(num_grids, -1, ny, nz)
    return (y[:, np.newaxis] @ grids) @ z.transpose(0, 2, 1)[:, np.newaxis]
