"""The symmetry operations of a CIF file: those that it lists, or those of the space group that it names."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

import gemmi

from pg_tf.structures.symmetry import Operation, distinct, is_group, operations_of


def _space_group(small: gemmi.SmallStructure, doubt: Callable[[str], None]) -> gemmi.SpaceGroup | None:
    # Databases write the choice of origin or axes as a letter at the end: ICSD's S is origin 1, its Z origin 2.
    suffix = re.fullmatch(r"(.+?)[ :]+([SZHR12])", small.spacegroup_hm.strip(), re.IGNORECASE)
    if small.spacegroup is not None and not (suffix and suffix[2].upper() in "SZ"):
        group, chosen = small.spacegroup, bool(suffix) or bool(small.spacegroup_hall)
    elif suffix:
        letter = {"S": "1", "Z": "2"}.get(suffix[2].upper(), suffix[2].upper())
        group, chosen = gemmi.find_spacegroup_by_name(f"{suffix[1]}:{letter}"), True
    else:
        number, chosen = small.spacegroup_number, False
        group = gemmi.find_spacegroup_by_number(number) if 1 <= number <= 230 else None
        if group is not None:  # rhombohedral or hexagonal axes, whichever the cell has
            group = gemmi.find_spacegroup_by_name(group.hm, small.cell.alpha, small.cell.gamma)
    if group is not None and group.ext in ("1", "2") and not chosen:
        doubt(
            f"its space group {group.hm} has two choices of the origin, and neither is named nor the operations "
            f"listed; choice {group.ext} is taken"
        )
    return group


def operations_in(small: gemmi.SmallStructure, doubt: Callable[[str], None]) -> list[Operation]:
    """Rotation and translation of each operation, in fractional coordinates."""
    if small.symops:
        try:
            operations = [gemmi.Op(text.strip().strip("'\"")) for text in small.symops]
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"its symmetry operations cannot be read: {error}") from error
        if not is_group(operations_of(operations)):
            doubt("the products of its symmetry operations are not all among them: the list is incomplete or wrong")
        for named in _named_groups(small):
            if not _is_listed(named, operations):
                doubt(
                    f"its {len(operations)} symmetry operations are not those of the space group that it names, "
                    f"{named.hm} with {len(list(named.operations()))}; those of the list are taken"
                )
                break
    elif (group := _space_group(small, doubt)) is not None:
        operations = list(group.operations())
        if any(named.number != group.number for named in _named_groups(small)):
            numbers = sorted({named.number for named in _named_groups(small)} | {group.number})
            doubt(f"it names several space groups, with the numbers {numbers}; {group.hm} is taken")
    else:
        unknown = small.spacegroup_hm or small.spacegroup_hall or small.spacegroup_number
        if unknown:
            raise ValueError(f"it lists no symmetry operations, and its space group, {unknown}, is not a known one")
        doubt("it says nothing about symmetry; the atoms are taken for those of the whole cell")
        operations = [gemmi.Op("x,y,z")]
    return operations_of(operations)


def _named_groups(small: gemmi.SmallStructure) -> list[gemmi.SpaceGroup]:
    """The groups that the file names, by symbol, Hall symbol or number; those that are known."""
    groups = [gemmi.find_spacegroup_by_name(small.spacegroup_hm, small.cell.alpha, small.cell.gamma)]
    if small.spacegroup_hall:
        with contextlib.suppress(ValueError, RuntimeError):  # what is no Hall symbol
            groups.append(gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(small.spacegroup_hall)))
    if 1 <= small.spacegroup_number <= 230:
        groups.append(gemmi.find_spacegroup_by_number(small.spacegroup_number))
    return [group for group in groups if group is not None]


def _is_listed(group: gemmi.SpaceGroup, operations: list[gemmi.Op]) -> bool:
    """Whether the operations are those of the group, on any axes and origin."""
    found = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(operations))
    if found is not None:
        return found.number == group.number
    # Axes and origins that are in no table: at least as many.
    return len(distinct(operations_of(operations))) == len(list(group.operations()))
