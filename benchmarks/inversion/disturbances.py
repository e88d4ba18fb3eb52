"""What is done to grids before they are inverted: the errors that stored grids and grids of networks have."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy import ndimage

import pg_tf

Grids = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Scene:
    """Exact grids of a batch of molecules, and what they were made of.

    Attributes:
      grids: `[B, C, n, n, n]`.
      points: ragged `[B, (A), 4]`.
      box: of the grids.
      sigma: Å.
      rng: of everything random.
    """

    grids: Grids
    points: tf.RaggedTensor
    box: pg_tf.Box
    sigma: float
    rng: np.random.Generator

    @property
    def peaks(self) -> Grids:
        """The largest voxel of each molecule, `[B, 1, 1, 1, 1]`."""
        return self.grids.max(axis=(1, 2, 3, 4), keepdims=True)

    def normal(self) -> Grids:
        """White noise of standard deviation 1."""
        return self.rng.standard_normal(self.grids.shape).astype(np.float32)

    def voxelize(self, points: tf.RaggedTensor, weights: Any = None, sigma: Any = None) -> Grids:
        """Grids of other atoms in the same boxes; weights and sigma of each atom, ragged `[B, (A)]`."""
        coords, channels = pg_tf.split_points(points)
        return pg_tf.voxelize(
            coords,
            channels,
            num_channels=self.grids.shape[1],
            grid_shape=self.grids.shape[2:],
            sigma=self.sigma if sigma is None else sigma,
            weights=weights,
            box=self.box,
        ).numpy()

    def of_atoms(self, low: float, high: float) -> tf.RaggedTensor:
        """A random number of each atom."""
        values = self.rng.uniform(low, high, self.points.flat_values.shape[0]).astype(np.float32)
        return self.points.with_flat_values(tf.constant(values))


def white(scene: Scene, level: float) -> Grids:
    return scene.grids + level * scene.peaks * scene.normal()


def clipped(scene: Scene, level: float) -> Grids:
    return np.maximum(white(scene, level), 0)


def multiplied(scene: Scene, level: float) -> Grids:
    return scene.grids * (1 + level * scene.normal())


def poisson_like(scene: Scene, level: float) -> Grids:
    """The variance of a voxel in proportion to it; the level is that of the largest voxel."""
    return scene.grids + level * np.sqrt(scene.peaks * scene.grids) * scene.normal()


def where_dense(scene: Scene, level: float, floor: float = 0.0) -> Grids:
    """White noise in voxels above the floor, a share of the largest one; exact zeros elsewhere."""
    return np.where(scene.grids > floor * scene.peaks, white(scene, level), 0)


def rounded(scene: Scene, dtype: str) -> Grids:
    return scene.grids.astype(getattr(ml_dtypes, dtype, dtype)).astype(np.float32)


def eight_bits(scene: Scene) -> Grids:
    return np.rint(scene.grids / scene.peaks * 255) / 255 * scene.peaks


def cut_below(scene: Scene, level: float) -> Grids:
    return np.where(scene.grids < level * scene.peaks, 0, scene.grids)


def blurred(scene: Scene, kind: str) -> Grids:
    if kind == "box":
        return ndimage.uniform_filter(scene.grids, (0, 0, 3, 3, 3), mode="constant")
    return ndimage.gaussian_filter(scene.grids, (0, 0, 0.8, 0.8, 0.8), mode="constant")


def unequal(scene: Scene, low: float, high: float) -> Grids:
    return scene.voxelize(scene.points, weights=scene.of_atoms(low, high))


def widths(scene: Scene) -> Grids:
    """Each channel of each molecule with a sigma of its own, up to 30 % off."""
    factors = scene.rng.uniform(0.77, 1.3, scene.grids.shape[:2]).astype(np.float32)
    channel = tf.cast(scene.points[..., 0], tf.int32)
    rows = channel.value_rowids().numpy()
    sigma = scene.sigma * factors[rows, channel.flat_values.numpy()]
    return scene.voxelize(scene.points, sigma=channel.with_flat_values(tf.constant(sigma)))


def blobs(scene: Scene) -> Grids:
    """Two blobs of 0.3 atoms beside each molecule's atoms, 1.2 Å or more from all of them."""
    origin, lengths = (np.asarray(part) for part in (scene.box.origin, scene.box.lengths))
    result = scene.grids.copy()
    for b, atoms in enumerate(scene.points):
        coords, placed = atoms.numpy()[:, 1:], 0
        while placed < 2:
            place = origin[b] + scene.rng.uniform(0.1, 0.9, 3) * lengths[b]
            if np.linalg.norm(coords - place, axis=1).min() < 1.2:
                continue
            one = pg_tf.Box(scene.box.origin[b], scene.box.lengths[b])
            blob = pg_tf.voxelize(
                place[np.newaxis].astype(np.float32), grid_shape=result.shape[2:], sigma=scene.sigma, box=one
            )
            result[b, scene.rng.integers(result.shape[1])] += 0.3 * blob.numpy()[0]
            placed += 1
    return result


def halves(scene: Scene) -> Grids:
    """Of each molecule, one atom counts 0.65 in its own channel and 0.35 in the next."""
    rows = scene.points.value_rowids().numpy()
    chosen = np.array([scene.rng.choice(np.flatnonzero(rows == b)) for b in range(len(scene.grids))])
    weights = np.ones(len(rows), np.float32)
    weights[chosen] = 0.65
    own = scene.voxelize(scene.points, weights=scene.points.with_flat_values(weights))
    moved = scene.points.flat_values.numpy()[chosen]
    moved[:, 0] = (moved[:, 0] + 1) % scene.grids.shape[1]
    other = tf.RaggedTensor.from_row_lengths(moved, np.ones(len(chosen), np.int64))
    return own + 0.35 * scene.voxelize(other)


