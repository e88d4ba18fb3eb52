"""The symmetry operations of a CIF file: those that it lists, or those of the space group that it names."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

import gemmi

from pg_tf.structures.cif_items import Items
from pg_tf.structures.symmetry import Operation, distinct, is_group, operations_of


def operations_in(items: Items, cell: gemmi.UnitCell, doubt: Callable[[str], None]) -> list[Operation]:
    """Rotation and translation of each operation, in fractional coordinates.

    Args:
      items: of the CIF block.
      cell: tells rhombohedral from hexagonal axes.
      doubt: is called with what is odd.

    Raises:
      ValueError: if an operation or the name of the group cannot be read.
    """
    if listed := _listed(items):
        if not is_group(operations_of(listed)):
            doubt("the products of its symmetry operations are not all among them: the list is incomplete or wrong")
        for named in _named_groups(items, cell):
            if not _is_listed(named, listed):
                doubt(
                    f"its {len(listed)} symmetry operations are not those of the space group that it names, "
                    f"{named.hm} with {len(list(named.operations()))}; those of the list are taken"
                )
                break
        return operations_of(listed)
    if (group := _space_group(items, cell, doubt)) is not None:
        numbers = sorted({other.number for other in _named_groups(items, cell)} | {group.number})
        if len(numbers) > 1:
            doubt(f"it names several space groups, with the numbers {numbers}; {group.hm} is taken")
        return operations_of(list(group.operations()))
    unknown = [*items.values("Hermann-Mauguin"), *items.values("Hall"), *items.values("group number")]
    if unknown:
        raise ValueError(f"it lists no symmetry operations, and its space group, {unknown[0]}, is not a known one")
    if tags := items.unknown_symmetry():
        doubt(
            f"it gives its symmetry under names that are not known here, {', '.join(tags)}; the atoms are taken for "
            f"those of the whole cell"
        )
    else:
        doubt("it says nothing about symmetry; the atoms are taken for those of the whole cell")
    return operations_of([gemmi.Op("x,y,z")])


def _listed(items: Items) -> list[gemmi.Op]:
    """The operations that the file lists; of a magnetic one, its operations times its centrings."""

    def parsed(texts: list[str]) -> list[gemmi.Op]:
        try:
            return [gemmi.Op(text.strip().strip("'\"")) for text in texts]
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"its symmetry operations cannot be read: {error}") from error

    if texts := [text for text in items.column("operation") if text]:
        return parsed(texts)

    def magnetic(name: str) -> list[gemmi.Op]:
        # x,y,z and whether time is reversed, which concerns the moments and not the atoms.
        texts = [text for text in items.column(name) if text]
        return parsed([re.sub(r",\s*[+-]?1\s*$", "", text) for text in texts])

    operations, centrings = magnetic("magnetic operation"), magnetic("magnetic centring")
    products = [(centring * operation).wrap() for centring in centrings for operation in operations] or operations
    kept = {product.triplet(): product for product in products}
    return list(kept.values())


def _space_group(items: Items, cell: gemmi.UnitCell, doubt: Callable[[str], None]) -> gemmi.SpaceGroup | None:
    group, chosen = None, False
    for name in items.values("Hermann-Mauguin"):
        # Databases write the choice of origin or axes as a letter at the end: ICSD's S is origin 1, its Z origin 2.
        suffix = re.fullmatch(r"(.+?)[ :]+([SZHR12])", name, re.IGNORECASE) or re.fullmatch(r"(.*m.*)([SZHR])", name)
        group, chosen = _by_symbol(name, cell), bool(suffix)
        if suffix and (group is None or suffix[2].upper() in "SZ"):
            letter = {"S": "1", "Z": "2"}.get(suffix[2].upper(), suffix[2].upper())
            group = _by_symbol(f"{suffix[1]}:{letter}", cell)
        if group is not None:
            break
    hall = _by_hall(items)
    if hall is not None and (group is None or group.number == hall.number):
        group, chosen = hall, True
    if group is None and (number := _group_number(items)) is not None:
        group = gemmi.find_spacegroup_by_number(number)
        # Rhombohedral or hexagonal axes, whichever the cell has.
        code = items.value("origin")
        coded = gemmi.find_spacegroup_by_name(f"{group.hm}:{code}") if code in ("1", "2", "H", "R") else None
        group = coded or gemmi.find_spacegroup_by_name(group.hm, cell.alpha, cell.gamma)
        chosen = coded is not None
    if group is not None and group.ext in ("1", "2") and not chosen:
        doubt(
            f"its space group {group.hm} has two choices of the origin, and neither is named nor the operations "
            f"listed; choice {group.ext} is taken"
        )
    return group


def _by_symbol(name: str, cell: gemmi.UnitCell) -> gemmi.SpaceGroup | None:
    """The group of a Hermann-Mauguin symbol, short or full, with or without spaces, underscores and parentheses."""
    plain = re.sub(r"[_~]", " ", name)
    plain = re.sub(r"([2346])\s*\(\s*([1-5])\s*\)", r"\1\2", plain).strip()
    for symbol in (name, plain, _short_symbol(plain)):
        found = gemmi.find_spacegroup_by_name(symbol, cell.alpha, cell.gamma)
        if found is not None:
            return found
    return _hall_group(name)  # which some programs write there


def _short_symbol(symbol: str) -> str:
    """From a full symbol such as F 4/m -3 2/m or P 21/n 21/m 21/a to the short one, F m -3 m or P n m a."""
    name, colon, extension = symbol.partition(":")
    lattice, *parts = name.split()
    if len(parts) < 2:
        return symbol
    cubic = parts[1] in ("3", "-3")
    orthorhombic = all(re.match(r"21?/", part) for part in parts)
    first = 0 if cubic or orthorhombic else 1
    axis = r"(2|21|4|41|42|43)/" if cubic else r"(2|21)/"
    shortened = [re.sub(f"^{axis}", "", part) if number >= first else part for number, part in enumerate(parts)]
    return " ".join([lattice, *shortened]) + colon + extension


def _hall_group(symbol: str) -> gemmi.SpaceGroup | None:
    with contextlib.suppress(ValueError, RuntimeError):  # what is no Hall symbol
        return gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(symbol))
    return None


def _by_hall(items: Items) -> gemmi.SpaceGroup | None:
    return next((group for name in items.values("Hall") if (group := _hall_group(name)) is not None), None)


def _group_number(items: Items) -> int | None:
    for text in items.values("group number"):
        if text.isdecimal() and 1 <= int(text) <= 230:
            return int(text)
    return None


def _named_groups(items: Items, cell: gemmi.UnitCell) -> list[gemmi.SpaceGroup]:
    """The groups that the file names, by symbol, Hall symbol or number; those that are known."""
    groups = [_by_symbol(name, cell) for name in items.values("Hermann-Mauguin")]
    groups.append(_by_hall(items))
    if (number := _group_number(items)) is not None:
        groups.append(gemmi.find_spacegroup_by_number(number))
    return [group for group in groups if group is not None]


def _is_listed(group: gemmi.SpaceGroup, operations: list[gemmi.Op]) -> bool:
    """Whether the operations are those of the group, on any axes and origin."""
    found = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(operations))
    if found is not None:
        return found.number == group.number
    # Axes and origins that are in no table: at least as many.
    return len(distinct(operations_of(operations))) == len(list(group.operations()))
