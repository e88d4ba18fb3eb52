"""Crystal structures from CIF files, symmetry expanded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import gemmi
import numpy as np
import numpy.typing as npt

from pg_tf.formats.rules import CLOSEST
from pg_tf.formats.sources import Input, full_name, repeatable
from pg_tf.structures._reading import Doubts
from pg_tf.structures.cif_blocks import parsed_cif
from pg_tf.structures.cif_evidence import doubts_of_formula, doubts_of_labels
from pg_tf.structures.cif_items import Items
from pg_tf.structures.cif_sites import Site, read_sites, without_alternatives
from pg_tf.structures.overlaps import check_overlaps
from pg_tf.structures.space_group import operations_in
from pg_tf.structures.structure import Structure
from pg_tf.structures.symmetry import Operation, check_lengths, check_symmetry

# Images of a partly occupied site that are further apart than this may be two places of a disordered atom, Å.
_CLOSEST_PARTIAL = 0.1

# Images closer than this are hardly two atoms, Å: H2 has 0.74.
_SHORTEST_BOND = 0.7

# A smaller angle of a cell is more likely one in radians; degrees.
_SMALLEST_ANGLE = 5.0


def read_cif(
    path: Input, *, block: str | int | None = None, elements: Mapping[str, str] | None = None, strict: bool = False
) -> Structure:
    """Reads one crystal structure of a CIF file: all atoms of one cell, by the symmetry operations in the file or,
    where it lists none, by those of the space group that it names.

    Partial occupancies become weights; a place that several elements share has one atom for each. Deuterium is
    hydrogen. The cell has a along x and b in the xy plane; coordinates are those of the file and its symmetry, not
    wrapped.

    Args:
      path: the file, as in `read_structure`.
      block: name of the data block, or its number among those with atoms, from 0 or negative from the end; None takes
        the first that has atoms, and tells of others.
      elements: element symbols by site labels or type symbols, such as `{"M1": "Fe"}`, in place of what the file says.
      strict: raise where otherwise a warning is given: what the file says about its composition, the multiplicity of
        its sites or its symmetry does not fit its atoms, sites are alternatives without occupancies, or several blocks
        have atoms.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if the file is damaged, has no atoms with fractional coordinates, no cell, symmetry that cannot be
        read, an atom that is no element, or atoms that lie on one another and do not share their place by occupancy.
      OSError: if the file cannot be opened.
    """
    source = repeatable(path)
    with Doubts(full_name(source), strict) as doubts:
        items = _chosen(parsed_cif(source, doubts.add), block, doubts.add)
        unit_cell = _unit_cell(items)
        cell = _lattice(unit_cell, doubts.add)
        operations = operations_in(items, unit_cell, doubts.add)
        check_symmetry(operations, cell)
        sites = without_alternatives(read_sites(items, elements), doubts.add)
        structure, labels = _expanded(sites, operations, cell, items, doubts.add)
        check_overlaps(structure, labels)
        doubts.look_at(structure)
        for cause in [*doubts_of_labels(items, sites), *doubts_of_formula(items, structure)]:
            doubts.add(cause)
        return doubts.noted(structure)


def _chosen(document: gemmi.cif.Document, name: str | int | None, doubt: Callable[[str], None]) -> Items:
    if isinstance(name, str):
        block = document.find_block(name)
        if block is None:
            raise ValueError(f"it has no block {name!r}; it has {', '.join(b.name for b in document) or 'none'}")
        return Items(block)
    with_atoms = [items for items in map(Items, document) if items.column("_atom_site_fract_x")]
    if not with_atoms:
        if any(block.find_values("_chem_comp_atom.atom_id") for block in document):
            raise ValueError(
                "it is a component of the chemical dictionary (_chem_comp_atom); take its SDF file instead"
            )
        raise ValueError("no block of it has atoms with fractional coordinates, _atom_site_fract_x")
    if name is not None:
        if not -len(with_atoms) <= name < len(with_atoms):
            raise ValueError(f"it has no block {name}; it has {len(with_atoms)} with atoms, counted from 0")
        return with_atoms[name]
    if len(with_atoms) > 1:
        names = ", ".join(items.name for items in with_atoms)
        doubt(f"several blocks have atoms, {names}; the first is read, or name one as block")
    return with_atoms[0]


def _unit_cell(items: Items) -> gemmi.UnitCell:
    names = [*(f"length_{axis}" for axis in "abc"), *(f"angle_{angle}" for angle in ("alpha", "beta", "gamma"))]
    texts = [items.value(f"_cell_{name}") for name in names]
    missing = [name for name, text in zip(names[:3], texts[:3], strict=True) if text is None]
    if missing:
        raise ValueError(f"it has no cell lengths and angles: _cell_{missing[0]} is missing")
    # Angles that are not given are right ones (IUCr, core dictionary).
    numbers = [90.0 if text is None else gemmi.cif.as_number(text) for text in texts]
    for name, text, number in zip(names, texts, numbers, strict=True):
        if not math.isfinite(number):
            raise ValueError(f"_cell_{name} is {text!r}, which is no number")
    return gemmi.UnitCell(*numbers)


def _lattice(unit_cell: gemmi.UnitCell, doubt: Callable[[str], None]) -> npt.NDArray[np.float64]:
    lengths, angles = unit_cell.parameters[:3], unit_cell.parameters[3:]
    cell = np.array(unit_cell.orth.mat.tolist()).T
    check_lengths(lengths)
    if max(angles) < math.pi:
        raise ValueError(f"its cell has the angles {angles}; they must be in degrees")
    possible = all(0 < angle < 180 for angle in angles)
    if not (possible and np.isfinite(cell).all() and np.linalg.det(cell) > 1e-8 * np.prod(lengths)):
        raise ValueError(f"there is no cell with the lengths {lengths} and the angles {angles}: it has no volume")
    if min(angles) < _SMALLEST_ANGLE or max(angles) > 180 - _SMALLEST_ANGLE:
        doubt(f"its cell has the angles {angles}; they must be in degrees")
    return cell


def _expanded(
    sites: list[Site],
    operations: list[Operation],
    cell: npt.NDArray[np.float64],
    items: Items,
    doubt: Callable[[str], None],
) -> tuple[Structure, list[str]]:
    """All atoms of the cell, and the label of the site of each."""
    multiplicity = _multiplicity_rule(sites, len(operations))
    numbers: list[int] = []
    places: list[npt.NDArray[np.float64]] = []
    weights: list[float] = []
    labels: list[str] = []
    for site in sites:
        images = np.array([rotation @ site.position + shift for rotation, shift in operations])
        stated = multiplicity(site)
        kept = _distinct_places(images, cell, site, stated)
        if stated is not None and len(kept) != stated:
            doubt(f"site {site.label} has the multiplicity {stated} in the file, and symmetry gives {len(kept)} places")
        elif stated is None and (apart := _nearest(kept, cell)) < _SHORTEST_BOND:
            doubt(f"images of site {site.label} lie {apart:.2g} Å apart and are taken for places of their own")
        numbers += [site.atomic_number] * len(kept)
        places += kept
        weights += [round(site.occupancy, 6)] * len(kept)
        labels += [site.label] * len(kept)
    if not numbers:
        raise ValueError("it has no atoms: all sites are dummies or have an occupancy of 0")
    coords = np.array(places).reshape(-1, 3) @ cell
    return Structure(np.array(numbers, np.int32), coords, cell, weights=np.array(weights), name=items.name), labels


def _multiplicity_rule(sites: list[Site], num_operations: int) -> Callable[[Site], int | None]:
    """What the multiplicities of the file mean: how many places a site has in the cell or, as some programs write
    them, how many operations leave it where it is. None where they are not given, or mean neither for all sites."""
    given = [site.multiplicity for site in sites if site.multiplicity is not None]
    if not given:
        return lambda site: None
    # Most sites are in general positions, which all operations move.
    if max(given) >= num_operations:
        return lambda site: site.multiplicity
    if min(given) == 1 and not any(num_operations % number for number in given):
        return lambda site: None if site.multiplicity is None else num_operations // site.multiplicity
    return lambda site: None


def _distinct_places(
    images: npt.NDArray[np.float64], cell: npt.NDArray[np.float64], site: Site, stated: int | None
) -> list[npt.NDArray[np.float64]]:
    """The images of a site, those that fall together once.

    Coordinates are rounded, so that images of a site on an axis or plane do not quite fall together: those closer than
    an atom is to any other are one. Of a partly occupied site they may be two places of a disordered atom; how many
    there are, the multiplicity tells where it is stated.
    """
    tolerances = (CLOSEST,) if site.occupancy >= 1 else (_CLOSEST_PARTIAL, CLOSEST)
    places: list[npt.NDArray[np.float64]] = []
    for tolerance in tolerances:
        places = []
        for image in images:
            apart = np.array(places).reshape(-1, 3) - image
            if not (np.linalg.norm((apart - np.round(apart)) @ cell, axis=1) < tolerance).any():
                places.append(image)
        if stated is None or len(places) == stated:
            break
    return places


def _nearest(places: list[npt.NDArray[np.float64]], cell: npt.NDArray[np.float64]) -> float:
    """The least distance of two of the places, Å."""
    apart = np.array(places)[:, None] - np.array(places)
    distances = np.linalg.norm((apart - np.round(apart)) @ cell, axis=-1)
    np.fill_diagonal(distances, math.inf)
    return float(distances.min())
