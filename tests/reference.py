"""The truth by brute force: NumPy and SciPy in float64, every atom at every voxel. No code shared with pg_tf."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from cell_reference import Atoms
from scipy.special import ndtr

GOLDEN = sorted(Path(__file__).with_name("golden").glob("free_*.npz"))
PERIODIC_GOLDEN = sorted(Path(__file__).with_name("golden").glob("periodic_*.npz"))


def factors(coords: np.ndarray, sigma: np.ndarray, origin: float, length: float, extent: int) -> np.ndarray:
    """`[A, extent]`: the part of each atom's Gaussian between neighbouring voxel edges of one axis."""
    edges = origin + length * np.arange(extent + 1) / extent
    scaled = (edges - coords[:, None]) / sigma[:, None]
    low, high = scaled[:, :-1], scaled[:, 1:]
    upper = low + high > 0  # differences of the small tails, not of numbers close to one
    return np.where(upper, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))


@dataclasses.dataclass
class Case(Atoms):
    """Atoms of one molecule and the box that they are seen in."""

    coords: np.ndarray  # [A, 3]
    channels: np.ndarray  # [A]
    weights: np.ndarray  # [A]
    sigma: np.ndarray  # [A]
    origin: np.ndarray  # [3]
    lengths: np.ndarray  # [3]
    shape: tuple[int, int, int]
    num_channels: int
    periodic: tuple[bool, bool, bool] = (False, False, False)

    FLOATS = ("weights", "sigma")

    def options(self) -> dict[str, Any]:
        """What pg_tf.voxelize takes besides coords and channels."""
        return {**super().options(), "box": (self.origin, self.lengths)}

    def features(self) -> np.ndarray:
        """`[A, C]`: what each atom adds to each channel."""
        one_hot = self.channels[:, None] == np.arange(self.num_channels)
        return np.where(one_hot, self.weights[:, None], 0.0)

    def factors(self) -> list[np.ndarray]:
        present = self.channels >= 0
        coords, sigma = np.where(present[:, None], self.coords, 0.0), np.where(present, self.sigma, 1.0)
        return [
            sum(
                factors(image, sigma, self.origin[d], self.lengths[d], self.shape[d])
                for image in self.images(coords, d)
            )
            for d in range(3)
        ]

    def images(self, coords: np.ndarray, d: int) -> list[np.ndarray]:
        """Positions on one axis: as given, or all that reach the box where that axis is periodic."""
        if not self.periodic[d]:
            return [coords[:, d]]
        inside = np.mod(coords[:, d] - self.origin[d], self.lengths[d]) + self.origin[d]
        beyond = int(np.ceil(9 * np.nanmax(np.where(self.channels >= 0, self.sigma, 0)) / self.lengths[d])) + 1
        return [inside + m * self.lengths[d] for m in range(-beyond, beyond + 1)]

    def grid(self) -> np.ndarray:
        """`[C, nx, ny, nz]`."""
        return np.einsum("ac,ax,ay,az->cxyz", self.features(), *self.factors(), optimize=True)

    def gradients(self, upstream: np.ndarray) -> dict[str, np.ndarray]:
        """Of sum(upstream * grid) to coords, weights and sigma of the atoms that are not padding."""
        value, shift, spread = self.factors(), [], []
        for d in range(3):
            edges = self.origin[d] + self.lengths[d] * np.arange(self.shape[d] + 1) / self.shape[d]
            along, wider = 0.0, 0.0
            for image in self.images(self.coords, d):
                scaled = (edges - image[:, None]) / self.sigma[:, None]
                density = np.exp(-(scaled**2) / 2) / np.sqrt(2 * np.pi) / self.sigma[:, None]
                along = along + density[:, :-1] - density[:, 1:]
                wider = wider + (scaled * density)[:, :-1] - (scaled * density)[:, 1:]
            shift.append(along)
            spread.append(wider)

        def contract(features: np.ndarray, *along: np.ndarray) -> np.ndarray:
            return np.einsum("cxyz,ac,ax,ay,az->a", upstream, features, *along, optimize=True)

        def one_replaced(by: list[np.ndarray]) -> list[np.ndarray]:
            return [contract(self.features(), *(by[e] if e == d else value[e] for e in range(3))) for d in range(3)]

        of_unit_weight = dataclasses.replace(self, weights=np.ones_like(self.weights)).features()
        return {
            "coords": np.stack(one_replaced(shift), axis=1),
            "weights": contract(of_unit_weight, *value),
            "sigma": np.sum(one_replaced(spread), axis=0),
        }


def golden(path: Path) -> tuple[Case, dict[str, np.ndarray]]:
    """A golden file as a case, and its arrays."""
    arrays = dict(np.load(path))
    inputs = {name: arrays[name] for name in ("coords", "channels", "weights", "sigma", "origin", "lengths")}
    shape = tuple(int(n) for n in arrays["shape"])
    periodic = tuple(bool(flag) for flag in arrays.get("periodic", (False, False, False)))
    return Case(**inputs, shape=shape, num_channels=int(arrays["num_channels"]), periodic=periodic), arrays


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return turn * np.sign(np.linalg.det(turn))


def random_case(rng: np.random.Generator, atoms: int = 12, **changes: Any) -> Case:
    """Atoms in and around a box, up to two periods away where it repeats; the last atom is padding.

    Sigma is from a quarter to two voxels.
    """
    shape = changes.get("shape", (9, 12, 17))
    num_channels = changes.get("num_channels", 3)
    origin, lengths = np.array([-1.5, 0.5, 2.0]), np.array([5.0, 6.5, 8.0])
    channels = rng.integers(0, num_channels, atoms)
    channels[-1:] = -1
    case = Case(
        coords=origin + rng.uniform(-0.1, 1.1, (atoms, 3)) * lengths,
        channels=channels,
        weights=rng.normal(size=atoms),
        sigma=np.min(lengths / shape) * rng.uniform(0.25, 2.0, atoms),
        origin=origin,
        lengths=lengths,
        shape=shape,
        num_channels=num_channels,
    )
    case = dataclasses.replace(case, **changes)
    if any(case.periodic):
        case.coords = case.coords + rng.integers(-2, 3, case.coords.shape) * np.array(case.periodic) * case.lengths
    return case


def largest(values: Any) -> float:
    """The largest magnitude, and not zero."""
    return max(float(np.max(np.abs(values), initial=0.0)), np.finfo(np.float64).tiny)


def off_by(actual: Any, expected: np.ndarray) -> float:
    """Largest deviation, of the largest expected value; infinite where something is not finite."""
    actual = np.asarray(actual, np.float64)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    deviation = float(np.max(np.abs(actual - expected), initial=0.0))
    return deviation / largest(expected) if np.isfinite(actual).all() else np.inf
