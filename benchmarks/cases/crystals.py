"""Crystals: boxes that repeat beside boxes that do not, oblique cells and energy grids beside NumPy at every voxel."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

import pg_tf
from benchmarks import op
from benchmarks.measure import timed
from benchmarks.settings import Settings, Table
from benchmarks.workload import SIGMA
from tests import cell_reference, lennard_jones_reference

VOXEL = 0.4  # Å
DENSITY = 0.05  # atoms/Å^3
TRICLINIC = np.array([[6.2, 0.0, 0.0], [1.7, 5.6, 0.0], [-1.1, 0.9, 7.3]])  # Å

# On each side of a box, so that no window of the op is cut: 5.45 sigma, and a voxel.
_SPACE = 7  # voxels


def run(settings: Settings) -> dict[str, Table]:
    return {"periodic": _periodic(settings), "oblique": _oblique(settings), "energies": _energies(settings)}


def _periodic(settings: Settings) -> Table:
    rng = np.random.default_rng(0)
    rows = []
    for extent in settings.scale.extents[:2]:
        batch, edge = op.batch_size(extent), VOXEL * extent
        atoms = max(1, round(DENSITY * edge**3))
        coords = rng.uniform(0, edge, (batch, atoms, 3))
        wide = extent + 2 * _SPACE
        works: dict[str, Callable[[], object]] = {}
        for name, places, size, periodic in (
            ("periodic", coords, extent, True),
            ("same box", coords, extent, False),
            ("wider box", coords + _SPACE * VOXEL, wide, False),
        ):
            values = tf.constant(places, tf.float32)
            works[name], works[f"gradient, {name}"] = _passes(values, VOXEL * size, size, periodic)
        times = settings.measure(f"periodic, {extent}^3", {name: timed(work) for name, work in works.items()})
        for kind in ("", "gradient, "):
            periodic_time = times[f"{kind}periodic"].best
            rows.append(
                {
                    "grid": extent,
                    "atoms": atoms,
                    "pass": kind.removesuffix(", ") or "forward",
                    "periodic, µs": periodic_time / batch * 1e6,
                    "times free, same box": periodic_time / times[f"{kind}same box"].best,
                    "times free, wider box": periodic_time / times[f"{kind}wider box"].best,
                }
            )
    notes = [
        f"{DENSITY} atoms/Å^3 at random, voxels of {VOXEL} Å, sigma {SIGMA} Å; one thread",
        "same box: the same atoms, and what crosses a face is lost: fewer voxels of atoms to sum up",
        f"wider box: free, {_SPACE} more voxels on each side: as many voxels of atoms, and more to write",
    ]
    return Table("Boxes that repeat, time a structure", rows, notes)


def _passes(
    coords: tf.Tensor, edge: float, extent: int, periodic: bool
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Forward, and the gradient to the coordinates with the upstream gradient given."""

    def forward(coords: tf.Tensor) -> tf.Tensor:
        box = pg_tf.Box([0.0] * 3, [edge] * 3)
        return pg_tf.voxelize(coords, box=box, grid_shape=extent, sigma=SIGMA, periodic=periodic)

    def gradient(coords: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(coords)
            grid = forward(coords)
        return tape.gradient(grid, coords, upstream)

    upstream = tf.random.stateless_normal([len(coords), 1, extent, extent, extent], seed=(0, 0))
    return op.in_graph(forward, coords), op.in_graph(gradient, coords, upstream)


def _oblique(settings: Settings) -> Table:
    rng = np.random.default_rng(0)
    extent = settings.scale.extents[0]
    cells = {
        "right-angled": np.diag(np.linalg.norm(TRICLINIC, axis=1)),
        "monoclinic": np.array([TRICLINIC[0], [0.0, 5.6, 0.0], [-2.1, 0.0, 7.3]]),
        "triclinic": TRICLINIC,
        "thin, 1 : 1 : 6": TRICLINIC * np.array([[1.0], [1.0], [6.0]]) / 2,
    }
    rows = []
    for name, cell in cells.items():
        atoms = max(1, round(DENSITY * abs(np.linalg.det(cell))))
        crystal = cell_reference.Crystal(
            coords=rng.uniform(0, 1, (atoms, 3)) @ cell,
            channels=np.zeros(atoms, np.int32),
            weights=np.ones(atoms),
            sigma=np.full(atoms, SIGMA),
            cell=cell,
            shape=(extent,) * 3,
            num_channels=1,
        )
        of_atoms = ("coords", "channels", "weights", "sigma")
        one = dataclasses.replace(crystal, **{name: getattr(crystal, name)[:1] for name in of_atoms})
        call = _cell_grid(crystal)
        error = np.abs(call().numpy()[0] - crystal.grid(nodes=6)[0]).max() / crystal.grid(nodes=6).max()
        times = settings.measure(
            f"oblique, {name}", {"pg_tf": timed(call), "NumPy": timed(functools.partial(one.grid, nodes=3))}
        )
        each = times["pg_tf"].best / atoms
        rows.append(
            {
                "cell": name,
                "atoms": atoms,
                "pg_tf, µs an atom": each * 1e6,
                "NumPy, µs an atom": times["NumPy"].best * 1e6,
                "pg_tf is": times["NumPy"].best / each,
                "largest error, of the largest voxel": error,
            }
        )
    notes = [
        f"{extent}^3 voxels along the lattice vectors, sigma {SIGMA} Å, one channel, one thread; eager calls",
        "NumPy: every voxel for each image near the cell, 3 nodes along a and b (tests/cell_reference.py); one atom",
        "errors: to NumPy with 6 nodes",
    ]
    return Table("Cells, time an atom", rows, notes)


def _cell_grid(crystal: cell_reference.Crystal) -> Callable[[], tf.Tensor]:
    coords, cell = tf.constant(crystal.coords, tf.float32), tf.constant(crystal.cell, tf.float32)
    return lambda: pg_tf.voxelize(coords, sigma=SIGMA, cell=cell, grid_shape=crystal.shape)


def _energies(settings: Settings) -> Table:
    rng = np.random.default_rng(0)
    extent = settings.scale.extents[0]
    rows = []
    for repeats in (1, 2, 3):
        unit = lennard_jones_reference.random_crystal(rng, atoms=8, shape=(extent // repeats,) * 3)
        shift = np.stack(np.meshgrid(*[np.arange(repeats)] * 3, indexing="ij"), -1).reshape(-1, 1, 3) @ unit.cell
        coords = (unit.coords + shift).reshape(-1, 3)
        cell, copies = unit.cell * repeats, repeats**3
        call = _energy_grid(extent, coords, np.tile(unit.sigma, copies), np.tile(unit.epsilon, copies), cell)
        works = {"pg_tf": timed(call)}
        if repeats == 1:
            works["NumPy"] = timed(unit.energy)
        times = settings.measure(f"energies, {len(coords)} atoms", works)
        rows.append(
            {
                "atoms": len(coords),
                "grid": extent,
                "pg_tf, ns a voxel": times["pg_tf"].best / extent**3 * 1e9,
                "NumPy, ns a voxel": times["NumPy"].best / extent**3 * 1e9 if repeats == 1 else None,
                "pg_tf is": times["NumPy"].best / times["pg_tf"].best if repeats == 1 else None,
            }
        )
    notes = [
        "Lennard-Jones energies in a triclinic cell and its supercells, cutoff 9 Å, float32, one thread; eager calls",
        "NumPy: energies and forces, every image at every voxel, float64 (tests/lennard_jones_reference.py)",
    ]
    return Table("Energy grids, time a voxel", rows, notes)


def _energy_grid(extent: int, *arrays: npt.NDArray[np.float64]) -> Callable[[], object]:
    """A call for coordinates, sigma, epsilon and cell."""
    values = [tf.constant(array, tf.float32) for array in arrays]
    return lambda: pg_tf.lennard_jones(
        values[0], sigma=values[1], epsilon=values[2], mixing=None, cell=values[3], grid_shape=extent, cutoff=9.0
    )
