// PgTf>SplitPoints.

#include <cmath>

#include "kernels/validate.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace pg_tf {
namespace {

template <typename T>
class SplitPointsOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    const Tensor &points = ctx->input(0), &row_splits = ctx->input(1);
    OP_REQUIRES(
        ctx, points.dims() == 2 && points.dim_size(1) == 4,
        InvalidArgument("points must have shape [atoms, 4] (channel, x, y, z), got ", points.shape().DebugString()));
    const int64_t num_atoms = points.dim_size(0);
    OP_REQUIRES_OK(ctx, ValidateRowSplits(row_splits, num_atoms));
    Tensor *coords = nullptr, *channels = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, TensorShape({num_atoms, 3}), &coords));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, TensorShape({num_atoms}), &channels));
    const T* point = points.flat<T>().data();
    T* const xyz = coords->flat<T>().data();
    const auto channel = channels->vec<int32_t>();
    for (int64_t a = 0; a < num_atoms; ++a) {
      const T c = point[4 * a];
      // Also false for nan.
      OP_REQUIRES(ctx, c == std::floor(c) && std::abs(c) < static_cast<T>(1 << 24),
                  InvalidArgument("points: a channel must be a whole number: ", AtomPlace(row_splits, a), " has ", c));
      channel(a) = static_cast<int32_t>(c);
      for (int d = 0; d < 3; ++d) xyz[3 * a + d] = point[4 * a + 1 + d];
    }
  }
};

PG_TF_REGISTER_FLOAT_AND_DOUBLE("PgTf>SplitPoints", SplitPointsOp);

}  // namespace
}  // namespace pg_tf
