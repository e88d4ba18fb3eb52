"""What generated molecules are worth as chemistry: stable, valid, unique, new, in one piece, diverse.

Nothing is left out before it is counted: every generated molecule is in the denominator, one without atoms, too.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pg_tf.datasets import Molecules
from pg_tf.metrics.generation.bond_orders import bond_orders, stable_atoms

if TYPE_CHECKING:
    from rdkit import Chem


def atom_stability(molecules: Molecules) -> float:
    """Fraction of all atoms whose bonds add up to a valence of their element (`stable_atoms`); NaN without atoms."""
    return _mean(np.concatenate([np.zeros(0, bool), *(stable_atoms(*atoms) for atoms in each(molecules))]))


def molecule_stability(molecules: Molecules) -> float:
    """Fraction of the molecules that have atoms and only stable ones (`stable_atoms`); NaN without molecules."""
    return _mean([len(atoms[0]) > 0 and bool(stable_atoms(*atoms).all()) for atoms in each(molecules)])


def bonded(atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike) -> Chem.Mol:
    """A molecule with the bonds that its distances tell (`bond_orders`), sanitised by RDKit.

    Args:
      atomic_numbers: `[A]`.
      coords: `[A, 3]`, Å.

    Raises:
      ValueError: if it has no atoms, or RDKit finds the valences or rings of such a molecule impossible.
    """
    return sanitized(assembled(atomic_numbers, coords))


def assembled(atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike) -> Chem.Mol:
    """A molecule with the bonds that its distances tell (`bond_orders`), however impossible; arguments as `bonded`."""
    from rdkit import Chem  # here and below: loads long, and only chemistry needs it
    from rdkit.Geometry import Point3D

    numbers, positions = np.asarray(atomic_numbers), np.asarray(coords, np.float64)
    molecule, conformer = Chem.RWMol(), Chem.Conformer(len(numbers))
    for index, (number, xyz) in enumerate(zip(numbers.tolist(), positions.tolist(), strict=True)):
        molecule.AddAtom(Chem.Atom(number))
        conformer.SetAtomPosition(index, Point3D(*xyz))
    molecule.AddConformer(conformer)
    orders = bond_orders(numbers, positions) if len(numbers) else np.zeros((0, 0), int)
    kinds = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
    for first, second in np.argwhere(np.triu(orders)).tolist():
        molecule.AddBond(first, second, kinds[orders[first, second] - 1])
    return molecule.GetMol()


def sanitized(molecule: Chem.Mol) -> Chem.Mol:
    """A copy of a molecule with what RDKit finds in it.

    Raises:
      ValueError: if it has no atoms, or RDKit finds its valences or rings impossible.
    """
    from rdkit import Chem, rdBase

    if molecule.GetNumAtoms() == 0:
        raise ValueError("no atoms")
    copy = Chem.Mol(molecule)
    with rdBase.BlockLogs():
        try:
            Chem.SanitizeMol(copy)
        except (Chem.MolSanitizeException, RuntimeError) as error:
            raise ValueError(str(error).strip().splitlines()[0]) from error
    return copy


def canonical_smiles(molecules: Molecules) -> list[str | None]:
    """Of each molecule, the canonical SMILES without hydrogens of its largest fragment (`bonded`); None if not valid.

    So it is defined for EDM's validity, uniqueness and novelty (arXiv:2203.17003, appendix E).
    """
    from rdkit import Chem

    smiles: list[str | None] = []
    for atoms in each(molecules):
        try:
            fragments = Chem.GetMolFrags(bonded(*atoms), asMols=True)
            smiles.append(Chem.MolToSmiles(Chem.RemoveHs(max(fragments, key=lambda part: part.GetNumAtoms()))))
        except (ValueError, RuntimeError):
            smiles.append(None)
    return smiles


def failures(molecules: Molecules) -> dict[str, int]:
    """Why molecules are not valid: RDKit's reasons without the numbers of atoms, and how often each occurs."""
    reasons: collections.Counter[str] = collections.Counter()
    for atoms in each(molecules):
        try:
            bonded(*atoms)
        except ValueError as error:
            reasons[" ".join(word for word in str(error).split() if not word.strip("#,.:").isdigit())] += 1
    return dict(reasons.most_common())


def validity(smiles: Sequence[str | None]) -> float:
    """Fraction of the molecules that have a SMILES (`canonical_smiles`); NaN without molecules."""
    return _mean([text is not None for text in smiles])


def uniqueness(smiles: Sequence[str | None]) -> float:
    """How many different molecules there are among the valid ones, as a fraction of these; NaN without any."""
    valid = [text for text in smiles if text is not None]
    return len(set(valid)) / len(valid) if valid else float("nan")


def novelty(smiles: Sequence[str | None], training: Iterable[str | None]) -> float:
    """Fraction of the different valid molecules that are not among those trained on; NaN without any.

    Args:
      smiles: of the generated molecules, by `canonical_smiles`.
      training: of the molecules trained on, by the same function, so that both are written alike.
    """
    different = {text for text in smiles if text is not None}
    known = set(training)
    return _mean([text not in known for text in different])


def connectedness(molecules: Molecules) -> float:
    """Fraction of the molecules that are one fragment by `bond_orders`; NaN without molecules."""
    from scipy.sparse.csgraph import connected_components

    return _mean([connected_components(bond_orders(*atoms))[0] == 1 for atoms in each(molecules)])


def diversity(smiles: Sequence[str | None], most: int = 1000) -> float:
    """Mean Tanimoto distance between Morgan fingerprints (radius 2, 2048 bits) of pairs of different valid molecules.

    Args:
      smiles: by `canonical_smiles`.
      most: if there are more different molecules, the first so many in the order of their SMILES are compared.

    Returns:
      0 (all alike) to 1; NaN for less than two.
    """
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    different = sorted({text for text in smiles if text is not None})[:most]
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in different]
    distances = [
        1 - np.array(DataStructs.BulkTanimotoSimilarity(fingerprint, prints[:index]))
        for index, fingerprint in enumerate(prints)
        if index
    ]
    return _mean(np.concatenate(distances)) if distances else float("nan")


def each(molecules: Molecules) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]]:
    """Atomic numbers `[A]` and coordinates `[A, 3]` (Å) of one molecule after the other."""
    for start, end in zip(molecules.row_splits[:-1], molecules.row_splits[1:], strict=True):
        yield molecules.atomic_numbers[start:end], molecules.coords[start:end].astype(np.float64)


def _mean(values: npt.ArrayLike) -> float:
    array = np.asarray(values, np.float64)
    return float(array.mean()) if array.size else float("nan")
