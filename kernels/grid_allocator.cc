#include "kernels/grid_allocator.h"

#include <string>

#include "kernels/buffer_pool.h"
#include "tensorflow/core/framework/allocator.h"

namespace pg_tf {
namespace {

using ::tensorflow::Tensor;

// Smaller blocks are kept by the C library itself.
constexpr int64_t kPooledBytes = int64_t{64} << 10;

class GridAllocator : public tensorflow::Allocator {
 public:
  std::string Name() override { return "pg_tf_grids"; }
  // Every buffer lies on a page boundary, and no tensor asks for more.
  void* AllocateRaw(size_t, size_t bytes) override { return pool_.Allocate(bytes); }
  void DeallocateRaw(void* memory) override { pool_.Release(memory); }

 private:
  BufferPool pool_;
};

}  // namespace

absl::Status AllocateGrid(tensorflow::OpKernelContext* ctx, int index, const tensorflow::TensorShape& shape,
                          Tensor** grid) {
  const tensorflow::DataType dtype = ctx->expected_output_dtype(index);
  // TensorFlow itself allocates what another device reads: that device may need a special kind of memory.
  const tensorflow::AllocatorAttributes attributes = ctx->output_alloc_attr(index);
  const bool small = shape.num_elements() * tensorflow::DataTypeSize(dtype) < kPooledBytes;
  if (small || attributes.gpu_compatible() || attributes.nic_compatible()) {
    return ctx->allocate_output(index, shape, grid);
  }
  // Never destroyed: a tensor may outlive every other object of the program.
  static GridAllocator* const allocator = new GridAllocator;
  const Tensor tensor(allocator, dtype, shape);
  if (!tensor.IsInitialized()) {
    return absl::ResourceExhaustedError("no memory for a grid of shape " + shape.DebugString());
  }
  ctx->set_output(index, tensor);
  *grid = ctx->mutable_output(index);
  return absl::OkStatus();
}

}  // namespace pg_tf
