"""Sharpening in orthogonal boxes, axis by axis.

There the map A from point atoms to voxels is a product of three maps, one for each axis, and so are its singular
vectors and values. Sharpening is a transform along each axis, one filter, and a transform back along each axis.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf.inversion.atoms import Array
from pg_tf.inversion.factors import axis_factors
from pg_tf.inversion.sharpen import density, powers, ridge


@dataclasses.dataclass(frozen=True)
class SeparableSharpener:
    """A `Sharpener` of orthogonal boxes.

    Attributes:
      lower, upper: `[K, 3]`, the corners of the result, Å. It reaches beyond open faces where the box may cut atoms:
        without the places where such atoms are, what is left of them would look like very many atoms inside.
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
        periodic: which axes are periodic.
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
        per_voxel = density(finest) * stretch.max(axis=0)
        nx, ny, nz = np.ceil(shape * per_voxel).astype(int).tolist()
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
        # The peak of a single atom in the middle, and the noise there.
        middle = _outer([b[:, b.shape[1] // 2] ** 2 for b in from_spectrum])
        height = (gain * middle).sum(axis=(1, 2, 3))
        deviation = np.sqrt((gain**2 * middle).sum(axis=(1, 2, 3)))
        gain /= (height * scale)[:, np.newaxis, np.newaxis, np.newaxis]
        return cls(
            fine,
            periodic,
            noise * deviation / height,
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
        # Differences of large numbers end here, so that float32 is enough for peaks and takes half of the memory.
        return _transform(spectrum.astype(np.float32), [b.astype(np.float32) for b in self._from_spectrum])

    def matched(self, residuals: Array) -> tuple[Array, Array]:
        spectrum = _transform(residuals, [u.transpose(0, 2, 1) for u in self._to_spectrum])
        norms = [(b**2).sum(axis=2) for b in self._from_spectrum]
        middle = np.prod([norm[:, norm.shape[1] // 2] for norm in norms], axis=0)
        # The norm of an atom in the middle serves everywhere: atoms that the box cuts count less, and nothing is 0 / 0.
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
    """The singular value decomposition of one axis's map from atoms at the places `position`, `[K, m]`, to `n` voxels.

    Returns:
      The left singular vectors, one entry for each voxel, `[K, n, n]`; the right ones, one entry for each place,
      multiplied by their singular values, `[K, m, n]`; and the singular values, `[K, n]`.
    """
    factors = axis_factors(position, sigma, length, extent, periodic).value.transpose(0, 2, 1)  # [K, n, m]
    squares, vectors = np.linalg.eigh(factors @ factors.transpose(0, 2, 1))
    # Smaller squares are lost in rounding, and in the ridge.
    return vectors, factors.transpose(0, 2, 1) @ vectors, np.sqrt(np.maximum(squares, 1e-18))


def _outer(values: tuple[Array, ...] | list[Array]) -> Array:
    x, y, z = values
    return x[:, :, np.newaxis, np.newaxis] * y[:, np.newaxis, :, np.newaxis] * z[:, np.newaxis, np.newaxis, :]


def _transform(grids: npt.NDArray[Any], matrices: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    x, y, z = matrices
    num_grids, nx, ny, nz = grids.shape
    grids = (x @ grids.reshape(num_grids, nx, ny * nz)).reshape(num_grids, -1, ny, nz)
    return (y[:, np.newaxis] @ grids) @ z.transpose(0, 2, 1)[:, np.newaxis]
