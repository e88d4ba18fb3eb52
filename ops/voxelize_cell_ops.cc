#include "ops/shapes.h"

namespace pg_tf {
namespace {

absl::Status CheckInputs(InferenceContext* c, DimensionHandle* num_atoms, DimensionHandle* batch_size) {
  TF_RETURN_IF_ERROR(WithWeightedAtoms(c, num_atoms, batch_size));
  ShapeHandle cell;
  DimensionHandle three;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(5), 3, &cell));
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(cell, 1), 3, &three));
  return c->WithValue(c->Dim(cell, 2), 3, &three);
}

absl::Status VoxelizeCellShape(InferenceContext* c) {
  DimensionHandle num_atoms, batch_size;
  TF_RETURN_IF_ERROR(CheckInputs(c, &num_atoms, &batch_size));
  return SetGridShape(c, batch_size);
}

absl::Status VoxelizeCellGradShape(InferenceContext* c) {
  DimensionHandle num_atoms, batch_size;
  TF_RETURN_IF_ERROR(CheckInputs(c, &num_atoms, &batch_size));
  return SetGradientShapes(c, num_atoms, "with_virial", 6);
}

}  // namespace

REGISTER_OP("PgTf>VoxelizeCell")
    .Input("coords: double")
    .Input("channels: int32")
    .Input("weights: T")
    .Input("sigma: T")
    .Input("row_splits: int64")
    .Input("cell: double")
    .Output("grid: dtype")
    .Attr("T: {float, double}")
    .Attr("dtype: {float, double, half, bfloat16}")
    .Attr("num_channels: int >= 1")
    .Attr("grid_shape: list(int) >= 3")
    .Attr("data_format: {'channels_first', 'channels_last'} = 'channels_first'")
    .Attr("periodic: list(bool) = [true, true, true]")
    .SetShapeFn(VoxelizeCellShape)
    .Doc(R"doc(
Integrates atoms, as normalised Gaussians, over voxels that lie along the vectors of a lattice.

cell: [B, 3, 3] or [1, 3, 3], rows are lattice vectors. Voxel (i, j, k) holds the fractional coordinates from i / nx to
  (i + 1) / nx, and so on; it may be oblique.
periodic: the vectors along which the structure repeats; all images of the atoms are summed there.
grid: [B, num_channels, nx, ny, nz] or [B, nx, ny, nz, num_channels].
The other inputs are those of PgTf>Voxelize.
)doc");

REGISTER_OP("PgTf>VoxelizeCellGrad")
    .Input("coords: double")
    .Input("channels: int32")
    .Input("weights: T")
    .Input("sigma: T")
    .Input("row_splits: int64")
    .Input("cell: double")
    .Input("upstream: T")
    .Output("coords_gradient: double")
    .Output("weights_gradient: T")
    .Output("virial: T")
    .Attr("T: {float, double}")
    .Attr("data_format: {'channels_first', 'channels_last'} = 'channels_first'")
    .Attr("periodic: list(bool) = [true, true, true]")
    .Attr("with_virial: bool")
    .SetShapeFn(VoxelizeCellGradShape)
    .Doc(R"doc(
The gradient of sum(upstream * grid) to each atom, where grid is that of PgTf>VoxelizeCell.

coords_gradient: [N, 3], Cartesian.
weights_gradient: [N], or [N, num_channels] where the weights are feature vectors.
virial: [N, 6], in the order xx, yy, zz, yz, xz, xy: the derivative to a strain of the lattice together with the atoms,
  d -> d (1 + strain) for every vector d, sigma left as it is; [0, 6] unless with_virial.
)doc");

}  // namespace pg_tf
