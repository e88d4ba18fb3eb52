"""Lennard-Jones energies by brute force: NumPy in float64, every image at every voxel. No code shared with pg_tf."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = sorted(Path(__file__).with_name("golden").glob("lj_*.npz"))


def golden(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    """What pg_tf.lennard_jones takes for a golden file, and its energies."""
    arrays = np.load(path)
    given = {
        "coords": arrays["frac"] @ arrays["cell"],
        "sigma": arrays["atom_sigma"],
        "epsilon": arrays["atom_epsilon"],
        "probe": (arrays["probe_sigma"], arrays["probe_epsilon"]),
        "cell": arrays["cell"],
        "grid_shape": tuple(int(n) for n in arrays["shape"]),
        "cutoff": float(arrays["cutoff"]),
        "max_energy": None,
    }
    return given, arrays["energy"]


@dataclasses.dataclass
class Crystal:
    """Atoms with the parameters of their pairs with the probe, on a lattice, and where the probe goes."""

    coords: np.ndarray  # [A, 3]
    sigma: np.ndarray  # [A]
    epsilon: np.ndarray  # [A]
    cell: np.ndarray  # [3, 3]
    shape: tuple[int, int, int]
    periodic: tuple[bool, bool, bool] = (True, True, True)
    cutoff: float = 9.0
    shift: bool = False
    box: tuple[np.ndarray, np.ndarray] | None = None

    def options(self) -> dict[str, Any]:
        """What pg_tf.lennard_jones takes besides coords."""
        return {
            "sigma": self.sigma,
            "epsilon": self.epsilon,
            "mixing": None,
            "cell": self.cell,
            "periodic": self.periodic,
            "grid_shape": self.shape,
            "cutoff": self.cutoff,
            "shift": self.shift,
            "box": self.box,
        }

    def probes(self) -> np.ndarray:
        """`[nx, ny, nz, 3]`: the centres of the voxels."""
        origin, edges = (np.zeros(3), self.cell) if self.box is None else (self.box[0], np.diag(self.box[1]))
        axes = [(np.arange(n) + 0.5) / n for n in self.shape]
        return origin + np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ edges

    def energy(self) -> tuple[np.ndarray, np.ndarray]:
        """Energies `[nx, ny, nz]` and gradients to the probe `[nx, ny, nz, 3]`, not clamped."""
        probes = self.probes().reshape(-1, 3)
        # An image within the cutoff of a probe has lattice coordinates no further away than the cutoff over the height.
        heights = 1 / np.linalg.norm(np.linalg.inv(self.cell), axis=0)
        fractional = self.coords @ np.linalg.inv(self.cell)
        seen = probes @ np.linalg.inv(self.cell)
        reach = self.cutoff / heights
        ranges = [
            range(int(np.floor(low - r)), int(np.ceil(high + r)) + 1) if repeats else range(1)
            for low, high, r, repeats in zip(
                seen.min(0) - fractional.max(0), seen.max(0) - fractional.min(0), reach, self.periodic, strict=True
            )
        ]
        energy, gradient = np.zeros(len(probes)), np.zeros((len(probes), 3))
        s6_cutoff = (self.sigma / self.cutoff) ** 6
        at_cutoff = 4 * self.epsilon * (s6_cutoff**2 - s6_cutoff) * self.shift
        for n in itertools.product(*ranges):
            apart = probes[:, None] - (self.coords + np.array(n) @ self.cell)
            r_squared = (apart**2).sum(axis=-1)
            inside = r_squared < self.cutoff**2
            if not inside.any():
                continue
            s6 = (self.sigma**2 / r_squared) ** 3
            energy += np.where(inside, 4 * self.epsilon * (s6**2 - s6) - at_cutoff, 0).sum(axis=1)
            slope = np.where(inside, 4 * self.epsilon * (6 * s6 - 12 * s6**2) / r_squared, 0)
            gradient += (slope[:, :, None] * apart).sum(axis=1)
        return energy.reshape(self.shape), gradient.reshape(*self.shape, 3)


CELLS = {
    "cubic": np.diag([6.0, 6.0, 6.0]),
    "hexagonal": np.array([[5.0, 0, 0], [-2.5, 4.3301270189, 0], [0, 0, 6.5]]),
    "triclinic": np.array([[6.2, 0, 0], [1.7, 5.6, 0], [-1.1, 0.9, 7.3]]),
    "left-handed": np.array([[0, 7.3, 0.4], [6.2, 0, 0], [1.7, 0.3, 5.6]]),
    "skewed": np.array([[5.0, 0, 0], [13.0, 5.5, 0], [-21.0, 9.0, 6.0]]),
    "thin": np.diag([2.1, 12.0, 9.0]),
}


def random_crystal(rng: np.random.Generator, cell: str = "triclinic", atoms: int = 4, **changes: Any) -> Crystal:
    """Atoms anywhere, also outside of the cell."""
    rows = CELLS[cell]
    crystal = Crystal(
        coords=rng.uniform(-1.5, 2.5, (atoms, 3)) @ rows,
        sigma=rng.uniform(2.2, 3.2, atoms),
        epsilon=rng.uniform(10, 90, atoms),
        cell=rows,
        shape=(5, 7, 6),
    )
    return dataclasses.replace(crystal, **changes)
