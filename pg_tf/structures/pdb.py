"""Macromolecules from PDB and mmCIF files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

import gemmi
import numpy as np
import numpy.typing as npt

from pg_tf.elements import SYMBOLS
from pg_tf.formats.rules import CLOSEST, OCCUPANCY_SLACK
from pg_tf.formats.sources import Input, Source, full_name, repeatable
from pg_tf.formats.streams import read_text
from pg_tf.structures._reading import Doubts
from pg_tf.structures.cif_blocks import parsed_cif
from pg_tf.structures.mmcif_sites import completed
from pg_tf.structures.overlaps import check_overlaps
from pg_tf.structures.pdb_alternates import wanted_atoms
from pg_tf.structures.pdb_lines import checked_lines
from pg_tf.structures.structure import Structure
from pg_tf.structures.symmetry import check_lengths, check_symmetry, operations_of

_ALTERNATES = ("highest", "all")

# Relative deviation of the volume that rounded matrices explain.
_VOLUME_SLACK = 0.01


def read_pdb(
    path: Input,
    *,
    model: int | None = None,
    alternates: str = "highest",
    unit_cell: bool = False,
    elements: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Structure:
    """Reads the atoms of a PDB or mmCIF file, waters and ligands as well. Hydrogens that are not in the file are not
    added.

    Args:
      path: the file, as in `read_structure`; which of the two it is, its content tells.
      model: which model, counted from 1; negative numbers count from the end. None is the first, and tells of others.
      alternates: of atoms with alternate locations, "highest" reads those of the location that has the highest
        occupancy in the residue, with a weight of 1 (of equal ones the first letter); an atom that is not at that
        location is read at its own best one. "all" reads all, weighted by their occupancies. Other partly occupied
        atoms are weighted either way.
      unit_cell: False reads the molecules as they stand, without a lattice. True makes all molecules of the crystal's
        cell by its symmetry. Copies of an atom on a symmetry axis or plane that fall together become one, with the sum
        of their occupancies but at most 1.
      elements: element symbols by the names of atoms or residues, such as `{"M1": "Fe"}`, in place of what the file
        says.
      strict: raise where otherwise a warning is given: elements that had to be concluded from the names of atoms,
        occupancies that are all 0, atoms after the end, several blocks with atoms, several models and none chosen,
        odd distances.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if the file is damaged or has no atoms, there is no such model, an atom is no element or has no
        coordinates, an occupancy is not from 0 to 1, atoms lie on one another with occupancies that add up to more
        than 1, or `unit_cell` is asked for and the file has no cell or space group, or one that does not fit the other.
      OSError: if the file cannot be opened.
    """
    if alternates not in _ALTERNATES:
        raise ValueError(f"alternates: must be one of {', '.join(map(repr, _ALTERNATES))}; got {alternates!r}")
    source = repeatable(path)
    with Doubts(full_name(source), strict) as doubts:
        content = _parsed(source, elements, doubts.add)
        entry = "_entry.id"
        name = content.info[entry] if entry in list(content.info) else ""
        if not len(content):
            raise ValueError("it has no atoms")
        wanted = 1 if model is None else model
        if not 1 <= abs(wanted) <= len(content):
            raise ValueError(f"it has no model {model}; it has {len(content)}, counted from 1")
        if model is None and len(content) > 1:
            doubts.add(f"it has {len(content)} models, and the first is read; choose one by model=")
        numbers, coords, weights, occupancies, labels = [], [], [], [], []
        for place, atom, weight in wanted_atoms(content[wanted - (wanted > 0)], alternates, doubts.add):
            label = f"{atom.name} of {place}"
            number = atom.element.atomic_number
            if not 1 <= number < len(SYMBOLS):
                raise ValueError(f"atom {label} is no element; name it in elements")
            if not all(map(math.isfinite, atom.pos.tolist())):
                raise ValueError(f"atom {label} has no coordinates")
            if not 0 <= atom.occ <= 1 + OCCUPANCY_SLACK:  # NaN as well
                raise ValueError(f"atom {label} has the occupancy {atom.occ:g}; it must be from 0 to 1")
            numbers.append(number)
            coords.append(atom.pos.tolist())
            weights.append(round(weight, 6))  # kept in single precision by the parser
            occupancies.append(atom.occ)
            labels.append(label)
        if not numbers:
            raise ValueError("it has no atoms")
        if not any(occupancies):
            doubts.add("all atoms have the occupancy 0; they are taken for 1")
            weights, occupancies = [1.0] * len(weights), [1.0] * len(occupancies)
        one = Structure(np.array(numbers, np.int32), np.array(coords), weights=np.array(weights), name=name)
        check_overlaps(one, labels, np.array(occupancies))
        doubts.look_at(one)
        return doubts.noted(_in_cell(one, content, labels, np.array(occupancies)) if unit_cell else one)


def _parsed(source: Source, elements: Mapping[str, str] | None, doubt: Callable[[str], None]) -> gemmi.Structure:
    text = read_text(source)
    if not re.search(r"^\s*(data_|_atom_site\.)", text, re.IGNORECASE | re.MULTILINE):
        return gemmi.read_pdb_string(checked_lines(text, elements, doubt))
    document = parsed_cif(source, doubt)
    blocks = [block for block in document if block.find_values("_atom_site.Cartn_x")]
    if not blocks:
        raise ValueError("no block of it has atoms under _atom_site.Cartn_x; crystals of small molecules: read_cif")
    if len(blocks) > 1:
        names = ", ".join(block.name for block in blocks)
        doubt(f"several blocks have atoms, {names}; the first is read")
    completed(blocks[0], elements, doubt)
    return gemmi.make_structure_from_block(blocks[0])


def _in_cell(
    molecules: Structure, content: gemmi.Structure, labels: list[str], occupancies: npt.NDArray[np.float64]
) -> Structure:
    group = content.find_spacegroup()
    if not content.cell.is_crystal() or group is None:
        raise ValueError(f"unit_cell: it has no cell, or its space group {content.spacegroup_hm!r} is not a known one")
    cell = np.array(content.cell.orth.mat.tolist()).T
    check_lengths(content.cell.parameters[:3])
    if not math.isclose(abs(np.linalg.det(cell)), content.cell.volume, rel_tol=_VOLUME_SLACK):  # NaN as well
        raise ValueError(f"unit_cell: the records SCALE and CRYST1 are not of the same cell, {content.cell.parameters}")
    if any(not copy.given for copy in content.ncs):
        raise ValueError("unit_cell: it leaves out copies that its records MTRIX would make, which are not made here")
    operations = operations_of(list(group.operations()))
    check_symmetry(operations, cell)
    fractional = np.linalg.solve(cell.T, molecules.coords.T).T
    images = np.stack([fractional @ rotation.T + shift for rotation, shift in operations])  # [operations, A, 3]
    kept = np.ones(images.shape[:2], bool)
    for later in range(1, len(images)):  # an atom on an axis or a plane comes onto itself again
        apart = images[:later] - images[later]
        onto = np.linalg.norm((apart - np.round(apart)) @ cell, axis=-1) < CLOSEST
        kept[later] = ~(onto & kept[:later]).any(axis=0)
    atom = np.broadcast_to(np.arange(len(molecules)), kept.shape)[kept]
    # Files give such an atom the occupancy 1, or 1 over the number of its copies: at most 1 in all suits both.
    copies = len(operations) / kept.sum(axis=0)
    weights, shares = (np.minimum(values * copies, 1) for values in (np.asarray(molecules.weights), occupancies))
    structure = Structure(
        molecules.atomic_numbers[atom], images[kept] @ cell, cell, weights=weights[atom], name=molecules.name
    )
    check_overlaps(structure, [labels[index] for index in atom], shares[atom])
    return structure
