"""Found atoms as XYZ text, RDKit molecules and structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pg_tf.elements import ElementChannels, atomic_number
from pg_tf.formats.xyz import frame_text

if TYPE_CHECKING:
    from rdkit import Chem

    from pg_tf.structures import Structure


def to_xyz(points: Any, elements: ElementChannels | Sequence[str], comment: str = "") -> str:
    """One molecule in the XYZ format: the number of atoms, a comment, and a line with element and coordinates (Å) each.

    Args:
      points: `[A, 4]`, columns channel, x, y, z in Å. A negative channel marks padding and is left out.
      elements: the element of each channel: an `ElementChannels`, or symbols such as `("C", "N", "O")`.
      comment: the second line.

    Raises:
      ValueError: if the shape does not fit, a coordinate is not finite, the comment has more than one line, or a
        channel does not stand for one element.
    """
    if "\n" in comment or "\r" in comment:
        raise ValueError(f"comment must be one line, got {comment!r}")
    symbols, coords = _atoms(points, elements)
    return frame_text(symbols, coords, comment)


def to_rdkit(points: Any, elements: ElementChannels | Sequence[str], charge: int = 0) -> Chem.Mol:
    """One molecule as an RDKit molecule with a conformer; bonds and their orders perceived by RDKit from the geometry.

    `rdDetermineBonds` connects atoms that are close enough and then finds bond orders that fill all valences (Kim and
    Kim, Bull. Korean Chem. Soc. 2015, doi 10.1002/bkcs.10334). Of the structures it finds for a few orders of the
    atoms, that with the fewest formal charges is taken. All hydrogens must be among the points, as none are added;
    stereochemistry is that of the geometry.

    Args:
      points: as in `to_xyz`.
      elements: as in `to_xyz`.
      charge: total charge of the molecule.

    Raises:
      ValueError: as `to_xyz`; and if RDKit finds no bond orders that go with the geometry and the charge, as happens
        where atoms are missing or misplaced, and with radicals and metals.
    """
    from pg_tf.structures.bonds import bonded  # loads RDKit, which few inversions need

    symbols, coords = _atoms(points, elements)
    return bonded(symbols, coords, charge, argument="points")


def to_structure(
    points: Any,
    elements: ElementChannels | Sequence[str],
    cell: Any,
    periodic: tuple[bool, bool, bool] = (True, True, True),
    name: str = "",
) -> Structure:
    """One `pg_tf.structures.Structure`, which `pg_tf.structures.to_ase` and ASE write to CIF and other files.

    Args:
      points: as in `to_xyz`.
      elements: as in `to_xyz`.
      cell: `[3, 3]`, rows are lattice vectors, Å. Only its vectors count, not where its corner is.
      periodic: along which of them the structure repeats; a structure without any has no cell.
      name: a title.

    Raises:
      ValueError: as `to_xyz`.
    """
    from pg_tf.structures import Structure  # loads the readers of structures, which few inversions need

    symbols, coords = _atoms(points, elements)
    numbers = np.array([atomic_number(symbol) for symbol in symbols], np.int32)
    lattice = np.asarray(cell, np.float64) if any(periodic) else None
    return Structure(numbers, coords, lattice, periodic, name=name)


def _atoms(points: Any, elements: ElementChannels | Sequence[str]) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Element symbols and coordinates `[A, 3]` of points."""
    if not isinstance(elements, ElementChannels):
        elements = ElementChannels(tuple(elements) if not isinstance(elements, str) else (elements,))
    array = np.asarray(points, np.float64)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"points must be one molecule, of shape [atoms, 4]; got {list(array.shape)}")
    symbols = []
    present = np.flatnonzero(array[:, 0] >= 0)
    for atom in present:
        channel = array[atom, 0]
        if channel != int(channel) or channel >= elements.num_channels:
            raise ValueError(
                f"points: atom {atom} has channel {channel:g}; elements has channels 0 to {elements.num_channels - 1}"
            )
        name = elements.names[int(channel)]
        if int(channel) == len(elements.symbols) or "+" in name:
            raise ValueError(
                f"points: atom {atom} is in channel {int(channel)}, {name!r}, which does not stand for one "
                "element; use grids with a channel for each element"
            )
        symbols.append(name)
    if (bad := np.flatnonzero(~np.isfinite(array[present]).all(axis=1))).size:
        raise ValueError(f"points: atom {present[bad[0]]} is {array[present[bad[0]]].tolist()}; points must be finite")
    return symbols, array[present, 1:]
