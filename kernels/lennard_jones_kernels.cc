// PgTf>LennardJones: check, allocate, split the work.

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/lennard_jones_inputs.h"
#include "kernels/limits.h"
#include "kernels/validate.h"

namespace pg_tf {
namespace {

// Memory for the probes of one tile.
template <typename T>
class TileBuffer {
 public:
  TileBuffer(int64_t largest, bool with_gradient) : with_gradient_(with_gradient) {
    pitch_ = (largest + kProbePadding - 1) / kProbePadding * kProbePadding;
    values_.resize(pitch_ * 7);
  }

  // The probes of a tile as seen from its middle; the padding repeats the middle itself.
  ProbeTile<T> Fill(const ProbeGrid& grid, const Tiling::Tile& tile) {
    T* const place[3] = {values_.data(), values_.data() + pitch_, values_.data() + 2 * pitch_};
    int64_t size = 0;
    for (int64_t i = tile.begin[0]; i < tile.end[0]; ++i) {
      for (int64_t j = tile.begin[1]; j < tile.end[1]; ++j) {
        for (int64_t k = tile.begin[2]; k < tile.end[2]; ++k, ++size) {
          for (int e = 0; e < 3; ++e) {
            place[e][size] = static_cast<T>(grid.first[e] + i * grid.step[0][e] + j * grid.step[1][e] +
                                            k * grid.step[2][e] - tile.middle[e]);
          }
        }
      }
    }
    const int64_t padded = (size + kProbePadding - 1) / kProbePadding * kProbePadding;
    for (int e = 0; e < 3; ++e) std::fill(place[e] + size, place[e] + padded, T{0});
    T* const energy = values_.data() + 3 * pitch_;
    T* const gradient = with_gradient_ ? energy + pitch_ : nullptr;
    return {padded,
            {place[0], place[1], place[2]},
            energy,
            {gradient, with_gradient_ ? gradient + pitch_ : nullptr, with_gradient_ ? gradient + 2 * pitch_ : nullptr}};
  }

 private:
  bool with_gradient_;
  int64_t pitch_;
  std::vector<T> values_;
};

template <typename T>
class LennardJonesOp : public OpKernel {
 public:
  explicit LennardJonesOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadLevel(&level_));
    OP_REQUIRES_OK(ctx, ReadPeriodic(ctx, periodic_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("shift", &shift_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("with_gradient", &with_gradient_));
    std::vector<int64_t> grid_shape;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("grid_shape", &grid_shape));
    OP_REQUIRES(ctx, grid_shape.size() == 3,
                InvalidArgument("grid_shape must have 3 extents, got ", grid_shape.size()));
    std::copy(grid_shape.begin(), grid_shape.end(), spec_.shape);
    spec_.num_channels = 1;
    OP_REQUIRES_OK(ctx, ValidateGridSpec(spec_));
  }

