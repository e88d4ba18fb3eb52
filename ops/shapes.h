// What the shape functions of several ops share.

#ifndef PG_TF_OPS_SHAPES_H_
#define PG_TF_OPS_SHAPES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace pg_tf {

using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// Checks coords (input 0), channels (input 1) and the row splits; finds the numbers of atoms and of molecules.
inline absl::Status WithAtoms(InferenceContext* c, int row_splits, DimensionHandle* num_atoms,
                              DimensionHandle* batch_size) {
  ShapeHandle coords, channels, splits;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &coords));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 1, &channels));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(row_splits), 1, &splits));
  DimensionHandle three;
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(coords, 1), 3, &three));
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(coords, 0), c->Dim(channels, 0), num_atoms));
  return c->Subtract(c->Dim(splits, 0), 1, batch_size);
}

// The same for the inputs 0 to 4 of the ops that voxelize: coords, channels, weights, sigma, row_splits.
inline absl::Status WithWeightedAtoms(InferenceContext* c, DimensionHandle* num_atoms, DimensionHandle* batch_size) {
  TF_RETURN_IF_ERROR(WithAtoms(c, 4, num_atoms, batch_size));
  ShapeHandle ignored;
  TF_RETURN_IF_ERROR(c->WithRankAtMost(c->input(2), 2, &ignored));
  return c->WithRankAtMost(c->input(3), 1, &ignored);
}

// Sets output 0 to the grids of the ops that voxelize.
inline absl::Status SetGridShape(InferenceContext* c, DimensionHandle batch_size) {
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

// Checks the rank of the upstream gradient (the last input) of an op that voxelizes, and sets the outputs: the
// gradients of coords, of weights (input 2), and, where the attribute `flag` asks for it, one with some columns for
// each atom.
inline absl::Status SetGradientShapes(InferenceContext* c, DimensionHandle num_atoms, const char* flag, int columns) {
  ShapeHandle upstream;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(c->num_inputs() - 1), 5, &upstream));
  bool wanted;
  TF_RETURN_IF_ERROR(c->GetAttr(flag, &wanted));
  c->set_output(0, c->Matrix(num_atoms, 3));
  if (!c->RankKnown(c->input(2))) {
    c->set_output(1, c->UnknownShape());
  } else if (c->Rank(c->input(2)) == 2) {
    c->set_output(1, c->Matrix(num_atoms, c->Dim(c->input(2), 1)));
  } else {
    c->set_output(1, c->Vector(num_atoms));
  }
  c->set_output(2, wanted ? c->Matrix(num_atoms, columns) : c->Matrix(0, columns));
  return absl::OkStatus();
}

}  // namespace pg_tf

#endif  // PG_TF_OPS_SHAPES_H_
