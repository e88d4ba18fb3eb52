"""From the objects of ASE, pymatgen and RDKit and to them."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from rdkit import Chem

from pg_tf.elements import SYMBOLS
from pg_tf.formats.rules import OCCUPANCY_SLACK
from pg_tf.structures.structure import Structure


def from_ase(atoms: Any, name: str = "") -> Structure:
    """A structure from `ase.Atoms`.

    Args:
      atoms: `ase.Atoms`. Lattice vectors that are zero, which ASE allows along axes that are not periodic, become unit
        vectors across the others. An array `occupancy` becomes the weights.
      name: a title.

    Raises:
      ValueError: if the atoms stand for partly occupied places: ASE keeps only one element of each. `read_cif` reads
        them all. If they repeat along an axis without a lattice vector, or an occupancy is not from 0 to 1. Or for
        what `Structure` refuses.
    """
    kinds = atoms.info.get("occupancy")
    shared = {k: parts for k, parts in kinds.items() if parts != dict.fromkeys(parts, 1)} if _is_table(kinds) else {}
    if shared:
        kind, parts = next(iter(shared.items()))
        raise ValueError(
            f"atoms: the places of kind {kind} are partly occupied, {parts}, which ase.Atoms cannot hold; use read_cif"
        )
    missing = ~np.asarray(atoms.cell).any(axis=1)
    if (bad := np.flatnonzero(atoms.pbc & missing)).size:
        raise ValueError(
            f"atoms: pbc is {atoms.pbc.tolist()}, and there is no lattice vector {bad[0]}; give it, or set pbc to False"
        )
    has_cell = not missing.all()
    weights = atoms.arrays.get("occupancy")
    if weights is not None and (weights.ndim != 1 or weights.dtype.kind not in "fiu"):
        raise ValueError(f"atoms: occupancy must be numbers [A], got {weights.dtype} {list(weights.shape)}")
    if weights is not None and (bad := np.flatnonzero(~((weights >= 0) & (weights <= 1 + OCCUPANCY_SLACK)))).size:
        raise ValueError(f"atoms: atom {bad[0]} has the occupancy {weights[bad[0]]}; it must be from 0 to 1")
    return Structure(
        atoms.numbers,
        atoms.positions,
        np.asarray(atoms.cell.complete()) if has_cell else None,
        tuple(bool(flag) for flag in atoms.pbc) if has_cell else None,  # type: ignore[arg-type]
        weights,
        name,
    )


def to_ase(structure: Structure) -> Any:
    """`ase.Atoms` of a structure, which ASE writes to any format.

    Raises:
      ImportError: if ASE is not installed.
      ValueError: if an atom has a weight other than 1.
    """
    ase = import_ase()
    weights = np.asarray(structure.weights)
    if (bad := np.flatnonzero(weights != 1)).size:
        raise ValueError(f"structure: atom {bad[0]} has the weight {weights[bad[0]]}, which ase.Atoms cannot hold")
    cell = structure.cell
    return ase.Atoms(structure.atomic_numbers, structure.coords, cell=cell, pbc=structure.periodic)


def import_ase() -> Any:
    try:
        import ase
        import ase.io
    except ImportError as error:
        raise ImportError("this needs ASE: pip install ase, or pip install 'pg_tf[crystals]'") from error
    return ase


def _is_table(kinds: Any) -> bool:
    # Where ASE keeps shared places; any file may have something else of this name.
    return isinstance(kinds, dict) and all(isinstance(parts, dict) for parts in kinds.values())


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


def to_pymatgen(structure: Structure) -> Any:
    """A pymatgen `Structure`, or a `Molecule` where there is no cell. Atoms at one place become one shared site.

    Raises:
      ImportError: if pymatgen is not installed.
      ValueError: if a molecule has an atom with a weight other than 1.
    """
    try:
        core = importlib.import_module("pymatgen.core")
    except ImportError as error:
        raise ImportError("this needs pymatgen: pip install pymatgen") from error
    weights = np.asarray(structure.weights)
    if structure.cell is None:
        if (bad := np.flatnonzero(weights != 1)).size:
            raise ValueError(f"structure: atom {bad[0]} has the weight {weights[bad[0]]}, which no Molecule can hold")
        return core.Molecule(structure.symbols, structure.coords)
    sites: dict[tuple[float, ...], dict[str, float]] = {}
    for symbol, place, weight in zip(structure.symbols, structure.coords, weights, strict=True):
        species = sites.setdefault(tuple(np.round(place, 6)), {})
        species[symbol] = species.get(symbol, 0.0) + float(weight)
    lattice = core.Lattice(structure.cell, pbc=structure.periodic)
    return core.Structure(lattice, list(sites.values()), np.array(list(sites)), coords_are_cartesian=True)


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


def to_rdkit(structure: Structure) -> Any:
    """An RDKit `Mol` with one 3D conformer and no bonds; `rdkit.Chem.rdDetermineBonds` finds those of a molecule.

    Raises:
      ValueError: if an atom has a weight other than 1, or there is a lattice: a `Mol` has no images.
    """
    if structure.cell is not None:
        raise ValueError("structure: it has a lattice, which a Mol cannot hold; drop it with dataclasses.replace")
    weights = np.asarray(structure.weights)
    if (bad := np.flatnonzero(weights != 1)).size:
        raise ValueError(f"structure: atom {bad[0]} has the weight {weights[bad[0]]}, which a Mol cannot hold")
    molecule, geometry = Chem.RWMol(), Chem.Conformer(len(structure))
    geometry.Set3D(True)
    for index, (number, place) in enumerate(zip(structure.atomic_numbers, structure.coords, strict=True)):
        atom = Chem.Atom(int(number))
        atom.SetNoImplicit(True)
        molecule.AddAtom(atom)
        geometry.SetAtomPosition(index, [float(x) for x in place])
    molecule.AddConformer(geometry)
    molecule.SetProp("_Name", structure.name)
    return molecule.GetMol()


def is_structure_like(value: Any) -> bool:
    """Whether `as_structure` takes it: a `Structure`, an RDKit `Mol`, `ase.Atoms`, or pymatgen's structures."""
    return isinstance(value, (Structure, Chem.Mol)) or _is_ase(value) or _is_pymatgen(value)


def as_structure(value: Any) -> Structure:
    """A `Structure` as it is, or from an RDKit `Mol`, `ase.Atoms`, or a pymatgen `Structure` or `Molecule`.

    Raises:
      ValueError: if it is none of these, or as `from_rdkit`, `from_ase` and `from_pymatgen`.
    """
    if isinstance(value, Structure):
        return value
    if isinstance(value, Chem.Mol):
        return from_rdkit(value)
    if _is_ase(value):
        return from_ase(value)
    if _is_pymatgen(value):
        return from_pymatgen(value)
    raise ValueError(
        f"structure: must be a pg_tf.structures.Structure, rdkit.Chem.Mol, ase.Atoms or a pymatgen structure, got "
        f"{type(value).__name__}"
    )


def _is_ase(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("numbers", "positions", "cell", "pbc", "arrays"))


def _is_pymatgen(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("sites", "species", "cart_coords"))
