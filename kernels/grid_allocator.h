// Where the ops' grids come from.

#ifndef PG_TF_KERNELS_GRID_ALLOCATOR_H_
#define PG_TF_KERNELS_GRID_ALLOCATOR_H_

#include "tensorflow/core/framework/op_kernel.h"

namespace pg_tf {

// As OpKernelContext::allocate_output; large grids come from a BufferPool, to which they return when their last user
// is done with them.
absl::Status AllocateGrid(tensorflow::OpKernelContext* ctx, int index, const tensorflow::TensorShape& shape,
                          tensorflow::Tensor** grid);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_GRID_ALLOCATOR_H_
