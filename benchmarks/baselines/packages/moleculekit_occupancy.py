"""moleculekit's voxel descriptors from coordinates and radii, its C implementation, centres of the voxels ready."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.remote import Prepared


def prepare(task: dict[str, Any]) -> Prepared:
    from importlib import metadata

    from moleculekit.tools.voxeldescriptors import getVoxelDescriptors

    data = np.load(task["workload"])

    def centers(b: int, extent: int) -> Any:
        axis = (np.arange(extent) + 0.5) * float(data["edges"][b]) / extent
        return data["origin"][b] + np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)

    def grid(b: int, where: Any) -> Any:
        atoms = data["pos"][data["offsets"][b] : data["offsets"][b + 1]].astype(np.float32)
        radii = np.full((len(atoms), 1), 2 * task["sigma"])
        return getVoxelDescriptors(None, usercoords=atoms, userchannels=radii, usercenters=where, method="C")[0]

    runs: dict[str, Callable[[], object]] = {}
    for extent in task["extents"]:
        # One molecule: its centres alone are 50 MB at 128^3.
        runs[str(extent)] = functools.partial(grid, 0, centers(0, extent))
    extent = task["extents"][0]
    np.save(task["grid"], grid(0, centers(0, extent)).reshape([extent] * 3).astype(np.float32))
    return runs, {"version": metadata.version("moleculekit"), "molecules": 1}
