// Checks of the inputs and attributes of the ops. Every error names the argument, the molecule, the atom and the value.

#ifndef PG_TF_KERNELS_VALIDATE_H_
#define PG_TF_KERNELS_VALIDATE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/dispatch.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"

// Registers the kernel `Op<T>` for both types of the coordinates.
#define PG_TF_REGISTER_FLOAT_AND_DOUBLE(name, Op)                                                           \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"), Op<float>); \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU).TypeConstraint<double>("T"), Op<double>)

// Registers the kernel `Op<T, Out>` for all types of the coordinates and of the grids.
#define PG_TF_REGISTER_GRIDS(name, Op)                   \
  PG_TF_REGISTER_GRID(name, Op, float, float);           \
  PG_TF_REGISTER_GRID(name, Op, float, Eigen::half);     \
  PG_TF_REGISTER_GRID(name, Op, float, Eigen::bfloat16); \
  PG_TF_REGISTER_GRID(name, Op, double, double)
#define PG_TF_REGISTER_GRID(name, Op, T, Out) \
  REGISTER_KERNEL_BUILDER(                    \
      Name(name).Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T").TypeConstraint<Out>("dtype"), Op<T, Out>)

namespace pg_tf {

using ::tensorflow::OpKernel;
using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;

// The error for bad input; its text is the parts put together.
template <typename... Parts>
absl::Status InvalidArgument(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// "molecule 2, atom 5", for an index into the atoms of the whole batch.
std::string AtomPlace(const Tensor& row_splits, int64_t atom);

// The grid that an op's attributes describe.
struct GridSpec {
  int64_t shape[3];
  int64_t num_channels;
  bool channels_last;

  int64_t voxels() const { return shape[0] * shape[1] * shape[2] * num_channels; }
};

// The instruction set to use; an error where PG_TF_SIMD names one that this CPU does not have.
absl::Status ReadLevel(const Level** level);

// The attribute `periodic`, one flag for each axis.
absl::Status ReadPeriodic(OpKernelConstruction* ctx, bool periodic[3]);

// Whether the attribute `data_format` is channels_last.
absl::Status ReadChannelsLast(OpKernelConstruction* ctx, bool* channels_last);

// The attributes `grid_shape`, `num_channels` and `data_format`, checked.
absl::Status ReadGridSpec(OpKernelConstruction* ctx, GridSpec* spec);

// The grid that an upstream gradient of rank 5 belongs to, checked.
absl::Status GridSpecOf(const Tensor& upstream, bool channels_last, GridSpec* spec);

// Checks that the upstream gradient has a grid for each molecule.
absl::Status ValidateUpstream(const Tensor& upstream, int64_t batch_size);

tensorflow::TensorShape GridShape(const GridSpec& spec, int64_t batch_size);

// Checks that every extent is at least one and the number of voxels fits into an int64.
absl::Status ValidateGridSpec(const GridSpec& spec);

// Checks that the bytes of a batch of such grids fit into an int64 and into the memory of the machine.
absl::Status ValidateGridSize(const GridSpec& spec, int64_t batch_size, int64_t bytes_per_voxel);

// Checks that row splits begin with 0, never decrease, and end with num_atoms.
absl::Status ValidateRowSplits(const Tensor& row_splits, int64_t num_atoms);

// Checks the shapes of coords and channels, and that the coordinates of real atoms are finite.
template <typename T>
absl::Status ValidateCoords(const Tensor& coords, const Tensor& channels, const Tensor& row_splits);

// Checks channels, weights and sigma of the ops that voxelize; to be called after ValidateCoords.
template <typename T>
absl::Status ValidateAtoms(const Tensor& channels, const Tensor& weights, const Tensor& sigma, const Tensor& row_splits,
                           int64_t num_channels);

absl::Status ValidateBox(const Tensor& origin, const Tensor& lengths, int64_t batch_size);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_VALIDATE_H_
