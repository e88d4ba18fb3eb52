"""Atoms to grids: the exact integral of each atom's Gaussian over each voxel, and its gradient."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import control_flow_util  # the only way to learn that XLA is tracing

from pg_tf import _cell_grid, _library, boxes, cells
from pg_tf._atoms import AtomLayout, as_tensor, describe, flat_atoms, flat_channels
from pg_tf._autograph import plain
from pg_tf.dense import boxes as dense_boxes
from pg_tf.dense import cells as dense_cells

_ops = _library.load()

DTYPES = (tf.float32, tf.float64, tf.float16, tf.bfloat16)


@plain
def voxelize(
    coords: Any,
    channels: Any = None,
    *,
    num_channels: int = 1,
    grid_shape: int | Sequence[int] = 32,
    sigma: Any = 0.4,
    weights: Any = None,
    features: Any = None,
    box: Any = None,
    cell: Any = None,
    periodic: Any = None,
    data_format: str = "channels_first",
    dtype: Any = "float32",
    implementation: str = "auto",
    return_box: bool = False,
) -> Any:
    """Turns atoms into voxel grids.

    An atom is a normalised Gaussian, and a voxel holds its exact integral: `w P_x(i) P_y(j) P_z(k)` with
    `P(i) = (erf((e_i+1 - mu) / (sqrt2 sigma)) - erf((e_i - mu) / (sqrt2 sigma))) / 2` (Zaman et al., ParticleGrid,
    2022, Eq. 1-5). A grid whose box holds all atoms sums to the sum of their weights (Eq. 6).

    Example:

        grid = pg_tf.voxelize([[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]], sigma=0.4)   # [1, 32, 32, 32], sums to 2

    Args:
      coords: atoms of one molecule `[A, 3]`, a padded batch `[B, A, 3]` or a ragged batch `[B, (A), 3]`, Å.
      channels: integers `[A]`, `[B, A]` or ragged `[B, (A)]`; None puts all atoms into channel 0. A negative channel
        marks padding: no contribution, gradients of zero.
      num_channels: channels of the grid.
      grid_shape: voxels along x, y and z, or one number for all three.
      sigma: standard deviation of the Gaussians, Å: a scalar, or one for each atom, laid out as `channels`.
      weights: integral of each atom, 1 if None: a scalar, or one for each atom, laid out as `channels`.
      features: `[A, C]`, `[B, A, C]` or ragged `[B, (A), C]` with C = num_channels: soft channels. Atom a adds
        `features[a, c]` times its Gaussian to every channel c; of `channels` only the sign is looked at then.
      box: a `Box` or `(origin, lengths)` in Å, `[3]` for all molecules or `[B, 3]`; or a function that is called as
        `box(coords, channels=channels)` and returns one, such as `functools.partial(pg_tf.centered_box, lengths=16.0)`.
        None fits one to each molecule with `bounding_box`: cubic, 2 Å margin.
      cell: lattice vectors as rows, Å: `[3, 3]` for all molecules or `[B, 3, 3]`, of any orientation and handedness.
        Without a box, voxels lie along them: voxel (i, j, k) holds the fractional coordinates from i / nx to
        (i + 1) / nx and so on, and where the cell is oblique the voxel is. Its integral then needs quadrature, good to
        2e-6 of the largest voxel in float32 and 1e-12 in float64. With a box, the grid is a window into the crystal.
      periodic: along which lattice vectors (without a cell: along which axes of the box) the structure repeats: a flag
        or three. Atoms count wherever they are given, and with all their images, however wide they are. None: all
        lattice vectors of a cell, no axis of a box.
      data_format: "channels_first" `[C, nx, ny, nz]` or "channels_last" `[nx, ny, nz, C]`.
      dtype: of the grid: float32, float64, float16 or bfloat16. float64 grids are computed in float64, all others in
        float32 and rounded once.
      implementation: "op" is the compiled CPU kernel. "dense" is made of TensorFlow's own ops: slower on a CPU, but it
        runs under XLA and on accelerators (padded or single molecules only, under XLA), where bad values cannot raise:
        they make the grid NaN. "auto" is "dense" inside `tf.function(jit_compile=True)` and "op" elsewhere.
      return_box: also returns the box.

    Returns:
      The grid, with a leading batch axis unless `coords` is a single molecule. With `return_box`, `(grid, box)`.
      Differentiable to any order with respect to coords, weights, features, sigma, the box and the cell. Derivatives to
      box and cell are those at fixed Cartesian `coords`; for those at fixed fractional ones, take `coords =
      pg_tf.to_cartesian(fractional, cell)` under the same tape.

    Raises:
      ValueError: if a shape, name or static value does not fit.
      tf.errors.InvalidArgumentError: for bad values: numbers that are not finite, sigma <= 0, a channel that does not
        exist, a box or cell of no volume, a grid too large for the memory, a sigma below a twelfth of the edge of an
        oblique voxel. The text names the molecule, the atom and the value.
    """
    dtype = _check_dtype(dtype)
    shape = _check_grid_shape(grid_shape)
    num_channels = _check_num_channels(num_channels)
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"data_format must be 'channels_first' or 'channels_last', got {data_format!r}")
    if weights is not None and features is not None:
        raise ValueError("give weights or features, not both: a feature vector already holds the atom's weights")
    use_op = _use_op(implementation)
    repeats = cells.check_periodic(periodic, default=cell is not None)
    if any(repeats) and cell is None and box is None:
        raise ValueError("periodic: give the box or the cell that repeats; a box fitted to the atoms is no period")
    attributes: dict[str, Any] = {
        "num_channels": num_channels,
        "grid_shape": shape,
        "data_format": data_format,
        "periodic": repeats,
    }

    compute = tf.float64 if dtype == tf.float64 else tf.float32
    layout, xyz = flat_atoms("coords", coords, 3, compute)
    channel = flat_channels(channels, layout, xyz)
    weight = _weights(weights, features, num_channels, layout, compute)
    width = _per_atom("sigma", sigma, layout, compute)
    lattice = None if cell is None else cells.batched(cell, layout, compute)

    if lattice is not None and box is None:
        if return_box:
            raise ValueError("return_box: the grid of a cell has no box; its voxels lie along the lattice vectors")
        if use_op:
            grid = _cell_grid.by_op(xyz, channel, weight, width, layout, lattice, dtype=dtype, **attributes)
        else:
            orders = _cell_grid.static_orders(cell, sigma, shape, repeats, compute) if _under_xla() else None
            dense_grid = _cell_grid.by_dense(xyz, channel, weight, width, layout, lattice, **attributes, orders=orders)
            grid = tf.cast(dense_grid, dtype)
        return layout.batch(grid)

    if box is None:
        used = boxes.fit(xyz, channel, layout, margin=2.0, cubic=True, rotation=None, use_op=use_op)
        if return_box:
            box = boxes.Box(layout.batch(used.origin), layout.batch(used.lengths))
    else:
        if callable(box):
            box = box(coords, channels=None if channels is None else layout.unflatten(channel))
        used = boxes.batched(box, layout, compute)
    atoms = layout
    if lattice is not None and any(repeats):
        if _under_xla():
            raise ValueError(
                "box, cell: under XLA a window into a crystal is not possible; its images have no fixed number"
            )
        width = tf.fill(tf.shape(channel), width) if width.shape.rank == 0 else width
        reach = dense_cells.REACH[compute]
        if all(repeats):  # a wider atom has more images, and no other grid
            even = tf.minimum(width, layout.per_atom(cells.widest(lattice, reach)))
            width = tf.where(tf.math.is_finite(width), even, width)
        xyz, image_of, row_splits = cells.window_images(xyz, channel, width, layout, lattice, repeats, used, reach)
        channel, width = tf.gather(channel, image_of), cells.rows(width, image_of)
        weight = weight if weight.shape.rank == 0 else cells.rows(weight, image_of)
        atoms = AtomLayout("ragged", row_splits, None, layout.batch_size)
        attributes["periodic"] = (False, False, False)
    corner = used.origin
    if used.rotation is not None:
        xyz = boxes.rotate(atoms.per_atom(used.rotation), xyz - atoms.per_atom(used.origin))
        corner = tf.zeros_like(used.origin)
    if use_op:
        grid = _ops.pg_tf_voxelize(
            xyz, channel, weight, width, atoms.row_splits, corner, used.lengths, dtype=dtype, **attributes
        )
    else:
        grid = tf.cast(_dense(xyz, channel, weight, width, atoms, corner, used.lengths, **attributes), dtype)
    grid = layout.batch(grid)
    return (grid, boxes.Box(*box)) if return_box else grid


def simd_levels() -> tuple[list[str], str]:
    """The instruction sets that the compiled kernels can use on this CPU, slowest first, and the one in use.

    The environment variable PG_TF_SIMD names another one to use; it is read once, at the first grid.
    """
    supported, active = _ops.pg_tf_simd_levels()
    return [level.decode() for level in supported.numpy()], active.numpy().decode()


def _check_dtype(dtype: Any) -> tf.DType:
    try:
        result = tf.as_dtype(dtype)
    except TypeError:
        result = None
    if result not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(d.name for d in DTYPES)}; got {dtype!r}")
    return result


def _check_grid_shape(grid_shape: Any) -> tuple[int, int, int]:
    try:
        x, y, z = (operator.index(n) for n in (grid_shape if np.iterable(grid_shape) else (grid_shape,) * 3))
        if min(x, y, z) >= 1 and max(x, y, z) <= 2**30:
            return x, y, z
    except (TypeError, ValueError):
        pass
    raise ValueError(f"grid_shape must be one or three whole numbers from 1 to 2^30, got {grid_shape!r}")


def _check_num_channels(num_channels: Any) -> int:
    try:
        if 1 <= operator.index(num_channels) < 2**31:
            return operator.index(num_channels)
    except TypeError:
        pass
    raise ValueError(f"num_channels must be a whole number from 1 to 2^31 - 1, got {num_channels!r}")


def _use_op(implementation: str) -> bool:
    if implementation not in ("auto", "op", "dense"):
        raise ValueError(f"implementation must be 'auto', 'op' or 'dense', got {implementation!r}")
    if implementation == "auto":
        return not _under_xla()
    return implementation == "op"


def _under_xla() -> bool:
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    return graph is not None and bool(control_flow_util.GraphOrParentsInXlaContext(graph))


def _per_atom(name: str, value: Any, layout: AtomLayout, dtype: tf.DType) -> tf.Tensor:
    value = as_tensor(name, value, dtype)
    return value if value.shape.rank == 0 else layout.flat(name, value, ())


def _weights(weights: Any, features: Any, num_channels: int, layout: AtomLayout, dtype: tf.DType) -> tf.Tensor:
    if features is None:
        return _per_atom("weights", 1.0 if weights is None else weights, layout, dtype)
    features = as_tensor("features", features, dtype)
    if features.shape.rank is None or features.shape[-1] not in (num_channels, None):
        raise ValueError(f"features must have num_channels = {num_channels} columns, got {describe(features)}")
    return layout.flat("features", features, (num_channels,))


def _dense(
    coords: tf.Tensor,
    channels: tf.Tensor,
    weights: tf.Tensor,
    sigma: tf.Tensor,
    layout: AtomLayout,
    origin: tf.Tensor,
    lengths: tf.Tensor,
    num_channels: int,
    grid_shape: tuple[int, int, int],
    data_format: str,
    periodic: Sequence[bool],
) -> tf.Tensor:
    """What PgTf>Voxelize computes. `sigma` may also be `[N, 3]`."""
    coords, features, sigma = dense_boxes.sound_atoms(coords, channels, weights, sigma, num_channels)
    lengths = tf.where(lengths > 0, lengths, math.nan)
    padded = layout.padded(coords)
    batch = tf.shape(padded)[0]
    return dense_boxes.voxelize(
        padded,
        layout.padded(features),
        layout.padded(sigma, 1.0),
        tf.broadcast_to(origin, [batch, 3]),
        tf.broadcast_to(lengths, [batch, 3]),
        grid_shape,
        data_format,
        periodic,
    )


@tf.RegisterGradient("PgTf>Voxelize")
def _voxelize_gradient(op: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    coords, channels, weights, sigma, row_splits, origin, lengths = op.inputs
    # In eager mode TensorFlow tells which inputs nobody asks for. In a graph it does not, and the sums for sigma come
    # along at little cost.
    skipped = getattr(op, "skip_input_indices", None) or ()
    need_sigma = any(i not in skipped for i in (3, 5, 6))
    to_coords, to_weights, to_log_sigma = _ops.pg_tf_voxelize_grad(
        *op.inputs,
        upstream,
        data_format=op.get_attr("data_format"),
        periodic=op.get_attr("periodic"),
        with_sigma=need_sigma,
    )
    result = dict.fromkeys(range(7))
    result[0] = to_coords
    result[2] = tf.reduce_sum(to_weights) if weights.shape.rank == 0 else to_weights
    if need_sigma:
        to_sigma = tf.reduce_sum(to_log_sigma, axis=1)
        # The sigma of padding may be anything.
        result[3] = (
            tf.reduce_sum(to_sigma) / sigma if sigma.shape.rank == 0 else to_sigma / tf.where(channels >= 0, sigma, 1)
        )
        result[5], result[6] = _box_gradient(coords, channels, row_splits, origin, lengths, to_coords, to_log_sigma)
    return [result[i] for i in range(7)]


def _box_gradient(
    coords: tf.Tensor,
    channels: tf.Tensor,
    row_splits: tf.Tensor,
    origin: tf.Tensor,
    lengths: tf.Tensor,
    to_coords: tf.Tensor,
    to_log_sigma: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """On each axis P depends on (mu - origin, length, sigma) through their ratios alone, and Euler's theorem for
    homogeneous functions gives the derivative to the box from those to the atoms."""
    layout = AtomLayout("ragged", row_splits, None, None)

    def of_molecule(values: tf.Tensor) -> tf.Tensor:
        batch_size = tf.shape(row_splits)[0] - 1
        molecule = tf.repeat(tf.range(batch_size), row_splits[1:] - row_splits[:-1])
        return tf.math.unsorted_segment_sum(values, molecule, batch_size)

    def like(values: tf.Tensor, box_part: tf.Tensor) -> tf.Tensor:
        one_for_all = tf.shape(box_part)[0] != tf.shape(values)[0]
        return tf.cond(one_for_all, lambda: tf.reduce_sum(values, axis=0, keepdims=True), lambda: values)

    relative = tf.where((channels >= 0)[:, tf.newaxis], coords - layout.per_atom(origin), 0)
    to_origin = -of_molecule(to_coords)
    to_lengths = -of_molecule(relative * to_coords + to_log_sigma) / lengths
    return like(to_origin, origin), like(to_lengths, lengths)


@tf.RegisterGradient("PgTf>VoxelizeGrad")
def _second_gradient(op: tf.Operation, *to_outputs: tf.Tensor) -> list[tf.Tensor | None]:
    """The derivative of the gradient, through the dense form."""
    coords, channels, weights, sigma, row_splits, origin, lengths, upstream = op.inputs
    layout = AtomLayout("ragged", row_splits, None, None)
    data_format, with_sigma = op.get_attr("data_format").decode(), op.get_attr("with_sigma")
    spatial = upstream.shape[2:] if data_format == "channels_first" else upstream.shape[1:4]
    num_channels = upstream.shape[1 if data_format == "channels_first" else 4]
    compute = coords.dtype
    inputs = [coords, weights, sigma, origin, lengths, upstream]
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        weight = tf.fill(tf.shape(channels), weights) if weights.shape.rank == 0 else weights
        width = tf.fill(tf.shape(channels), sigma) if sigma.shape.rank == 0 else tf.where(channels >= 0, sigma, 1)
        log_scale = tf.zeros_like(coords)
        with tf.GradientTape() as inner:
            inner.watch([coords, weight, log_scale])
            grid = _dense(
                coords,
                channels,
                weight,
                width[:, tf.newaxis] * tf.exp(log_scale),
                layout,
                origin,
                lengths,
                num_channels,
                tuple(spatial),
                data_format,
                op.get_attr("periodic"),
            )
            value = tf.reduce_sum(grid * tf.cast(upstream, compute))
        first = inner.gradient(value, [coords, weight, log_scale] if with_sigma else [coords, weight])
    to_inputs = outer.gradient(first, inputs, list(to_outputs[: len(first)]))
    coords_2, weights_2, sigma_2, origin_2, lengths_2, upstream_2 = to_inputs
    return [coords_2, None, weights_2, sigma_2, None, origin_2, lengths_2, upstream_2]
