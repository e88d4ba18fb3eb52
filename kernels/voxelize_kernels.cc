// PgTf>Voxelize and its gradient: check, allocate, split the work.

#include <algorithm>
#include <vector>

#include "kernels/grid_allocator.h"
#include "kernels/voxelize_inputs.h"
#include "kernels/voxelize_plan.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace pg_tf {
namespace {

// Outputs larger than this are written past the caches: the second-level cache of a core is no larger.
constexpr int64_t kStreamBytes = int64_t{1} << 20;

// A grid is split into slabs of about this many voxels, some tens of microseconds of work.
constexpr int64_t kSlabVoxels = int64_t{1} << 17;

// CPU cycles for an atom with its window, and for a voxel: estimates by which TensorFlow splits the work.
constexpr double kCyclesPerAtom = 600;
constexpr double kCyclesPerVoxel = 0.3;

// What a thread keeps of its work space until the next call. A call with millions of atoms takes some kilobytes an
// atom.
constexpr size_t kKeptBytes = size_t{16} << 20;

// Trims a planner, also after an error.
template <typename T>
struct Trimmed {
  Planner<T>* planner;
  ~Trimmed() { planner->Trim(kKeptBytes); }
};

template <typename T, typename Out>
class VoxelizeOp : public OpKernel {
 public:
  explicit VoxelizeOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadLevel(&level_));
    OP_REQUIRES_OK(ctx, ReadPeriodic(ctx, periodic_));
    OP_REQUIRES_OK(ctx, ReadGridSpec(ctx, &spec_));
  }

  void Compute(OpKernelContext* ctx) override {
    Molecules<T> molecules;
    OP_REQUIRES_OK(ctx, molecules.Init(ctx, spec_.num_channels));
    Boxes boxes;
    OP_REQUIRES_OK(ctx, boxes.Init(ctx, molecules.batch_size(), periodic_));
    OP_REQUIRES_OK(ctx, ValidateGridSize(spec_, molecules.batch_size(), sizeof(Out)));
    Tensor* grid = nullptr;
    OP_REQUIRES_OK(ctx, AllocateGrid(ctx, 0, GridShape(spec_, molecules.batch_size()), &grid));
    if (grid->NumElements() == 0) return;

    const KernelTable<T>& kernels = Table<T>(*level_);
    const GridLayout layout = Layout<Out>(spec_);
    const bool stream = static_cast<int64_t>(grid->TotalBytes()) > kStreamBytes;
    Out* const voxels = grid->flat<Out>().data();

    // A unit of work is a slab of planes of one molecule. Neighbouring slabs that one thread gets are done as one.
    const int64_t nx = spec_.shape[0], plane = spec_.voxels() / nx;
    const int64_t planes = Blocks(layout, kernels.lanes, sizeof(T)).planes;
    const int64_t slab = std::min(nx, std::max<int64_t>(1, kSlabVoxels / (plane * planes)) * planes);
    const int64_t slabs = (nx + slab - 1) / slab;
    const double slab_voxels = static_cast<double>(slab * plane);
    const Eigen::TensorOpCost cost(
        0, slab_voxels * sizeof(Out),
        slab_voxels * kCyclesPerVoxel + molecules.atoms_per_molecule() * kCyclesPerAtom / slabs);
    ForEach(ctx, molecules.batch_size() * slabs, cost, kNoMemoryForAtoms, [&](int64_t begin, int64_t end) {
      // Each thread keeps its planner: a map over single molecules would otherwise allocate one for every element.
      static thread_local Planner<T> planner;
      const Trimmed<T> trimmed = {&planner};
      for (int64_t unit = begin; unit < end;) {
        const int64_t b = unit / slabs, first = unit % slabs, last = std::min(slabs, first + end - unit);
        const Plan<T>& plan = planner.Build(molecules.atoms(molecules.begin(b), molecules.end(b)), boxes(b), layout,
                                            kernels.lanes, first * slab, std::min(nx, last * slab));
        kernels.factors(plan);
        kernels.forward(plan, layout, stream, voxels + b * spec_.voxels());
        unit += last - first;
      }
    });
    if (ctx->status().ok()) OP_REQUIRES_OK(ctx, molecules.CheckRange(*grid));
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
    OP_REQUIRES_OK(ctx, ReadChannelsLast(ctx, &channels_last_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("with_sigma", &with_sigma_));
    OP_REQUIRES_OK(ctx, ReadPeriodic(ctx, periodic_));
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor& upstream = ctx->input(7);
    GridSpec spec;
    OP_REQUIRES_OK(ctx, GridSpecOf(upstream, channels_last_, &spec));
    Molecules<T> molecules;
    OP_REQUIRES_OK(ctx, molecules.Init(ctx, spec.num_channels));
    Boxes boxes;
    OP_REQUIRES_OK(ctx, boxes.Init(ctx, molecules.batch_size(), periodic_));
    OP_REQUIRES_OK(ctx, ValidateUpstream(upstream, molecules.batch_size()));

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
    double* const coords = to_coords->flat<double>().data();
    T* const weights = to_weights->flat<T>().data();
    T* const sigma = with_sigma_ ? to_sigma->flat<T>().data() : nullptr;
    const int64_t longest = *std::max_element(spec.shape, spec.shape + 3);

    // A unit of work is an atom.
    const Eigen::TensorOpCost cost(2 * kCyclesPerAtom * columns, 0, 2 * kCyclesPerAtom * columns);
    ForEach(ctx, num_atoms, cost, kNoMemoryForAtoms, [&](int64_t begin, int64_t end) {
      AtomWindows<T> windows;
      std::vector<T> scratch(kGradientArrays * (longest + kGradientPadding));
      int64_t b = 0;
      while (molecules.end(b) <= begin) ++b;
      for (int64_t atom = begin; atom < end; ++b) {
        const int64_t last = std::min(end, molecules.end(b));
        if (last <= atom) continue;
        const Molecule<T> part = molecules.atoms(atom, last);
        const Box box = boxes(b);
        windows.Build(part, box, layout, Quantity::kDerivative);
        kernels.gradient(windows.atoms(), part.channels, layout, voxels + b * spec.voxels(), scratch.data(),
                         {coords + 3 * atom, weights + columns * atom, sigma == nullptr ? nullptr : sigma + 3 * atom});
        for (int64_t a = atom; a < last; ++a) {
          for (int d = 0; d < 3; ++d) {
            coords[3 * a + d] *= static_cast<double>(spec.shape[d]) / box.lengths[d];
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

PG_TF_REGISTER_GRIDS("PgTf>Voxelize", VoxelizeOp);
PG_TF_REGISTER_GRIDS("PgTf>VoxelizeGrad", VoxelizeGradOp);

}  // namespace
}  // namespace pg_tf
