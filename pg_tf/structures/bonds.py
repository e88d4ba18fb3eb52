"""Bonds and their orders, from elements and coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds
from rdkit.Geometry import Point3D

from pg_tf.elements import atomic_number

# RDKit tries combinations of valences, at most so many; molecules of drug size need some hundred of them.
_MOST_COMBINATIONS = 100_000

# Orders of the atoms to try: RDKit takes the first bond orders that fit, and which those are depends on the order.
_ORDERS = 6


def bonded(symbols: Sequence[str], coords: npt.NDArray[np.float64], charge: int, argument: str) -> Chem.Mol:
    """A molecule whose bonds RDKit's `rdDetermineBonds` finds; see `pg_tf.inversion.to_rdkit`.

    Args:
      symbols: elements of the A atoms.
      coords: `[A, 3]`, Å.
      charge: total charge.
      argument: what an error calls the atoms.

    Raises:
      ValueError: if no bond orders go with the geometry and the charge.
    """
    if not symbols:
        return Chem.Mol()
    found: list[tuple[int, Chem.Mol]] = []
    failures = []
    for order in _orders([atomic_number(symbol) for symbol in symbols]):
        try:
            molecule = _bonded([symbols[atom] for atom in order], coords[order], charge)
        except (ValueError, RuntimeError) as error:
            failures.append(error)
            continue
        molecule = Chem.RenumberAtoms(molecule, np.argsort(order).tolist())
        charges = sum(abs(atom.GetFormalCharge()) for atom in molecule.GetAtoms())
        if charges == abs(charge):
            return molecule
        found.append((charges, molecule))
    if found:
        return min(found, key=lambda pair: pair[0])[1]
    raise ValueError(
        f"{argument}: RDKit finds no bonds for {_formula(symbols)} with charge {charge} "
        f"({str(failures[0]).splitlines()[0]}); check the charge, and whether atoms are missing or misplaced"
    ) from failures[0]


def _orders(numbers: list[int]) -> list[npt.NDArray[np.int64]]:
    given = np.arange(len(numbers))
    by_element = np.argsort(numbers, kind="stable")
    rng = np.random.default_rng(0)
    fixed = [given, given[::-1], by_element, by_element[::-1]]
    return [*fixed, *(rng.permutation(len(numbers)) for _ in range(_ORDERS - len(fixed)))]


def _bonded(symbols: list[str], coords: npt.NDArray[np.float64], charge: int) -> Chem.Mol:
    molecule = Chem.RWMol()
    conformer = Chem.Conformer(len(symbols))
    for index, (symbol, xyz) in enumerate(zip(symbols, coords, strict=True)):
        molecule.AddAtom(Chem.Atom(symbol))
        conformer.SetAtomPosition(index, Point3D(*xyz.tolist()))
    molecule.AddConformer(conformer)
    with rdBase.BlockLogs():
        rdDetermineBonds.DetermineBonds(molecule, charge=charge, maxIterations=_MOST_COMBINATIONS)
        Chem.SanitizeMol(molecule)
    return molecule.GetMol()


def _formula(symbols: Sequence[str]) -> str:
    counts = {symbol: symbols.count(symbol) for symbol in sorted(set(symbols))}
    return " ".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in counts.items())