  void Compute(OpKernelContext* ctx) override {
    Structures structures;
    OP_REQUIRES_OK(ctx, structures.Init(ctx, spec_.shape, periodic_));
    OP_REQUIRES(ctx, ctx->input(8).dims() == 0,
                InvalidArgument("max_energy must be a scalar, got shape ", ctx->input(8).shape().DebugString()));
    const double max_energy = ctx->input(8).scalar<double>()();
    OP_REQUIRES(
        ctx, max_energy > 0 && max_energy <= kLargestEnergy,
        InvalidArgument("max_energy must be greater than 0 and at most ", kLargestEnergy, " K, got ", max_energy));
    const int64_t batch_size = structures.batch_size();
    OP_REQUIRES_OK(ctx, ValidateGridSize(spec_, batch_size, (with_gradient_ ? 4 : 1) * sizeof(T)));
    TensorShape shape({batch_size, spec_.shape[0], spec_.shape[1], spec_.shape[2]});
    Tensor *energy = nullptr, *gradient = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, shape, &energy));
    shape.set_dim(0, with_gradient_ ? batch_size : 0);
    shape.AddDim(3);
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, shape, &gradient));
    if (batch_size == 0) return;

    struct Problem {
      ProbeGrid grid;
      Neighborhood neighborhood;
    };
    std::vector<Problem> problems(batch_size);
    std::vector<int64_t> first_tile(batch_size + 1, 0);
    for (int64_t b = 0; b < batch_size; ++b) {
      problems[b].grid = structures.grid(b);
      first_tile[b + 1] = first_tile[b] + Tiling(problems[b].grid).num_tiles();
    }
    const double atoms = static_cast<double>(structures.num_atoms()) / static_cast<double>(batch_size);
    const Eigen::TensorOpCost search_cost(0, 0, 100 + atoms * 1000);
    ForEach(ctx, batch_size, search_cost, kNoMemoryForImages, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        problems[b].neighborhood.Build(structures.atoms(b), structures.search(b), structures.cutoff(), shift_);
      }
    });
    if (!ctx->status().ok()) return;

    double pairs = 0;
    for (int64_t b = 0; b < batch_size; ++b) {
      pairs += (problems[b].neighborhood.AverageNeighbors() + 20) * static_cast<double>(spec_.voxels());
    }
    const Eigen::TensorOpCost cost(0, 0, pairs * kCyclesPerPair / static_cast<double>(first_tile[batch_size]));
    T* const energies = energy->flat<T>().data();
    T* const gradients = with_gradient_ ? gradient->flat<T>().data() : nullptr;
    ForEach(ctx, first_tile[batch_size], cost, kNoMemoryForImages, [&](int64_t begin, int64_t end) {
      std::vector<Neighbor<T>> neighbors;
      int64_t b = std::upper_bound(first_tile.begin(), first_tile.end(), begin) - first_tile.begin() - 1;
      for (int64_t unit = begin; unit < end; ++b) {
        const Problem& problem = problems[b];
        const Tiling tiling(problem.grid);
        TileBuffer<T> buffer(tiling.largest_tile(), with_gradient_);
        for (const int64_t last = std::min(end, first_tile[b + 1]); unit < last; ++unit) {
          const Tiling::Tile tile = tiling.tile(unit - first_tile[b]);
          problem.neighborhood.Gather(tile.middle, structures.cutoff() + tile.radius, &neighbors);
          const ProbeTile<T> probes = buffer.Fill(problem.grid, tile);
          LennardJonesKernels<T>(*level_).energy(
              {static_cast<int64_t>(neighbors.size()), neighbors.data(),
               static_cast<T>(structures.cutoff() * structures.cutoff()), static_cast<T>(max_energy)},
              probes);
          Write(tile, probes, b, energies, gradients);
        }
      }
    });
  }

 private:
  void Write(const Tiling::Tile& tile, const ProbeTile<T>& probes, int64_t b, T* energies, T* gradients) const {
    int64_t from = 0;
    const int64_t row = tile.end[2] - tile.begin[2];
    for (int64_t i = tile.begin[0]; i < tile.end[0]; ++i) {
      for (int64_t j = tile.begin[1]; j < tile.end[1]; ++j, from += row) {
        const int64_t to = ((b * spec_.shape[0] + i) * spec_.shape[1] + j) * spec_.shape[2] + tile.begin[2];
        std::copy_n(probes.energy + from, row, energies + to);
        for (int64_t k = 0; gradients != nullptr && k < row; ++k) {
          for (int d = 0; d < 3; ++d) gradients[3 * (to + k) + d] = probes.gradient[d][from + k];
        }
      }
    }
  }

  const Level* level_ = nullptr;
  GridSpec spec_ = {};
  bool periodic_[3], shift_, with_gradient_;
};

PG_TF_REGISTER_FLOAT_AND_DOUBLE("PgTf>LennardJones", LennardJonesOp);

}  // namespace
}  // namespace pg_tf
