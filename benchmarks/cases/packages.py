"""Published voxelizers, with Gaussians of the same width and in the same boxes."""

import contextlib
from typing import Any

import numpy as np

from benchmarks import exact, op
from benchmarks.baselines.packages.catalogue import PACKAGES
from benchmarks.baselines.packages.environment import python_of, why_not
from benchmarks.measure import timed
from benchmarks.remote import Worker, WorkerFailed
from benchmarks.settings import Settings, Table
from benchmarks.workload import SIGMA, Workload

OP = "pg_tf"
_MOLECULES = 8


def run(settings: Settings) -> dict[str, Table]:
    some = settings.workload.typical(_MOLECULES)
    path, extents = settings.output / "workload.npz", settings.scale.package_extents
    some.save(path)
    notes = [f"{len(some)} molecules of {some.atoms.min()} to {some.atoms.max()} atoms, sigma {SIGMA} Å, one thread"]
    notes.append("pg_tf is the op, called directly")
    rows: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for name, package in PACKAGES.items():
            grid = settings.output / f"{package.module}.npy"
            grid.unlink(missing_ok=True)
            task = {
                "workload": str(path),
                "extents": extents,
                "molecules": len(some),
                "sigma": SIGMA,
                "grid": str(grid),
            }
            reason = why_not(settings.packages, name)
            if reason is None:
                try:
                    python = python_of(settings.packages)
                    workers[name] = stack.enter_context(Worker(f"baselines.packages.{package.module}", task, python))
                    shapes.append({"voxelizer": name, **_compared(some, np.load(grid)), "computes": package.computes})
                    notes.append(f"{name} {workers[name].about['version']}")
                except WorkerFailed as failure:
                    reason = str(failure)
            if reason is not None:
                notes.append(f"{name}: not measured: {reason}")
        for extent in extents if workers else ():
            batch = some.repeat(op.batch_size(extent))
            runs = {name: worker.timed(str(extent)) for name, worker in workers.items()}
            runs[OP] = timed(op.raw(batch, extent))
            times = settings.measure(f"packages, {extent}^3", runs)
            done = {name: worker.about.get("molecules", len(some)) for name, worker in workers.items()}
            done[OP] = len(batch)
            rate = {name: done[name] / times[name].best for name in (*workers, OP)}
            rows += [
                {"grid": extent, "voxelizer": name, "molecules/s": rate[name], f"{OP} is": rate[OP] / rate[name]}
                for name in rate
            ]
    return {
        "packages": Table("Published voxelizers, 1 channel", rows, notes),
        "package_grids": Table(
            "What they compute, beside the exact integrals: the mass of a molecule's grid, its correlation", shapes
        ),
    }


def _compared(some: Workload, grid: Any) -> dict[str, Any]:
    """Mass of the first molecule's grid, of its number of atoms, and correlation with the exact grid."""
    origin, edges = some.boxes()
    correlation: float | str = "another box"
    if len(set(grid.shape)) == 1 and grid.shape[0] > 1:
        expected = exact.grid(some.molecules()[0], SIGMA, origin[0], float(edges[0]), len(grid))
        correlation = float(np.corrcoef(expected.ravel(), grid.ravel())[0, 1])
    return {"mass / atoms": float(grid.sum() / some.atoms[0]), "correlation": correlation}
