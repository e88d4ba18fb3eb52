"""How well one set of atoms reproduces another: functions, and Keras metrics for whoever trains generators of grids.

All pair the atoms off, channel by channel, with the Hungarian algorithm (`scipy.optimize.linear_sum_assignment`).
Points are `[A, 4]`, a padded batch `[B, A, 4]` (channel -1) or a ragged batch `[B, (A), 4]`; columns channel, x, y, z
in Å.
"""

from pg_tf.metrics.figures import atom_count_error, compare_points, exact_fraction, matched_rmsd, recovered_fraction
from pg_tf.metrics.keras_metrics import AtomCountError, ExactFraction, MatchedRMSD, RecoveredFraction
from pg_tf.metrics.matching import Match, match_points, pair_atoms

__all__ = [
    "AtomCountError",
    "ExactFraction",
    "Match",
    "MatchedRMSD",
    "RecoveredFraction",
    "atom_count_error",
    "compare_points",
    "exact_fraction",
    "match_points",
    "matched_rmsd",
    "pair_atoms",
    "recovered_fraction",
]
