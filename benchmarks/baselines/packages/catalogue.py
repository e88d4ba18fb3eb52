"""The published voxelizers, how to install each, and what its grids hold."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Package:
    """A published voxelizer.

    Attributes:
      module: the module of this folder that runs it.
      requirements: what pip installs for it.
      computes: what its grids hold.
    """

    module: str
    requirements: tuple[str, ...]
    computes: str


PACKAGES = {
    "libmolgrid": Package(
        "libmolgrid",
        ("molgrid",),
        "the Gaussian's value at voxel centres, with libmolgrid's own tail: quadratic from 2 sigma, zero from 3 sigma",
    ),
    "JAX einsum": Package(
        "jax_einsum", ("jax[cpu]",), "what pg_tf computes: jitted contraction of the three 1-D factors, batched"
    ),
    "moleculekit": Package(
        "moleculekit_occupancy",
        ("moleculekit",),
        "another function: 1 - exp(-(radius / distance)^12) of the nearest atoms at voxel centres, radius 2 sigma",
    ),
    "PyUUL": Package(
        "pyuul_gaussian",
        ("torch", "scikit-learn", "scipy", "pyuul"),
        "the Gaussian's value at voxel centres, overlaps as 1 - prod(1 - g), over blocks of 3 sigma; its own box",
    ),
}
