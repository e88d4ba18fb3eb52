"""A network of invariants: what it makes of a grid does not depend on how the molecule was turned.

Each block looks at the surroundings of every voxel through the moments of `moments.py`, makes invariants of them, and
applies a small network to those of each voxel. What comes out are the fields of the next block, and in the end they
are averaged over the molecule. Invariants of vectors carry angles, which a convolution that only knows distances
(`IsotropicConv3D`) has to piece together over several layers. With fixed products in place of learned ones they are
the power spectra of SOAP (Bartók et al. 2013, doi 10.1103/PhysRevB.87.184115) or the scattering of solid harmonics
(Eickenberg et al. 2018, arXiv:1805.00571); tensor-field and steerable networks keep vectors between the blocks, too
(Thomas et al. 2018, arXiv:1802.08219; Weiler et al. 2018, arXiv:1807.02547).

The 48 rotations and reflections of the cube swap voxels and change nothing else, so the network is invariant under
them to rounding. For other rotations its sums over voxels stand for integrals, which they are as far as the Gaussians
of the grid are wide: use a sigma of 0.6 voxels or more.

Most voxels of a molecule's grid are empty. With `voxels=K` the network computes the fullest K of each grid only. A
voxel weighs what its density exceeds `empty`, so that it counts nothing when it comes in or goes out, and predictions
are continuous in the positions of the atoms. Choose K and `empty` such that hardly a grid has more than K voxels above
`empty`: where a grid has more, the density at which a voxel counts as empty depends on how the molecule was turned,
and predictions do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from .moments import (
    AllVoxels,
    AttentiveMean,
    FullestVoxels,
    Invariants,
    MomentsOfGrid,
    MomentsOfPairs,
    PairKernels,
    WeightedMean,
    at_least_float32,
)

# The usual 0.99 of Keras averages over hundreds of steps, which is longer than a short training run. The variance has
# a floor because a channel that is empty in most batches would otherwise be divided by next to nothing.
_BATCH_NORM = {"momentum": 0.98, "epsilon": 1e-3}


def invariant3d(
    input_shape: Sequence[int | None] = (12, 12, 12, 5),
    *,
    outputs: int = 1,
    activation: Any = None,
    blocks: int = 3,
    width: int = 64,
    hidden: int = 128,
    fields: int = 16,
    products: int = 32,
    channel_reach: Sequence[float] = (0.7, 1.2, 1.9),
    reach: Sequence[float] = (0.8, 1.4, 2.4),
    heads: int = 4,
    dropout: float = 0.0,
    voxels: int | None = None,
    empty: float = 0.0,
    weighting: str = "density",
    periodic: bool = False,
    name: str = "invariant3d",
) -> keras.Model:
    """Instantiates a network of rotation invariants for regression or classification of voxel grids.

    The first block sees the channels of the grid with moments up to degree 2, the others their learned fields with
    moments up to degree 1. It suits properties that do not depend on how a molecule or crystal is turned, in grids
    whose voxels are cubes of one size (`pg_tf.centered_box`). The module's text has the mathematics.

    Args:
        input_shape: `(nx, ny, nz, channels)`. A side may be `None` if it is known at run time only.
        outputs: Number of outputs.
        activation: Activation of the outputs, as in `keras.layers.Dense`. `None` for regression.
        blocks: Number of blocks.
        width: Number of channels between blocks.
        hidden: Hidden units of the network that is applied to each voxel.
        fields: Learned fields for each reach.
        products: Products of two mixtures, for each degree.
        channel_reach: Standard deviations of the Gaussians of the first block, in voxels.
        reach: Those of the other blocks, in voxels.
        heads: Number of averages weighted by a learned attention, beside the plain one; may be 0.
        dropout: Fraction of the hidden units that are left out in training, the same at all voxels of a molecule.
        voxels: How many voxels to compute of each grid, those with the largest sums over channels; `None` for all.
            Of molecules of QM9, in voxels of 1 Å with a sigma of 0.65 Å, 160 are more than `empty=0.03`.
        empty: Sum over channels up to which a voxel counts as empty.
        weighting: "density" weighs voxels in all sums by the sum of their channels beyond `empty`; no channel
            may be negative. "uniform" counts all voxels alike, as suits grids of energies.
        periodic: Whether the grid repeats along all axes, as that of a crystal's cell does.
        name: Name of the model.

    Input shape:
        `(batch, nx, ny, nz, channels)`.

    Output shape:
        `(batch, outputs)`, at least float32 also under a mixed precision policy.

    Returns:
        A functional `keras.Model`, not compiled.

    Raises:
        ValueError: If an argument is out of range, or if `voxels` comes with `periodic` or `weighting="uniform"`:
            a crystal fills its cell, and energies are nowhere empty.

    Example:

    >>> model = pg_tf.models.invariant3d((12, 12, 12, 5), voxels=192)
    >>> model.output_shape
    (None, 1)
    """
    input_shape, channel_reach, reach = tuple(input_shape), tuple(channel_reach), tuple(reach)
    numbers = {"blocks": blocks, "width": width, "hidden": hidden, "fields": fields, "products": products}
    _check(input_shape, numbers | {"outputs": outputs}, channel_reach, reach, heads, voxels, weighting, periodic)

    inputs = layers.Input(input_shape, name="grid")
    if voxels is None:
        density, weights = AllVoxels(weighting, empty, name="voxels")(inputs)
    else:
        density, weights, positions = FullestVoxels(voxels, empty, name="voxels")(inputs)

    def moments_of(widths: tuple[float, ...], degree: int, name: str) -> Any:
        """A function of sources that returns their moments."""
        if voxels is not None:
            kernels = PairKernels(widths, degree, name=f"{name}_kernels")(positions)
            return lambda sources, name: MomentsOfPairs(name=name)([sources, *kernels])
        return lambda sources, name: MomentsOfGrid(widths, degree, periodic, weighting == "uniform", name=name)(sources)

    def hidden_layer(parts: list[Any], whole: Any, name: str) -> Any:
        x = layers.Dense(hidden, name=f"{name}_in")(layers.Concatenate(name=f"{name}_parts")(parts))
        if whole is not None:
            whole = layers.Dense(hidden, use_bias=False, name=f"{name}_whole")(whole)
            x = layers.Add(name=f"{name}_with_whole")([x, whole])
        x = layers.BatchNormalization(**_BATCH_NORM, name=f"{name}_norm")(x)
        x = layers.Activation("silu", name=f"{name}_silu")(x)
        # The same units at all voxels of a molecule: a random number for each voxel would take longer than the rest.
        whole_units = (None,) + (1,) * (len(x.shape) - 2) + (None,)
        return layers.Dropout(dropout, whole_units, name=f"{name}_dropout")(x) if dropout else x

    seen = moments_of(channel_reach, 2, "channels")(
        layers.Concatenate(name="channels_sources")([density] * len(channel_reach)), "block1_moments"
    )
    # A voxel holds a fifth of an atom at most; the moments are of the order of atoms.
    scaled = layers.Rescaling(10.0, name="channels_scaled")(density)
    x = hidden_layer([scaled, Invariants(products, name="block1_invariants")(seen)], None, "block1")
    x = layers.Dense(width, name="block1_out")(x)
    moments = moments_of(reach, 1, "fields")
    for i in range(2, blocks + 1):
        sources = layers.Dense(fields * len(reach), name=f"block{i}_fields")(x)
        seen = moments(layers.Multiply(name=f"block{i}_sources")([sources, weights]), f"block{i}_moments")
        invariants = Invariants(products, name=f"block{i}_invariants")(seen)
        change = hidden_layer([x, invariants], WeightedMean(name=f"block{i}_mean")([x, weights]), f"block{i}")
        x = layers.Add(name=f"block{i}_add")([x, layers.Dense(width, name=f"block{i}_out")(change)])

    last = hidden_layer([x], None, "last")
    pooled = [layers.Flatten(name="mean_flat")(WeightedMean(name="mean")([last, weights]))]
    if heads:
        logits = layers.Dense(heads, name="attention_logits")(x)
        values = layers.Dense(16 * heads, name="attention_values")(last)
        pooled.append(AttentiveMean(name="attention")([logits, values, weights]))
    x = layers.Concatenate(name="pooled")(pooled) if heads else pooled[0]
    x = layers.Dense(64, activation="silu", name="pooled_silu")(x)
    x = layers.Dense(outputs, activation=activation, dtype=at_least_float32(), name="outputs")(x)
    return keras.Model(inputs, x, name=name)


def _check(
    input_shape: tuple[int | None, ...],
    numbers: dict[str, int],
    channel_reach: tuple[float, ...],
    reach: tuple[float, ...],
    heads: int,
    voxels: int | None,
    weighting: str,
    periodic: bool,
) -> None:
    for argument, value in numbers.items():
        if value < 1:
            raise ValueError(f"{argument} must be at least 1. Received: {argument}={value}")
    if heads < 0:
        raise ValueError(f"heads must be at least 0. Received: heads={heads}")
    if len(input_shape) != 4 or input_shape[-1] is None or any(side is not None and side < 1 for side in input_shape):
        raise ValueError(
            "input_shape must be (nx, ny, nz, channels) with at least one voxel and one channel and without the "
            f"batch. Received: input_shape={input_shape}"
        )
    for argument, widths in (("channel_reach", channel_reach), ("reach", reach)):
        if not widths or not all(width > 0 for width in widths):
            raise ValueError(f"{argument} must be positive numbers, in voxels. Received: {argument}={widths}")
    if weighting not in ("density", "uniform"):
        raise ValueError(f'weighting must be "density" or "uniform". Received: weighting={weighting!r}')
    if voxels is None:
        return
    if periodic or weighting != "density":
        raise ValueError(
            "voxels: only in a grid of densities that does not repeat can voxels be left out as empty. "
            f"Received: voxels={voxels}, periodic={periodic}, weighting={weighting!r}"
        )
    sides = [side for side in input_shape[:3] if side is not None]
    if voxels < 1 or (len(sides) == 3 and voxels >= math.prod(sides)):
        raise ValueError(
            "voxels must be at least 1 and fewer than the grid has. "
            f"Received: voxels={voxels}, input_shape={input_shape}"
        )
