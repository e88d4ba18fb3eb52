// What the ops that turn atoms into grids share: their checked inputs, and how they run.

#ifndef PG_TF_KERNELS_VOXELIZE_INPUTS_H_
#define PG_TF_KERNELS_VOXELIZE_INPUTS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "absl/status/status.h"
#include "kernels/parallel.h"
#include "kernels/validate.h"
#include "kernels/voxelize_plan.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace pg_tf {

template <typename Out>
constexpr Storage StorageOf() {
  if constexpr (std::is_same_v<Out, float>) return Storage::kFloat32;
  if constexpr (std::is_same_v<Out, double>) return Storage::kFloat64;
  if constexpr (std::is_same_v<Out, Eigen::half>) return Storage::kFloat16;
  if constexpr (std::is_same_v<Out, Eigen::bfloat16>) return Storage::kBfloat16;
}

// The checked inputs 0 to 4, which all ops that voxelize share.
template <typename T>
class Molecules {
 public:
  absl::Status Init(tensorflow::OpKernelContext* ctx, int64_t num_channels) {
    const tensorflow::Tensor &coords = ctx->input(0), &channels = ctx->input(1), &weights = ctx->input(2);
    const tensorflow::Tensor &sigma = ctx->input(3), &row_splits = ctx->input(4);
    TF_RETURN_IF_ERROR(ValidateCoords<double>(coords, channels, row_splits));
    TF_RETURN_IF_ERROR(ValidateAtoms<T>(channels, weights, sigma, row_splits, num_channels));
    row_splits_ = row_splits.flat<int64_t>().data();
    batch_size_ = row_splits.NumElements() - 1;
    all_ = {coords.dim_size(0),
            coords.flat<double>().data(),
            channels.flat<int32_t>().data(),
            weights.flat<T>().data(),
            weights.dims() == 0   ? 0
            : weights.dims() == 1 ? 1
                                  : num_channels,
            sigma.flat<T>().data(),
            sigma.dims(),
            weights.dims() == 2};
    return absl::OkStatus();
  }

  int64_t num_atoms() const { return all_.num_atoms; }
  int64_t batch_size() const { return batch_size_; }
  int64_t begin(int64_t b) const { return row_splits_[b]; }
  int64_t end(int64_t b) const { return row_splits_[b + 1]; }
  bool soft() const { return all_.soft; }
  double atoms_per_molecule() const { return static_cast<double>(num_atoms()) / std::max<int64_t>(batch_size_, 1); }

  // That a grid made of these molecules holds no value that was too large for its type. Looks at it only if there may
  // be one: a voxel holds at most the sum of the weights.
  absl::Status CheckRange(const tensorflow::Tensor& grid) const {
    return grid.dtype() == tensorflow::DT_HALF ? CheckHalf(grid) : absl::OkStatus();
  }

  // The atoms [begin, end) of the whole batch.
  Molecule<T> atoms(int64_t begin, int64_t end) const {
    Molecule<T> part = all_;
    part.num_atoms = end - begin;
    part.coords += 3 * begin;
    part.channels += begin;
    part.weights += part.weight_stride * begin;
    part.sigma += part.sigma_stride * begin;
    return part;
  }

 private:
  absl::Status CheckHalf(const tensorflow::Tensor& grid) const {
    constexpr double kLargest = 65504;
    const auto voxels = grid.flat<Eigen::half>();
    const int64_t size = batch_size_ == 0 ? 0 : grid.NumElements() / batch_size_;
    for (int64_t b = 0; b < batch_size_; ++b) {
      if (SumOfWeights(b) <= kLargest) continue;
      for (int64_t i = b * size; i < (b + 1) * size; ++i) {
        if (Eigen::numext::isfinite(voxels(i))) continue;
        return InvalidArgument("dtype: a voxel of molecule ", b, " is larger than ", kLargest,
                               ", the largest number of float16; use bfloat16, float32 or smaller weights");
      }
    }
    return absl::OkStatus();
  }

  // Of molecule b, each by its size; of feature vectors their largest entries.
  double SumOfWeights(int64_t b) const {
    const int64_t columns = std::max<int64_t>(all_.soft ? all_.weight_stride : 1, 1);
    double sum = 0;
    for (int64_t a = begin(b); a < end(b); ++a) {
      if (all_.channels[a] < 0) continue;
      double largest = 0;
      for (int64_t c = 0; c < columns; ++c) {
        largest = std::max(largest, std::abs(static_cast<double>(all_.weights[a * all_.weight_stride + c])));
      }
      sum += largest;
    }
    return sum;
  }

  Molecule<T> all_;
  const int64_t* row_splits_;
  int64_t batch_size_;
};

// The checked inputs 5 and 6: one box for all molecules, or one for each.
class Boxes {
 public:
  absl::Status Init(tensorflow::OpKernelContext* ctx, int64_t batch_size, const bool periodic[3]) {
    const tensorflow::Tensor &origin = ctx->input(5), &lengths = ctx->input(6);
    TF_RETURN_IF_ERROR(ValidateBox(origin, lengths, batch_size));
    origin_ = origin.flat<double>().data();
    lengths_ = lengths.flat<double>().data();
    origin_stride_ = origin.dim_size(0) == 1 ? 0 : 3;
    lengths_stride_ = lengths.dim_size(0) == 1 ? 0 : 3;
    std::copy_n(periodic, 3, periodic_);
    return absl::OkStatus();
  }

  Box operator()(int64_t b) const {
    Box box;
    for (int d = 0; d < 3; ++d) {
      box.origin[d] = origin_[b * origin_stride_ + d];
      box.lengths[d] = lengths_[b * lengths_stride_ + d];
      box.periodic[d] = periodic_[d];
    }
    return box;
  }

 private:
  const double *origin_, *lengths_;
  int64_t origin_stride_, lengths_stride_;
  bool periodic_[3];
};

template <typename Out>
GridLayout Layout(const GridSpec& spec) {
  return {{spec.shape[0], spec.shape[1], spec.shape[2]}, spec.num_channels, spec.channels_last, StorageOf<Out>()};
}

// What the ops that voxelize say where memory runs out.
constexpr char kNoMemoryForAtoms[] = "coords: no memory for the work space of this many atoms";

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_VOXELIZE_INPUTS_H_
