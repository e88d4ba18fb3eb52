"""Van der Waals radii of the elements, Å."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from pg_tf.elements import SYMBOLS, atomic_number

BONDI = """
H 1.20 He 1.40 Li 1.82 Be 1.53 B 1.92 C 1.70 N 1.55 O 1.52 F 1.47 Ne 1.54 Na 2.27 Mg 1.73 Al 1.84 Si 2.10 P 1.80 S 1.80
Cl 1.75 Ar 1.88 K 2.75 Ca 2.31 Ni 1.63 Cu 1.40 Zn 1.39 Ga 1.87 Ge 2.11 As 1.85 Se 1.90 Br 1.85 Kr 2.02 Rb 3.03 Sr 2.49
Pd 1.63 Ag 1.72 Cd 1.58 In 1.93 Sn 2.17 Sb 2.06 Te 2.06 I 1.98 Xe 2.16 Cs 3.43 Ba 2.68 Pt 1.75 Au 1.66 Hg 1.55 Tl 1.96
Pb 2.02 Bi 2.07 Po 1.97 At 2.02 Rn 2.20 Fr 3.48 Ra 2.83 U 1.86
"""
"""Bondi, J. Phys. Chem. 68, 441 (1964), doi:10.1021/j100785a001; elements of the main groups that he has no radius for
from Mantina et al., J. Phys. Chem. A 113, 5806 (2009), doi:10.1021/jp8111556."""

ALVAREZ = """
H 1.20 He 1.43 Li 2.12 Be 1.98 B 1.91 C 1.77 N 1.66 O 1.50 F 1.46 Ne 1.58 Na 2.50 Mg 2.51 Al 2.25 Si 2.19 P 1.90 S 1.89
Cl 1.82 Ar 1.83 K 2.73 Ca 2.62 Sc 2.58 Ti 2.46 V 2.42 Cr 2.45 Mn 2.45 Fe 2.44 Co 2.40 Ni 2.40 Cu 2.38 Zn 2.39 Ga 2.32
Ge 2.29 As 1.88 Se 1.82 Br 1.86 Kr 2.25 Rb 3.21 Sr 2.84 Y 2.75 Zr 2.52 Nb 2.56 Mo 2.45 Tc 2.44 Ru 2.46 Rh 2.44 Pd 2.15
Ag 2.53 Cd 2.49 In 2.43 Sn 2.42 Sb 2.47 Te 1.99 I 2.04 Xe 2.06 Cs 3.48 Ba 3.03 La 2.98 Ce 2.88 Pr 2.92 Nd 2.95 Sm 2.90
Eu 2.87 Gd 2.83 Tb 2.79 Dy 2.87 Ho 2.81 Er 2.83 Tm 2.79 Yb 2.80 Lu 2.74 Hf 2.63 Ta 2.53 W 2.57 Re 2.49 Os 2.48 Ir 2.41
Pt 2.29 Au 2.32 Hg 2.45 Tl 2.47 Pb 2.60 Bi 2.54 Ac 2.80 Th 2.93 Pa 2.88 U 2.71 Np 2.82 Pu 2.81 Am 2.83 Cm 3.05 Bk 3.40
Cf 3.05 Es 2.70
"""
"""Alvarez, Dalton Trans. 42, 8617 (2013), doi:10.1039/c3dt50599e, Table 1: nearly all elements, metals among them."""

TABLES = {"vdw": BONDI, "bondi": BONDI, "alvarez": ALVAREZ}
"""By the names that `pg_tf.voxelize` takes as sigma; "vdw" is "bondi"."""


@functools.cache
def radii(name: str) -> npt.NDArray[np.float64]:
    """The radius of each atomic number, `[119]`, Å; NaN where the table has none.

    Raises:
      ValueError: if there is no such table.
    """
    if name not in TABLES:
        raise ValueError(f"sigma: must be numbers or one of {', '.join(map(repr, TABLES))}, got {name!r}")
    words = TABLES[name].split()
    table = np.full(len(SYMBOLS), np.nan)
    for symbol, radius in zip(words[::2], words[1::2], strict=True):
        table[atomic_number(symbol)] = float(radius)
    table.flags.writeable = False
    return table
