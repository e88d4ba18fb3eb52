"""The truth for grids along lattice vectors: every image of every atom at every voxel, by quadrature in NumPy."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

CELL_GOLDEN = sorted(Path(__file__).with_name("golden").glob("cell_*.npz"))

CELLS = {
    "cubic": np.diag([4.0, 4.0, 4.0]),
    "orthorhombic": np.diag([3.5, 5.0, 4.2]),
    "left-handed": np.diag([3.5, -5.0, 4.2]),
    "hexagonal": np.array([[4.0, 0, 0], [-2.0, 3.4641016, 0], [0, 0, 5.0]]),
    "monoclinic": np.array([[4.1, 0, 0], [0, 5.2, 0], [-1.3, 0, 4.3]]),
    "triclinic": np.array([[4.2, 0, 0], [1.7, 3.6, 0], [-1.1, 0.9, 4.3]]),
    "primitive": np.array([[0.0, 2.7, 2.7], [2.7, 0, 2.7], [2.7, 2.7, 0]]),
    "anywhere": np.array([[1.3, -3.9, 0.4], [3.1, 1.2, -2.2], [-1.5, 0.3, -4.1]]),
    "thin": np.array([[1.1, 0.2, 0.1], [0.3, 5.0, 0.4], [-0.2, 0.5, 4.4]]),
    "very oblique": np.array([[4.0, 0, 0], [3.6, 1.2, 0], [-3.1, 0.9, 1.5]]),
}


@dataclasses.dataclass
class Atoms:
    """What structures have in common; `FLOATS` are the fields that an op rounds to its own type."""

    FLOATS: ClassVar[tuple[str, ...]]

    def options(self) -> dict[str, Any]:
        """What pg_tf.voxelize takes besides coords, channels and what says where the grid is."""
        names = ("shape", "num_channels", "sigma", "weights", "periodic")
        options = {name: getattr(self, name) for name in names}
        return {"grid_shape": options.pop("shape"), **options}

    def rounded(self, dtype: str) -> Any:
        """The inputs as an op of that type sees them."""
        values = {name: getattr(self, name).astype(dtype).astype(np.float64) for name in self.FLOATS}
        return dataclasses.replace(self, **values)


@dataclasses.dataclass
class Crystal(Atoms):
    """Atoms on a lattice."""

    coords: np.ndarray  # [A, 3]
    channels: np.ndarray  # [A]
    weights: np.ndarray  # [A]
    sigma: np.ndarray  # [A]
    cell: np.ndarray  # [3, 3]
    shape: tuple[int, int, int]
    num_channels: int
    periodic: tuple[bool, bool, bool] = (True, True, True)

    FLOATS = ("weights", "sigma")

    def options(self) -> dict[str, Any]:
        """What pg_tf.voxelize takes besides coords and channels."""
        return {**super().options(), "cell": self.cell}

    def images(self, a: int) -> list[np.ndarray]:
        """The places of an atom from where it reaches the cell."""
        units = np.linalg.inv(self.cell)
        start = self.coords[a] @ units
        start -= np.floor(start) * self.periodic
        reach = 8.5 * self.sigma[a] * np.linalg.norm(units, axis=0)
        counts = [range(-int(n) - 1, int(n) + 2) if p else (0,) for n, p in zip(reach, self.periodic, strict=True)]
        fractional = start + np.array(list(itertools.product(*counts)))
        places = fractional @ self.cell
        nearest = np.abs(fractional - 0.5) - 0.5 < reach  # between the lattice planes beside the cell ...
        around = np.linalg.norm(np.abs(self.cell).sum(0)) / 2 + 8.5 * self.sigma[a]  # ... and in a sphere around it
        return list(places[nearest.all(1) & (np.linalg.norm(places - self.cell.sum(0) / 2, axis=1) < around)])

    def grid(self, nodes: int = 11) -> np.ndarray:
        """`[C, nx, ny, nz]`."""
        result = np.zeros((self.num_channels, *self.shape))
        for a in np.flatnonzero(self.channels >= 0):
            for place in self.images(int(a)):
                result[self.channels[a]] += self.weights[a] * self.integrals(place, self.sigma[a], nodes)
        return result

    def integrals(self, place: np.ndarray, sigma: float, nodes: int) -> np.ndarray:
        """Of one Gaussian over each voxel: exact along the last lattice vector, Gauss-Legendre along the others."""
        places, weights = (values / 2 for values in np.polynomial.legendre.leggauss(nodes))
        places += 0.5
        a, b, c = self.cell / np.array(self.shape)[:, None]
        nx, ny, nz = self.shape
        i = (np.arange(nx)[:, None] + places).ravel()
        j = (np.arange(ny)[:, None] + places).ravel()
        line = i[:, None, None] * a + j[:, None] * b - place
        along = c / np.linalg.norm(c)
        start = line @ along
        across = np.sum(line**2, -1) - start**2
        edges = (start[..., None] + np.arange(nz + 1) * np.linalg.norm(c)) / sigma
        low, high = edges[..., :-1], edges[..., 1:]
        parts = np.where(low + high > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
        area = np.linalg.norm(np.cross(np.cross(a, along), np.cross(b, along)))
        parts *= (np.exp(-across / (2 * sigma**2)) * area / (2 * np.pi * sigma**2))[..., None]
        return np.einsum("ipjqk,p,q->ijk", parts.reshape(nx, nodes, ny, nodes, nz), weights, weights)


def golden(path: Path) -> tuple[Crystal, dict[str, np.ndarray]]:
    """A golden file as a crystal, and its arrays."""
    arrays = dict(np.load(path))
    inputs = {name: arrays[name] for name in ("channels", "weights", "sigma", "cell")}
    x, y, z = (int(n) for n in arrays["shape"])
    coords = arrays["frac"] @ arrays["cell"]
    return Crystal(coords, **inputs, shape=(x, y, z), num_channels=int(arrays["num_channels"])), arrays


def random_crystal(rng: np.random.Generator, cell: np.ndarray, atoms: int = 3, **changes: Any) -> Crystal:
    """Atoms up to two cells away; sigma from half a voxel edge to one; the last atom is padding."""
    shape = changes.get("shape", (3, 4, 3))
    channels = rng.integers(0, 2, atoms)
    channels[-1:] = -1
    longest = np.max(np.linalg.norm(cell, axis=1) / shape)
    crystal = Crystal(
        coords=rng.uniform(-2, 3, (atoms, 3)) @ cell,
        channels=channels,
        weights=rng.uniform(0.5, 2.0, atoms),
        sigma=longest * rng.uniform(0.5, 1.0, atoms),
        cell=cell,
        shape=shape,
        num_channels=2,
    )
    crystal = dataclasses.replace(crystal, **changes)
    if not all(crystal.periodic):  # near enough to be seen
        crystal.coords[:] = rng.uniform(-0.2, 1.2, (atoms, 3)) @ cell
    return crystal
