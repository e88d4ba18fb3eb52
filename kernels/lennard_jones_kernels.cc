// PgTf>LennardJones and its gradient: check, allocate, split the work.

#define EIGEN_USE_THREADS

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/lennard_jones_neighbors.h"
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

// CPU cycles of a pair, for the split of the work only.
constexpr double kCyclesPerPair = 1.5;

// Vectors this close to one plane have lost their digits.
constexpr double kFlattest = 1e-8;

// Coordinates larger than this, Å, have too few digits left for a distance.
constexpr double kFurthest = 1e9;

// Images of all atoms of a batch that are kept at once, at most: some 2 GiB.
constexpr double kMostImages = 2e7;

template <typename T>
const LennardJonesTable<T>& Table(const Level& level) {
  if constexpr (std::is_same_v<T, float>) {
    return level.lennard_jones_f32;
  } else {
    return level.lennard_jones_f64;
  }
}

// Rows for one or for each molecule, [1 or B, ...].
struct PerMolecule {
  const double* data = nullptr;
  int64_t stride = 0;
  const double* operator()(int64_t b) const { return data + b * stride; }
};

void CopyRows(const double* from, double to[3][3]) {
  for (int i = 0; i < 9; ++i) to[i / 3][i % 3] = from[i];
}

// The checked inputs that both ops share.
class Structures {
 public:
  absl::Status Init(OpKernelContext* ctx, const int64_t grid_shape[3], const bool periodic[3]) {
    const Tensor &coords = ctx->input(0), &sigma = ctx->input(1), &epsilon = ctx->input(2), &row_splits = ctx->input(3);
    if (coords.dims() != 2 || coords.dim_size(1) != 3) {
      return InvalidArgument("coords must have shape [atoms, 3], got ", coords.shape().DebugString());
    }
    const int64_t num_atoms = coords.dim_size(0);
    if (num_atoms > INT32_MAX) return InvalidArgument("coords: ", num_atoms, " atoms are more than 2^31 - 1");
    TF_RETURN_IF_ERROR(ValidateRowSplits(row_splits, num_atoms));
    all_ = {num_atoms, coords.flat<double>().data(), sigma.flat<double>().data(), epsilon.flat<double>().data()};
    splits_ = row_splits.flat<int64_t>().data();
    batch_size_ = row_splits.NumElements() - 1;
    for (int64_t i = 0; i < 3 * num_atoms; ++i) {
      if (std::abs(all_.coords[i]) <= kFurthest) continue;
      return InvalidArgument("coords must be finite and at most ", kFurthest, " Å: ", AtomPlace(row_splits, i / 3), ", axis ",
                             std::string(1, "xyz"[i % 3]), " is ", all_.coords[i]);
    }
    TF_RETURN_IF_ERROR(CheckParameter("sigma", sigma, num_atoms, row_splits));
    TF_RETURN_IF_ERROR(CheckParameter("epsilon", epsilon, num_atoms, row_splits));

    const Tensor &cutoff = ctx->input(7);
    if (cutoff.dims() != 0) return InvalidArgument("cutoff must be a scalar, got ", cutoff.shape().DebugString());
    cutoff_ = cutoff.scalar<double>()();
    if (!(cutoff_ > 0 && cutoff_ <= 1e6)) {
      return InvalidArgument("cutoff must be greater than 0 and at most 1e6, got ", cutoff_);
    }
    TF_RETURN_IF_ERROR(Rows("box: origin", ctx->input(4), {3}, &origin_));
    TF_RETURN_IF_ERROR(Rows("box: edges", ctx->input(5), {3, 3}, &edges_));
    TF_RETURN_IF_ERROR(Rows("cell", ctx->input(6), {3, 3}, &cell_));
    std::copy_n(grid_shape, 3, shape_);
    std::copy_n(periodic, 3, periodic_);
    const bool any_periodic = periodic[0] || periodic[1] || periodic[2];
    TF_RETURN_IF_ERROR(CheckVolume("box: the edges", edges_));
    if (any_periodic) TF_RETURN_IF_ERROR(CheckVolume("cell: the lattice vectors", cell_));

    double images = 0;
    for (int64_t b = 0; b < batch_size_; ++b) {
      images += search(b).MostImages() * static_cast<double>(atoms(b).size);
      if (images > kMostImages) {
        return InvalidArgument("cutoff: within ", cutoff_, " Å of the grid there may be ", images,
                               " images of the atoms up to molecule ", b, ", more than ", kMostImages,
                               "; take a smaller cutoff, a smaller box or fewer molecules a batch");
      }
    }
    return absl::OkStatus();
  }

