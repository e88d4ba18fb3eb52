"""PDBQT files of AutoDock: lines of a PDB file with atom types of the force field in place of elements.

The types are those of AutoDock's parameter files: Morris et al., J. Comput. Chem. 30, 2785 (2009),
doi:10.1002/jcc.21256.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from pg_tf.formats.atoms import FileAtoms
from pg_tf.formats.element_names import named, number_of_symbol
from pg_tf.formats.limits import TooLarge, longest_record
from pg_tf.formats.numbers import number_in
from pg_tf.formats.streams import lines

# Types whose letters are not those of the element: A is aromatic carbon, NA a nitrogen that accepts hydrogen bonds.
_TYPES = {
    "A": "C", "C": "C", "CG0": "C", "CG1": "C", "CG2": "C", "CG3": "C", "CG": "C",
    "H": "H", "HD": "H", "HS": "H", "N": "N", "NA": "N", "NS": "N", "NX": "N",
    "O": "O", "OA": "O", "OS": "O", "OX": "O", "S": "S", "SA": "S", "P": "P", "F": "F", "I": "I", "B": "B",
}  # fmt: skip
# Types that are element symbols, in any case but for those above.
_SYMBOLS = frozenset(
    "F P CL BR I SI MG CA MN FE ZN NA K HG CO U CD NI CU AL SE AS LI BE CR MO PT".split()  # noqa: SIM905
)

# Where docking opened the bond of a ring, Vina has a place for each end beside its carbon, whose type begins with CG;
# and waters are placed afterwards.
_NO_ATOMS = ("G0", "G1", "G2", "G3", "Z", "W", "X")

# In AutoDock 4 the carbons of the opened bond themselves have these types.
_RING_ENDS = ("G", "GA", "J", "Q")

_AFFINITY = "REMARK VINA RESULT:"

Numbered = tuple[int, str]
"""A line and its number in the file, from 1."""


def records(content: Iterable[bytes], name: str) -> Iterator[list[Numbered]]:
    """The atoms of each model, and what docking says of it; without models, all atoms."""
    model: list[Numbered] = []
    size, limit = 0, longest_record()
    for number, line in enumerate(lines(content, name), 1):
        if line.startswith(("ATOM  ", "HETATM", _AFFINITY)):
            model.append((number, line))
            size += len(line) + 1
            if size > limit:
                raise TooLarge(f"{name}: the model from line {model[0][0]} on", "record", limit)
        elif line.startswith(("MODEL ", "ENDMDL")):
            if any(not remark.startswith(_AFFINITY) for _, remark in model):
                yield model
            model, size = [], 0
    if any(not remark.startswith(_AFFINITY) for _, remark in model):
        yield model


def parsed(model: list[Numbered], elements: Mapping[str, str] | None, doubt: Callable[[str], None]) -> FileAtoms:
    """The atoms of a model; the affinity that Vina writes, kcal/mol, is among the values.

    Args:
      model: as `records` yields it.
      elements: symbols by the names or types of atoms, in place of what the file says.
      doubt: is called with what is odd.

    Raises:
      ValueError: if an atom has no coordinates or a type that is not known; the text names the line.
    """
    numbers, coords, names, left_out = [], [], [], []
    values: dict[str, str] = {}
    ring_ends: list[str] = []
    of_vina = any(_kind(line).upper().startswith("CG") for _, line in model)
    for number, line in model:
        if line.startswith(_AFFINITY):
            values.setdefault("affinity", (line[len(_AFFINITY) :].split() or [""])[0])
            continue
        name, kind = line[12:16].strip(), _kind(line)
        place = [number_in(line[start : start + 8]) for start in (30, 38, 46)]
        if not all(map(math.isfinite, place)):
            raise ValueError(f"line {number} has no coordinates in columns 31 to 54: {line!r}")
        given = named(elements, name, kind)
        if given is None and kind.upper() in (_NO_ATOMS + _RING_ENDS if of_vina else _NO_ATOMS):
            left_out.append(f"{name} ({kind})")
            continue
        if given is None and kind.upper() in _RING_ENDS:
            ring_ends.append(f"{name} ({kind})")
            given = 6
        atomic_number = given or number_of_symbol(_TYPES.get(kind, kind if kind.upper() in _SYMBOLS else ""))
        if not atomic_number:
            raise ValueError(
                f"line {number}: atom {name} has the type {kind!r}, which is none of AutoDock's; name it in elements"
            )
        numbers.append(atomic_number)
        coords.append(place)
        names.append(name)
    if left_out:
        doubt(f"{', '.join(left_out[:6])} stand for no atoms, and are left out")
    if ring_ends:
        doubt(f"{', '.join(ring_ends[:6])} are ends of a ring's bond that docking opened, and are taken for carbon")
    return FileAtoms(
        np.array(numbers, np.int32), np.array(coords, np.float64).reshape(-1, 3), tuple(names), values=values
    )


def _kind(line: str) -> str:
    """The type of the atom in a line, which ends with it."""
    return (line[77:].split() or line[66:].split() or [""])[-1]
