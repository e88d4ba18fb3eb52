"""Lennard-Jones parameters: force fields for the atoms of a structure, and probes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pg_tf.elements import SYMBOLS, atomic_number, place_of_atom

KELVIN_PER_KCAL_PER_MOL = 4184.0 / 8.31446261815324
"""1 kcal/mol divided by the gas constant, K (SI 2019)."""


@dataclasses.dataclass(frozen=True, eq=False)
class ForceField:
    """Lennard-Jones parameters of elements, `E(r) = 4 epsilon [(sigma / r)^12 - (sigma / r)^6]`.

    Args:
      name: for errors.
      parameters: (sigma, epsilon) of elements by their symbols, in Å and K (epsilon divided by Boltzmann's constant).
      source: where the numbers come from.

    Raises:
      ValueError: if there is no such element, or a parameter is negative or not finite.

    Example:
      >>> field = ForceField("silica", {"Si": (2.30, 22.0), "O": (3.30, 53.0)})
      >>> field.sigma[[14, 8]]
      array([2.3, 3.3])
    """

    name: str
    parameters: Mapping[str, tuple[float, float]]
    source: str = ""
    sigma: npt.NDArray[np.float64] = dataclasses.field(init=False, repr=False)
    """`[119]` by atomic number, Å; NaN for an element without parameters, 0 for padding (atomic number 0)."""
    epsilon: npt.NDArray[np.float64] = dataclasses.field(init=False, repr=False)
    """`[119]`, K, likewise."""

    def __post_init__(self) -> None:
        table = np.full((2, len(SYMBOLS)), np.nan)
        table[:, 0] = 0
        for symbol, values in self.parameters.items():
            if np.shape(values) != (2,) or not (np.isfinite(values).all() and min(values) >= 0):
                raise ValueError(
                    f"parameters: {symbol} of {self.name!r} must have a sigma (Å) and an epsilon (K) that are finite "
                    f"and not negative, got {values!r}"
                )
            table[:, atomic_number(symbol)] = values
        table.flags.writeable = False
        object.__setattr__(self, "sigma", table[0])
        object.__setattr__(self, "epsilon", table[1])

    def replace(self, parameters: Mapping[str, tuple[float, float]], name: str = "") -> ForceField:
        """The same force field with other, or more, parameters for some elements."""
        return ForceField(name or f"{self.name}, changed", {**self.parameters, **parameters}, self.source)

    def check(self, atomic_numbers: npt.ArrayLike, row_splits: npt.ArrayLike | None = None) -> None:
        """Makes sure that all elements have parameters.

        Args:
          atomic_numbers: integers of any shape; 0 is padding.
          row_splits: `[B + 1]`, for flat atoms of several structures; only there so that an error can name the
            structure.

        Raises:
          ValueError: if an element has none; the text names the first such atom.
        """
        numbers = np.asarray(atomic_numbers)
        if numbers.size and numbers.dtype.kind not in "iu":
            raise ValueError(f"atomic_numbers: must be integers, got dtype {numbers.dtype}")
        numbers = numbers.astype(np.int64)
        is_element = (numbers >= 0) & (numbers < len(SYMBOLS))
        unknown = ~is_element | np.isnan(self.sigma[np.where(is_element, numbers, 0)])
        if not unknown.any():
            return
        index = tuple(int(i) for i in np.argwhere(unknown)[0])
        number, place = int(numbers[index]), place_of_atom(index, row_splits)
        if not is_element[index]:
            raise ValueError(f"atomic_numbers: {place} has {number}; an atomic number is 1 to {len(SYMBOLS) - 1}")
        raise ValueError(
            f"atomic_numbers: {place} is {SYMBOLS[number]} (atomic number {number}), for which the force field "
            f"{self.name!r} has no parameters; add them with "
            f"force_field.replace({{{SYMBOLS[number]!r}: (sigma, epsilon)}})"
        )


# Element, distance x of the minimum (Å), depth D of the well (kcal/mol). Rappé et al., J. Am. Chem. Soc. 114, 10024
# (1992), Table I; the same for all atom types of an element.
_UFF = """
H 2.886 .044; He 2.362 .056; Li 2.451 .025; Be 2.745 .085; B 4.083 .180; C 3.851 .105; N 3.660 .069; O 3.500 .060
F 3.364 .050; Ne 3.243 .042; Na 2.983 .030; Mg 3.021 .111; Al 4.499 .505; Si 4.295 .402; P 4.147 .305; S 4.035 .274
Cl 3.947 .227; Ar 3.868 .185; K 3.812 .035; Ca 3.399 .238; Sc 3.295 .019; Ti 3.175 .017; V 3.144 .016; Cr 3.023 .015
Mn 2.961 .013; Fe 2.912 .013; Co 2.872 .014; Ni 2.834 .015; Cu 3.495 .005; Zn 2.763 .124; Ga 4.383 .415; Ge 4.280 .379
As 4.230 .309; Se 4.205 .291; Br 4.189 .251; Kr 4.141 .220; Rb 4.114 .040; Sr 3.641 .235; Y 3.345 .072; Zr 3.124 .069
Nb 3.165 .059; Mo 3.052 .056; Tc 2.998 .048; Ru 2.963 .056; Rh 2.929 .053; Pd 2.899 .048; Ag 3.148 .036; Cd 2.848 .228
In 4.463 .599; Sn 4.392 .567; Sb 4.420 .449; Te 4.470 .398; I 4.500 .339; Xe 4.404 .332; Cs 4.517 .045; Ba 3.703 .364
La 3.522 .017; Ce 3.556 .013; Pr 3.606 .010; Nd 3.575 .010; Pm 3.547 .009; Sm 3.520 .008; Eu 3.493 .008; Gd 3.368 .009
Tb 3.451 .007; Dy 3.428 .007; Ho 3.409 .007; Er 3.391 .007; Tm 3.374 .006; Yb 3.355 .228; Lu 3.640 .041; Hf 3.141 .072
Ta 3.170 .081; W 3.069 .067; Re 2.954 .066; Os 3.120 .037; Ir 2.840 .073; Pt 2.754 .080; Au 3.293 .039; Hg 2.705 .385
Tl 4.347 .680; Pb 4.297 .663; Bi 4.370 .518; Po 4.709 .325; At 4.750 .284; Rn 4.765 .248; Fr 4.900 .050; Ra 3.677 .404
Ac 3.478 .033; Th 3.396 .026; Pa 3.424 .022; U 3.395 .022; Np 3.424 .019; Pu 3.424 .016; Am 3.381 .014; Cm 3.326 .013
Bk 3.339 .013; Cf 3.313 .013; Es 3.299 .012; Fm 3.286 .012; Md 3.274 .011; No 3.248 .011; Lr 3.236 .011
"""


def _uff() -> dict[str, tuple[float, float]]:
    entries = (entry.split() for entry in _UFF.strip().replace("\n", ";").split(";"))
    return {
        symbol: (float(distance) / 2 ** (1 / 6), float(depth) * KELVIN_PER_KCAL_PER_MOL)
        for symbol, distance, depth in entries
    }


UFF = ForceField("UFF", _uff(), "Rappé et al., J. Am. Chem. Soc. 114, 10024 (1992), doi:10.1021/ja00051a040")
"""The universal force field: all elements from hydrogen to lawrencium. UFF itself takes geometric means for both
parameters of a pair; `lennard_jones(mixing="geometric")` does so, and its default, Lorentz-Berthelot, is what most
studies of adsorption combine it with."""

TRAPPE_ZEO = ForceField(
    "TraPPE-zeo",
    {"Si": (2.30, 22.0), "O": (3.30, 53.0)},
    "Bai, Tsapatsis, Siepmann, J. Phys. Chem. C 117, 24375 (2013), doi:10.1021/jp4074224",
)
"""For gases in all-silica zeolites, to be mixed by the Lorentz-Berthelot rules."""


class Probe(NamedTuple):
    """A point that feels the atoms.

    Attributes:
      sigma: Å.
      epsilon: K.
      source: where the numbers come from.
    """

    sigma: float
    epsilon: float
    source: str = ""


_TRAPPE_UA = "TraPPE-UA: Martin, Siepmann, J. Phys. Chem. B 102, 2569 (1998), doi:10.1021/jp972543+"
_TRAPPE_SMALL = "TraPPE: Potoff, Siepmann, AIChE J. 47, 1676 (2001), doi:10.1002/aic.690470719"
_NOBLE = "Vrabec, Stoll, Hasse, J. Phys. Chem. B 105, 12126 (2001), doi:10.1021/jp012542o"

PROBES: dict[str, Probe] = {
    "CH4": Probe(3.73, 148.0, _TRAPPE_UA),
    "N_N2": Probe(3.31, 36.0, _TRAPPE_SMALL),
    "C_CO2": Probe(2.80, 27.0, _TRAPPE_SMALL),
    "O_CO2": Probe(3.05, 79.0, _TRAPPE_SMALL),
    "H2": Probe(2.96, 34.2, "Buch, J. Chem. Phys. 100, 7610 (1994), doi:10.1063/1.466854"),
    "He": Probe(2.64, 10.9, "Hirschfelder, Curtiss, Bird, Molecular Theory of Gases and Liquids, Wiley (1954)"),
    "Ne": Probe(2.8010, 33.921, _NOBLE),
    "Ar": Probe(3.3952, 116.79, _NOBLE),
    "Kr": Probe(3.6274, 162.58, _NOBLE),
    "Xe": Probe(3.9011, 227.55, _NOBLE),
}
"""Common probes. CH4 and H2 are whole molecules; N_N2, C_CO2 and O_CO2 are single atoms of theirs, without the charges
that N2 and CO2 also have."""
