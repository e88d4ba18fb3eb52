// PgTf>LennardJonesGrad: check, allocate, split the work.

#include <algorithm>
#include <cmath>

#include "kernels/lennard_jones_inputs.h"
#include "kernels/validate.h"

namespace pg_tf {
namespace {

template <typename T>
class LennardJonesGradOp : public OpKernel {
 public:
  explicit LennardJonesGradOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadLevel(&level_));
    OP_REQUIRES_OK(ctx, ReadPeriodic(ctx, periodic_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("shift", &shift_));
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor& upstream = ctx->input(8);
    OP_REQUIRES(ctx, upstream.dims() == 4,
                InvalidArgument("upstream must have rank 4, got shape ", upstream.shape().DebugString()));
    GridSpec spec = {{upstream.dim_size(1), upstream.dim_size(2), upstream.dim_size(3)}, 1, false};
    OP_REQUIRES_OK(ctx, ValidateGridSpec(spec));
    Structures structures;
    OP_REQUIRES_OK(ctx, structures.Init(ctx, spec.shape, periodic_));
    OP_REQUIRES(ctx, upstream.dim_size(0) == structures.batch_size(),
                InvalidArgument("upstream must hold one grid for each of the ", structures.batch_size(),
                                " molecules, got shape ", upstream.shape().DebugString()));
    const int64_t num_atoms = structures.num_atoms();
    Tensor *to_coords = nullptr, *to_sigma = nullptr, *to_epsilon = nullptr, *to_edges = nullptr, *to_cell = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, TensorShape({num_atoms, 3}), &to_coords));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, TensorShape({num_atoms}), &to_sigma));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(2, TensorShape({num_atoms}), &to_epsilon));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(3, TensorShape({num_atoms, 3, 3}), &to_edges));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(4, TensorShape({num_atoms, 3, 3}), &to_cell));
    if (num_atoms == 0) return;

    const T* const voxels = upstream.flat<T>().data();
    double* const coords = to_coords->flat<double>().data();
    double* const sigma = to_sigma->flat<double>().data();
    double* const epsilon = to_epsilon->flat<double>().data();
    double* const edges = to_edges->flat<double>().data();
    double* const cell = to_cell->flat<double>().data();
    // A unit of work is an atom with its images.
    const Eigen::TensorOpCost cost(0, 0, kCyclesPerPair * static_cast<double>(spec.voxels()));
    ForEach(ctx, num_atoms, cost, kNoMemoryForImages, [&](int64_t begin, int64_t end) {
      int64_t b = 0;
      while (structures.end(b) <= begin) ++b;
      for (int64_t atom = begin; atom < end; ++b) {
        const ProbeGrid grid = structures.grid(b);
        const ImageSearch search = structures.search(b);
        for (const int64_t last = std::min(end, structures.end(b)); atom < last; ++atom) {
          SumImages(structures, grid, search, atom, voxels + b * spec.voxels(), coords + 3 * atom, sigma + atom,
                    epsilon + atom, edges + 9 * atom, cell + 9 * atom);
        }
      }
    });
  }

 private:
  void SumImages(const Structures& structures, const ProbeGrid& grid, const ImageSearch& search, int64_t atom,
                 const T* upstream, double* to_coords, double* to_sigma, double* to_epsilon, double* to_edges,
                 double* to_cell) const {
    const double sigma = structures.atoms().sigma[atom], four_epsilon = 4 * structures.atoms().epsilon[atom];
    const double s6 = shift_ ? SixthPowerAtCutoff(sigma, structures.cutoff()) : 0;
    Source<T> source;
    source.sigma_squared = static_cast<T>(sigma * sigma);
    source.shift = static_cast<T>((s6 - 1) * s6);
    source.sigma_shift = static_cast<T>((12 * s6 - 6) * s6);
    double place_sum[3] = {}, edges_sum[9] = {}, cell_sum[9] = {}, sigma_sum = 0, epsilon_sum = 0;
    search.ForEach(structures.atoms().coords + 3 * atom, [&](const double* place, const double* n) {
      std::copy_n(place, 3, source.place);
      SourceSums sums = {};
      LennardJonesKernels<T>(*level_).source_gradient(grid, source, structures.cutoff(), upstream, &sums);
      sigma_sum += sums.log_sigma;
      epsilon_sum += sums.epsilon;
      for (int d = 0; d < 3; ++d) {
        place_sum[d] += sums.place[d];
        for (int e = 0; e < 3; ++e) {
          edges_sum[3 * d + e] += sums.edges[d][e];
          cell_sum[3 * d + e] -= n[d] * sums.place[e];
        }
      }
    });
    *to_sigma = sigma > 0 ? four_epsilon * sigma_sum / sigma : 0;
    *to_epsilon = 4 * epsilon_sum;
    for (int d = 0; d < 3; ++d) to_coords[d] = -four_epsilon * place_sum[d];
    for (int i = 0; i < 9; ++i) {
      to_edges[i] = four_epsilon * edges_sum[i];
      to_cell[i] = four_epsilon * cell_sum[i];
    }
  }

  const Level* level_ = nullptr;
  bool periodic_[3], shift_;
};

PG_TF_REGISTER_FLOAT_AND_DOUBLE("PgTf>LennardJonesGrad", LennardJonesGradOp);

}  // namespace
}  // namespace pg_tf
