// PgTf>SimdLevels.

#include <vector>

#include "kernels/validate.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace pg_tf {
namespace {

class SimdLevelsOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    const Level* active = nullptr;
    OP_REQUIRES_OK(ctx, ReadLevel(&active));
    const std::vector<const Level*> levels = SupportedLevels();
    Tensor *supported = nullptr, *name = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, TensorShape({static_cast<int64_t>(levels.size())}), &supported));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, TensorShape({}), &name));
    for (size_t i = 0; i < levels.size(); ++i) supported->vec<tensorflow::tstring>()(i) = levels[i]->name;
    name->scalar<tensorflow::tstring>()() = active->name;
  }
};

REGISTER_KERNEL_BUILDER(Name("PgTf>SimdLevels").Device(tensorflow::DEVICE_CPU), SimdLevelsOp);

}  // namespace
}  // namespace pg_tf
