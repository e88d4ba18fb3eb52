#include "kernels/validate.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/memory.h"
#include "tensorflow/core/framework/tensor_shape.h"

namespace pg_tf {
namespace {

// The largest weight of an atom: 2^31 atoms add up to a finite number, and so does a gradient, in which a weight is
// multiplied by up to 1e18 (voxelize_plan.cc).
template <typename T>
constexpr double kLargestWeight = sizeof(T) == 4 ? 1e20 : 1e290;

std::string ShapeText(const GridSpec& spec) {
  std::string text = std::to_string(spec.num_channels) + " channels of ";
  for (int d = 0; d < 3; ++d) text += (d > 0 ? " x " : "") + std::to_string(spec.shape[d]);
  return text + " voxels";
}

}  // namespace

std::string AtomPlace(const Tensor& row_splits, int64_t atom) {
  const auto splits = row_splits.vec<int64_t>();
  int64_t molecule = 0;
  while (molecule + 2 < splits.size() && splits(molecule + 1) <= atom) ++molecule;
  return "molecule " + std::to_string(molecule) + ", atom " + std::to_string(atom - splits(molecule));
}

absl::Status ReadLevel(const Level** level) {
  std::string error;
  *level = ActiveLevel(&error);
  return *level == nullptr ? InvalidArgument(error) : absl::OkStatus();
}

absl::Status ReadPeriodic(OpKernelConstruction* ctx, bool periodic[3]) {
  std::vector<bool> flags;
  TF_RETURN_IF_ERROR(ctx->GetAttr("periodic", &flags));
  if (flags.size() != 3) return InvalidArgument("periodic must have 3 flags, got ", flags.size());
  std::copy(flags.begin(), flags.end(), periodic);
  return absl::OkStatus();
}

absl::Status ReadChannelsLast(OpKernelConstruction* ctx, bool* channels_last) {
  std::string data_format;
  TF_RETURN_IF_ERROR(ctx->GetAttr("data_format", &data_format));
  *channels_last = data_format == "channels_last";
  return absl::OkStatus();
}

absl::Status ReadGridSpec(OpKernelConstruction* ctx, GridSpec* spec) {
  std::vector<int64_t> grid_shape;
  TF_RETURN_IF_ERROR(ctx->GetAttr("grid_shape", &grid_shape));
  TF_RETURN_IF_ERROR(ctx->GetAttr("num_channels", &spec->num_channels));
  TF_RETURN_IF_ERROR(ReadChannelsLast(ctx, &spec->channels_last));
  if (grid_shape.size() != 3) return InvalidArgument("grid_shape must have 3 extents, got ", grid_shape.size());
  std::copy(grid_shape.begin(), grid_shape.end(), spec->shape);
  return ValidateGridSpec(*spec);
}

absl::Status GridSpecOf(const Tensor& upstream, bool channels_last, GridSpec* spec) {
  if (upstream.dims() != 5) {
    return InvalidArgument("upstream must have rank 5, got shape ", upstream.shape().DebugString());
  }
  for (int d = 0; d < 3; ++d) spec->shape[d] = upstream.dim_size((channels_last ? 1 : 2) + d);
  spec->num_channels = upstream.dim_size(channels_last ? 4 : 1);
  spec->channels_last = channels_last;
  return ValidateGridSpec(*spec);
}

absl::Status ValidateUpstream(const Tensor& upstream, int64_t batch_size) {
  if (upstream.dim_size(0) == batch_size) return absl::OkStatus();
  return InvalidArgument("upstream must hold one grid for each of the ", batch_size, " molecules, got shape ",
                         upstream.shape().DebugString());
}

TensorShape GridShape(const GridSpec& spec, int64_t batch_size) {
  TensorShape shape({batch_size});
  if (!spec.channels_last) shape.AddDim(spec.num_channels);
  for (int64_t extent : spec.shape) shape.AddDim(extent);
  if (spec.channels_last) shape.AddDim(spec.num_channels);
  return shape;
}

absl::Status ValidateGridSpec(const GridSpec& spec) {
  int64_t voxels = spec.num_channels;
  if (voxels < 1) return InvalidArgument("num_channels = ", voxels, " must be at least 1");
  for (int d = 0; d < 3; ++d) {
    // 2^30 keeps every index of one axis within an int32.
    if (spec.shape[d] < 1 || spec.shape[d] > (int64_t{1} << 30)) {
      return InvalidArgument("grid_shape[", d, "] = ", spec.shape[d], " must be from 1 to 2^30");
    }
    if (__builtin_mul_overflow(voxels, spec.shape[d], &voxels)) {
      return InvalidArgument("grid_shape: a grid of ", ShapeText(spec), " is larger than can be addressed");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateGridSize(const GridSpec& spec, int64_t batch_size, int64_t bytes_per_voxel) {
  int64_t bytes;
  if (__builtin_mul_overflow(spec.voxels(), bytes_per_voxel, &bytes) ||
      __builtin_mul_overflow(bytes, batch_size, &bytes) || bytes > MemoryOfProcess()) {
    return InvalidArgument("grid_shape: ", batch_size, " grids with ", ShapeText(spec),
                           " do not fit into the memory that this process may use, ", MemoryOfProcess() >> 20,
                           " MiB; use fewer molecules a batch, fewer channels or a coarser grid");
  }
  return absl::OkStatus();
}

absl::Status ValidateRowSplits(const Tensor& row_splits, int64_t num_atoms) {
  if (row_splits.dims() != 1 || row_splits.NumElements() < 1) {
    return InvalidArgument("row_splits must be a vector of at least one element, got shape ",
                           row_splits.shape().DebugString());
  }
  const auto splits = row_splits.vec<int64_t>();
  if (splits(0) != 0) return InvalidArgument("row_splits must begin with 0, got ", splits(0));
  for (int64_t b = 1; b < splits.size(); ++b) {
    if (splits(b) < splits(b - 1)) {
      return InvalidArgument("row_splits must not fall: row_splits[", b, "] = ", splits(b), " after ", splits(b - 1));
    }
  }
  if (splits(splits.size() - 1) != num_atoms) {
    return InvalidArgument("row_splits must end with the number of atoms, ", num_atoms, ", got ",
                           splits(splits.size() - 1));
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status ValidateCoords(const Tensor& coords, const Tensor& channels, const Tensor& row_splits) {
  if (coords.dims() != 2 || coords.dim_size(1) != 3) {
    return InvalidArgument("coords must have shape [atoms, 3], got ", coords.shape().DebugString());
  }
  const int64_t num_atoms = coords.dim_size(0);
  if (num_atoms > INT32_MAX) return InvalidArgument("coords: ", num_atoms, " atoms are more than 2^31 - 1");
  if (channels.dims() != 1 || channels.dim_size(0) != num_atoms) {
    return InvalidArgument("channels must have shape [", num_atoms, "], one for each atom of coords, got ",
                           channels.shape().DebugString());
  }
  TF_RETURN_IF_ERROR(ValidateRowSplits(row_splits, num_atoms));
  const T* x = coords.flat<T>().data();
  const auto channel = channels.vec<int32_t>();
  for (int64_t a = 0; a < num_atoms; ++a) {
    if (channel(a) < 0) continue;
    for (int d = 0; d < 3; ++d) {
      if (!std::isfinite(x[3 * a + d])) {
        return InvalidArgument("coords must be finite: ", AtomPlace(row_splits, a), ", axis ", std::string(1, "xyz"[d]),
                               " is ", x[3 * a + d]);
      }
    }
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status ValidateAtoms(const Tensor& channels, const Tensor& weights, const Tensor& sigma, const Tensor& row_splits,
                           int64_t num_channels) {
  const int64_t num_atoms = channels.dim_size(0);
  const bool soft = weights.dims() == 2;
  if (weights.dims() > 2 || (weights.dims() >= 1 && weights.dim_size(0) != num_atoms)) {
    return InvalidArgument("weights must be a scalar or have one row for each of the ", num_atoms, " atoms, got shape ",
                           weights.shape().DebugString());
  }
  if (soft && weights.dim_size(1) != num_channels) {
    return InvalidArgument("features must have num_channels = ", num_channels, " columns, got shape ",
                           weights.shape().DebugString());
  }
  if (sigma.dims() > 1 || (sigma.dims() == 1 && sigma.dim_size(0) != num_atoms)) {
    return InvalidArgument("sigma must be a scalar or have one value for each of the ", num_atoms, " atoms, got shape ",
                           sigma.shape().DebugString());
  }
  const auto channel = channels.vec<int32_t>();
  const auto weight = weights.flat<T>();
  const auto width = sigma.flat<T>();
  const int64_t columns = soft ? num_channels : 1;
  for (int64_t a = 0; a < num_atoms; ++a) {
    if (channel(a) < 0) continue;
    if (!soft && channel(a) >= num_channels) {
      return InvalidArgument("channels must be below num_channels = ", num_channels, ": ", AtomPlace(row_splits, a),
                             " has channel ", channel(a));
    }
    if (weights.dims() > 0) {
      for (int64_t c = 0; c < columns; ++c) {
        if (std::abs(weight(a * columns + c)) <= kLargestWeight<T>) continue;
        return InvalidArgument(soft ? "features" : "weights", " must be finite and at most ", kLargestWeight<T>, ": ",
                               AtomPlace(row_splits, a), soft ? ", channel " + std::to_string(c) : "", " has ",
                               weight(a * columns + c));
      }
    }
    if (sigma.dims() > 0 && !(width(a) > 0 && std::isfinite(width(a)))) {
      return InvalidArgument("sigma must be finite and greater than 0: ", AtomPlace(row_splits, a), " has ", width(a));
    }
  }
  if (weights.dims() == 0 && !(std::abs(weight(0)) <= kLargestWeight<T>)) {
    return InvalidArgument("weights must be finite and at most ", kLargestWeight<T>, ", got ", weight(0));
  }
  if (sigma.dims() == 0 && !(width(0) > 0 && std::isfinite(width(0)))) {
    return InvalidArgument("sigma must be finite and greater than 0, got ", width(0));
  }
  return absl::OkStatus();
}

absl::Status ValidateBox(const Tensor& origin, const Tensor& lengths, int64_t batch_size) {
  for (const auto& [name, tensor] : {std::make_pair("origin", &origin), std::make_pair("lengths", &lengths)}) {
    if (tensor->dims() != 2 || tensor->dim_size(1) != 3 ||
        (tensor->dim_size(0) != 1 && tensor->dim_size(0) != batch_size)) {
      return InvalidArgument("box: ", name, " must have shape [1, 3] or [", batch_size, ", 3], got ",
                             tensor->shape().DebugString());
    }
  }
  const double *corner = origin.flat<double>().data(), *edge = lengths.flat<double>().data();
  for (int64_t i = 0; i < origin.NumElements(); ++i) {
    if (std::isfinite(corner[i])) continue;
    return InvalidArgument("box: origin must be finite: molecule ", i / 3, ", axis ", std::string(1, "xyz"[i % 3]),
                           " is ", corner[i]);
  }
  for (int64_t i = 0; i < lengths.NumElements(); ++i) {
    if (edge[i] > 0 && std::isfinite(edge[i])) continue;
    return InvalidArgument("box: lengths must be finite and greater than 0: molecule ", i / 3, ", axis ",
                           std::string(1, "xyz"[i % 3]), " is ", edge[i]);
  }
  return absl::OkStatus();
}

#define PG_TF_INSTANTIATE(T)                                                            \
  template absl::Status ValidateCoords<T>(const Tensor&, const Tensor&, const Tensor&); \
  template absl::Status ValidateAtoms<T>(const Tensor&, const Tensor&, const Tensor&, const Tensor&, int64_t);
PG_TF_INSTANTIATE(float)
PG_TF_INSTANTIATE(double)
#undef PG_TF_INSTANTIATE

}  // namespace pg_tf
