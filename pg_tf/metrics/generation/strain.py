"""How far generated molecules are from the next minimum of a force field or of GFN2-xTB."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from pg_tf.datasets.xtb import single_point
from pg_tf.metrics.generation.molecules import bonded

_KCAL_PER_EV = 23.060547830619  # CODATA 2018


@dataclasses.dataclass(frozen=True)
class Relaxation:
    """What relaxing a molecule changed.

    Attributes:
      strain: by how much the energy fell, kcal/mol.
      rmsd: root mean square displacement of the atoms after the best superposition, Å.
      coords: `[A, 3]`, the relaxed atoms, Å, superposed on the given ones.
    """

    strain: float
    rmsd: float
    coords: npt.NDArray[np.float64]


def relaxed_by_mmff(atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike, max_steps: int = 2000) -> Relaxation:
    """Relaxes a molecule with RDKit's MMFF94s (Halgren 1999, J. Comput. Chem. 20, 720).

    Args:
      atomic_numbers: `[A]`.
      coords: `[A, 3]`, Å.
      max_steps: of the minimisation.

    Raises:
      ValueError: if the molecule is not valid (`bonded`), or MMFF94s has no parameters for it.
    """
    from rdkit import rdBase
    from rdkit.Chem import rdForceFieldHelpers

    molecule = bonded(atomic_numbers, coords)
    with rdBase.BlockLogs():
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule, "MMFF94s")
    if properties is None:
        raise ValueError("MMFF94s has no parameters for this molecule")
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(molecule, properties)
    start = field.CalcEnergy()
    field.Minimize(maxIts=max_steps)
    return _relaxation(coords, molecule.GetConformer().GetPositions(), start - field.CalcEnergy())


def relaxed_by_xtb(atomic_numbers: npt.ArrayLike, coords: npt.ArrayLike, max_steps: int = 200) -> Relaxation:
    """Relaxes a neutral closed-shell molecule with GFN2-xTB (doi 10.1021/acs.jctc.8b01176) by L-BFGS.

    Args:
      atomic_numbers: `[A]`.
      coords: `[A, 3]`, Å.
      max_steps: of the minimisation.

    Raises:
      RuntimeError: if GFN2-xTB does not converge or the number of electrons is odd.
    """
    numbers = np.asarray(atomic_numbers)

    def energy_and_gradient(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        point = single_point(numbers, flat.reshape(-1, 3))
        return point.energy, point.gradient.ravel()

    start = np.asarray(coords, np.float64).ravel()
    first = energy_and_gradient(start)[0]
    found = minimize(energy_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": max_steps})
    return _relaxation(coords, found.x.reshape(-1, 3), (first - found.fun) * _KCAL_PER_EV)


def _relaxation(before: npt.ArrayLike, after: npt.NDArray[np.float64], strain: float) -> Relaxation:
    start = np.asarray(before, np.float64)
    center = start.mean(axis=0)
    moved = after - after.mean(axis=0)
    if len(start) > 1:
        rotation, _ = Rotation.align_vectors(start - center, moved)
        moved = rotation.apply(moved)
    rmsd = float(np.sqrt(((moved + center - start) ** 2).sum(axis=1).mean()))
    return Relaxation(float(strain), rmsd, moved + center)
