"""The grids that are inverted, and how well that should go."""

import dataclasses

import pg_tf
from pg_tf.elements import ORGANIC

CHANNELS = {
    "one": pg_tf.ElementChannels.single(),
    # Other elements than the eight of ORGANIC share a ninth channel, if there are any.
    "elements": ORGANIC,
    "elements+other": pg_tf.ElementChannels(ORGANIC.symbols, unknown="other"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
      grid_size: voxels along each side.
      sigma: Å.
      channels: a key of CHANNELS.
      noise: standard deviation of the white noise, as a share of the grid's largest voxel.
      target: wanted share of exact molecules, or of right counts where there is noise.
      target_rmsd: Å.
    """

    grid_size: int
    sigma: float
    channels: str = "one"
    noise: float = 0.0
    target: float | None = None
    target_rmsd: float | None = None


TARGETS = [
    *(Case(32, sigma, target=target) for sigma, target in ((0.2, 1.0), (0.3, 1.0), (0.4, 0.99), (0.5, 0.95))),
    *(
        Case(64, sigma, target=target)
        for sigma, target in ((0.2, 1.0), (0.3, 1.0), (0.4, 1.0), (0.5, 0.99), (0.6, 0.95))
    ),
    *(Case(32, sigma, "elements", target=1.0) for sigma in (0.2, 0.3, 0.4, 0.5)),
    Case(32, 0.4, noise=0.01, target=0.98, target_rmsd=0.02),
    Case(32, 0.4, noise=0.05, target=0.85, target_rmsd=0.08),
]
QUICK = [Case(32, 0.3, target=1.0), Case(32, 0.4, "elements", target=1.0)]
