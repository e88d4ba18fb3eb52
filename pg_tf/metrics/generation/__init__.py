"""How good generated molecules are, by the definitions that the field compares generators with.

Molecules are `pg_tf.datasets.Molecules`; those that failed stand in it without atoms and are counted.
"""

from pg_tf.metrics.generation.bond_orders import bond_orders, stable_atoms
from pg_tf.metrics.generation.distributions import Statistics, distances
from pg_tf.metrics.generation.molecules import (
    atom_stability,
    bonded,
    canonical_smiles,
    connectedness,
    diversity,
    failures,
    molecule_stability,
    novelty,
    uniqueness,
    validity,
)
from pg_tf.metrics.generation.strain import Relaxation, relaxed_by_mmff, relaxed_by_xtb
from pg_tf.metrics.generation.summary import Summary, summarize

__all__ = [
    "Relaxation",
    "Statistics",
    "Summary",
    "atom_stability",
    "bond_orders",
    "bonded",
    "canonical_smiles",
    "connectedness",
    "distances",
    "diversity",
    "failures",
    "molecule_stability",
    "novelty",
    "relaxed_by_mmff",
    "relaxed_by_xtb",
    "stable_atoms",
    "summarize",
    "uniqueness",
    "validity",
]
