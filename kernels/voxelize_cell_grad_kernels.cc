// PgTf>VoxelizeCellGrad: check, allocate, split the work.

#include <algorithm>
#include <vector>

#include "kernels/voxelize_cell_inputs.h"

namespace pg_tf {
namespace {

// CPU cycles for a voxel that an atom touches; an estimate by which TensorFlow splits the work.
constexpr double kCyclesPerTouched = 30;

// From the frame of the cell to the axes of the caller: a vector, and below the virial.
void ToCartesian(const double frame[3][3], const double vector[3], double* result) {
  for (int e = 0; e < 3; ++e) {
    result[e] = frame[0][e] * vector[0] + frame[1][e] * vector[1] + frame[2][e] * vector[2];
  }
}

constexpr int kVoigt[6][2] = {{0, 0}, {1, 1}, {2, 2}, {1, 2}, {0, 2}, {0, 1}};

template <typename T>
void VirialToCartesian(const double frame[3][3], const double virial[6], T* result) {
  double full[3][3];
  for (int i = 0; i < 6; ++i) full[kVoigt[i][0]][kVoigt[i][1]] = full[kVoigt[i][1]][kVoigt[i][0]] = virial[i];
  for (int i = 0; i < 6; ++i) {
    double sum = 0;
    for (int d = 0; d < 3; ++d) {
      for (int e = 0; e < 3; ++e) sum += frame[d][kVoigt[i][0]] * full[d][e] * frame[e][kVoigt[i][1]];
    }
    result[i] = static_cast<T>(sum);
  }
}

// Of a channel of an upstream gradient.
template <typename T>
T Mean(const T* upstream, const GridSpec& spec, int64_t channel) {
  const int64_t size = spec.shape[0] * spec.shape[1] * spec.shape[2];
  const int64_t stride = spec.channels_last ? spec.num_channels : 1;
  const T* const first = upstream + (spec.channels_last ? channel : channel * size);
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += first[i * stride];
  return static_cast<T>(sum / static_cast<double>(size));
}

template <typename T>
class VoxelizeCellGradOp : public OpKernel {
 public:
  explicit VoxelizeCellGradOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadLevel(&level_));
    OP_REQUIRES_OK(ctx, ReadPeriodic(ctx, periodic_));
    OP_REQUIRES_OK(ctx, ReadChannelsLast(ctx, &channels_last_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("with_virial", &with_virial_));
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor& upstream = ctx->input(6);
    GridSpec spec;
    OP_REQUIRES_OK(ctx, GridSpecOf(upstream, channels_last_, &spec));
    Crystals<T> crystals;
    OP_REQUIRES_OK(ctx, crystals.Init(ctx, spec, periodic_, with_virial_));
    OP_REQUIRES_OK(ctx, ValidateUpstream(upstream, crystals.batch_size()));

    const int64_t num_atoms = crystals.num_atoms(), columns = crystals.soft() ? spec.num_channels : 1;
    Tensor *to_coords = nullptr, *to_weights = nullptr, *to_virial = nullptr;
    const TensorShape weights_shape = crystals.soft() ? TensorShape({num_atoms, columns}) : TensorShape({num_atoms});
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, TensorShape({num_atoms, 3}), &to_coords));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, weights_shape, &to_weights));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(2, TensorShape({with_virial_ ? num_atoms : 0, 6}), &to_virial));
    const Results results = {to_coords->flat<double>().data(), to_weights->flat<T>().data(),
                             to_virial->flat<T>().data()};
    const T* const voxels = upstream.flat<T>().data();

    // A unit of work is an atom.
    const Eigen::TensorOpCost cost(0, 0, crystals.voxels_per_atom() * kCyclesPerTouched + 1000);
    ForEach(ctx, num_atoms, cost, kNoMemoryForAtoms, [&](int64_t begin, int64_t end) {
      std::vector<T> scratch(kCellScratch + kCellArrays * crystals.longest_column());
      int64_t b = 0;
      while (crystals.end(b) <= begin) ++b;
      for (int64_t atom = begin; atom < end; ++b) {
        const int64_t last = std::min(end, crystals.end(b));
        if (last <= atom) continue;
        const T* const grid = voxels + b * spec.voxels();
        if (crystals.orthogonal(b) && !with_virial_) {
          OfBox(crystals, spec, b, atom, last, grid, results);
        } else {
          OfCell(crystals, spec, b, atom, last, grid, scratch.data(), results);
        }
        atom = last;
      }
    });
  }

 private:
  struct Results {
    double* coords;
    T *weights, *virial;
  };

  // For lattice vectors at right angles: uses the kernel for boxes.
  void OfBox(const Crystals<T>& crystals, const GridSpec& spec, int64_t b, int64_t begin, int64_t end,
             const T* upstream, const Results& results) const {
    const int64_t columns = crystals.soft() ? spec.num_channels : 1;
    const int64_t longest = *std::max_element(spec.shape, spec.shape + 3);
    std::vector<double> aligned;
    std::vector<T> scratch(kGradientArrays * (longest + kGradientPadding));
    const Molecule<T> molecule = crystals.aligned(b, begin, end, &aligned);
    const Box box = crystals.box(b);
    const GridLayout layout = Layout<T>(spec);
    AtomWindows<T> windows;
    windows.Build(molecule, box, layout, Quantity::kDerivative);
    double* const coords = results.coords + 3 * begin;
    Table<T>(*level_).gradient(windows.atoms(), molecule.channels, layout, upstream, scratch.data(),
                               {coords, results.weights + columns * begin, nullptr});
    for (int64_t a = 0; a < end - begin; ++a) {
      double along[3];  // c, b, a: the order of the frame
      for (int d = 0; d < 3; ++d) along[2 - d] = coords[3 * a + d] * (spec.shape[d] / box.lengths[d]);
      ToCartesian(crystals.grid(b).frame, along, coords + 3 * a);
    }
  }

  void OfCell(const Crystals<T>& crystals, const GridSpec& spec, int64_t b, int64_t begin, int64_t end,
              const T* upstream, T* scratch, const Results& results) const {
    const int64_t channels = spec.num_channels, columns = crystals.soft() ? channels : 1;
    const int64_t ny = spec.shape[1], nz = spec.shape[2];
    const int64_t stride = spec.channels_last ? channels : 1;
    const int64_t channel_pitch = spec.channels_last ? 1 : spec.shape[0] * ny * nz;
    const CellGrid& grid = crystals.grid(b);
    for (int64_t a = begin; a < end; ++a) {
      const int32_t channel = crystals.atoms(a, a + 1).channels[0];
      CellGradient gradient = {};
      T* const to_weights = results.weights + columns * a;
      if (channel >= 0 && crystals.atom(a).even) {
        // The same in each voxel, wherever the atom lies and however space is strained.
        const int64_t first = crystals.soft() ? 0 : channel;
        for (int64_t c = 0; c < columns; ++c) to_weights[c] = Mean(upstream, spec, first + c);
      } else if (channel >= 0) {
        const CellUpstream<T> of_atom = {upstream + (crystals.soft() ? 0 : channel * channel_pitch),
                                         columns,
                                         channel_pitch,
                                         ny * nz * stride,
                                         nz * stride,
                                         stride};
        CellKernels<T>(*level_).gradient(grid, crystals.atom(a), crystals.longest_column(), crystals.weights(a),
                                         of_atom, with_virial_, scratch, &gradient, to_weights);
      } else {
        std::fill_n(to_weights, columns, T{0});
      }
      ToCartesian(grid.frame, gradient.coords, results.coords + 3 * a);
      if (with_virial_) VirialToCartesian(grid.frame, gradient.virial, results.virial + 6 * a);
    }
  }

  const Level* level_ = nullptr;
  bool channels_last_;
  bool periodic_[3];
  bool with_virial_;
};

PG_TF_REGISTER_FLOAT_AND_DOUBLE("PgTf>VoxelizeCellGrad", VoxelizeCellGradOp);

}  // namespace
}  // namespace pg_tf
