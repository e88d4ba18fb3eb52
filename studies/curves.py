"""Learning curves: how the error falls with the number of molecules, and how far that carries."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """MAE = scale * N^(-exponent), fitted to logarithms.

    Attributes:
      scale: eV.
      exponent: positive where the error falls.
      covariance: of (log scale, exponent), `[2][2]`; infinite where two points leave no residual.
    """

    scale: float
    exponent: float
    covariance: tuple[tuple[float, float], tuple[float, float]]

    def at(self, num_train: float) -> tuple[float, float, float]:
        """The error at a number of molecules: the fit, and the ends of its interval of two standard deviations.

        The interval is that of the fitted line. It does not know that curves flatten: a network that is too small, or
        labels and geometries with errors of their own, end every power law.
        """
        direction = np.array([1.0, -np.log(num_train)])
        half_width = 2 * np.sqrt(direction @ np.array(self.covariance) @ direction)
        centre = np.log(self.scale) - self.exponent * np.log(num_train)
        return float(np.exp(centre)), float(np.exp(centre - half_width)), float(np.exp(centre + half_width))


def power_law(num_train: Sequence[float], mae: Sequence[float]) -> PowerLaw:
    """Least squares through (log N, log MAE).

    Args:
      num_train: numbers of training molecules, at least two different ones.
      mae: errors, eV, one for each.

    Raises:
      ValueError: if there are fewer than two numbers of molecules.
    """
    if len(set(num_train)) < 2:
        raise ValueError(f"num_train: a slope needs two numbers of molecules, got {sorted(set(num_train))}")
    design = np.column_stack([np.ones(len(num_train)), -np.log(num_train)])
    values = np.log(mae)
    solution = np.linalg.lstsq(design, values, rcond=None)[0]
    freedom = len(values) - 2
    residual = float(((values - design @ solution) ** 2).sum())
    covariance = np.linalg.inv(design.T @ design) * (residual / freedom) if freedom else np.full((2, 2), np.inf)
    (a, b), (c, d) = covariance.tolist()
    return PowerLaw(float(np.exp(solution[0])), float(solution[1]), ((a, b), (c, d)))
