"""PyUUL's Gaussian voxels on the CPU, one thread, one call a molecule (a batch must share one box)."""

import math
import os
from typing import Any

import numpy as np

from benchmarks.remote import Prepared

_REACH = 3  # sigma


def prepare(task: dict[str, Any]) -> Prepared:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from importlib import metadata

    import torch
    from pyuul import VolumeMaker

    torch.set_num_threads(1)
    data = np.load(task["workload"])
    voxels = VolumeMaker.Voxels(device=torch.device("cpu"), sparse=False)

    def grid(b: int, extent: int) -> Any:
        atoms = torch.tensor(data["pos"][data["offsets"][b] : data["offsets"][b + 1]])[None]
        # Its Gaussian of an atom of radius r is exp(-d^2 / (0.93 r)^2).
        radii = torch.full(atoms.shape[:2], math.sqrt(2) * task["sigma"] / 0.93)
        channels = torch.zeros(atoms.shape[:2], dtype=torch.long)
        voxel = float(data["edges"][b]) / extent
        reach = math.ceil(_REACH * task["sigma"] / voxel)
        with torch.no_grad():
            return voxels(
                atoms, radii, channels, 1, resolution=voxel, cubes_around_atoms_dim=reach, function="gaussian"
            )

    def over(extent: int) -> Any:
        return lambda: [grid(b, extent) for b in range(task["molecules"])]

    extent = task["extents"][0]
    voxel = float(data["edges"][0]) / extent
    first = grid(0, extent)[0, 0].numpy()
    np.save(task["grid"], first * voxel**3 / (2 * np.pi * task["sigma"] ** 2) ** 1.5)
    return {str(n): over(n) for n in task["extents"]}, {"version": metadata.version("pyuul")}
