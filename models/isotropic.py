"""Convolutions whose kernels look the same from all sides."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops


def orbits(kernel_size: int) -> npt.NDArray[np.int64]:
    """Which taps of a cubic kernel share a weight, because a rotation or reflection of the cube swaps them.

    Returns:
        Integers `(k, k, k)`, counted from the centre outwards: 4 orbits for k = 3, 10 for k = 5.
    """
    offsets = np.abs(np.indices((kernel_size,) * 3).reshape(3, -1).T - (kernel_size - 1) / 2)
    classes, index = np.unique(np.sort(offsets, axis=1), axis=0, return_inverse=True)
    outwards = np.argsort((classes**2).sum(axis=1), kind="stable")
    return np.argsort(outwards)[index].reshape((kernel_size,) * 3)


@keras.saving.register_keras_serializable(package="pg_tf")
class IsotropicConv3D(keras.layers.Layer):
    """A 3D convolution that commutes with the 48 rotations and reflections of the cube.

    Taps that those symmetries exchange share one weight (a convolution over the octahedral group that carries only
    its trivial representation; Cohen and Welling 2016, arXiv:1602.07576). A 3x3x3 kernel has 4 weights for each
    pair of channels instead of 27, a 5x5x5 one 10 instead of 125: its value depends on little but the distance from
    the centre, as that of SchNet's filters (Schütt et al. 2017, arXiv:1706.08566). The arithmetic is that of an
    ordinary convolution.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the kernel, odd.
        strides: Stride along each axis.
        padding: "same" or "valid".

    Input shape:
        `(batch, nx, ny, nz, channels)`.

    Output shape:
        `(batch, nx', ny', nz', filters)`, as of `keras.layers.Conv3D`.
    """

    def __init__(
        self, filters: int, kernel_size: int, strides: int = 1, padding: str = "valid", **options: Any
    ) -> None:
        super().__init__(**options)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and positive. Received: kernel_size={kernel_size}")
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        # One row a tap, a 1 in the column of its orbit.
        index = orbits(kernel_size)
        self._taps = np.eye(int(index.max()) + 1, dtype="float32")[index]

    def build(self, input_shape: tuple[int, ...]) -> None:
        channels = input_shape[-1]
        # As "he_normal" for the whole kernel, so that swapping this layer for an ordinary one keeps the variances.
        stddev = (2 / (channels * self.kernel_size**3)) ** 0.5
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self._taps.shape[-1], channels, self.filters),
            initializer=keras.initializers.TruncatedNormal(stddev=stddev / 0.87962566103423978),
        )

    def call(self, inputs: Any) -> Any:
        taps = ops.cast(self._taps, self.compute_dtype)
        kernel = ops.tensordot(taps, ops.cast(self.kernel, self.compute_dtype), axes=1)
        return ops.conv(inputs, kernel, self.strides, self.padding, data_format="channels_last")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
        }
