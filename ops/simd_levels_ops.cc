#include "ops/shapes.h"

namespace pg_tf {

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
