"""Alternate locations of atoms in PDB and mmCIF files: which of them are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import gemmi
from scipy.spatial import cKDTree

from pg_tf.formats.rules import OCCUPANCY_SLACK

# Waters and ions never come as close as this, Å.
_CLOSEST_SINGLE = 1.8


def wanted_atoms(
    model: gemmi.Model, alternates: str, doubt: Callable[[str], None]
) -> Iterator[tuple[str, gemmi.Atom, float]]:
    """Place, atom and weight of each atom that is wanted.

    Args:
      model: of a file.
      alternates: "highest" or "all", as `read_pdb` describes them.
      doubt: is called with what is odd.
    """
    left_out = _twins(model, doubt) if alternates != "all" else set()
    for chain in model:
        # Residues that share a number are alternatives too: another amino acid at the same place.
        for group in _by_number(chain):
            best = _best([atom for residue in group for atom in residue])
            for residue in group:
                if len({other.name for other in group}) > 1 and alternates != "all":
                    letters = {atom.altloc for atom in residue if atom.has_altloc()}
                    if letters and best not in letters:
                        continue
                place = _place(chain, residue)
                if place in left_out:
                    continue
                for atom in residue:
                    same = [other for other in residue if other.name == atom.name]
                    lettered = [other for other in same if other.has_altloc()]
                    if not lettered or alternates == "all":
                        yield place, atom, atom.occ
                        continue
                    chosen = best if any(other.altloc == best for other in lettered) else _best(lettered)
                    if len(lettered) < len(same):  # one of the alternatives has no letter
                        chosen = max(same, key=lambda other: other.occ).altloc
                    if atom.altloc == chosen:
                        yield place, atom, 1.0


def _best(atoms: Sequence[gemmi.Atom]) -> str | None:
    """The letter of the alternate location with the highest occupancy, of equal ones the first; None without any."""
    occupancies: dict[str, float] = {}
    for atom in atoms:
        if atom.has_altloc():
            occupancies[atom.altloc] = max(occupancies.get(atom.altloc, 0.0), atom.occ)
    return min(occupancies, key=lambda letter: (-occupancies[letter], letter), default=None)


def _by_number(chain: gemmi.Chain) -> Iterator[list[gemmi.Residue]]:
    group: list[gemmi.Residue] = []
    for residue in chain:
        if group and residue.seqid != group[-1].seqid:
            yield group
            group = []
        group.append(residue)
    if group:
        yield group


def _place(chain: gemmi.Chain, residue: gemmi.Residue) -> str:
    return f"chain {chain.name}, {residue.name} {residue.seqid}"


def _twins(model: gemmi.Model, doubt: Callable[[str], None]) -> set[str]:
    """Places of waters and ions that are alternatives of another one with a number of its own, and are left out."""
    single = []
    for chain in model:
        for residue in chain:
            heavy = [atom for atom in residue if not atom.is_hydrogen()]
            if len(heavy) == 1 and heavy[0].has_altloc():
                single.append((_place(chain, residue), heavy[0]))
    if len(single) < 2:
        return set()
    tree = cKDTree([atom.pos.tolist() for _, atom in single])
    left_out: set[str] = set()
    for pair in sorted(tree.query_pairs(_CLOSEST_SINGLE)):
        # The one with the highest occupancy stays, of equal ones that of the first letter.
        (kept, first), (other, second) = sorted(
            (single[index] for index in pair), key=lambda item: (-item[1].occ, item[1].altloc, item[0])
        )
        if first.altloc != second.altloc and first.occ + second.occ <= 1 + OCCUPANCY_SLACK:
            left_out.add(other)
            doubt(
                f"{kept} and {other} are {first.pos.dist(second.pos):.2g} Å apart, at the locations {first.altloc} and "
                f"{second.altloc}: alternatives of one another under two numbers; the first of them is read"
            )
    return left_out
