"""How far the statistics of generated molecules are from those of the molecules trained on.

Wasserstein distances and total variations as in the evaluation of VoxMol (Pinheiro et al. 2023, arXiv:2306.07473,
section 5), with bonds by `bond_orders`.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.stats import wasserstein_distance

from pg_tf.datasets import Molecules
from pg_tf.elements import SYMBOLS
from pg_tf.metrics.generation.bond_orders import bond_orders
from pg_tf.metrics.generation.molecules import each

_Bond = tuple[int, int, int]  # the atomic numbers, the smaller one first, and the order


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What molecules are like.

    Attributes:
      sizes: number of atoms of each molecule.
      elements: number of atoms of each atomic number, `[119]`.
      valences: sums of the bond orders of the atoms of each element.
      bond_lengths: Å, by bond (two atomic numbers and the order).
      bond_angles: degrees, by the atomic number of the atom in the middle.
    """

    sizes: npt.NDArray[np.int64]
    elements: npt.NDArray[np.int64]
    valences: Mapping[int, npt.NDArray[np.int64]]
    bond_lengths: Mapping[_Bond, npt.NDArray[np.float64]]
    bond_angles: Mapping[int, npt.NDArray[np.float64]]

    @classmethod
    def of(cls, molecules: Molecules) -> Statistics:
        """The statistics of molecules."""
        valences, lengths, angles = (collections.defaultdict(list) for _ in range(3))
        for numbers, coords in each(molecules):
            orders = bond_orders(numbers, coords)
            for number, valence in zip(numbers.tolist(), orders.sum(axis=1).tolist(), strict=True):
                valences[number].append(valence)
            for first, second in np.argwhere(np.triu(orders)).tolist():
                low, high = sorted((int(numbers[first]), int(numbers[second])))
                bond = (low, high, int(orders[first, second]))
                lengths[bond].append(float(np.linalg.norm(coords[first] - coords[second])))
            for atom, number in enumerate(numbers.tolist()):
                angles[number].extend(_angles_at(coords[atom], coords[orders[atom] > 0]))
        return cls(
            np.diff(molecules.row_splits),
            np.bincount(molecules.atomic_numbers, minlength=len(SYMBOLS)),
            {number: np.array(values, np.int64) for number, values in valences.items()},
            {bond: np.array(values, np.float64) for bond, values in lengths.items()},
            {number: np.array(values, np.float64) for number, values in angles.items() if values},
        )


def _angles_at(center: npt.NDArray[np.float64], neighbors: npt.NDArray[np.float64]) -> list[float]:
    """Angles (degrees) between the bonds of an atom to its neighbours."""
    directions = neighbors - center
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    pairs = np.triu_indices(len(directions), 1)
    cosines: list[float] = (directions @ directions.T)[pairs].tolist()
    return np.degrees(np.arccos(np.clip(cosines, -1, 1))).tolist()


def distances(generated: Statistics, training: Statistics) -> dict[str, float]:
    """Distances between two sets of molecules, each 0 for equal ones.

    Args:
      generated: of the generated molecules.
      training: of those trained on.

    Returns:
      By name: `size_w1` (atoms), Wasserstein distance of the numbers of atoms; `valence_w1`, of the valences of each
      element, averaged with the frequency of the element in training; `bond_length_w1` (Å), of the lengths of each
      kind of bond, averaged with its frequency in training; `bond_angle_w1` (degrees), of the angles at each element,
      averaged in the same way; `element_tv` and `bond_tv`, total variation (sum of the differences of the frequencies)
      of elements and of kinds of bonds. A kind that was never generated is left out of an average; its absence counts
      in the total variations.
    """
    return {
        "size_w1": float(wasserstein_distance(generated.sizes, training.sizes)) if len(generated.sizes) else np.nan,
        "valence_w1": _averaged(generated.valences, training.valences),
        "bond_length_w1": _averaged(generated.bond_lengths, training.bond_lengths),
        "bond_angle_w1": _averaged(generated.bond_angles, training.bond_angles),
        "element_tv": _total_variation(
            dict(enumerate(generated.elements.tolist())), dict(enumerate(training.elements.tolist()))
        ),
        "bond_tv": _total_variation(_counts(generated.bond_lengths), _counts(training.bond_lengths)),
    }


def _averaged(generated: Mapping, training: Mapping) -> float:
    """Wasserstein distance of each kind, weighted with how often it occurs in training."""
    common = [kind for kind in training if kind in generated]
    weights = [len(training[kind]) for kind in common]
    if not common:
        return float("nan")
    return float(np.average([wasserstein_distance(generated[k], training[k]) for k in common], weights=weights))


def _counts(kinds: Mapping) -> dict:
    return {kind: len(values) for kind, values in kinds.items()}


def _total_variation(generated: Mapping, training: Mapping) -> float:
    totals = sum(generated.values()), sum(training.values())
    if not all(totals):
        return float("nan")
    kinds = generated.keys() | training.keys()
    return float(sum(abs(generated.get(k, 0) / totals[0] - training.get(k, 0) / totals[1]) for k in kinds))
