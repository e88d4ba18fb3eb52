"""Grids made sharper, so that atoms whose Gaussians have merged show as peaks of their own.

A grid is a linear image A d of a density d of point atoms. Least squares with a ridge (Tikhonov regularisation) would
estimate d as sharply as noise and voxels allow, but with ripples around every atom that look like more atoms. So the
Gaussians are not taken away, only made narrower: the spectrum of the result is a power of that of a Gaussian, which is
again that of a Gaussian, with a sigma smaller by the square root of the power. How the spectrum is found depends on the
space: see `sharpen_orthogonal.py` and `sharpen_oblique.py`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pg_tf.inversion.atoms import Array

# How high the spectrum of the sharpened Gaussian (1 at frequency 0) may still be at the frequency beyond which nothing
# is known. The higher, the sharper the peaks, and the stronger the ripples around them. The voxels cut the spectrum off
# at their Nyquist frequency. Noise makes it fade, through the ridge, where it is as strong as the signal; so softer an
# end makes weaker ripples, and the spectrum may be higher there.
_CUT_BY_VOXELS = 0.3
_CUT_BY_NOISE = 0.6

# The ridge, as a part of the one with the least mean square error, which smooths too much to tell peaks apart.
_RIDGE = 0.25

# Distance between places of the result, in sigma of the sharpened Gaussian.
_SPACING = 0.8


def powers(at_nyquist: Array, at_noise: Array) -> Array:
    """Which power of a Gaussian's spectrum to keep, from the values of the spectrum where the voxels and the noise end
    it: the lowest power, which is the sharpest, that the two limits above allow."""
    by_voxels = np.log(_CUT_BY_VOXELS) / np.log(np.clip(at_nyquist, 1e-9, 0.99))
    by_noise = np.log(_CUT_BY_NOISE) / np.log(np.clip(at_noise, 1e-9, 0.99))
    return np.clip(np.maximum(by_voxels, by_noise), 0.1, 1.0)


def density(finest: Array) -> Array:
    """How many places of the result each voxel has along an axis, from 1 to 2; `finest` is the sigma of the sharpened
    Gaussian in voxels."""
    return np.clip(_SPACING / finest, 1, 2)


def ridge(at_noise: Array) -> Array:
    """What is added to the square of the spectrum of an atom."""
    return (_RIDGE * at_noise) ** 2


class Sharpener(Protocol):
    """What shows the atoms of grids as peaks."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many places the result has along each axis: from the number of voxels to twice as many."""

    @property
    def periodic(self) -> tuple[bool, bool, bool]:
        """Which axes are periodic."""

    @property
    def noise(self) -> Array:
        """`[K]`, standard deviation of the noise in the result, in atoms."""

    @property
    def width(self) -> Array:
        """`[K]`, sigma of the sharpened Gaussian on the axis where it is widest, Å."""

    def place(self, position: Array, grid: npt.NDArray[np.int64]) -> Array:
        """Coordinates `[P, 3]`, Å, of positions in voxels of the result, `[P, 3]`, in the grids `[P]`."""

    def __call__(self, grids: Array) -> npt.NDArray[np.float32]:
        """Sharpened grids, float32 `[K, *shape]`, in atoms: about 1 at the peak of an atom by itself."""

    def matched(self, residuals: Array) -> tuple[Array, Array]:
        """The matched filter: how many atoms at each place would fit a residual best (`[K, *shape]`), and the standard
        deviation of that number where voxels have a noise of 1 (`[K]`, in the middle of the box)."""

    def __getitem__(self, rows: Any) -> Sharpener: ...
