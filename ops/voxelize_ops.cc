#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace pg_tf {
namespace {

using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

// Checks the inputs that describe the atoms; leaves their number and that of the molecules.
absl::Status CheckAtoms(InferenceContext* c, int row_splits_input, DimensionHandle* num_atoms,
                        DimensionHandle* batch_size) {
  ShapeHandle coords, channels, row_splits;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &coords));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 1, &channels));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(row_splits_input), 1, &row_splits));
  DimensionHandle three;
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(coords, 1), 3, &three));
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(coords, 0), c->Dim(channels, 0), num_atoms));
  return c->Subtract(c->Dim(row_splits, 0), 1, batch_size);
}

absl::Status CheckVoxelizeInputs(InferenceContext* c, DimensionHandle* num_atoms, DimensionHandle* batch_size) {
  TF_RETURN_IF_ERROR(CheckAtoms(c, 4, num_atoms, batch_size));
  ShapeHandle ignored;
  TF_RETURN_IF_ERROR(c->WithRankAtMost(c->input(2), 2, &ignored));
  TF_RETURN_IF_ERROR(c->WithRankAtMost(c->input(3), 1, &ignored));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(5), 2, &ignored));
  return c->WithRank(c->input(6), 2, &ignored);
}

absl::Status VoxelizeShape(InferenceContext* c) {
  DimensionHandle num_atoms, batch_size;
  TF_RETURN_IF_ERROR(CheckVoxelizeInputs(c, &num_atoms, &batch_size));
  int64_t num_channels;
  std::vector<int64_t> grid_shape;
  std::string data_format;
  TF_RETURN_IF_ERROR(c->GetAttr("num_channels", &num_channels));
  TF_RETURN_IF_ERROR(c->GetAttr("grid_shape", &grid_shape));
  TF_RETURN_IF_ERROR(c->GetAttr("data_format", &data_format));
  std::vector<DimensionHandle> dims = {batch_size};
  if (data_format == "channels_first") dims.push_back(c->MakeDim(num_channels));
  for (int64_t extent : grid_shape) dims.push_back(c->MakeDim(extent));
  if (data_format == "channels_last") dims.push_back(c->MakeDim(num_channels));
  c->set_output(0, c->MakeShape(dims));
  return absl::OkStatus();
}

absl::Status VoxelizeGradShape(InferenceContext* c) {
  DimensionHandle num_atoms, batch_size;
  TF_RETURN_IF_ERROR(CheckVoxelizeInputs(c, &num_atoms, &batch_size));
  ShapeHandle upstream, weights;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(7), 5, &upstream));
  bool with_sigma;
  TF_RETURN_IF_ERROR(c->GetAttr("with_sigma", &with_sigma));
  c->set_output(0, c->Matrix(num_atoms, 3));
  if (!c->RankKnown(c->input(2))) {
    c->set_output(1, c->UnknownShape());
  } else if (c->Rank(c->input(2)) == 2) {
    c->set_output(1, c->Matrix(num_atoms, c->Dim(c->input(2), 1)));
  } else {
    c->set_output(1, c->Vector(num_atoms));
  }
  c->set_output(2, with_sigma ? c->Matrix(num_atoms, 3) : c->Matrix(0, 3));
  return absl::OkStatus();
}

absl::Status SplitPointsShape(InferenceContext* c) {
  ShapeHandle points;
  DimensionHandle four;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &points));
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(points, 1), 4, &four));
  c->set_output(0, c->Matrix(c->Dim(points, 0), 3));
  c->set_output(1, c->Vector(c->Dim(points, 0)));
  return absl::OkStatus();
}

absl::Status BoundingBoxShape(InferenceContext* c) {
  DimensionHandle num_atoms, batch_size;
  TF_RETURN_IF_ERROR(CheckAtoms(c, 2, &num_atoms, &batch_size));
  ShapeHandle margin;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(3), 0, &margin));
  c->set_output(0, c->Matrix(batch_size, 3));
  c->set_output(1, c->Matrix(batch_size, 3));
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("PgTf>Voxelize")
    .Input("coords: T")
    .Input("channels: int32")
    .Input("weights: T")
    .Input("sigma: T")
    .Input("row_splits: int64")
    .Input("origin: T")
    .Input("lengths: T")
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

coords: [N, 3], the atoms of all molecules, one after another.
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
    .Input("coords: T")
    .Input("channels: int32")
    .Input("weights: T")
    .Input("sigma: T")
    .Input("row_splits: int64")
    .Input("origin: T")
    .Input("lengths: T")
    .Input("upstream: dtype")
    .Output("coords_gradient: T")
    .Output("weights_gradient: T")
    .Output("sigma_gradient: T")
    .Attr("T: {float, double}")
    .Attr("dtype: {float, double, half, bfloat16}")
    .Attr("data_format: {'channels_first', 'channels_last'} = 'channels_first'")
    .Attr("periodic: list(bool) = [false, false, false]")
    .Attr("with_sigma: bool")
    .SetShapeFn(VoxelizeGradShape)
    .Doc(R"doc(
The gradient of sum(upstream * grid), grid that of PgTf>Voxelize, atom by atom.

coords_gradient: [N, 3].
weights_gradient: [N], or [N, num_channels] where the weights are feature vectors.
sigma_gradient: [N, 3], the derivative to the logarithm of sigma on each axis alone; [0, 3] unless with_sigma.
)doc");

REGISTER_OP("PgTf>BoundingBox")
    .Input("coords: T")
    .Input("channels: int32")
    .Input("row_splits: int64")
    .Input("margin: T")
    .Output("origin: T")
    .Output("lengths: T")
    .Attr("T: {float, double}")
    .Attr("cubic: bool")
    .SetShapeFn(BoundingBoxShape)
    .Doc(R"doc(
The box around the atoms of each molecule, those of negative channels left out, with a margin on every side.

margin: [], the distance between the outermost atoms and the faces.
origin: [B, 3]. A molecule without atoms has the box of a single atom at zero.
lengths: [B, 3], equal for each molecule where cubic; the box keeps its centre.
)doc");

REGISTER_OP("PgTf>SplitPoints")
    .Input("points: T")
    .Input("row_splits: int64")
    .Output("coords: T")
    .Output("channels: int32")
    .Attr("T: {float, double}")
    .SetShapeFn(SplitPointsShape)
    .Doc(R"doc(
Splits points into what PgTf>Voxelize takes.

points: [N, 4], columns channel, x, y, z. A channel is a whole number.
row_splits: [B + 1], so that an error can name the molecule.
coords: [N, 3].
channels: [N].
)doc");

REGISTER_OP("PgTf>SimdLevels")
    .Output("supported: string")
    .Output("active: string")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->Vector(InferenceContext::kUnknownDim));
      c->set_output(1, c->Scalar());
      return absl::OkStatus();
    })
    .Doc(R"doc(
The instruction sets that the kernels can use on this CPU, slowest first, and the one in use.
)doc");

}  // namespace pg_tf
