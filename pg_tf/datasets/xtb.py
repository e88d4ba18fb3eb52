"""GFN2-xTB: labels where there are none, and energies."""

import dataclasses
import importlib.util
import os

import numpy as np
import numpy.typing as npt

_ANGSTROM_PER_BOHR, _EV_PER_HARTREE = 0.529177210903, 27.211386245988  # CODATA 2018


def require_tblite() -> None:
    """Raises ImportError, with what to do, if tblite is not installed."""
    if importlib.util.find_spec("tblite") is None:
        raise ImportError("this needs tblite: pip install tblite, or pip install 'pg_tf[xtb]'")


@dataclasses.dataclass(frozen=True)
class SinglePoint:
    """GFN2-xTB at one geometry.

    Attributes:
      energy: eV.
      gradient: of the energy to the coordinates, `[A, 3]`, eV/Å.
      gap: between the highest occupied and the lowest empty orbital, eV; None if the basis has no empty one.
    """

    energy: float
    gradient: npt.NDArray[np.float64]
    gap: float | None


def single_point(atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike) -> SinglePoint:
    """GFN2-xTB (doi:10.1021/acs.jctc.8b01176) of a neutral closed-shell molecule at its geometry.

    Args:
      atomic_numbers: `[A]`.
      coords: `[A, 3]`, Å.

    Raises:
      RuntimeError: if it does not converge or the number of electrons is odd.
    """
    # One thread: the molecules are small, and sums are then always taken in the same order. Read at import.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from tblite.interface import Calculator

    numbers = np.asarray(atomic_numbers)
    if numbers.sum() % 2:
        raise RuntimeError("the number of electrons is odd")
    calculator = Calculator("GFN2-xTB", numbers, np.asarray(coords, np.float64) / _ANGSTROM_PER_BOHR)
    calculator.set("verbosity", 0)
    result = calculator.singlepoint()
    energies, occupations = result.get("orbital-energies"), result.get("orbital-occupations")
    occupied = round(occupations.sum() / 2)
    gap = None if occupied >= len(energies) else float(energies[occupied] - energies[occupied - 1]) * _EV_PER_HARTREE
    return SinglePoint(
        float(result.get("energy")) * _EV_PER_HARTREE,
        np.asarray(result.get("gradient")) * (_EV_PER_HARTREE / _ANGSTROM_PER_BOHR),
        gap,
    )


def homo_lumo_gap(atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike) -> float:
    """HOMO-LUMO gap of a neutral closed-shell molecule at its geometry, by `single_point`.

    Args:
      atomic_numbers: `[A]`.
      coords: `[A, 3]`, Å.

    Returns:
      The gap, eV.

    Raises:
      RuntimeError: as `single_point`, or if the basis has no empty orbital.
    """
    gap = single_point(atomic_numbers, coords).gap
    if gap is None:
        raise RuntimeError("the basis has no empty orbital")
    return gap