def lifted(scene: Scene) -> Grids:
    """A constant background of 1 % of the peak, with noise of 1 %."""
    return white(scene, 0.01) + 0.01 * scene.peaks


def sigmoid_floor(scene: Scene) -> Grids:
    """As a sigmoid that was never sure of zero: 0.2 % of the peak everywhere, noisy, and 1 % of noise."""
    floor = 0.002 * scene.peaks * np.exp(0.5 * scene.normal())
    return np.maximum(scene.grids * (1 + 0.01 * scene.normal()), floor)


def checkerboard(scene: Scene) -> Grids:
    """As of transposed convolutions: voxels at even places are 3 % higher and others lower."""
    x, y, z = np.indices(scene.grids.shape[2:]) % 2
    pattern = 1 + 0.03 * (1 - 2.0 * x) * (1 - 2.0 * y) * (1 - 2.0 * z)
    return (scene.grids * pattern * (1 + 0.01 * scene.normal())).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Disturbance:
    """One row of the table.

    Attributes:
      make: the grids to invert.
      one, elements: the targets for one channel and for element channels: the share of molecules with right counts,
        and the RMSD of the matched atoms in Å; None where there is none.
      options: more arguments of `pg_tf.grid_to_coords`.
    """

    make: Callable[[Scene], Grids]
    one: tuple[float, float] | None = None
    elements: tuple[float, float] | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _all(share: float, rmsd: float) -> dict[str, Any]:
    return {"one": (share, rmsd), "elements": (1.0, rmsd)}


_FIT_SIGMA = {"fit_sigma": True}

DISTURBANCES: dict[str, Disturbance] = {
    "none": Disturbance(lambda scene: scene.grids, **_all(1.0, 1e-5)),
    "bfloat16": Disturbance(lambda scene: rounded(scene, "bfloat16"), **_all(1.0, 0.003)),
    "float16": Disturbance(lambda scene: rounded(scene, "float16"), **_all(1.0, 0.003)),
    "8 bits": Disturbance(eight_bits, **_all(1.0, 0.003)),
    "multiplied 0.1 %": Disturbance(lambda scene: multiplied(scene, 0.001), **_all(1.0, 0.001)),
    "multiplied 1 %": Disturbance(lambda scene: multiplied(scene, 0.01), **_all(1.0, 0.003)),
    "multiplied 3 %": Disturbance(lambda scene: multiplied(scene, 0.03), **_all(0.99, 0.01)),
    "multiplied 10 %": Disturbance(lambda scene: multiplied(scene, 0.1), **_all(0.95, 0.04)),
    "Poisson-like 1 %": Disturbance(lambda scene: poisson_like(scene, 0.01), **_all(1.0, 0.005)),
    "Poisson-like 5 %": Disturbance(lambda scene: poisson_like(scene, 0.05), **_all(0.98, 0.03)),
    "where dense 1 %": Disturbance(lambda scene: where_dense(scene, 0.01), **_all(1.0, 0.005)),
    "where dense 5 %": Disturbance(lambda scene: where_dense(scene, 0.05), **_all(0.98, 0.03)),
    "where above 1 %, 1 %": Disturbance(lambda scene: where_dense(scene, 0.01, 0.01), **_all(1.0, 0.005)),
    "where above 1 %, 5 %": Disturbance(lambda scene: where_dense(scene, 0.05, 0.01), **_all(0.98, 0.03)),
    "white 1 %": Disturbance(lambda scene: white(scene, 0.01), **_all(1.0, 0.005)),
    "white 5 %": Disturbance(lambda scene: white(scene, 0.05), **_all(0.99, 0.03)),
    "white 10 %": Disturbance(lambda scene: white(scene, 0.1), one=(0.9, 0.06), elements=(0.98, 0.06)),
    "white 1 %, clipped": Disturbance(lambda scene: clipped(scene, 0.01), **_all(1.0, 0.005)),
    "white 5 %, clipped": Disturbance(lambda scene: clipped(scene, 0.05), **_all(0.99, 0.03)),
    "white 10 %, clipped": Disturbance(lambda scene: clipped(scene, 0.1), one=(0.9, 0.06), elements=(0.98, 0.06)),
    "0 below 1 %": Disturbance(lambda scene: cut_below(scene, 0.01), **_all(1.0, 0.005)),
    "box blur": Disturbance(lambda scene: blurred(scene, "box"), options=_FIT_SIGMA, **_all(1.0, 0.005)),
    "Gaussian blur": Disturbance(lambda scene: blurred(scene, "Gaussian"), options=_FIT_SIGMA, **_all(1.0, 0.005)),
    "sigma 30 % off": Disturbance(widths, options=_FIT_SIGMA, **_all(1.0, 0.005)),
    "masses 0.7 to 1.2": Disturbance(lambda scene: unequal(scene, 0.7, 1.2), one=(0.95, 0.02), elements=(0.99, 0.02)),
    "masses 0.6 to 1.3": Disturbance(lambda scene: unequal(scene, 0.6, 1.3)),
    "blobs of 0.3": Disturbance(blobs),
    "halves": Disturbance(halves),
    "background": Disturbance(lifted, options={"fit_background": "constant"}),
    "sigmoid": Disturbance(sigmoid_floor),
    "checkerboard": Disturbance(checkerboard),
}
