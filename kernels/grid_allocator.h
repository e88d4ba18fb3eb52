// Where the ops' grids come from.

#ifndef PG_TF_KERNELS_GRID_ALLOCATOR_H_
#define PG_TF_KERNELS_GRID_ALLOCATOR_H_

#include "tensorflow/core/framework/op_kernel.h"

namespace pg_tf {

// Like OpKernelContext::allocate_output, but large grids come from a BufferPool and return to it after their last use.
absl::Status AllocateGrid(tensorflow::OpKernelContext* ctx, int index, const tensorflow::TensorShape& shape,
                          tensorflow::Tensor** grid);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_GRID_ALLOCATOR_H_
