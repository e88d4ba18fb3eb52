#include "ops/shapes.h"

namespace pg_tf {
namespace {

absl::Status BoundingBoxShape(InferenceContext* c) {
  DimensionHandle num_atoms, batch_size;
  TF_RETURN_IF_ERROR(WithAtoms(c, 2, &num_atoms, &batch_size));
  ShapeHandle margin;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(3), 0, &margin));
  c->set_output(0, c->Matrix(batch_size, 3));
  c->set_output(1, c->Matrix(batch_size, 3));
  return absl::OkStatus();
}

}  // namespace

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
The box around the atoms of each molecule, with a margin on every side. Atoms of negative channels are left out.

margin: [], the distance between the outermost atoms and the faces.
origin: [B, 3]. A molecule without atoms has the box of a single atom at zero.
lengths: [B, 3], equal for each molecule where cubic; the box keeps its centre.
)doc");

}  // namespace pg_tf
