"""The atom sites of an mmCIF block, made sure of before they are parsed: elements, and items that may be left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import gemmi

from pg_tf.elements import SYMBOLS
from pg_tf.formats.element_names import named, number_of_type
from pg_tf.structures.pdb_lines import element_by_name

# Items that the parser needs or reads, and what stands for one that is missing: another item or a value.
_ITEMS = {
    "group_PDB": "ATOM",
    "id": "",
    "type_symbol": "",
    "label_atom_id": "auth_atom_id",
    "label_alt_id": ".",
    "label_comp_id": "auth_comp_id",
    "label_asym_id": "auth_asym_id",
    "label_seq_id": ".",
    "pdbx_PDB_ins_code": "?",
    "Cartn_x": "",
    "Cartn_y": "",
    "Cartn_z": "",
    "occupancy": "1",
    "auth_seq_id": "label_seq_id",
    "auth_asym_id": "label_asym_id",
    "pdbx_PDB_model_num": "1",
}
_NAMES = ("label_atom_id", "label_comp_id", "label_asym_id")


def completed(block: gemmi.cif.Block, elements: Mapping[str, str] | None, doubt: Callable[[str], None]) -> None:
    """Gives every atom of a block an element that the parser knows, and all items that it needs.

    Args:
      block: is changed.
      elements: symbols by the names of atoms, types or residues, in place of what the file says.
      doubt: is called with what is odd.

    Raises:
      ValueError: if atoms have no names, no element, or fewer values of one item than of another.
    """
    rows = len(block.find_values("_atom_site.Cartn_x"))
    found = {item: list(block.find_values(f"_atom_site.{item}")) for item in [*_ITEMS, "auth_atom_id", "auth_comp_id"]}
    columns: dict[str, list[str]] = {}
    for item, other in _ITEMS.items():
        columns[item] = found[item] or found.get(other) or [other] * rows
        if item in _NAMES and not (found[item] or found.get(other)):
            raise ValueError(f"its atoms have no _atom_site.{item}")
        if item.startswith("Cartn") and len(found[item]) != rows:
            raise ValueError(f"its atoms have {rows} values of _atom_site.Cartn_x and {len(found[item])} of {item}")
    if not found["id"]:
        columns["id"] = [str(number) for number in range(1, rows + 1)]
    if not found["auth_seq_id"] and not found["label_seq_id"]:
        columns["auth_seq_id"] = ["1"] * rows
    concluded: dict[str, str] = {}  # the first atom of each element
    for row in range(rows):
        name, residue = (gemmi.cif.as_string(columns[item][row]) for item in _NAMES[:2])
        kind = gemmi.cif.as_string(columns["type_symbol"][row]) if found["type_symbol"] else ""
        given = named(elements, name, kind, residue)
        number = number_of_type(kind) if given is None else given
        if not number and not kind and (symbol := element_by_name(name, residue)):
            number = SYMBOLS.index(symbol)
            concluded.setdefault(symbol, f"atom {name} of {residue} (row {row + 1}) as {symbol}")
        if not number:
            raise ValueError(
                f"row {row + 1} of its atoms, {name} of {residue or 'no residue'}, has the type_symbol "
                f"{kind or 'none'!r}, which is no element; name it in elements"
            )
        columns["type_symbol"][row] = SYMBOLS[number]
    if concluded:
        doubt(f"atoms have no type_symbol, and are read by their names: {', '.join(list(concluded.values())[:6])}")
    block.init_mmcif_loop("_atom_site.", list(columns)).set_all_values(list(columns.values()))
