"""libmolgrid's GridMaker on the CPU, coordinate sets and output ready, one call a molecule."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.remote import Prepared


def prepare(task: dict[str, Any]) -> Prepared:
    import molgrid

    molgrid.set_gpu_enabled(False)
    data = np.load(task["workload"])
    sets, centers = [], []
    for b in range(task["molecules"]):
        atoms = data["pos"][data["offsets"][b] : data["offsets"][b + 1]].astype(np.float32)
        # Its Gaussian of an atom of radius r is exp(-2 d^2 / r^2).
        radii = np.full(len(atoms), 2 * task["sigma"], np.float32)
        sets.append(molgrid.CoordinateSet(atoms, np.zeros(len(atoms), np.float32), radii, 1))
        centers.append(molgrid.float3(*(data["origin"][b] + data["edges"][b] / 2).tolist()))

    def maker(b: int, extent: int) -> Any:
        voxel = float(data["edges"][b]) / extent
        return molgrid.GridMaker(resolution=voxel, dimension=voxel * (extent - 1))

    def over(extent: int) -> Callable[[], object]:
        makers = [maker(b, extent) for b in range(len(sets))]
        grids = np.zeros((len(sets), 1, extent, extent, extent), np.float32)

        def run() -> None:
            for b in range(len(sets)):
                makers[b].forward(centers[b], sets[b], grids[b])

        return run

    extent = task["extents"][0]
    voxel = float(data["edges"][0]) / extent
    first = np.zeros((1, extent, extent, extent), np.float32)
    maker(0, extent).forward(centers[0], sets[0], first)
    # From values at the centres of voxels to integrals of normalised Gaussians.
    np.save(task["grid"], first[0] * voxel**3 / (2 * np.pi * task["sigma"] ** 2) ** 1.5)
    return {str(n): over(n) for n in task["extents"]}, {"version": molgrid.__version__}
