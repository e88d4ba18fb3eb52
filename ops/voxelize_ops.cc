#include "ops/shapes.h"

namespace pg_tf {
namespace {

absl::Status CheckInputs(InferenceContext* c, DimensionHandle* num_atoms, DimensionHandle* batch_size) {
  TF_RETURN_IF_ERROR(WithWeightedAtoms(c, num_atoms, batch_size));
  ShapeHandle ignored;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(5), 2, &ignored));
  return c->WithRank(c->input(6), 2, &ignored);
}

absl::Status VoxelizeShape(InferenceContext* c) {
  DimensionHandle num_atoms, batch_size;
  TF_RETURN_IF_ERROR(CheckInputs(c, &num_atoms, &batch_size));
  return SetGridShape(c, batch_size);
}

absl::Status VoxelizeGradShape(InferenceContext* c) {
  DimensionHandle num_atoms, batch_size;
  TF_RETURN_IF_ERROR(CheckInputs(c, &num_atoms, &batch_size));
  return SetGradientShapes(c, num_atoms, "with_sigma", 3);
}

}  // namespace

REGISTER_OP("PgTf>Voxelize")
    .Input("coords: double")
    .Input("channels: int32")
    .Input("weights: T")
    .Input("sigma: T")
    .Input("row_splits: int64")
    .Input("origin: double")
    .Input("lengths: double")
    .Output("grid: dtype")
    .Attr("T: {float, double}")
    .Attr("dtype: {float, double, half, bfloat16}")
    .Attr("num_channels: int >= 1")
    .Attr("grid_shape: list(int) >= 3")
    .Attr("data_format: {'channels_first', 'channels_last'} = 'channels_first'")
    .Attr("periodic: list(bool) = [false, false, false]")
    .SetShapeFn(VoxelizeShape)
    .Doc(R"doc(
Integrates atoms, as normalised Gaussians, over the voxels of one grid per molecule.

coords: [N, 3], the atoms of all molecules, one after another. Coordinates and boxes are always double, because far from
  the origin float has no digits left for where an atom is in its box.
channels: [N]. A negative channel marks padding.
weights: [] or [N], or [N, num_channels]: a feature vector in place of a channel.
sigma: [] or [N], the standard deviation, in the unit of the coordinates.
row_splits: [B + 1]; molecule b has the atoms row_splits[b] to row_splits[b + 1].
origin: [B, 3] or [1, 3], the lower corner of the box.
lengths: [B, 3] or [1, 3], its edges.
periodic: the axes on which the box repeats; images of the atoms are summed there, wherever the atoms are given.
grid: [B, num_channels, nx, ny, nz] or [B, nx, ny, nz, num_channels].
)doc");

REGISTER_OP("PgTf>VoxelizeGrad")
    .Input("coords: double")
    .Input("channels: int32")
    .Input("weights: T")
    .Input("sigma: T")
    .Input("row_splits: int64")
    .Input("origin: double")
    .Input("lengths: double")
    .Input("upstream: dtype")
    .Output("coords_gradient: double")
    .Output("weights_gradient: T")
    .Output("sigma_gradient: T")
    .Attr("T: {float, double}")
    .Attr("dtype: {float, double, half, bfloat16}")
    .Attr("data_format: {'channels_first', 'channels_last'} = 'channels_first'")
    .Attr("periodic: list(bool) = [false, false, false]")
    .Attr("with_sigma: bool")
    .SetShapeFn(VoxelizeGradShape)
    .Doc(R"doc(
The gradient of sum(upstream * grid) to each atom, where grid is that of PgTf>Voxelize.

coords_gradient: [N, 3].
weights_gradient: [N], or [N, num_channels] where the weights are feature vectors.
sigma_gradient: [N, 3], the derivative to the logarithm of sigma on each axis alone; [0, 3] unless with_sigma.
)doc");

}  // namespace pg_tf
