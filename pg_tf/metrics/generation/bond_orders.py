"""Bond orders from distances, by the table that generators of molecules are compared with.

Hoogeboom et al., "Equivariant Diffusion for Molecule Generation in 3D" (EDM, 2022, arXiv:2203.17003), appendix E: two
atoms are bonded with the highest order whose typical length, and a margin that grows as the order falls, exceeds their
distance. An atom is stable if the orders of its bonds add up to a valence of its element.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from pg_tf.elements import SYMBOLS, atomic_number

# Typical lengths of bonds of order 1, 2 and 3, in pm, as EDM takes them from
# http://www.wiredchemist.com/chemistry/data/bond_energies_lengths.html
_LENGTHS = (
    """
    H-H 74 H-C 109 H-N 101 H-O 96 H-F 92 H-B 119 H-Si 148 H-P 144 H-As 152 H-S 134 H-Cl 127 H-Br 141 H-I 161
    C-C 154 C-N 147 C-O 143 C-F 135 C-Si 185 C-P 184 C-S 182 C-Cl 177 C-Br 194 C-I 214
    N-N 145 N-O 140 N-F 136 N-Cl 175 N-Br 214 N-S 168 N-I 222 N-P 177
    O-O 148 O-F 142 O-Br 172 O-S 151 O-P 163 O-Si 163 O-Cl 164 O-I 194
    F-F 142 F-S 158 F-Si 160 F-Cl 166 F-Br 178 F-P 156 F-I 187
    B-Cl 175 Si-Si 233 Si-S 200 Si-Cl 202 Si-Br 215 Si-I 243
    Cl-Cl 199 Cl-P 203 Cl-S 207 Cl-Br 214
    S-S 204 S-Br 225 S-P 210 S-I 234 Br-Br 228 Br-P 222 P-P 221 I-I 266
    """,
    "C-C 134 C-N 129 C-O 120 C-S 160 N-N 125 N-O 121 O-O 121 O-P 150 P-S 186",
    "C-C 120 C-N 116 C-O 113 N-N 110",
)
_MARGINS = (10, 5, 3)

_VALENCES = {
    **{"H": (1,), "B": (3,), "C": (4,), "N": (3,), "O": (2,), "F": (1,), "Al": (3,), "Si": (4,), "P": (3, 5)},
    **{"S": (4,), "Cl": (1,), "As": (3,), "Br": (1,), "I": (1,), "Hg": (1, 2), "Bi": (3, 5)},
}


def bond_orders(atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """The order of the bond between each pair of atoms of a molecule: 0, 1, 2 or 3.

    Args:
      atomic_numbers: `[A]`.
      coords: `[A, 3]`, Å.

    Returns:
      `[A, A]`, symmetric. Pairs of elements that the table does not have are not bonded.
    """
    numbers, positions = np.asarray(atomic_numbers, np.int64), np.asarray(coords, np.float64)
    distances = 100 * np.linalg.norm(positions[:, np.newaxis] - positions, axis=-1)
    within = distances < _longest()[:, numbers[:, np.newaxis], numbers]
    within[:, np.arange(len(numbers)), np.arange(len(numbers))] = False
    # A bond of an order is one of the orders below it, too.
    return np.logical_and.accumulate(within).sum(axis=0).astype(np.int8)


def stable_atoms(atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which atoms of a molecule have bonds that add up to a valence of their element.

    Args:
      atomic_numbers: `[A]`.
      coords: `[A, 3]`, Å.

    Returns:
      `[A]`. Elements without a valence in the table are never stable.
    """
    numbers = np.asarray(atomic_numbers, np.int64)
    bonds = np.minimum(bond_orders(numbers, coords).sum(axis=1), _stable().shape[1] - 1)
    return _stable()[numbers, bonds]


@functools.cache
def _longest() -> npt.NDArray[np.float64]:
    """Distances (pm) below which two atoms have a bond of an order: `[3, 119, 119]`, 0 where there is none."""
    table = np.zeros((len(_LENGTHS), len(SYMBOLS), len(SYMBOLS)))
    for order, (text, margin) in enumerate(zip(_LENGTHS, _MARGINS, strict=True)):
        words = text.split()
        for pair, length in zip(words[::2], words[1::2], strict=True):
            first, second = map(atomic_number, pair.split("-"))
            table[order, first, second] = table[order, second, first] = float(length) + margin
    return table


@functools.cache
def _stable() -> npt.NDArray[np.bool_]:
    """Whether a number of bonds is a valence of an element: `[119, 8]`."""
    table = np.zeros((len(SYMBOLS), 8), bool)
    for symbol, valences in _VALENCES.items():
        table[atomic_number(symbol), list(valences)] = True
    return table
