#include "ops/shapes.h"

namespace pg_tf {
namespace {

absl::Status SplitPointsShape(InferenceContext* c) {
  ShapeHandle points;
  DimensionHandle four;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &points));
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(points, 1), 4, &four));
  c->set_output(0, c->Matrix(c->Dim(points, 0), 3));
  c->set_output(1, c->Vector(c->Dim(points, 0)));
  return absl::OkStatus();
}

}  // namespace

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

}  // namespace pg_tf
