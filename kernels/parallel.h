// How the OpKernels run their work on many threads.

#ifndef PG_TF_KERNELS_PARALLEL_H_
#define PG_TF_KERNELS_PARALLEL_H_

#include <atomic>
#include <cstdint>
#include <new>

#include "absl/status/status.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "unsupported/Eigen/CXX11/Tensor"

namespace pg_tf {

// Runs work(begin, end) over [0, units) on the threads that the context allows. If memory runs out, the context gets an
// error with the text `no_memory`.
template <typename Work>
void ForEach(tensorflow::OpKernelContext* ctx, int64_t units, const Eigen::TensorOpCost& cost, const char* no_memory,
             Work work) {
  std::atomic<bool> out_of_memory(false);
  ctx->eigen_cpu_device().parallelFor(units, cost, [&](int64_t begin, int64_t end) {
    try {
      work(begin, end);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
  });
  OP_REQUIRES(ctx, !out_of_memory, absl::ResourceExhaustedError(no_memory));
}

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_PARALLEL_H_