  int64_t batch_size() const { return batch_size_; }
  int64_t num_atoms() const { return all_.size; }
  int64_t begin(int64_t b) const { return splits_[b]; }
  int64_t end(int64_t b) const { return splits_[b + 1]; }
  double cutoff() const { return cutoff_; }

  LennardJonesAtoms atoms(int64_t b) const {
    const int64_t first = begin(b);
    return {end(b) - first, all_.coords + 3 * first, all_.sigma + first, all_.epsilon + first};
  }
  const LennardJonesAtoms& atoms() const { return all_; }

  ProbeGrid grid(int64_t b) const {
    double edges[3][3];
    CopyRows(edges_(b), edges);
    return MakeProbeGrid(origin_(b), edges, shape_);
  }

  ImageSearch search(int64_t b) const {
    // Without periodic axes the cell means nothing, and may be anything.
    Lattice lattice = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, {periodic_[0], periodic_[1], periodic_[2]}};
    if (periodic_[0] || periodic_[1] || periodic_[2]) CopyRows(cell_(b), lattice.rows);
    return ImageSearch(lattice, grid(b), cutoff_);
  }

 private:
  static absl::Status CheckParameter(const char* name, const Tensor& tensor, int64_t num_atoms,
                                     const Tensor& row_splits) {
    if (tensor.dims() != 1 || tensor.dim_size(0) != num_atoms) {
      return InvalidArgument(name, " must have one value for each of the ", num_atoms, " atoms, got shape ",
                             tensor.shape().DebugString());
    }
    const auto values = tensor.vec<double>();
    for (int64_t a = 0; a < num_atoms; ++a) {
      if (values(a) >= 0 && values(a) <= 1e6) continue;
      return InvalidArgument(name, " must be from 0 to 1e6: ", AtomPlace(row_splits, a), " has ", values(a),
                             " with the probe");
    }
    return absl::OkStatus();
  }

  absl::Status Rows(const char* name, const Tensor& tensor, std::vector<int64_t> inner, PerMolecule* rows) const {
    bool fits = tensor.dims() == static_cast<int>(inner.size()) + 1 &&
                (tensor.dim_size(0) == 1 || tensor.dim_size(0) == batch_size_);
    int64_t size = 1;
    for (size_t d = 0; d < inner.size(); ++d) {
      fits = fits && tensor.dim_size(d + 1) == inner[d];
      size *= inner[d];
    }
    if (!fits) {
      return InvalidArgument(name, " must be one for all or one for each of the ", batch_size_, " molecules, got shape ",
                             tensor.shape().DebugString());
    }
    *rows = {tensor.flat<double>().data(), tensor.dim_size(0) == 1 ? 0 : size};
    for (int64_t i = 0; i < tensor.NumElements(); ++i) {
      const double value = rows->data[i];
      if (std::abs(value) <= kFurthest) continue;
      return InvalidArgument(name, " must be finite and at most ", kFurthest, " Å: molecule ", i / size, " has ", value);
    }
    return absl::OkStatus();
  }

  absl::Status CheckVolume(const char* name, const PerMolecule& vectors) const {
    for (int64_t b = 0; b < batch_size_; ++b) {
      double rows[3][3];
      CopyRows(vectors(b), rows);
      if (RelativeVolume(rows) > kFlattest) continue;
      return InvalidArgument(name, " of molecule ", b, " lie in one plane, or one of them is 0: the volume is ",
                             Volume(rows), " Å^3");
    }
    return absl::OkStatus();
  }

  LennardJonesAtoms all_;
  const int64_t* splits_;
  int64_t batch_size_, shape_[3];
  double cutoff_;
  bool periodic_[3];
  PerMolecule origin_, edges_, cell_;
};

