"""`pg_tf.voxelize` as a Keras layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pg_tf import _arguments, _atom_dicts
from pg_tf._arguments import as_tensor
from pg_tf._atom_options import NORMALIZATIONS, OfChannels, checked_elements
from pg_tf.elements import ElementChannels
from pg_tf.layers import _options
from pg_tf.points import split_points
from pg_tf.radii import radii
from pg_tf.voxelization import DTYPES, voxelize


@keras.saving.register_keras_serializable(package="pg_tf")
class Voxelize(keras.layers.Layer):
    """Turns atoms into voxel grids, see `pg_tf.voxelize`: channels last as in Keras, while that puts them first.

    Differentiable with respect to coordinates, weights, features, boxes and cells, and to sigma where it is trained.

    Args:
      num_channels: channels of the grid; None takes those of `elements`, or one.
      grid_shape: voxels along x, y and z, or one number for all three.
      sigma: standard deviation of the Gaussians, Å: a number, one for each channel, or radii by name, such as "vdw".
      radius_scale: as in `pg_tf.voxelize`.
      trainable_sigma: makes sigma weights of the layer, which stay positive (softplus).
      normalize: as in `pg_tf.voxelize`.
      elements: the channel of each element, `pg_tf.ElementChannels` or symbols such as `("C", "N", "O", "H")`; for
        inputs with "atomic_numbers".
      box: a `pg_tf.Box` or `(origin, lengths)` for all molecules, parts of shape `[3]`, Å.
      lengths: instead of a box: edges of a box around the middle of each molecule, Å, a number or three. Without box,
        lengths and cell, each molecule gets a cubic box with 2 Å margin.
      cell: lattice vectors as rows, `[3, 3]`, Å, for all structures.
      periodic: as in `pg_tf.voxelize`.
      data_format: "channels_last", "channels_first" or None, which is `keras.config.image_data_format()`.
      implementation: "dense" runs on accelerators, and on padded batches under XLA; "op" and "auto" are the compiled
        CPU kernel. With it, and with ragged inputs, Keras compiles no model (`supports_jit` is False).
      return_box: also returns the boxes.
      **layer_options: arguments of every Keras layer. `dtype`: float64 computes in float64; the grids have its compute
        dtype, such as float16 under "mixed_float16"; arithmetic and weights are float32 at least. Coordinates, boxes
        and cells in float64 are taken as they are.

    Input shape:
      Points `[B, A, 4]` with the columns channel, x, y, z, channel -1 padding, or ragged `[B, (A), 4]`; or a dict with
      "coords" `[B, A, 3]` and any of "channels" `[B, A]` (-1 padding) or "atomic_numbers" `[B, A]` (0 padding),
      "weights" `[B, A]`, "features" `[B, A, num_channels]`, "sigma" `[B, A]`, "box" (a pair of `[B, 3]`), "cell"
      `[B, 3, 3]` and "center" `[B, 3]` (of the box of `lengths`), the former six ragged or all padded; "points" may
      stand for "coords" and "channels". What the dict has comes before what the layer was made with. A
      single molecule without the axis B is taken too. Atoms that the mask of an input leaves out, such as that of
      `keras.layers.Embedding(mask_zero=True)`, are padding.

    Output shape:
      `[B, nx, ny, nz, num_channels]` (channels_first: `[B, num_channels, nx, ny, nz]`). With `return_box` a pair of it
      and `(origin, lengths)`, `[B, 3]` each, Å, in float64 where the coordinates are, and a rotation `[B, 3, 3]` where
      one was given.

    Raises:
      ValueError: if an option does not fit.
      As `pg_tf.voxelize`, when called.

    Example:

        points = keras.Input((None, 4), ragged=True)
        grid = pg_tf.layers.Voxelize(8, grid_shape=24)(points)
        model = keras.Model(points, pg_tf.models.resnet3d10(width=16, input_shape=(24, 24, 24, 8))(grid))
    """

    def __init__(
        self,
        num_channels: int | None = None,
        grid_shape: int | Sequence[int] = 32,
        sigma: float | Sequence[float] | str = 0.4,
        *,
        radius_scale: float = 0.5,
        trainable_sigma: bool = False,
        normalize: str | None = None,
        elements: ElementChannels | Sequence[str] | Mapping[str, Any] | None = None,
        box: Any = None,
        lengths: float | Sequence[float] | None = None,
        cell: Any = None,
        periodic: bool | Sequence[bool] | None = None,
        data_format: str | None = None,
        implementation: str = "auto",
        return_box: bool = False,
        **layer_options: Any,
    ) -> None:
        super().__init__(autocast=False, **layer_options)
        self.num_channels, self.elements = checked_elements(num_channels, elements)
        self.grid_shape = _arguments.checked_grid_shape(grid_shape)
        self.sigma = sigma if isinstance(sigma, str) else _options.positive("sigma", sigma, (self.num_channels,))
        self.radius_scale: Any = _options.positive("radius_scale", radius_scale, ())
        self.trainable_sigma = bool(trainable_sigma)
        if isinstance(sigma, str) and radii(sigma) is not None and self.trainable_sigma:
            raise ValueError(f"trainable_sigma: {sigma!r} are fixed radii; give a number, or one for each channel")
        if normalize not in NORMALIZATIONS:
            raise ValueError(f"normalize must be one of {NORMALIZATIONS}, got {normalize!r}")
        self.normalize = normalize
        self.box = _options.box(box)
        self.lengths = None if lengths is None else _options.positive("lengths", lengths, (3,))
        if self.box is not None and self.lengths is not None:
            raise ValueError("box, lengths: give one of them; lengths are those of a box around each molecule")
        self.cell = _options.cell(cell)
        self.periodic = _options.periodic(periodic)
        self.data_format = _options.data_format(data_format)
        _arguments.uses_op(implementation)  # checks it
        self.implementation = implementation
        self.return_box = bool(return_box)
        if tf.as_dtype(self.compute_dtype) not in DTYPES:
            raise ValueError(f"dtype: grids are {', '.join(d.name for d in DTYPES)}; got {self.compute_dtype}")
        # The compiled kernel does not run under XLA; Keras compiles a model if all its layers allow it.
        self.supports_jit = implementation == "dense"
        self._raw_sigma: Any = None

    def build(self, input_shape: Any = None) -> None:
        if self.trainable_sigma:
            # The inverse of softplus, in a form that overflows nowhere.
            raw = np.asarray(self.sigma) + np.log(-np.expm1(-np.asarray(self.sigma)))
            self._raw_sigma = self.add_weight(
                shape=raw.shape,
                initializer=lambda shape, dtype=None: tf.cast(tf.reshape(raw, shape), dtype),
                dtype=_options.at_least_float32(self.variable_dtype),
                name="raw_sigma",
                autocast=False,
            )

    @property
    def learned_sigma(self) -> Any:
        """Sigma as it is now, Å: `[]` or `[num_channels]`."""
        return tf.constant(self.sigma) if self._raw_sigma is None else tf.math.softplus(self._raw_sigma)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        result = voxelize(
            **self._atoms(inputs, mask),
            num_channels=self.num_channels,
            grid_shape=self.grid_shape,
            radius_scale=self.radius_scale,
            normalize=self.normalize,
            periodic=self.periodic,
            data_format=self.data_format,
            dtype=self.compute_dtype,
            implementation=self.implementation,
            return_box=self.return_box,
        )
        if not self.return_box:
            return result
        grid, used = result
        dtype = self._box_dtype(inputs)
        parts = [as_tensor("box", part, dtype) for part in used if part is not None]
        if grid.shape.rank == 5:
            parts = [
                tf.broadcast_to(part, [tf.shape(grid)[0], *inner])
                for part, inner in zip(parts, ((3,), (3,), (3, 3)), strict=False)
            ]
        return grid, tuple(parts)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """A grid has no padding."""

    def _atoms(self, inputs: Any, mask: Any) -> dict[str, Any]:
        """Arguments of `voxelize`."""
        atoms = dict(_atom_dicts.split(inputs, rest=False)[0]) if isinstance(inputs, Mapping) else {"points": inputs}
        if "points" in atoms:
            split = split_points(atoms.pop("points"), implementation=self.implementation)
            atoms.update(zip(("coords", "channels"), split, strict=True))
        if "channels" not in atoms and "atomic_numbers" in atoms:
            atoms["elements"] = self.elements
        for kept in keras.tree.flatten(mask):
            if kept is not None:
                name = "atomic_numbers" if "channels" not in atoms and "atomic_numbers" in atoms else "channels"
                padding = 1 if name == "channels" else 0
                values = as_tensor(name, atoms[name], tf.int32) if name in atoms else 0
                atoms[name] = (values + padding) * tf.cast(kept, tf.int32) - padding
        if "sigma" not in atoms:
            atoms["sigma"] = self._sigma()
        elif self.trainable_sigma:
            raise ValueError("inputs: with trainable_sigma there can be no 'sigma' among them")
        atoms.setdefault("cell", self.cell)
        if "box" not in atoms:
            atoms.update(box=self.box, lengths=self.lengths)
        return atoms

    def _sigma(self) -> Any:
        sigma = self.sigma if self._raw_sigma is None else tf.math.softplus(self._raw_sigma)
        return OfChannels(sigma) if isinstance(self.sigma, list) else sigma

    def _box_dtype(self, inputs: Any) -> tf.DType:
        """float64 for coordinates in float64: far from the origin they need it, and so do their boxes."""
        named = isinstance(inputs, Mapping)
        coords = inputs["points" if "points" in inputs else "coords"] if named else inputs
        given = tf.as_dtype(getattr(coords, "dtype", tf.float32))
        return tf.float64 if given == tf.float64 else _options.at_least_float32(self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        named = isinstance(input_shape, Mapping)
        atoms = tuple(input_shape["points" if "points" in input_shape else "coords"] if named else input_shape)
        batch = atoms[:1] if len(atoms) == 3 else ()
        shape = (*batch, *self.grid_shape, self.num_channels)
        if self.data_format == "channels_first":
            shape = (*batch, self.num_channels, *self.grid_shape)
        if not self.return_box:
            return shape
        given = input_shape.get("box") if named else None
        given = self.box if given is None else given
        rotated = given is not None and sum(part is not None for part in given) == 3
        return shape, ((*batch, 3), (*batch, 3), *([(*batch, 3, 3)] if rotated else []))

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> Any:
        # Not traced as Keras would: it makes dense placeholders even of ragged inputs.
        if isinstance(inputs, Mapping):
            _atom_dicts.split(inputs, rest=False)
        if any(getattr(x, "ragged", False) for x in keras.tree.flatten(inputs)):
            self.supports_jit = False  # XLA cannot pad them, and accelerators are where Keras compiles by itself
        shape = self.compute_output_shape(_options.shapes(inputs))
        if not self.return_box:
            return keras.KerasTensor(shape, self.compute_dtype)
        dtype = self._box_dtype(inputs).name
        return keras.KerasTensor(shape[0], self.compute_dtype), tuple(keras.KerasTensor(s, dtype) for s in shape[1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **_options.saved(self, "num_channels", "grid_shape", "sigma", "radius_scale", "trainable_sigma"),
            **_options.saved(self, "normalize", "elements", "box"),
            **_options.saved(self, "lengths", "cell", "periodic", "data_format", "implementation", "return_box"),
            "elements": _options.elements_config(self.elements),
        }
