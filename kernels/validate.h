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

namespace pg_tf {

// The error for bad input; its text is the parts put together.
template <typename... Parts>
absl::Status InvalidArgument(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// "molecule 2, atom 5", for an index into the atoms of the whole batch.
std::string AtomPlace(const tensorflow::Tensor& row_splits, int64_t atom);

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
absl::Status ReadPeriodic(tensorflow::OpKernelConstruction* ctx, bool periodic[3]);

// Whether the attribute `data_format` is channels_last.
absl::Status ReadChannelsLast(tensorflow::OpKernelConstruction* ctx, bool* channels_last);

// The attributes `grid_shape`, `num_channels` and `data_format`, checked.
absl::Status ReadGridSpec(tensorflow::OpKernelConstruction* ctx, GridSpec* spec);

// The grid that an upstream gradient of rank 5 belongs to, checked.
absl::Status GridSpecOf(const tensorflow::Tensor& upstream, bool channels_last, GridSpec* spec);

// Checks that the upstream gradient has a grid for each molecule.
absl::Status ValidateUpstream(const tensorflow::Tensor& upstream, int64_t batch_size);

tensorflow::TensorShape GridShape(const GridSpec& spec, int64_t batch_size);

// Checks that every extent is at least one and the number of voxels fits into an int64.
absl::Status ValidateGridSpec(const GridSpec& spec);

// Checks that the bytes of a batch of such grids fit into an int64 and into the memory of the machine.
absl::Status ValidateGridSize(const GridSpec& spec, int64_t batch_size, int64_t bytes_per_voxel);

// Checks that row splits begin with 0, never decrease, and end with num_atoms.
absl::Status ValidateRowSplits(const tensorflow::Tensor& row_splits, int64_t num_atoms);

// Checks the shapes of coords and channels, and that the coordinates of real atoms are finite.
template <typename T>
absl::Status ValidateCoords(const tensorflow::Tensor& coords, const tensorflow::Tensor& channels,
                            const tensorflow::Tensor& row_splits);

// Checks channels, weights and sigma of the ops that voxelize; to be called after ValidateCoords.
template <typename T>
absl::Status ValidateAtoms(const tensorflow::Tensor& channels, const tensorflow::Tensor& weights,
                           const tensorflow::Tensor& sigma, const tensorflow::Tensor& row_splits, int64_t num_channels);

template <typename T>
absl::Status ValidateBox(const tensorflow::Tensor& origin, const tensorflow::Tensor& lengths, int64_t batch_size);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_VALIDATE_H_
