// PgTf>VoxelizeCell: check, allocate, split the work.

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/grid_allocator.h"
#include "kernels/voxelize_cell_inputs.h"

namespace pg_tf {
namespace {

// A grid is split into slabs of about this many voxels; their sums stay in the second-level cache.
constexpr int64_t kSlabVoxels = int64_t{1} << 14;

// CPU cycles for a voxel that an atom touches, and for any voxel: estimates by which TensorFlow splits the work.
constexpr double kCyclesPerTouched = 10;
constexpr double kCyclesPerVoxel = 0.5;

// Writes the planes [begin, end) of a grid from their sums [channels, planes, ny, nz].
template <typename T, typename Out>
void Write(const std::vector<double>& sums, const GridSpec& spec, int64_t begin, int64_t end, Out* grid) {
  const int64_t plane = spec.shape[1] * spec.shape[2], channels = spec.num_channels, size = (end - begin) * plane;
  for (int64_t c = 0; c < channels; ++c) {
    const double* const from = sums.data() + c * size;
    if (spec.channels_last) {
      Out* const to = grid + begin * plane * channels + c;
      for (int64_t i = 0; i < size; ++i) to[i * channels] = static_cast<Out>(static_cast<T>(from[i]));
    } else {
      Out* const to = grid + (c * spec.shape[0] + begin) * plane;
      for (int64_t i = 0; i < size; ++i) to[i] = static_cast<Out>(static_cast<T>(from[i]));
    }
  }
}

template <typename T, typename Out>
class VoxelizeCellOp : public OpKernel {
 public:
  explicit VoxelizeCellOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadLevel(&level_));
    OP_REQUIRES_OK(ctx, ReadPeriodic(ctx, periodic_));
    OP_REQUIRES_OK(ctx, ReadGridSpec(ctx, &spec_));
  }

  void Compute(OpKernelContext* ctx) override {
    Crystals<T> crystals;
    OP_REQUIRES_OK(ctx, crystals.Init(ctx, spec_, periodic_, false));
    OP_REQUIRES_OK(ctx, ValidateGridSize(spec_, crystals.batch_size(), sizeof(Out)));
    Tensor* grid = nullptr;
    OP_REQUIRES_OK(ctx, AllocateGrid(ctx, 0, GridShape(spec_, crystals.batch_size()), &grid));
    if (grid->NumElements() == 0) return;

    const GridLayout layout = Layout<Out>(spec_);
    const KernelTable<T>& kernels = Table<T>(*level_);
    const bool stream = false;  // a slab stays in the cache
    Out* const voxels = grid->flat<Out>().data();
    const int64_t nx = spec_.shape[0], plane = spec_.voxels() / nx;
    const int64_t planes = Blocks(layout, kernels.lanes, sizeof(T)).planes;
    const int64_t slab = std::min(nx, std::max<int64_t>(1, kSlabVoxels / (plane * planes)) * planes);
    const int64_t slabs = (nx + slab - 1) / slab;
    const double touched = crystals.voxels_per_atom() * crystals.atoms_per_molecule() / slabs;
    const Eigen::TensorOpCost cost(0, slab * plane * sizeof(Out),
                                   touched * kCyclesPerTouched + slab * plane * kCyclesPerVoxel);
    ForEach(ctx, crystals.batch_size() * slabs, cost, kNoMemoryForAtoms, [&](int64_t begin, int64_t end) {
      Planner<T> planner;
      std::vector<double> aligned;
      std::vector<T> scratch(kCellScratch + kCellArrays * crystals.longest_column());
      std::vector<double> sums;
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t b = unit / slabs, x = unit % slabs * slab, x_end = std::min(nx, x + slab);
        Out* const out = voxels + b * spec_.voxels();
        if (crystals.orthogonal(b)) {
          const Molecule<T> molecule = crystals.aligned(b, crystals.begin(b), crystals.end(b), &aligned);
          const Plan<T>& plan = planner.Build(molecule, crystals.box(b), layout, kernels.lanes, x, x_end);
          kernels.factors(plan);
          kernels.forward(plan, layout, stream, out);
          continue;
        }
        sums.assign((x_end - x) * plane, 0);
        Sum(crystals, b, x, x_end, scratch.data(), sums.data());
        Write<T>(sums, spec_, x, x_end, out);
      }
    });
    if (ctx->status().ok()) OP_REQUIRES_OK(ctx, crystals.CheckRange(*grid));
  }

 private:
  // For an atom so wide that every voxel gets the same of it.
  void AddEverywhere(const Crystals<T>& crystals, int64_t a, int64_t channel_size, double* sums) const {
    const double per_voxel = static_cast<double>(spec_.num_channels) / static_cast<double>(spec_.voxels());
    const int64_t first = crystals.soft() ? 0 : crystals.atoms(a, a + 1).channels[0];
    const int64_t channels = crystals.soft() ? spec_.num_channels : 1;
    for (int64_t c = 0; c < channels; ++c) {
      const double value = crystals.weights(a)[c] * per_voxel;
      double* const of_channel = sums + (first + c) * channel_size;
      for (int64_t i = 0; i < channel_size; ++i) of_channel[i] += value;
    }
  }

  void Sum(const Crystals<T>& crystals, int64_t b, int64_t x, int64_t x_end, T* scratch, double* sums) const {
    const CellTable<T>& kernels = CellKernels<T>(*level_);
    const int64_t channel_size = (x_end - x) * spec_.shape[1] * spec_.shape[2];
    for (int64_t a = crystals.begin(b); a < crystals.end(b); ++a) {
      const int32_t channel = crystals.atoms(a, a + 1).channels[0];
      if (channel < 0) continue;
      if (crystals.atom(a).even) {
        AddEverywhere(crystals, a, channel_size, sums);
        continue;
      }
      const CellSums of_atom = crystals.soft() ? CellSums{x, x_end, spec_.num_channels, sums}
                                               : CellSums{x, x_end, 1, sums + channel * channel_size};
      kernels.add(crystals.grid(b), crystals.atom(a), crystals.longest_column(), crystals.weights(a), scratch, of_atom);
    }
  }

  const Level* level_ = nullptr;
  GridSpec spec_;
  bool periodic_[3];
};

PG_TF_REGISTER_GRIDS("PgTf>VoxelizeCell", VoxelizeCellOp);

}  // namespace
}  // namespace pg_tf
