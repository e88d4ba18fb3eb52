"""Orthorhombic silicalite (MFI), for tests that need a real zeolite: van Koningsveld, van Bekkum, Jansen, Acta Cryst. B
43, 127 (1987). Space group Pnma, 96 SiO2 in a cell of 20.022 x 19.899 x 13.383 Å."""

import numpy as np

LENGTHS = np.array([20.022, 19.899, 13.383])

_SILICON = """
.42238 .0565 -.33598  .30716 .02772 -.1893  .27911 .06127 .0312  .12215 .06298 .0267  .07128 .02722 -.18551
.18641 .05896 -.32818  .42265 -.1725 -.32718  .30778 -.13016 -.18548  .27554 -.17279 .03109  .12058 -.1731 .02979
.07044 -.13037 -.182  .18706 -.17327 -.31933
"""
_OXYGEN = """
.3726 .0534 -.2442  .3084 .0587 -.0789  .2007 .0592 .0289  .0969 .0611 -.0856  .1149 .0541 -.2763  .2435 .0553 -.246
.3742 -.1561 -.2372  .3085 -.1552 -.0728  .198 -.1554 .0288  .091 -.1614 -.0777  .1169 -.1578 -.2694
.2448 -.1594 -.2422  .3047 -.051 -.1866  .0768 -.0519 -.1769  .4161 .1276 -.3896  .4086 -.0017 -.4136
.402 -.1314 -.4239  .1886 .1298 -.3836  .194 .0007 -.4082  .1951 -.1291 -.419  -.0037 .0502 -.208
-.004 -.1528 -.2078  .4192 -.25 -.354  .1884 -.25 -.3538  .2883 -.25 .0579  .1085 -.25 .0611
"""
OPERATIONS = """
x,y,z  -x+1/2,-y,z+1/2  -x,y+1/2,-z  x+1/2,-y+1/2,-z+1/2  -x,-y,-z  x+1/2,y,-z+1/2  x,-y+1/2,z  -x+1/2,y+1/2,z+1/2
"""


def cif() -> str:
    """The asymmetric unit and its symmetry, as a CIF file."""
    lines = ["data_MFI", "_chemical_formula_sum 'Si O2'", "_cell_formula_units_Z 96"]
    lines += [f"_cell_length_{axis} {length}" for axis, length in zip("abc", LENGTHS, strict=True)]
    lines += [f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma")]
    lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *OPERATIONS.split()]
    lines += ["loop_", "_atom_site_label", *(f"_atom_site_fract_{axis}" for axis in "xyz")]
    for symbol, text in (("Si", _SILICON), ("O", _OXYGEN)):
        values = text.split()
        lines += [f"{symbol}{i // 3 + 1} {' '.join(values[i : i + 3])}" for i in range(0, len(values), 3)]
    return "\n".join(lines) + "\n"
