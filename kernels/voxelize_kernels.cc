// PgTf>Voxelize and its gradient: check, allocate, split the work.

#define EIGEN_USE_THREADS

#include <algorithm>
#include <atomic>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/grid_allocator.h"
#include "kernels/plan.h"
#include "kernels/validate.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "unsupported/Eigen/CXX11/Tensor"

namespace pg_tf {
namespace {

using ::tensorflow::OpKernel;
using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;

// Outputs larger than this are written past the caches: the second-level cache of a core is no larger.
constexpr int64_t kStreamBytes = int64_t{1} << 20;

// A grid is split into slabs of about this many voxels, some tens of microseconds of work.
constexpr int64_t kSlabVoxels = int64_t{1} << 17;

// CPU cycles, for the split only: an atom and its window, a voxel.
constexpr double kCyclesPerAtom = 600;
constexpr double kCyclesPerVoxel = 0.3;

template <typename Out>
constexpr Storage StorageOf() {
  if constexpr (std::is_same_v<Out, float>) return Storage::kFloat32;
  if constexpr (std::is_same_v<Out, double>) return Storage::kFloat64;
  if constexpr (std::is_same_v<Out, Eigen::half>) return Storage::kFloat16;
  if constexpr (std::is_same_v<Out, Eigen::bfloat16>) return Storage::kBfloat16;
}

// The checked inputs that both ops share.
template <typename T>
class Molecules {
 public:
  absl::Status Init(OpKernelContext* ctx, int64_t num_channels, const bool periodic[3]) {
    std::copy_n(periodic, 3, periodic_);
    const Tensor &coords = ctx->input(0), &channels = ctx->input(1), &weights = ctx->input(2), &sigma = ctx->input(3);
    const Tensor &row_splits = ctx->input(4), &origin = ctx->input(5), &lengths = ctx->input(6);
    TF_RETURN_IF_ERROR(ValidateCoords<T>(coords, channels, row_splits));
    TF_RETURN_IF_ERROR(ValidateAtoms<T>(channels, weights, sigma, row_splits, num_channels));
    row_splits_ = row_splits.flat<int64_t>().data();
    batch_size_ = row_splits.NumElements() - 1;
    TF_RETURN_IF_ERROR(ValidateBox<T>(origin, lengths, batch_size_));
    all_ = {coords.dim_size(0),
            coords.flat<T>().data(),
            channels.flat<int32_t>().data(),
            weights.flat<T>().data(),
            weights.dims() == 0 ? 0 : weights.dims() == 1 ? 1 : num_channels,
            sigma.flat<T>().data(),
            sigma.dims(),
            weights.dims() == 2};
    origin_ = origin.flat<T>().data();
    lengths_ = lengths.flat<T>().data();
    origin_stride_ = origin.dim_size(0) == 1 ? 0 : 3;
    lengths_stride_ = lengths.dim_size(0) == 1 ? 0 : 3;
    return absl::OkStatus();
  }

  int64_t num_atoms() const { return all_.num_atoms; }
  int64_t batch_size() const { return batch_size_; }
  int64_t begin(int64_t b) const { return row_splits_[b]; }
  int64_t end(int64_t b) const { return row_splits_[b + 1]; }
  bool soft() const { return all_.soft; }
  double atoms_per_molecule() const { return static_cast<double>(num_atoms()) / std::max<int64_t>(batch_size_, 1); }

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

  Box box(int64_t b) const {
    Box box;
    for (int d = 0; d < 3; ++d) {
      box.origin[d] = origin_[b * origin_stride_ + d];
      box.lengths[d] = lengths_[b * lengths_stride_ + d];
      box.periodic[d] = periodic_[d];
    }
    return box;
  }

