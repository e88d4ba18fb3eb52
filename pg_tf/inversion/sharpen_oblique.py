"""Sharpening in cells whose vectors are not at right angles, wave by wave.

In a periodic cell the singular vectors of the map A from point atoms to voxels are plane waves, and the singular values
the spectrum of an atom, exp(-sigma^2 K^2 / 2) times a sinc for each edge of the voxel.

Where faces are open, voxels are added outside until an atom at one face is not seen at the other, and the larger grid
counts as periodic. What the added voxels hold is unknown: the density only has to fit the voxels of the grid.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from pg_tf.inversion.atoms import Array
from pg_tf.inversion.sharpen import density, powers, ridge
from pg_tf.inversion.waves import waves

# How far the grid is continued beyond open faces, in sigma: an atom at one face must not be seen at the other.
_MARGIN = 4.0

# Steps of conjugate gradients. With more, the result is hardly sharper.
_STEPS = 30


@dataclasses.dataclass(frozen=True)
class FourierSharpener:
    """A `Sharpener` of cells. The waves are those of `waves.py` for the continued grid: the grid with what is added."""

    shape: tuple[int, int, int]
    periodic: tuple[bool, bool, bool]
    noise: Array
    width: Array
    _margins: tuple[int, int, int]  # voxels added on both sides
    _vectors: Array  # [K, 3, 3], of the continued grid, Å
    _corner: Array  # [K, 3], of the continued grid, Å
    _place: npt.NDArray[np.int64]  # [K, waves], where each is in the spectrum of the result
    _filter: npt.NDArray[np.complex128]  # [K, waves]
    _matched: npt.NDArray[np.complex128]  # [K, waves]
    _unit: Array  # [K], standard deviation of what the matched filter gives for a noise of 1
    _power: Array  # [K, waves], square of the spectrum of an atom
    _ridge: Array  # [K]

    @classmethod
    def of(
        cls,
        shape: tuple[int, int, int],
        cell: Array,
        sigma: Array,
        scale: Array,
        *,
        noise: Array,
        num_atoms: Array,
        reach: float,
        periodic: tuple[bool, bool, bool],
    ) -> FourierSharpener:
        """Arguments as of `SeparableSharpener.of`; `cell` is `[K, 3, 3]`, rows are lattice vectors, Å."""

        def per_wave(values: Array) -> Array:
            return values[:, np.newaxis, np.newaxis, np.newaxis]

        heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=1)
        continued = np.ceil(
            max(_MARGIN, reach) * (sigma[:, np.newaxis] * np.array(shape) / heights).max(axis=0)
        ).astype(int)
        margins = np.where(periodic, 0, continued)
        extents = np.array(shape) + 2 * margins
        edges = cell / np.array(shape)[:, np.newaxis]
        vectors = edges * extents[:, np.newaxis]

        orders, wave_numbers = waves(vectors, extents)
        sinc = np.prod([np.sinc(orders[:, d] / extents[d]) for d in range(3)], axis=0)
        atom = np.exp(-0.5 * (per_wave(sigma) * wave_numbers) ** 2) * sinc

        noise = noise / scale
        narrow = sigma / np.linalg.norm(edges, axis=2).max(axis=1)  # in voxels, along the longest edge
        at_noise = noise * np.sqrt(np.prod(shape) / np.maximum(num_atoms, 1))
        power = powers(np.exp(-0.5 * (np.pi * narrow) ** 2) * 2 / np.pi, at_noise)
        finest = (sigma * np.sqrt(power))[:, np.newaxis] / np.linalg.norm(edges, axis=2)
        x, y, z = np.ceil(extents * density(finest.min(axis=0))).astype(int).tolist()

        least = ridge(at_noise)
        kept = np.sign(atom) * np.abs(atom) ** per_wave(1 + power)
        gain = kept / (atom**2 + per_wave(least))
        height = (gain * atom).sum(axis=(1, 2, 3))
        deviation = np.sqrt(np.prod(shape) * (gain**2).sum(axis=(1, 2, 3)))
        norm = (atom**2).sum(axis=(1, 2, 3))
        # From the middle of the first voxel to that of the first place.
        phase = sum(orders[:, d] * (1 / m - 1 / extents[d]) for d, m in enumerate((x, y, z)))
        shift = np.exp(1j * np.pi * phase) * (x * y * z)
        index = np.mod(orders, np.array([x, y, z])[:, np.newaxis, np.newaxis, np.newaxis]).astype(np.int64)
        return cls(
            (x, y, z),
            periodic,
            noise * deviation / height,
            sigma * np.sqrt(power),
            tuple(margins.tolist()),
            vectors,
            -np.einsum("d,kde->ke", margins, edges),
            (index[:, 0] * y + index[:, 1]) * z + index[:, 2],
            kept * shift / per_wave(height * scale),
            atom * shift / per_wave(norm * scale),
            np.sqrt(np.prod(shape) / norm) / scale,
            atom**2,
            least,
        )

    def place(self, position: Array, grid: npt.NDArray[np.int64]) -> Array:
        return self._corner[grid] + np.einsum("pd,pde->pe", position / self.shape, self._vectors[grid])

    def __call__(self, grids: Array) -> npt.NDArray[np.float32]:
        return self._at_places(self._weights(grids), self._filter).astype(np.float32)

    def matched(self, residuals: Array) -> tuple[Array, Array]:
        return self._at_places(self._spectrum(residuals), self._matched), self._unit

    def _weights(self, grids: Array) -> npt.NDArray[np.complex128]:
        """The spectrum of (A A^T + ridge)^-1 applied to the grids, where A maps a density to its grid. Multiplied by
        `_filter` it is the spectrum of the sharpened grids."""
        power, ridge = self._power, self._ridge[:, np.newaxis, np.newaxis, np.newaxis]
        if not any(self._margins):
            return self._spectrum(grids) / (power + ridge)
        # Zeros beyond a face would make a step there, and ripples through the whole grid. Conjugate gradients fit the
        # voxels of the grid alone, the strong waves first, so that to end early smooths as a ridge does.
        ends = (slice(None), *(slice(m, m + n) for m, n in zip(self._margins, grids.shape[1:], strict=True)))
        weights = np.zeros(grids.shape)
        rest = direction = grids.astype(np.float64)
        square = _inner(rest, rest)
        for _ in range(_STEPS):
            image = scipy.fft.ifftn(self._spectrum(direction) * power, axes=(1, 2, 3)).real[ends]
            image += ridge * direction
            length = square / np.maximum(_inner(direction, image), np.finfo(np.float64).tiny)
            weights = weights + length * direction
            rest = rest - length * image
            before, square = square, _inner(rest, rest)
            direction = rest + square / np.maximum(before, np.finfo(np.float64).tiny) * direction
        return self._spectrum(weights)

    def _spectrum(self, grids: Array) -> npt.NDArray[np.complex128]:
        continued = np.pad(grids, [(0, 0), *((margin, margin) for margin in self._margins)])
        return scipy.fft.fftn(continued, axes=(1, 2, 3))

    def _at_places(self, spectrum: npt.NDArray[np.complex128], gain: npt.NDArray[np.complex128]) -> Array:
        fine = np.zeros((len(spectrum), int(np.prod(self.shape))), np.complex128)
        for row, place, values in zip(fine, self._place, spectrum * gain, strict=True):
            np.add.at(row, place.ravel(), values.ravel())
        return scipy.fft.ifftn(fine.reshape(-1, *self.shape), axes=(1, 2, 3)).real

    def __getitem__(self, rows: Any) -> FourierSharpener:
        per_grid = [
            field.name for field in dataclasses.fields(self) if field.name not in ("shape", "periodic", "_margins")
        ]
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in per_grid})


def _inner(one: Array, other: Array) -> Array:
    return np.einsum("kxyz,kxyz->k", one, other)[:, np.newaxis, np.newaxis, np.newaxis]
