"""The atom sites of a CIF block: which element, where, and how often occupied."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import gemmi
import numpy as np
import numpy.typing as npt

from pg_tf.formats.element_names import named, number_of_label, number_of_type
from pg_tf.formats.rules import OCCUPANCY_SLACK
from pg_tf.structures.cif_items import Items

# Fractional coordinates larger than this are none.
_FURTHEST = 1000.0


@dataclasses.dataclass(frozen=True)
class Site:
    """One site of the asymmetric unit.

    Attributes:
      label: what the file calls it.
      typed: whether the file gives its type, and not its label alone.
      atomic_number: 1 to 118.
      position: fractional, `[3]`.
      occupancy: from 0 to 1.
      multiplicity: as stated in the file, None where it is not.
      assembly: of alternatives, "" where the site is in none.
      group: which of the alternatives of its assembly, "" where the site is in none.
    """

    label: str
    typed: bool
    atomic_number: int
    position: npt.NDArray[np.float64]
    occupancy: float
    multiplicity: int | None
    assembly: str
    group: str


def read_sites(items: Items, elements: Mapping[str, str] | None) -> list[Site]:
    """All sites that stand for atoms: neither dummies nor places that nobody occupies.

    Args:
      items: of the block.
      elements: symbols by label or type, in place of what the file says.

    Raises:
      ValueError: if a site is no element or has no coordinates, or an occupancy is none.
    """
    for axis in "yz":
        if not items.column(f"_atom_site_fract_{axis}"):
            raise ValueError(f"its atoms have no _atom_site_fract_{axis}")
    rows = len(items.column("_atom_site_fract_x"))

    def column(*names: str) -> list[str | None]:
        return next((values for name in names if (values := items.column(f"_atom_site_{name}"))), [None] * rows)

    types = column("type_symbol")
    labels = column("label") if any(column("label")) else types
    multiplicities = column(
        "site_symmetry_multiplicity", "symmetry_multiplicity", "site_symmetry_order", "wyckoff_multiplicity"
    )
    columns = {
        "x": column("fract_x"),
        "y": column("fract_y"),
        "z": column("fract_z"),
        "occupancy": column("occupancy"),
        "flag": column("calc_flag"),
        "assembly": column("disorder_assembly"),
        "group": column("disorder_group"),
    }
    for name, values in [("label", labels), ("type", types), ("multiplicity", multiplicities), *columns.items()]:
        if len(values) != rows:
            raise ValueError(f"its sites have {rows} coordinates and {len(values)} values for the {name}")
    sites = []
    for row in range(rows):
        label, kind = labels[row] or types[row] or f"row {row + 1}", types[row]
        if (columns["flag"][row] or "").lower() == "dum":
            continue
        occupancy = _occupancy(columns["occupancy"][row], row + 1)
        if occupancy == 0:
            continue
        if not 0 < occupancy <= 1 + OCCUPANCY_SLACK:
            raise ValueError(f"site {label} has the occupancy {occupancy:g}; it must be from 0 to 1")
        sites.append(
            Site(
                label,
                kind is not None,
                _atomic_number(label, kind, elements),
                _position([columns[axis][row] for axis in "xyz"], label),
                occupancy,
                _whole(multiplicities[row]),
                columns["assembly"][row] or "",
                columns["group"][row] or "",
            )
        )
    return sites


def without_alternatives(sites: list[Site], doubt: Callable[[str], None]) -> list[Site]:
    """The sites without those that are alternatives of others and share no occupancy with them.

    Alternatives (disorder groups of one assembly) whose occupancies add up to one are all kept, as partly occupied.
    Where every one counts in full, only the first group can be there.
    """
    groups: dict[str, dict[str, float]] = {}
    about = [site.label for site in sites if site.group.startswith("-") and site.occupancy >= 1]
    if about:
        doubt(
            f"sites {', '.join(about[:6])} are marked as disorder about an element of symmetry, by a negative group, "
            f"without occupancies; all of their images are taken for atoms"
        )
    for site in sites:
        if site.group and not site.group.startswith("-"):  # negative: disordered about an element of symmetry
            of_assembly = groups.setdefault(site.assembly, {})
            of_assembly[site.group] = max(of_assembly.get(site.group, 0.0), site.occupancy)
    dropped: set[tuple[str, str]] = set()
    for assembly, occupancies in groups.items():
        if len(occupancies) > 1 and sum(occupancies.values()) > 1 + OCCUPANCY_SLACK and min(occupancies.values()) >= 1:
            first = min(occupancies, key=lambda group: (len(group), group))
            dropped |= {(assembly, group) for group in occupancies if group != first}
            doubt(
                f"its sites are marked as disorder groups {', '.join(occupancies)} of assembly {assembly or 'none'} "
                f"without occupancies; group {first} is taken"
            )
    return [site for site in sites if (site.assembly, site.group) not in dropped]


def _atomic_number(label: str, kind: str | None, elements: Mapping[str, str] | None) -> int:
    number = named(elements, label, kind)
    if number is None:
        number = number_of_label(label) if kind is None else number_of_type(kind)
    if not number:
        raise ValueError(
            f"site {label} ({'no type symbol' if kind is None else f'type {kind}'}) is no element; name it in elements"
        )
    return number


def _occupancy(text: str | None, row: int) -> float:
    number = 1.0 if text is None else gemmi.cif.as_number(text)
    if not math.isfinite(number):
        raise ValueError(f"row {row} of its sites has the occupancy {text!r}, which is no number")
    return number


def _position(texts: list[str | None], label: str) -> npt.NDArray[np.float64]:
    position = np.array([math.nan if text is None else gemmi.cif.as_number(text) for text in texts])
    if not (np.abs(position) < _FURTHEST).all():  # NaN as well
        raise ValueError(
            f"site {label} has no coordinates in the file, or impossible ones: {', '.join(map(str, texts))}"
        )
    return position


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and int(text) > 0 else None
