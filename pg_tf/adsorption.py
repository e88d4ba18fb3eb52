"""What energy grids are made for: adsorption of a gas at low pressure in a rigid porous structure.

Averages over a uniform grid are Widom insertions (J. Chem. Phys. 39, 2808 (1963), doi:10.1063/1.1734110) at regular
places instead of random ones. The grid must cover whole cells (`box=None` in `lennard_jones`) and be fine: with 0.2 Å
between voxels the averages are good to about a percent. A probe is a point; molecules with an orientation need an
average over it as well. Pores that no molecule could reach count as any other.
Formulas: Dubbeldam, Torres-Knoop, Walton, Mol. Simul. 39, 1253 (2013), doi:10.1080/08927022.2013.819102.
"""

from typing import Any

import tensorflow as tf

from pg_tf._arguments import as_tensor, describe

GAS_CONSTANT = 8.31446261815324
"""J/(mol K), SI 2019."""
AVOGADRO = 6.02214076e23
"""1/mol, SI 2019."""

_CUBIC_METRES = 1e-30  # in an Å^3


def insertion_factor(energy: Any, temperature: Any) -> tf.Tensor:
    """The mean Boltzmann factor `<exp(-E / T)>` over the grid: Widom's factor, or Rosenbluth weight, of a point.

    Args:
      energy: grids of `lennard_jones`, K: `[nx, ny, nz]` or `[B, nx, ny, nz]`.
      temperature: K: a scalar, or one for each grid.

    Returns:
      `[]` or `[B]`, float64. Differentiable, as everything here.

    Raises:
      ValueError: if a shape does not fit.
      tf.errors.InvalidArgumentError: if the temperature is not finite and greater than 0.
    """
    return tf.exp(_log_factor(*_checked(energy, temperature)))


def henry_coefficient(energy: Any, temperature: Any, *, volume: Any = None, mass: Any = None) -> tf.Tensor:
    """Henry coefficient: the amount adsorbed per pressure, as the pressure goes to zero.

    Per volume of the structure it is `<exp(-E / T)> / (R T)`; divided by the density, it is per mass.

    Args:
      energy: as in `insertion_factor`.
      temperature: as in `insertion_factor`.
      volume: of the cell that the grid covers, Å^3: a scalar, or one for each grid. `Structure.volume`.
      mass: of the atoms in that cell, g/mol. `Structure.mass`.

    Returns:
      `[]` or `[B]`, float64: mol/(kg Pa) where volume and mass are given, mol/(m^3 Pa) where they are not. All that is
      in the pores counts, adsorbed or not: the absolute, not the excess amount.

    Raises:
      As `insertion_factor`; ValueError if only one of volume and mass is given, tf.errors.InvalidArgumentError unless
      they are positive.
    """
    if (volume is None) != (mass is None):
        raise ValueError("give volume and mass, for mol/(kg Pa), or neither, for mol/(m^3 Pa)")
    energy, temperature = _checked(energy, temperature)
    per_volume = tf.exp(_log_factor(energy, temperature)) / (GAS_CONSTANT * temperature)
    if volume is None:
        return per_volume
    volume, mass = as_tensor("volume", volume, tf.float64), as_tensor("mass", mass, tf.float64)
    positive = [
        tf.debugging.assert_positive(value, f"{name} must be greater than 0 {unit}")
        for name, value, unit in (("volume", volume, "Å^3"), ("mass", mass, "g/mol"))
    ]
    with tf.control_dependencies(positive):
        per_volume = tf.identity(per_volume)
    return per_volume * volume * (_CUBIC_METRES * AVOGADRO * 1000) / mass


def isosteric_heat(energy: Any, temperature: Any) -> tf.Tensor:
    """Isosteric heat of adsorption at zero loading, `R T - <E exp(-E / T)> / <exp(-E / T)>`; positive for adsorption.

    Args:
      energy: as in `insertion_factor`.
      temperature: as in `insertion_factor`.

    Returns:
      kJ/mol, `[]` or `[B]`, float64.

    Raises:
      As `insertion_factor`.
    """
    energy, temperature = _checked(energy, temperature)
    exponent = -energy / _on_grid(temperature)
    weights = tf.exp(exponent - tf.reduce_max(exponent, axis=_AXES, keepdims=True))
    mean = tf.reduce_sum(energy * weights, axis=_AXES) / tf.reduce_sum(weights, axis=_AXES)
    return GAS_CONSTANT / 1000 * (temperature - mean)


def void_fraction(energy: Any, temperature: Any = 298.15) -> tf.Tensor:
    """The share of the volume that is pore, by helium: `insertion_factor` of a helium probe, which hardly adsorbs.

    Args:
      energy: as in `insertion_factor`, with `probe="He"`.
      temperature: as in `insertion_factor`; 298.15 K, room temperature, is the custom.

    Returns:
      `[]` or `[B]`, float64. Slightly more than 1 is possible, where helium is attracted.

    Raises:
      As `insertion_factor`.
    """
    return insertion_factor(energy, temperature)


_AXES = (-3, -2, -1)


def _checked(energy: Any, temperature: Any) -> tuple[tf.Tensor, tf.Tensor]:
    energy = as_tensor("energy", energy, tf.float64)
    temperature = as_tensor("temperature", temperature, tf.float64)
    if energy.shape.rank not in (3, 4):
        raise ValueError(f"energy must have shape [nx, ny, nz] or [B, nx, ny, nz], got {describe(energy)}")
    batch = energy.shape[:-3]
    if temperature.shape.rank != 0 and not temperature.shape.is_compatible_with(batch):
        raise ValueError(
            f"temperature must be a scalar or one for each grid, {batch.as_list()}; got {describe(temperature)}"
        )
    rule = "temperature must be finite and greater than 0 K"
    no_nan = tf.reduce_all(~tf.math.is_nan(energy))
    with tf.control_dependencies(
        [
            tf.debugging.assert_equal(no_nan, True, "energy must not hold NaN"),
            tf.debugging.assert_positive(temperature, rule),
            tf.debugging.assert_less(temperature, tf.constant(float("inf"), tf.float64), rule),
        ]
    ):
        return energy, tf.identity(temperature)


def _on_grid(temperature: tf.Tensor) -> tf.Tensor:
    return temperature[..., tf.newaxis, tf.newaxis, tf.newaxis]


def _log_factor(energy: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
    # Through logarithms: at 20 K a well of 2000 K would overflow.
    voxels = tf.cast(tf.reduce_prod(tf.shape(energy)[-3:]), tf.float64)
    return tf.reduce_logsumexp(-energy / _on_grid(temperature), axis=_AXES) - tf.math.log(voxels)
