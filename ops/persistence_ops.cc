#include "ops/shapes.h"

namespace pg_tf {
namespace {

absl::Status PersistentPeaksShape(InferenceContext* c) {
  ShapeHandle grids, floors;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &grids));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 1, &floors));
  DimensionHandle num_grids, num_splits;
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(grids, 0), c->Dim(floors, 0), &num_grids));
  TF_RETURN_IF_ERROR(c->Add(num_grids, 1, &num_splits));
  const DimensionHandle num_peaks = c->UnknownDim();
  c->set_output(0, c->Matrix(num_peaks, 3));
  c->set_output(1, c->Matrix(num_peaks, 3));
  c->set_output(2, c->Vector(num_peaks));
  c->set_output(3, c->Vector(num_peaks));
  c->set_output(4, c->Vector(num_splits));
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("PgTf>PersistentPeaks")
    .Input("grids: T")
    .Input("floors: T")
    .Output("peaks: int32")
    .Output("saddles: int32")
    .Output("births: T")
    .Output("deaths: T")
    .Output("row_splits: int64")
    .Attr("T: {float, double}")
    .Attr("periodic: list(bool) = [false, false, false]")
    .SetShapeFn(PersistentPeaksShape)
    .Doc(R"doc(
Pairs the peaks of grids with their saddles: persistent homology in dimension 0 of the superlevel filtration.

grids: [G, nx, ny, nz]. Voxels that share a face are neighbours.
floors: [G], where the filtration of a grid ends. Minus infinity takes in every voxel.
periodic: which axes close to a circle.
peaks: [P, 3], the voxels where components are born; the most persistent of each grid first, those that never die
  before all others and by height.
saddles: [P, 3], the voxels where they meet a component with a higher peak; -1 for those that never die.
births: [P], the values at the peaks.
deaths: [P], the values at the saddles, minus infinity for components that never die.
row_splits: [G + 1]; grid g has the peaks row_splits[g] to row_splits[g + 1].
)doc");

}  // namespace pg_tf
