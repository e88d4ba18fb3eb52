"""Voxelizers of the Python registry, each in a worker process of an environment that they share.

A rival is a module here with a function `prepare(task)` (see `benchmarks.remote`); it imports nothing of pg_tf. The
task holds `workload` (a file of `Workload.save`), `extents`, `molecules` (how many of them a run does), `sigma`, and
`grid` (a file that the first molecule's grid at the first extent is written to, as float32).
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Rival:
    """One of them.

    Attributes:
      module: below this package.
      packages: what pip installs for it.
      computes: what its grids are.
    """

    module: str
    packages: tuple[str, ...]
    computes: str


RIVALS = {
    "libmolgrid": Rival(
        "libmolgrid",
        ("molgrid",),
        "the Gaussian's value at voxel centres, with libmolgrid's own tail: quadratic from 2 sigma, zero from 3 sigma",
    ),
    "JAX einsum": Rival(
        "jax_einsum", ("jax[cpu]",), "what pg_tf computes: jitted contraction of the three 1-D factors, batched"
    ),
    "moleculekit": Rival(
        "moleculekit_occupancy",
        ("moleculekit",),
        "another function: 1 - exp(-(radius / distance)^12) of the nearest atoms at voxel centres, radius 2 sigma",
    ),
    "PyUUL": Rival(
        "pyuul_gaussian",
        ("torch", "scikit-learn", "scipy", "pyuul"),
        "the Gaussian's value at voxel centres, overlaps as 1 - prod(1 - g), over blocks of 3 sigma; its own box",
    ),
}
