"""The box that a grid divides into voxels: given, or fitted to the atoms."""

from typing import Any, NamedTuple

import tensorflow as tf

from pg_tf._arguments import as_tensor, describe, uses_op
from pg_tf._atoms import AtomLayout, flat_atoms, flat_channels
from pg_tf._ops import bounding_box as bounding_box_op


class Box(NamedTuple):
    """An orthogonal box, one for all molecules or one for each.

    Attributes:
      origin: lower corner in the frame of the coordinates, Å: `[3]` or `[B, 3]`.
      lengths: edges along the axes of the box, Å: `[3]` or `[B, 3]`.
      rotation: None for a box along the axes of the coordinates. Otherwise a rotation matrix, `[3, 3]` or `[B, 3, 3]`,
        whose rows are the unit vectors of the box's axes.
    """

    origin: Any
    lengths: Any
    rotation: Any = None

    def to_box_frame(self, coords: Any) -> Any:
        """Coordinates seen from the box: from its corner, along its axes.

        Args:
          coords: `[A, 3]`, `[B, A, 3]` or ragged `[B, (A), 3]`, Å.

        Returns:
          Tensor of the same shape, Å; 0 <= x <= lengths inside the box.
        """
        return self._transform(coords, lambda x, origin, rotation: rotate(rotation, x - origin))

    def from_box_frame(self, coords: Any) -> Any:
        """The inverse of `to_box_frame`: back to the frame of the caller's coordinates."""
        return self._transform(coords, lambda x, origin, rotation: rotate(rotation, x, transpose=True) + origin)

    def _transform(self, coords: Any, transform: Any) -> Any:
        layout, flat = flat_atoms("coords", coords, 3)
        box = batched(self, layout, tf.float64)
        rotation = None if box.rotation is None else layout.per_atom(box.rotation)
        moved = transform(tf.cast(flat, tf.float64), layout.per_atom(box.origin), rotation)
        return layout.unflatten(tf.cast(moved, flat.dtype))


def bounding_box(
    coords: Any,
    margin: float = 2.0,
    cubic: bool = True,
    *,
    channels: Any = None,
    rotation: Any = None,
    implementation: str = "auto",
) -> Box:
    """The box around each molecule, a margin on every side (ParticleGrid paper, section VII-B).

    Args:
      coords: atoms of one molecule `[A, 3]`, a padded batch `[B, A, 3]` or a ragged batch `[B, (A), 3]`, Å.
      margin: distance between the outermost atoms and the faces, Å.
      cubic: makes all edges as long as the longest; the box keeps its centre.
      channels: `[A]`, `[B, A]` or ragged `[B, (A)]`; atoms with a negative channel are padding and left out.
      rotation: None for a box along the axes of the coordinates, "principal" for the principal axes of the atoms (see
        `principal_axes`), or a rotation matrix as in `Box`.
      implementation: as in `voxelize`.

    Returns:
      A `Box` with `[3]` for a single molecule and `[B, 3]` for a batch. A molecule without atoms has the box of an atom
      at the origin. Differentiable with respect to `coords`; the principal axes count as constants there.

    Raises:
      ValueError: if a shape does not fit, or the margin is negative.
      tf.errors.InvalidArgumentError: if a coordinate is not finite, or so large that its digits cannot hold the margin.
    """
    if not margin >= 0:
        raise ValueError(f"margin must be at least 0 Å, got {margin}")
    layout, flat = flat_atoms("coords", coords, 3)
    box = fit(flat, flat_channels(channels, layout, flat), layout, margin, cubic, rotation, uses_op(implementation))
    return Box(*(None if part is None else layout.batch(part) for part in box))


def centered_box(coords: Any, lengths: Any, *, channels: Any = None, implementation: str = "auto") -> Box:
    """A box of the same size around the middle of each molecule, so that all grids have one resolution.

    Args:
      coords: as in `bounding_box`.
      lengths: edges of the box, Å: a scalar or `[3]`.
      channels: as in `bounding_box`.
      implementation: as in `voxelize`.

    Returns:
      A `Box`, `[3]` for a single molecule and `[B, 3]` for a batch. Its centre is that of the atoms' bounding box. What
      sticks out of the box is not in the grid.

    Raises:
      As `bounding_box`.
    """
    around = bounding_box(coords, margin=0.0, cubic=False, channels=channels, implementation=implementation)
    edges = tf.broadcast_to(tf.cast(lengths, around.lengths.dtype), tf.shape(around.lengths))
    return Box(around.origin + (around.lengths - edges) / 2, edges)


def principal_axes(coords: Any, *, channels: Any = None) -> tf.Tensor:
    """The principal axes of the atoms, all weighing the same, the longest first.

    Args:
      coords: as in `bounding_box`.
      channels: as in `bounding_box`.

    Returns:
      Rotation matrices, rows the axes: `[3, 3]` for a single molecule, `[B, 3, 3]` for a batch. Right-handed; the first
      two axes point to the side where the atoms reach out further (positive third moment).
    """
    layout, flat = flat_atoms("coords", coords, 3)
    mask = tf.cast(flat_channels(channels, layout, flat) >= 0, flat.dtype)
    return layout.batch(_principal_axes(flat, mask, layout))


