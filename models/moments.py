"""Invariants of the surroundings of each voxel.

A voxel looks at its surroundings through Gaussians of a few widths w. With the displacement r to another voxel, in
voxels, and G = exp(-r^2 / 2 w^2), a field f has the moments

    degree 0:  sum over the other voxels of  G f
    degree 1:  sum of  (r_i / w) G f                                        3 components
    degree 2:  sum of  (r_i r_j - delta_ij r^2 / 3) / w^2 G f               6 components, 5 of them independent

which are the solid harmonics of degree 0, 1 and 2 times a Gaussian. When the molecule is turned, the components of one
degree turn among themselves, as a scalar, a vector and a traceless symmetric matrix do, and sums over the components
of products of two fields stay what they are. Two neighbours a and b of a voxel contribute cos(a, b) to such a sum of
degree 1 and cos^2(a, b) - 1/3 to one of degree 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

# Components of all degrees up to 0, 1 and 2.
_COMPONENTS = (1, 4, 10)

# The components of degree 2, and how often each stands in a symmetric matrix.
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_TIMES = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)

# Added to squared lengths: a length has no derivative at 0.
_SHORTEST = 1e-4

# Added to sums of weights, which are 0 for a grid without atoms.
_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="pg_tf")
class AllVoxels(layers.Layer):
    """The voxels of a grid and their weights.

    Args:
        weighting: "density": the weight of a voxel is the sum of its channels less `empty`, and at least 0; its
            channels are diminished by the same factor as their sum. "uniform": all weights are 1.
        empty: Density of a voxel that counts as empty.

    Returns:
        The grid `(batch, nx, ny, nz, channels)` and the weights `(batch, nx, ny, nz, 1)`.
    """

    def __init__(self, weighting: str = "density", empty: float = 0.0, **options: Any) -> None:
        super().__init__(dtype=options.pop("dtype", None) or at_least_float32(), **options)
        self.weighting, self.empty = weighting, empty

    def call(self, grid: Any) -> tuple[Any, Any]:
        if self.weighting == "uniform":
            return grid, ops.ones_like(grid[..., :1])
        return _diminished(grid, ops.sum(grid, axis=-1, keepdims=True), self.empty)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weighting": self.weighting, "empty": self.empty}


@keras.saving.register_keras_serializable(package="pg_tf")
class FullestVoxels(layers.Layer):
    """The voxels of a grid with the largest sums over channels, weighted as by `AllVoxels`.

    If more voxels than are kept hold something, the fullest one left out counts as empty, and all that hold less.

    Args:
        voxels: How many to keep, fewer than there are.
        empty: Density of a voxel that counts as empty.

    Returns:
        Their channels `(batch, voxels, channels)` and weights `(batch, voxels, 1)`, and where the voxels are in the
        grid, integers `(batch, voxels, 3)`.
    """

    def __init__(self, voxels: int, empty: float = 0.0, **options: Any) -> None:
        super().__init__(dtype=options.pop("dtype", None) or at_least_float32(), **options)
        self.voxels, self.empty = voxels, empty

    def call(self, grid: Any) -> tuple[Any, Any, Any]:
        ny, nz = ops.shape(grid)[2:4]
        flat = ops.reshape(grid, (ops.shape(grid)[0], -1, grid.shape[-1]))
        fullest, index = ops.top_k(ops.sum(flat, axis=-1), self.voxels + 1)
        index = index[:, :-1]
        channels = ops.take_along_axis(flat, index[..., None], axis=1)
        empty = ops.maximum(fullest[:, -1:, None], self.empty)
        channels, weights = _diminished(channels, fullest[:, :-1, None], empty)
        return channels, weights, ops.stack([index // (ny * nz), index // nz % ny, index % nz], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "voxels": self.voxels, "empty": self.empty}


def _diminished(channels: Any, density: Any, empty: Any) -> tuple[Any, Any]:
    """Channels and density, both by the factor by which the density falls if `empty` is taken off."""
    weights = ops.maximum(density - empty, 0.0)
    return channels * weights / (density + _EPSILON), weights


@keras.saving.register_keras_serializable(package="pg_tf")
class PairKernels(layers.Layer):
    """What each pair of kept voxels has in common, for all widths: the kernels of the module's text.

    Args:
        widths: Standard deviations of the Gaussians, in voxels.
        degree: The highest degree, 0 to 2.

    Returns:
        For each width, of positions `(batch, K, 3)`, a tensor `(batch, components * K, K)`. No gradients go through.
    """

    def __init__(self, widths: Sequence[float], degree: int, **options: Any) -> None:
        super().__init__(**options)
        self.widths, self.degree = tuple(widths), degree

    def call(self, positions: Any) -> list[Any]:
        batch, count = ops.shape(positions)[0], positions.shape[1]
        places = ops.cast(positions, keras.backend.result_type(self.compute_dtype, "float32"))
        apart = [places[:, :, None, i] - places[:, None, :, i] for i in range(3)]
        squared = sum(x * x for x in apart)
        kernels = []
        for width in self.widths:
            scaled = [x / width for x in apart]
            gaussian = ops.exp(squared * (-0.5 / width**2))
            components = [gaussian]
            if self.degree >= 1:
                components += [x * gaussian for x in scaled]
            if self.degree >= 2:
                trace = squared * gaussian / (3 * width**2)
                for i, j in _PAIRS:
                    product = scaled[i] * components[1 + j]
                    components.append(product - trace if i == j else product)
            stacked = ops.reshape(ops.stack(components, axis=1), (batch, len(components) * count, count))
            kernels.append(ops.cast(ops.stop_gradient(stacked), self.compute_dtype))
        return kernels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "widths": self.widths, "degree": self.degree}


@keras.saving.register_keras_serializable(package="pg_tf")
class MomentsOfPairs(layers.Layer):
    """The moments of fields at the kept voxels.

    Called with fields `(batch, K, widths * F)`, a group of F for each width, and the tensors of `PairKernels`.

    Returns:
        `(batch, components, K, widths * F)`.
    """

    def call(self, inputs: list[Any]) -> Any:
        sources, *kernels = inputs
        count, fields = sources.shape[1], sources.shape[2] // len(kernels)
        groups = ops.split(sources, len(kernels), axis=-1)
        moments = [ops.matmul(kernel, group) for kernel, group in zip(kernels, groups, strict=True)]
        components = kernels[0].shape[1] // count
        return ops.concatenate([ops.reshape(x, (-1, components, count, fields)) for x in moments], axis=-1)


@keras.saving.register_keras_serializable(package="pg_tf")
class MomentsOfGrid(layers.Layer):
    """The moments of fields at all voxels. A moment is a product of one along each axis: three small matrices.

    Called with fields `(batch, nx, ny, nz, widths * F)`, a group of F for each width.

    Args:
        widths: Standard deviations of the Gaussians, in voxels.
        degree: The highest degree, 0 to 2.
        periodic: Whether the grid repeats along all axes.
        averages: Whether the Gaussians have integral one, not height one.

    Returns:
        `(batch, components, nx, ny, nz, widths * F)`.
    """

    def __init__(
        self, widths: Sequence[float], degree: int, periodic: bool = False, averages: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self.widths, self.degree = tuple(widths), degree
        self.periodic, self.averages = periodic, averages

    def call(self, sources: Any) -> Any:
        groups = ops.split(sources, len(self.widths), axis=-1)
        return ops.concatenate([self._moments(*pair) for pair in zip(groups, self.widths, strict=True)], axis=-1)

    def _moments(self, fields: Any, width: float) -> Any:
        parts: dict[tuple[int, ...], Any] = {(): fields}
        for axis in (1, 2, 3):
            matrices = self._matrices(ops.shape(fields)[axis], width)
            parts = {
                (*powers, power): _along(axis, matrices[power], part)
                for powers, part in parts.items()
                for power in range(self.degree + 1 - sum(powers))
            }
        components = [parts[0, 0, 0]]
        if self.degree >= 1:
            components += [parts[1, 0, 0], parts[0, 1, 0], parts[0, 0, 1]]
        if self.degree >= 2:
            squares = [parts[2, 0, 0], parts[0, 2, 0], parts[0, 0, 2]]
            trace = sum(squares) / 3
            components += [square - trace for square in squares]
            components += [parts[1, 1, 0], parts[1, 0, 1], parts[0, 1, 1]]
        return ops.stack(components, axis=1)

    def _matrices(self, side: Any, width: float) -> list[Any]:
        """For each power p: x^p exp(-x^2 / 2) of the distances x between the voxels of an axis, in widths."""
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        places = ops.cast(ops.arange(side), dtype)
        apart = places[:, None] - places[None, :]
        images = [apart]
        if self.periodic:
            length = ops.cast(side, dtype)
            # Enough for Gaussians to end within them even if the side is a single voxel.
            farthest = 1 + math.ceil(6 * width)
            images = [apart + i * length for i in range(-farthest, farthest + 1)]
        height = (2 * math.pi) ** -0.5 / width if self.averages else 1.0
        matrices = []
        for power in range(self.degree + 1):
            terms = [height * (x / width) ** power * ops.exp(-0.5 * (x / width) ** 2) for x in images]
            matrices.append(ops.cast(sum(terms), self.compute_dtype))
        return matrices

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "widths": self.widths,
            "degree": self.degree,
            "periodic": self.periodic,
            "averages": self.averages,
        }


@keras.saving.register_keras_serializable(package="pg_tf")
class Invariants(layers.Layer):
    """What does not change when the moments turn: degree 0, lengths, and products of two learned mixtures.

    Args:
        products: Number of products for each degree above 0.

    Returns:
        Of moments `(batch, components, ..., F)`, the invariants `(batch, ..., F + degree * (products + F))`.
    """

    def __init__(self, products: int, **options: Any) -> None:
        super().__init__(**options)
        self.products = products
        self.mixtures: list[layers.Dense] = []

    def build(self, shape: Sequence[int | None]) -> None:
        for degree in range(1, len(_COMPONENTS) if shape[1] == _COMPONENTS[2] else 2):
            mixture = layers.Dense(2 * self.products, use_bias=False, dtype=self.dtype_policy, name=f"degree{degree}")
            mixture.build((*shape[:1], None, *shape[2:]))
            self.mixtures.append(mixture)

    def call(self, moments: Any) -> Any:
        found = [moments[:, 0]]
        for degree, mixture in enumerate(self.mixtures, 1):
            components = moments[:, _COMPONENTS[degree - 1] : _COMPONENTS[degree]]
            times = _TIMES if degree == 2 else (1.0,) * 3
            times = ops.reshape(
                ops.convert_to_tensor(times, self.compute_dtype), (1, -1) + (1,) * (len(moments.shape) - 2)
            )
            u, v = ops.split(mixture(components), 2, axis=-1)
            found.append(ops.sum(times * u * v, axis=1))
            found.append(ops.sqrt(ops.sum(times * components * components, axis=1) + _SHORTEST))
        return ops.concatenate(found, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "products": self.products}


@keras.saving.register_keras_serializable(package="pg_tf")
class WeightedMean(layers.Layer):
    """The mean of fields `(batch, ..., F)` over all voxels with weights `(batch, ..., 1)`: `(batch, 1..., F)`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(dtype=options.pop("dtype", None) or at_least_float32(), **options)

    def call(self, inputs: list[Any]) -> Any:
        fields, weights = inputs
        axes = tuple(range(1, len(fields.shape) - 1))
        total = ops.sum(weights, axis=axes, keepdims=True)
        return ops.sum(weights * fields, axis=axes, keepdims=True) / (total + _EPSILON)