 private:
  Molecule<T> all_;
  const int64_t* row_splits_;
  int64_t batch_size_;
  const T *origin_, *lengths_;
  int64_t origin_stride_, lengths_stride_;
  bool periodic_[3];
};

template <typename Out>
GridLayout Layout(const GridSpec& spec) {
  return {{spec.shape[0], spec.shape[1], spec.shape[2]}, spec.num_channels, spec.channels_last, StorageOf<Out>()};
}

// Runs work(begin, end) over [0, units) on the threads that the context allows, and reports a lack of memory.
template <typename Work>
void ForEach(OpKernelContext* ctx, int64_t units, const Eigen::TensorOpCost& cost, Work work) {
  std::atomic<bool> out_of_memory(false);
  ctx->eigen_cpu_device().parallelFor(units, cost, [&](int64_t begin, int64_t end) {
    try {
      work(begin, end);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
  });
  OP_REQUIRES(ctx, !out_of_memory,
              absl::ResourceExhaustedError("coords: no memory for the work space of this many atoms"));
}

template <typename T, typename Out>
class VoxelizeOp : public OpKernel {
 public:
  explicit VoxelizeOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadLevel(&level_));
    std::vector<int64_t> grid_shape;
    std::string data_format;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("grid_shape", &grid_shape));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("num_channels", &spec_.num_channels));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("data_format", &data_format));
    OP_REQUIRES_OK(ctx, ReadPeriodic(ctx, periodic_));
    OP_REQUIRES(ctx, grid_shape.size() == 3,
                InvalidArgument("grid_shape must have 3 extents, got ", grid_shape.size()));
    std::copy(grid_shape.begin(), grid_shape.end(), spec_.shape);
    spec_.channels_last = data_format == "channels_last";
    OP_REQUIRES_OK(ctx, ValidateGridSpec(spec_));
  }

  void Compute(OpKernelContext* ctx) override {
    Molecules<T> molecules;
    OP_REQUIRES_OK(ctx, molecules.Init(ctx, spec_.num_channels, periodic_));
    OP_REQUIRES_OK(ctx, ValidateGridSize(spec_, molecules.batch_size(), sizeof(Out)));
    TensorShape shape({molecules.batch_size()});
    if (!spec_.channels_last) shape.AddDim(spec_.num_channels);
    for (int64_t extent : spec_.shape) shape.AddDim(extent);
    if (spec_.channels_last) shape.AddDim(spec_.num_channels);
    Tensor* grid = nullptr;
    OP_REQUIRES_OK(ctx, AllocateGrid(ctx, 0, shape, &grid));
    if (grid->NumElements() == 0) return;

    const KernelTable<T>& kernels = Table<T>(*level_);
    const GridLayout layout = Layout<Out>(spec_);
    const bool stream = static_cast<int64_t>(grid->TotalBytes()) > kStreamBytes;
    Out* const voxels = grid->flat<Out>().data();

    // A unit of work is a slab of planes of one molecule. Neighbouring slabs that meet in one shard are done as one.
    const int64_t nx = spec_.shape[0], plane = spec_.voxels() / nx;
    const int64_t planes = Blocks(layout, kernels.lanes, sizeof(T)).planes;
    const int64_t slab = std::min(nx, std::max<int64_t>(1, kSlabVoxels / (plane * planes)) * planes);
    const int64_t slabs = (nx + slab - 1) / slab;
    const double slab_voxels = static_cast<double>(slab * plane);
    const Eigen::TensorOpCost cost(0, slab_voxels * sizeof(Out),
                                   slab_voxels * kCyclesPerVoxel +
                                       molecules.atoms_per_molecule() * kCyclesPerAtom / slabs);
    ForEach(ctx, molecules.batch_size() * slabs, cost, [&](int64_t begin, int64_t end) {
      // Kept by each thread: a map over single molecules would ask for it anew with every element.
      static thread_local Planner<T> planner;
      for (int64_t unit = begin; unit < end;) {
        const int64_t b = unit / slabs, first = unit % slabs, last = std::min(slabs, first + end - unit);
        const Plan<T>& plan = planner.Build(molecules.atoms(molecules.begin(b), molecules.end(b)), molecules.box(b),
                                            layout, kernels.lanes, first * slab, std::min(nx, last * slab));
        kernels.factors(plan);
        kernels.forward(plan, layout, stream, voxels + b * spec_.voxels());
        unit += last - first;
      }
    });
  }

 private:
  const Level* level_ = nullptr;
  GridSpec spec_;
  bool periodic_[3];
};