def rotate(rotation: tf.Tensor | None, vectors: tf.Tensor, transpose: bool = False) -> tf.Tensor:
    """`rotation[n] @ vectors[n]` for `[N, 3, 3]` and `[N, 3]`."""
    return vectors if rotation is None else tf.linalg.matvec(rotation, vectors, transpose_a=transpose)


def batched(box: Any, layout: AtomLayout, dtype: tf.DType) -> Box:
    """A caller's box as tensors `[1 or B, 3]`, `[1 or B, 3]` and None or `[1 or B, 3, 3]`.

    Raises:
      ValueError: if it is not a box or a shape does not fit.
      tf.errors.InvalidArgumentError: if the rotation is none.
    """
    try:
        origin, lengths, rotation = Box(*box)
    except TypeError:
        raise ValueError(f"box must be a pg_tf.Box or a pair (origin, lengths), got {box!r}") from None
    origin = as_tensor("box: origin", origin, dtype)
    lengths = as_tensor("box: lengths", lengths, dtype)
    for name, value in (("origin", origin), ("lengths", lengths)):
        if value.shape.rank not in (1, 2) or value.shape[-1] not in (3, None):
            raise ValueError(f"box: {name} must have shape [3] or [molecules, 3], got {describe(value)}")
    if rotation is not None:
        rotation = as_tensor("box: rotation", rotation, dtype)
        if rotation.shape.rank not in (2, 3) or rotation.shape[-2:].as_list() != [3, 3]:
            raise ValueError(f"box: rotation must have shape [3, 3] or [molecules, 3, 3], got {describe(rotation)}")
        rotation = tf.reshape(rotation, [-1, 3, 3])
        _check_rotation(rotation)
    origin, lengths = (v if v.shape.rank == 2 else tf.reshape(v, [1, 3]) for v in (origin, lengths))
    result = Box(origin, lengths, rotation)
    molecules = layout.batch_size
    for name, value in result._asdict().items():
        if value is not None and molecules is not None and value.shape[0] not in (1, molecules, None):
            raise ValueError(
                f"box: {name} must be one for all or one for each of the {molecules} molecules, got {describe(value)}"
            )
    return result


def _check_rotation(rotation: tf.Tensor) -> None:
    rule = "box: rotation must be a rotation matrix, with orthonormal rows and determinant 1"
    products = tf.linalg.matmul(rotation, rotation, transpose_b=True)
    tolerance = tf.constant(1e-3, rotation.dtype)  # room for matrices written down with few digits
    tf.debugging.assert_less(tf.abs(products - tf.eye(3, dtype=rotation.dtype)), tolerance, rule)
    tf.debugging.assert_positive(tf.linalg.det(rotation), rule)


def fit(
    coords: tf.Tensor,
    channels: tf.Tensor,
    layout: AtomLayout,
    margin: float,
    cubic: bool,
    rotation: Any,
    use_op: bool,
) -> Box:
    """`bounding_box` on flat atoms; the box has a batch axis."""
    along_axes = bounding_box_op.by_op if use_op else bounding_box_op.by_dense
    if rotation is None:
        return Box(*along_axes(coords, channels, layout, margin, cubic))
    if isinstance(rotation, str):
        if rotation != "principal":
            raise ValueError(f"rotation must be None, 'principal' or a rotation matrix, got {rotation!r}")
        rotation = tf.stop_gradient(_principal_axes(coords, tf.cast(channels >= 0, coords.dtype), layout))
    else:
        rotation = batched(Box([0.0] * 3, [1.0] * 3, rotation), layout, coords.dtype).rotation
    turned = rotate(layout.per_atom(rotation), coords)
    origin, lengths = along_axes(turned, channels, layout, margin, cubic)
    return Box(tf.linalg.matvec(rotation, origin, transpose_a=True), lengths, rotation)


def _principal_axes(coords: tf.Tensor, mask: tf.Tensor, layout: AtomLayout) -> tf.Tensor:
    molecule = layout.molecule_of(coords)

    def mean(values: tf.Tensor) -> tf.Tensor:
        inner = [1] * (len(values.shape) - 1)
        total = layout.total(tf.where(tf.reshape(mask, [-1, *inner]) > 0, values, 0))
        return tf.math.divide_no_nan(total, tf.reshape(layout.total(mask), [-1, *inner]))

    centred = coords - tf.gather(mean(coords), molecule)
    covariance = mean(centred[:, :, tf.newaxis] * centred[:, tf.newaxis, :])
    axes = tf.reverse(tf.linalg.matrix_transpose(tf.linalg.eigh(covariance)[1]), [1])
    skew = mean(tf.linalg.matvec(tf.gather(axes, molecule), centred) ** 3)
    axes *= tf.where(skew < 0, -tf.ones_like(skew), tf.ones_like(skew))[:, :, tf.newaxis]
    third = tf.linalg.cross(axes[:, 0], axes[:, 1])
    return tf.stack([axes[:, 0], axes[:, 1], third], axis=1)
