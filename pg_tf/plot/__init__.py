"""Pictures of molecules, grids and results: every function returns a plotly figure."""

from pg_tf.plot.curves import cumulative, learning_curve, parity
from pg_tf.plot.molecules import grid, inversion, molecule, molecule_and_grid
from pg_tf.plot.style import ELEMENT_COLOURS, FONT, INK, MUTED, PALETTE, RULE

__all__ = [
    "ELEMENT_COLOURS",
    "FONT",
    "INK",
    "MUTED",
    "PALETTE",
    "RULE",
    "cumulative",
    "grid",
    "inversion",
    "learning_curve",
    "molecule",
    "molecule_and_grid",
    "parity",
]
