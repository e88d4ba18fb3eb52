// PgTf>PersistentPeaks.

#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/persistence.h"
#include "kernels/validate.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace pg_tf {
namespace {

// CPU cycles a voxel; an estimate by which TensorFlow splits the work. Most voxels lie below the floor.
constexpr double kCyclesPerVoxel = 10;

template <typename T>
class PersistentPeaksOp : public OpKernel {
 public:
  explicit PersistentPeaksOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadPeriodic(ctx, spec_.periodic));
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor &grids = ctx->input(0), &floors = ctx->input(1);
    OP_REQUIRES(ctx, grids.dims() == 4,
                InvalidArgument("grids must have shape [grids, nx, ny, nz], got ", grids.shape().DebugString()));
    const int64_t num_grids = grids.dim_size(0);
    OP_REQUIRES(ctx, floors.dims() == 1 && floors.dim_size(0) == num_grids,
                InvalidArgument("floors must have shape [", num_grids, "], got ", floors.shape().DebugString()));
    PersistenceSpec spec = spec_;
    for (int d = 0; d < 3; ++d) spec.shape[d] = grids.dim_size(1 + d);
    const int64_t voxels = spec.shape[0] * spec.shape[1] * spec.shape[2];
    OP_REQUIRES(ctx, voxels <= std::numeric_limits<int32_t>::max(),
                InvalidArgument("grids must have fewer than 2^31 voxels each, got ", voxels));
    const T* const values = grids.flat<T>().data();
    const T* const floor = floors.flat<T>().data();

    std::vector<std::vector<PersistentPeak<T>>> found(num_grids);
    std::atomic<int64_t> bad_voxel(-1);
    const Eigen::TensorOpCost cost(voxels * sizeof(T), 0, voxels * kCyclesPerVoxel);
    ForEach(ctx, num_grids, cost, "grids: no memory for the work space", [&](int64_t begin, int64_t end) {
      PeakPairing<T> pairing(spec);
      for (int64_t g = begin; g < end; ++g) {
        const T* const grid = values + g * voxels;
        for (int64_t i = 0; i < voxels; ++i) {
          if (!std::isfinite(grid[i])) {
            bad_voxel = g * voxels + i;
            return;
          }
        }
        found[g] = pairing(grid, floor[g]);
      }
    });
    if (!ctx->status().ok()) return;
    const int64_t bad = bad_voxel;
    OP_REQUIRES(ctx, bad < 0,
                InvalidArgument("grids must be finite: grid ", bad / voxels, ", voxel ", bad % voxels, " is ",
                                bad < 0 ? T(0) : values[bad]));

    int64_t num_peaks = 0;
    for (const auto& peaks : found) num_peaks += static_cast<int64_t>(peaks.size());
    Tensor *peak = nullptr, *saddle = nullptr, *birth = nullptr, *death = nullptr, *row_splits = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, TensorShape({num_peaks, 3}), &peak));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, TensorShape({num_peaks, 3}), &saddle));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(2, TensorShape({num_peaks}), &birth));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(3, TensorShape({num_peaks}), &death));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(4, TensorShape({num_grids + 1}), &row_splits));
    const auto write = [&](Tensor* voxel, int64_t row, int64_t index) {
      int32_t* const xyz = voxel->flat<int32_t>().data() + 3 * row;
      const int64_t plane = spec.shape[1] * spec.shape[2];
      xyz[0] = index < 0 ? -1 : static_cast<int32_t>(index / plane);
      xyz[1] = index < 0 ? -1 : static_cast<int32_t>(index % plane / spec.shape[2]);
      xyz[2] = index < 0 ? -1 : static_cast<int32_t>(index % spec.shape[2]);
    };
    int64_t row = 0;
    for (int64_t g = 0; g < num_grids; ++g) {
      row_splits->vec<int64_t>()(g) = row;
      for (const PersistentPeak<T>& pair : found[g]) {
        write(peak, row, pair.peak);
        write(saddle, row, pair.saddle);
        birth->vec<T>()(row) = pair.birth;
        death->vec<T>()(row) = pair.death;
        ++row;
      }
    }
    row_splits->vec<int64_t>()(num_grids) = row;
  }

 private:
  PersistenceSpec spec_;
};

PG_TF_REGISTER_FLOAT_AND_DOUBLE("PgTf>PersistentPeaks", PersistentPeaksOp);

}  // namespace
}  // namespace pg_tf