@keras.saving.register_keras_serializable(package="pg_tf")
class AttentiveMean(layers.Layer):
    """Means over all voxels whose weights are multiplied by exp(logit), one for each head.

    Called with logits `(batch, ..., heads)`, values `(batch, ..., heads * F)` and weights `(batch, ..., 1)`.

    Returns:
        `(batch, heads * F)`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(dtype=options.pop("dtype", None) or at_least_float32(), **options)

    def call(self, inputs: list[Any]) -> Any:
        logits, values, weights = (ops.reshape(x, (ops.shape(x)[0], -1, x.shape[-1])) for x in inputs)
        heads = logits.shape[-1]
        attention = weights * ops.exp(logits - ops.max(logits, axis=1, keepdims=True))
        attention = attention / (ops.sum(attention, axis=1, keepdims=True) + _EPSILON)
        values = ops.reshape(values, (*ops.shape(values)[:2], heads, values.shape[-1] // heads))
        return ops.reshape(ops.sum(attention[..., None] * values, axis=1), (-1, inputs[1].shape[-1]))


def _along(axis: int, matrix: Any, fields: Any) -> Any:
    """Fields `(batch, nx, ny, nz, F)` multiplied by a matrix along one axis."""
    shape = ops.shape(fields)
    trailing = math.prod(shape[axis + 1 :])
    return ops.reshape(ops.matmul(matrix, ops.reshape(fields, (-1, shape[axis], trailing))), shape)


def at_least_float32() -> str:
    return keras.backend.result_type(keras.config.dtype_policy().compute_dtype, "float32")
