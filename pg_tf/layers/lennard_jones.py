"""`pg_tf.lennard_jones` as a Keras layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pg_tf import _arguments, _atom_dicts
from pg_tf._limits import LARGEST_ENERGY
from pg_tf.energies import lennard_jones
from pg_tf.force_fields import PROBES, TRAPPE_ZEO, UFF, ForceField
from pg_tf.layers import _options

_FORCE_FIELDS = {field.name: field for field in (UFF, TRAPPE_ZEO)}
_KEYS = ("coords", "atomic_numbers", "sigma", "epsilon", "weights", "box", "cell")


@keras.saving.register_keras_serializable(package="pg_tf")
class LennardJones(keras.layers.Layer):
    """Turns structures into energy grids, see `pg_tf.lennard_jones`: a channel for each probe.

    Differentiable with respect to coordinates, weights, boxes and cells.

    Args:
      grid_shape: voxels along the three axes of the grid, or one number for all.
      probes: names in `pg_tf.force_fields.PROBES`, or pairs (sigma in Å, epsilon in K).
      force_field: "UFF", "TraPPE-zeo" or a `ForceField`.
      mixing: as in `pg_tf.lennard_jones`.
      cell: lattice vectors as rows, `[3, 3]`, Å, for all structures.
      periodic: as in `pg_tf.lennard_jones`.
      box: a `pg_tf.Box` or `(origin, lengths)` for all structures, parts of shape `[3]`, Å.
      cutoff: Å.
      shift: as in `pg_tf.lennard_jones`.
      max_energy: energies are clamped to plus and minus this, K. Networks learn better from a few thousand than from
        1e6, and float16 holds 65504.
      temperature: gives Boltzmann factors `exp(-E / temperature)` in place of energies, K; None gives energies.
      data_format: "channels_last", "channels_first" or None, which is `keras.config.image_data_format()`.
      **layer_options: arguments of every Keras layer. `dtype`: float64 computes in float64; the grids have its compute
        dtype, and are computed in float32 at least. Coordinates, cells and boxes are taken in float64 either way.

    Input shape:
      A dict with "coords" `[B, A, 3]` and "atomic_numbers" `[B, A]` (0 padding), or "sigma" and "epsilon" `[B, A]`, and
      where wanted "weights" `[B, A]`, "box" (a pair of `[B, 3]`) and "cell" `[B, 3, 3]`; those of atoms ragged or all
      padded. What the dict has comes before what the layer was made with. A single structure without the axis B will
      do too.

    Output shape:
      `[B, nx, ny, nz, probes]` (channels_first: `[B, probes, nx, ny, nz]`): K, or Boltzmann factors.

    Raises:
      ValueError: if an option does not fit.
      As `pg_tf.lennard_jones`, when called.

    Example:

        energies = pg_tf.layers.LennardJones(24, probes=("CH4", "Xe"))
        grid = energies({"coords": coords, "atomic_numbers": numbers, "cell": cells})
    """

    def __init__(
        self,
        grid_shape: int | Sequence[int] = 32,
        probes: Sequence[str | Sequence[float]] = ("CH4",),
        *,
        force_field: str | ForceField | Mapping[str, Any] = "UFF",
        mixing: str | None = "lorentz-berthelot",
        cell: Any = None,
        periodic: bool | Sequence[bool] | None = None,
        box: Any = None,
        cutoff: float = 12.0,
        shift: bool = False,
        max_energy: float = 5000.0,
        temperature: float | None = None,
        data_format: str | None = None,
        **layer_options: Any,
    ) -> None:
        super().__init__(autocast=False, **layer_options)
        self.grid_shape = _arguments.checked_grid_shape(grid_shape)
        if isinstance(probes, str) or not len(probes):
            raise ValueError(f"probes must be a sequence with at least one probe, got {probes!r}")
        self.probes = [_probe(probe) for probe in probes]
        self.force_field = _force_field(force_field)
        self.mixing = mixing
        self.cell = _options.cell(cell)
        self.periodic = _options.periodic(periodic)
        self.box = _options.box(box)
        self.cutoff = float(cutoff)
        self.shift = bool(shift)
        largest = min(float(tf.as_dtype(self.compute_dtype).max), LARGEST_ENERGY)
        if not 0 < max_energy <= largest:
            raise ValueError(
                f"max_energy must be greater than 0 and at most {largest:g} K, which {self.compute_dtype} grids "
                f"hold; got {max_energy}"
            )
        self.max_energy = float(max_energy)
        self.temperature = None if temperature is None else float(temperature)
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError(f"temperature must be greater than 0 K, got {temperature}")
        self.data_format = _options.data_format(data_format)
        self.supports_jit = False  # the compiled kernel does not run under XLA

    def call(self, inputs: Any) -> Any:
        atoms = _atoms(inputs)
        compute = _options.at_least_float32(self.compute_dtype)
        energies = [
            lennard_jones(
                **{"cell": self.cell, "box": self.box, **atoms},
                probe=probe,
                force_field=self.force_field,
                mixing=self.mixing,
                grid_shape=self.grid_shape,
                periodic=self.periodic,
                cutoff=self.cutoff,
                shift=self.shift,
                max_energy=self.max_energy,
                dtype=compute,
            )
            for probe in self.probes
        ]
        grid = tf.stack(energies, axis=-1 if self.data_format == "channels_last" else -4)
        if self.temperature is not None:
            grid = tf.exp(-grid / self.temperature)
        return tf.cast(grid, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        coords = tuple(input_shape["coords"])
        batch = coords[:1] if len(coords) == 3 else ()
        if self.data_format == "channels_first":
            return (*batch, len(self.probes), *self.grid_shape)
        return (*batch, *self.grid_shape, len(self.probes))

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        # Not traced as Keras would: it makes dense placeholders even of ragged inputs.
        _atoms(inputs)
        return keras.KerasTensor(self.compute_output_shape(_options.shapes(inputs)), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        field: Any = self.force_field.name
        if _FORCE_FIELDS.get(field) is not self.force_field:
            parameters = {symbol: list(values) for symbol, values in self.force_field.parameters.items()}
            field = {"name": field, "parameters": parameters, "source": self.force_field.source}
        return {
            **super().get_config(),
            **_options.saved(self, "grid_shape", "probes", "force_field", "mixing", "cell", "periodic", "box"),
            **_options.saved(self, "cutoff", "shift", "max_energy", "temperature", "data_format"),
            "force_field": field,
        }


def _atoms(inputs: Any) -> dict[str, Any]:
    if not isinstance(inputs, Mapping):
        raise ValueError(f"inputs must be a dict with 'coords', and else only {', '.join(_KEYS[1:])}; got {inputs!r}")
    return _atom_dicts.split(inputs, _KEYS, rest=False)[0]


def _probe(probe: Any) -> str | list[float]:
    if isinstance(probe, str):
        if probe not in PROBES:
            raise ValueError(f"probes: must be (sigma, epsilon) or one of {', '.join(PROBES)}; got {probe!r}")
        return probe
    values = np.asarray(probe[:2], np.float64)
    if values.shape != (2,) or not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(f"probes: must be a name or (sigma, epsilon), finite and at least 0; got {probe!r}")
    return values.tolist()


def _force_field(value: str | ForceField | Mapping[str, Any]) -> ForceField:
    if isinstance(value, ForceField):
        return value
    if isinstance(value, Mapping):
        return ForceField(**value)
    if value not in _FORCE_FIELDS:
        raise ValueError(f"force_field must be a ForceField or one of {', '.join(_FORCE_FIELDS)}; got {value!r}")
    return _FORCE_FIELDS[value]
