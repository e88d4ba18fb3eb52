"""All figures of a set of generated molecules at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from pg_tf.datasets import Molecules
from pg_tf.metrics.generation import distributions
from pg_tf.metrics.generation import molecules as chemistry
from pg_tf.metrics.generation.strain import relaxed_by_mmff


@dataclasses.dataclass(frozen=True)
class Summary:
    """Figures of generated molecules; fractions are 0 to 1, and NaN where there is nothing to count.

    Attributes:
      count: how many molecules were generated; all of them are counted below.
      atom_stability: fraction of atoms with a valence of their element.
      molecule_stability: fraction of molecules with such atoms only.
      validity: fraction that RDKit accepts with the bonds that the distances tell.
      uniqueness: different ones among the valid ones.
      novelty: those of the different ones that were not trained on.
      connectedness: fraction that is one fragment.
      diversity: mean Tanimoto distance between different valid ones.
      distances: of the statistics to those of the molecules trained on, by name (`distributions.distances`).
      strain: median of what MMFF94s takes off the energy of a valid one, kcal/mol.
      strain_rmsd: median of how far its atoms move in this, Å.
      failures: why molecules are not valid, and how many.
    """

    count: int
    atom_stability: float
    molecule_stability: float
    validity: float
    uniqueness: float
    novelty: float
    connectedness: float
    diversity: float
    distances: Mapping[str, float]
    strain: float
    strain_rmsd: float
    failures: Mapping[str, int]


def summarize(generated: Molecules, training: Molecules, *, most_relaxed: int = 200) -> Summary:
    """All figures of generated molecules.

    Args:
      generated: all that were generated. Failed ones stand as molecules without atoms.
      training: those trained on.
      most_relaxed: how many of the valid ones, the first ones, are relaxed.
    """
    smiles = chemistry.canonical_smiles(generated)
    strains: list[tuple[float, float]] = []
    for valid, atoms in zip(smiles, chemistry.each(generated), strict=True):
        if valid is None or len(strains) == most_relaxed:
            continue
        try:
            relaxed = relaxed_by_mmff(*atoms)
        except ValueError:
            continue
        strains.append((relaxed.strain, relaxed.rmsd))
    strain, rmsd = np.median(strains, axis=0) if strains else (float("nan"), float("nan"))
    return Summary(
        count=len(generated),
        atom_stability=chemistry.atom_stability(generated),
        molecule_stability=chemistry.molecule_stability(generated),
        validity=chemistry.validity(smiles),
        uniqueness=chemistry.uniqueness(smiles),
        novelty=chemistry.novelty(smiles, chemistry.canonical_smiles(training)),
        connectedness=chemistry.connectedness(generated),
        diversity=chemistry.diversity(smiles),
        distances=distributions.distances(
            distributions.Statistics.of(generated), distributions.Statistics.of(training)
        ),
        strain=float(strain),
        strain_rmsd=float(rmsd),
        failures=chemistry.failures(generated),
    )
