"""From the objects of other libraries, by what they offer: none of them is imported here."""

from __future__ import annotations

from typing import Any

import numpy as np

from pg_tf.elements import SYMBOLS
from pg_tf.structures.structure import Structure


def from_pymatgen(structure: Any, name: str = "") -> Structure:
    """A structure from a pymatgen `Structure` or `Molecule`.

    Args:
      structure: a place shared by several elements gives one atom for each, weighted by its occupancy.
      name: a title.

    Raises:
      ValueError: if a species is no element.
    """
    numbers, coords, weights = [], [], []
    for index, site in enumerate(structure):
        for species, occupancy in site.species.items():
            symbol = str(getattr(species, "symbol", species))
            symbol = "H" if symbol in ("D", "T") else symbol
            if symbol not in SYMBOLS[1:]:
                raise ValueError(f"structure: site {index} holds {species}, which is no element")
            numbers.append(SYMBOLS.index(symbol))
            coords.append(np.asarray(site.coords, float))
            weights.append(float(occupancy))
    lattice = getattr(structure, "lattice", None)
    return Structure(
        np.array(numbers, np.int32),
        np.array(coords).reshape(-1, 3),
        None if lattice is None else np.asarray(lattice.matrix, float),
        None if lattice is None else tuple(bool(flag) for flag in getattr(lattice, "pbc", (True,) * 3)),  # type: ignore[arg-type]
        np.array(weights),
        name,
    )


def from_rdkit(molecule: Any, conformer: int = -1, name: str = "") -> Structure:
    """A structure from an RDKit `Mol`: the atoms that it has, at the places of one conformer. No hydrogens are added.

    Args:
      molecule: `rdkit.Chem.Mol` with a 3D conformer.
      conformer: its number; -1 is the first.
      name: a title; the molecule's own where left out.

    Raises:
      ValueError: if there is no such conformer, it is flat, or an atom is no element.
    """
    try:
        geometry = molecule.GetConformer(conformer)
    except ValueError as error:
        raise ValueError(
            f"molecule: it has {molecule.GetNumConformers()} conformers and none with the number {conformer}; make one "
            f"with rdkit.Chem.AllChem.EmbedMolecule"
        ) from error
    if not geometry.Is3D() and molecule.GetNumAtoms() > 1:
        raise ValueError("molecule: its conformer is flat and not marked as 3D: a drawing, not a geometry")
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], np.int32)
    title = molecule.GetProp("_Name") if molecule.HasProp("_Name") else ""
    return Structure(numbers, geometry.GetPositions().reshape(-1, 3), name=name or title)