template <typename T, typename Out>
class VoxelizeGradOp : public OpKernel {
 public:
  explicit VoxelizeGradOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadLevel(&level_));
    std::string data_format;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("data_format", &data_format));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("with_sigma", &with_sigma_));
    OP_REQUIRES_OK(ctx, ReadPeriodic(ctx, periodic_));
    channels_last_ = data_format == "channels_last";
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor& upstream = ctx->input(7);
    OP_REQUIRES(ctx, upstream.dims() == 5,
                InvalidArgument("upstream must have rank 5, got shape ",
                                                    upstream.shape().DebugString()));
    GridSpec spec;
    const int first = channels_last_ ? 1 : 2;
    for (int d = 0; d < 3; ++d) spec.shape[d] = upstream.dim_size(first + d);
    spec.num_channels = upstream.dim_size(channels_last_ ? 4 : 1);
    spec.channels_last = channels_last_;
    OP_REQUIRES_OK(ctx, ValidateGridSpec(spec));
    Molecules<T> molecules;
    OP_REQUIRES_OK(ctx, molecules.Init(ctx, spec.num_channels, periodic_));
    OP_REQUIRES(ctx, upstream.dim_size(0) == molecules.batch_size(),
                InvalidArgument("upstream must hold one grid for each of the ",
                                                    molecules.batch_size(), " molecules, got shape ",
                                                    upstream.shape().DebugString()));

    const int64_t num_atoms = molecules.num_atoms(), columns = molecules.soft() ? spec.num_channels : 1;
    Tensor *to_coords = nullptr, *to_weights = nullptr, *to_sigma = nullptr;
    const TensorShape weights_shape = molecules.soft() ? TensorShape({num_atoms, columns}) : TensorShape({num_atoms});
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, TensorShape({num_atoms, 3}), &to_coords));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, weights_shape, &to_weights));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(2, TensorShape({with_sigma_ ? num_atoms : 0, 3}), &to_sigma));
    if (num_atoms == 0) return;

    const KernelTable<T>& kernels = Table<T>(*level_);
    const GridLayout layout = Layout<Out>(spec);
    const Out* const voxels = upstream.flat<Out>().data();
    T* const coords = to_coords->flat<T>().data();
    T* const weights = to_weights->flat<T>().data();
    T* const sigma = with_sigma_ ? to_sigma->flat<T>().data() : nullptr;
    const int64_t longest = *std::max_element(spec.shape, spec.shape + 3);

    // A unit of work is an atom.
    const Eigen::TensorOpCost cost(2 * kCyclesPerAtom * columns, 0, 2 * kCyclesPerAtom * columns);
    ForEach(ctx, num_atoms, cost, [&](int64_t begin, int64_t end) {
      AtomWindows<T> windows;
      std::vector<T> scratch(kGradientArrays * (longest + kGradientPadding));
      int64_t b = 0;
      while (molecules.end(b) <= begin) ++b;
      for (int64_t atom = begin; atom < end; ++b) {
        const int64_t last = std::min(end, molecules.end(b));
        if (last <= atom) continue;
        const Molecule<T> part = molecules.atoms(atom, last);
        const Box box = molecules.box(b);
        windows.Build(part, box, layout, Quantity::kDerivative);
        kernels.gradient(windows.atoms(), part.channels, layout, voxels + b * spec.voxels(), scratch.data(),
                         {coords + 3 * atom, weights + columns * atom, sigma == nullptr ? nullptr : sigma + 3 * atom});
        for (int64_t a = atom; a < last; ++a) {
          for (int d = 0; d < 3; ++d) {
            coords[3 * a + d] = static_cast<T>(coords[3 * a + d] * static_cast<double>(spec.shape[d]) / box.lengths[d]);
          }
        }
        atom = last;
      }
    });
  }

 private:
  const Level* level_ = nullptr;
  bool channels_last_;
  bool with_sigma_;
  bool periodic_[3];
};

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

#define PG_TF_REGISTER(T, Out)                                                                               \
  REGISTER_KERNEL_BUILDER(                                                                                   \
      Name("PgTf>Voxelize").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T").TypeConstraint<Out>("dtype"), \
      VoxelizeOp<T, Out>);                                                                                   \
  REGISTER_KERNEL_BUILDER(Name("PgTf>VoxelizeGrad")                                                          \
                              .Device(tensorflow::DEVICE_CPU)                                                \
                              .TypeConstraint<T>("T")                                                        \
                              .TypeConstraint<Out>("dtype"),                                                 \
                          VoxelizeGradOp<T, Out>)
PG_TF_REGISTER(float, float);
PG_TF_REGISTER(float, Eigen::half);
PG_TF_REGISTER(float, Eigen::bfloat16);
PG_TF_REGISTER(double, double);
#undef PG_TF_REGISTER

REGISTER_KERNEL_BUILDER(Name("PgTf>SimdLevels").Device(tensorflow::DEVICE_CPU), SimdLevelsOp);

}  // namespace
}  // namespace pg_tf