absl::Status ReadPeriodic(OpKernelConstruction* ctx, bool periodic[3]) {
  std::vector<bool> flags;
  TF_RETURN_IF_ERROR(ctx->GetAttr("periodic", &flags));
  if (flags.size() != 3) return InvalidArgument("periodic must have 3 flags, got ", flags.size());
  std::copy(flags.begin(), flags.end(), periodic);
  return absl::OkStatus();
}

absl::Status ReadLevel(const Level** level) {
  std::string error;
  *level = ActiveLevel(&error);
  return *level == nullptr ? InvalidArgument(error) : absl::OkStatus();
}

// Runs work(begin, end) over [0, units) on the threads that the context allows, and reports a lack of memory.
template <typename Work>
void ForEach(OpKernelContext* ctx, int64_t units, double cycles, Work work) {
  std::atomic<bool> out_of_memory(false);
  ctx->eigen_cpu_device().parallelFor(units, Eigen::TensorOpCost(0, 0, cycles), [&](int64_t begin, int64_t end) {
    try {
      work(begin, end);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
  });
  OP_REQUIRES(ctx, !out_of_memory, absl::ResourceExhaustedError("cutoff: no memory for the images within it"));
}

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
    OP_REQUIRES(ctx, max_energy > 0 && max_energy <= kLargestEnergy,
                InvalidArgument("max_energy must be greater than 0 and at most ", kLargestEnergy, " K, got ",
                                max_energy));
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
    ForEach(ctx, batch_size, 100 + atoms * 1000, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        problems[b].neighborhood.Build(structures.atoms(b), structures.search(b), structures.cutoff(), shift_);
      }
    });
    if (!ctx->status().ok()) return;

    double pairs = 0;
    for (int64_t b = 0; b < batch_size; ++b) {
      pairs += (problems[b].neighborhood.AverageNeighbors() + 20) * static_cast<double>(spec_.voxels());
    }
    const double cycles = pairs * kCyclesPerPair / static_cast<double>(first_tile[batch_size]);
    T* const energies = energy->flat<T>().data();
    T* const gradients = with_gradient_ ? gradient->flat<T>().data() : nullptr;
    ForEach(ctx, first_tile[batch_size], cycles, [&](int64_t begin, int64_t end) {
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
          Table<T>(*level_).energy({static_cast<int64_t>(neighbors.size()), neighbors.data(),
                                    static_cast<T>(structures.cutoff() * structures.cutoff()),
                                    static_cast<T>(max_energy)},
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
    ForEach(ctx, num_atoms, kCyclesPerPair * static_cast<double>(spec.voxels()), [&](int64_t begin, int64_t end) {
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
    const double s6 = shift_ ? std::pow(sigma / structures.cutoff(), 6) : 0;
    Source<T> source;
    source.sigma_squared = static_cast<T>(sigma * sigma);
    source.shift = static_cast<T>((s6 - 1) * s6);
    source.sigma_shift = static_cast<T>((12 * s6 - 6) * s6);
    double place_sum[3] = {}, edges_sum[9] = {}, cell_sum[9] = {}, sigma_sum = 0, epsilon_sum = 0;
    search.ForEach(structures.atoms().coords + 3 * atom, [&](const double* place, const double* n) {
      std::copy_n(place, 3, source.place);
      SourceSums sums = {};
      Table<T>(*level_).source_gradient(grid, source, structures.cutoff(), upstream, &sums);
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

#define PG_TF_REGISTER(T)                                                                                  \
  REGISTER_KERNEL_BUILDER(Name("PgTf>LennardJones").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), \
                          LennardJonesOp<T>);                                                              \
  REGISTER_KERNEL_BUILDER(Name("PgTf>LennardJonesGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), \
                          LennardJonesGradOp<T>)
PG_TF_REGISTER(float);
PG_TF_REGISTER(double);
#undef PG_TF_REGISTER

}  // namespace
}  // namespace pg_tf
