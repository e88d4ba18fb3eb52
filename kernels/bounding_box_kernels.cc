// PgTf>BoundingBox.

#include <algorithm>
#include <cmath>

#include "kernels/validate.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace pg_tf {
namespace {

template <typename T>
class BoundingBoxOp : public OpKernel {
 public:
  explicit BoundingBoxOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("cubic", &cubic_));
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor &coords = ctx->input(0), &channels = ctx->input(1), &row_splits = ctx->input(2);
    OP_REQUIRES_OK(ctx, ValidateCoords<T>(coords, channels, row_splits));
    OP_REQUIRES(ctx, ctx->input(3).dims() == 0,
                InvalidArgument("margin must be a scalar, got shape ", ctx->input(3).shape().DebugString()));
    const T margin = ctx->input(3).scalar<T>()();
    OP_REQUIRES(ctx, margin >= 0 && std::isfinite(margin),
                InvalidArgument("margin must be finite and at least 0, got ", margin));
    const int64_t batch_size = row_splits.NumElements() - 1;
    Tensor *origin = nullptr, *lengths = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, TensorShape({batch_size, 3}), &origin));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, TensorShape({batch_size, 3}), &lengths));
    const T* x = coords.flat<T>().data();
    const auto channel = channels.vec<int32_t>();
    const auto splits = row_splits.vec<int64_t>();
    for (int64_t b = 0; b < batch_size; ++b) {
      T low[3] = {0, 0, 0}, high[3] = {0, 0, 0};
      bool first = true;
      for (int64_t a = splits(b); a < splits(b + 1); ++a) {
        if (channel(a) < 0) continue;
        for (int d = 0; d < 3; ++d) {
          low[d] = first ? x[3 * a + d] : std::min(low[d], x[3 * a + d]);
          high[d] = first ? x[3 * a + d] : std::max(high[d], x[3 * a + d]);
        }
        first = false;
      }
      T* const corner = origin->flat<T>().data() + 3 * b;
      T* const edges = lengths->flat<T>().data() + 3 * b;
      for (int d = 0; d < 3; ++d) {
        corner[d] = low[d] - margin;
        edges[d] = high[d] - low[d] + 2 * margin;
        // So far from the origin, rounding would take the margin away and cut the atoms.
        const bool held = margin == 0 || (corner[d] < low[d] && high[d] + margin > high[d]);
        OP_REQUIRES(ctx, held && std::isfinite(edges[d]),
                    InvalidArgument("coords: no box with a margin of ", margin, " around molecule ", b, ", from ",
                                    low[d], " to ", high[d], " along ", std::string(1, "xyz"[d]),
                                    ": so far from the origin rounding takes the margin away; move it to the origin"));
      }
      if (!cubic_) continue;
      const T longest = std::max({edges[0], edges[1], edges[2]});
      for (int d = 0; d < 3; ++d) {
        corner[d] -= (longest - edges[d]) / 2;
        edges[d] = longest;
      }
    }
  }

 private:
  bool cubic_;
};

PG_TF_REGISTER_FLOAT_AND_DOUBLE("PgTf>BoundingBox", BoundingBoxOp);

}  // namespace
}  // namespace pg_tf
