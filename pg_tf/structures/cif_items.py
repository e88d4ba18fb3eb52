"""The data items of a CIF block under one name each, whichever dictionary the file follows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import gemmi

# The name used here, and those that dictionaries and programs have for the same thing, as `_plain` leaves them.
_SYNONYMS: dict[str, Sequence[str]] = {
    "operation": ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz"),
    "magnetic operation": (
        "_space_group_symop_magn_operation_xyz",
        "_space_group_symop_magn_operation_operation_xyz",
        "_magnetic_space_group_symop_operation_xyz",
    ),
    "magnetic centring": (
        "_space_group_symop_magn_centering_xyz",
        "_space_group_symop_magn_centering_operation_xyz",
        "_magnetic_space_group_symop_centering_xyz",
    ),
    "Hermann-Mauguin": (
        "_symmetry_space_group_name_h-m",
        "_space_group_name_h-m_alt",
        "_space_group_name_h-m_ref",
        "_space_group_name_h-m_full",
        "_space_group_name_h-m",
        "_symmetry_space_group_name_h-m_alt",
    ),
    "Hall": ("_symmetry_space_group_name_hall", "_space_group_name_hall"),
    "origin": ("_space_group_it_coordinate_system_code",),
    "group number": ("_symmetry_int_tables_number", "_space_group_it_number", "_symmetry_it_number"),
}

# Items about symmetry that say nothing about which group it is.
_NO_EVIDENCE = re.compile(r"_(id|pos_site_id|crystal_system|cell_setting|sg_symbol_.*|label|comment|mxyz|descr.*)$")


class Items:
    """The items of one block.

    Args:
      block: as gemmi parses it.
    """

    def __init__(self, block: gemmi.cif.Block) -> None:
        self.name = block.name
        self._columns: dict[str, list[str]] = {}
        self._tags: dict[str, str] = {}
        for item in block:
            if item.pair is not None:
                self._add(*cast(list[str], item.pair))
            elif item.loop is not None:
                tags, values = list(item.loop.tags), list(item.loop.values)
                for number, tag in enumerate(tags):
                    self._add(tag, *values[number :: len(tags)])

    def _add(self, tag: str, *values: str) -> None:
        self._columns.setdefault(_plain(tag), [*values])
        self._tags.setdefault(_plain(tag), tag)

    def column(self, name: str) -> list[str | None]:
        """Values of an item, one a row, None where they are unknown; empty where the file does not have it.

        Args:
          name: in lower case with underscores only, or one of the names of symmetry: "operation", "magnetic
            operation", "magnetic centring", "Hermann-Mauguin", "Hall", "group number".
        """
        found = [[*map(_known, self._columns[tag])] for tag in _SYNONYMS.get(name, (name,)) if tag in self._columns]
        return next((values for values in found if any(values)), found[0] if found else [])

    def value(self, name: str) -> str | None:
        """The first value of an item, None where it is unknown or not there."""
        return next((value for value in self.column(name) if value is not None), None)

    def values(self, name: str) -> list[str]:
        """The known values of an item under all of its names."""
        tags = _SYNONYMS.get(name, (name,))
        return [value for tag in tags for text in self._columns.get(tag, []) if (value := _known(text)) is not None]

    def unknown_symmetry(self) -> list[str]:
        """Tags, as the file has them, that speak of symmetry under names that are not known here."""
        known = {tag for tags in _SYNONYMS.values() for tag in tags}
        return [
            self._tags[tag]
            for tag in self._columns
            if re.search(r"symop|space_group|symmetry_equiv|symmetry_(space|int)", tag)
            and tag not in known
            and not tag.startswith("_atom_site")
            and not _NO_EVIDENCE.search(tag)
            and any(map(_known, self._columns[tag]))
        ]


def _plain(tag: str) -> str:
    """Names are the same in any case; newer dictionaries have a dot between category and item."""
    return tag.lower().replace(".", "_")


def _known(text: str) -> str | None:
    """A value without its quotes; None for `?` and `.`, which some programs quote."""
    value = gemmi.cif.as_string(text).strip()
    return None if value in ("", "?", ".") else value
