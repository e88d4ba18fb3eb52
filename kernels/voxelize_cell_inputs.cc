#include "kernels/voxelize_cell_inputs.h"

#include <cmath>
#include <limits>

#include "kernels/geometry.h"
#include "kernels/limits.h"

namespace pg_tf {
namespace {

// The most terms of quadrature that a call may take: some minutes of one core in float64.
constexpr double kMostTerms = 2e10;

// The most voxels of a column, images counted: float32 holds no larger whole numbers exactly.
constexpr double kLongestColumn = 0x1p24;

}  // namespace

template <typename T>
absl::Status Crystals<T>::Init(tensorflow::OpKernelContext* ctx, const GridSpec& spec, const bool periodic[3],
                               bool always) {
  TF_RETURN_IF_ERROR(Molecules<T>::Init(ctx, spec.num_channels));
  TF_RETURN_IF_ERROR(InitLattices(ctx->input(5), spec, periodic));
  return InitAtoms(ctx->input(4), always);
}

template <typename T>
absl::Status Crystals<T>::InitLattices(const Tensor& cell, const GridSpec& spec, const bool periodic[3]) {
  const int64_t batch_size = this->batch_size();
  if (cell.dims() != 3 || cell.dim_size(1) != 3 || cell.dim_size(2) != 3 ||
      (cell.dim_size(0) != 1 && cell.dim_size(0) != batch_size)) {
    return InvalidArgument("cell must have shape [1, 3, 3] or [", batch_size, ", 3, 3], got ",
                           cell.shape().DebugString());
  }
  const double* values = cell.flat<double>().data();
  for (int64_t i = 0; i < cell.NumElements(); ++i) {
    if (std::isfinite(values[i])) continue;
    return InvalidArgument("cell must be finite: molecule ", i / 9, ", vector ", std::string(1, "abc"[i / 3 % 3]),
                           ", axis ", std::string(1, "xyz"[i % 3]), " is ", values[i]);
  }
  for (int64_t b = 0; b < cell.dim_size(0); ++b, values += 9) {
    double vectors[3][3];
    CopyRows(values, vectors);
    const double volume = RelativeVolume(vectors);
    if (!(volume >= kLeastVolume && std::isfinite(volume))) {
      return InvalidArgument("cell: the vectors of molecule ", b, " lie in one plane or nearly so: their volume is ",
                             volume, " of the product of their lengths, and must be at least ", kLeastVolume);
    }
    grids_.push_back(MakeCellGrid(vectors, spec.shape, periodic));
    orthogonal_.push_back(IsOrthogonal(vectors, std::numeric_limits<T>::epsilon()));
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status Crystals<T>::InitAtoms(const Tensor& row_splits, bool always) {
  const Molecule<T> all = this->atoms(0, this->num_atoms());
  atoms_.resize(all.num_atoms);
  for (int64_t b = 0; b < this->batch_size(); ++b) {
    const CellGrid& cell = grid(b);
    for (int64_t a = this->begin(b); a < this->end(b); ++a) {
      if (all.channels[a] < 0) continue;
      const double sigma = all.sigma[a * all.sigma_stride];
      atoms_[a] = MakeCellAtom<T>(cell, all.coords + 3 * a, sigma);
      for (double place : atoms_[a].place) {
        if (std::isfinite(place)) continue;
        return InvalidArgument("coords: ", AtomPlace(row_splits, a), " is too far away to be counted in cells");
      }
      if (atoms_[a].even || (orthogonal(b) && !always)) continue;
      if (atoms_[a].along_a.size == 0 || atoms_[a].along_b.size == 0) {
        return InvalidArgument("sigma: ", AtomPlace(row_splits, a), " has ", sigma,
                               " Å; quadrature over the voxels of this cell needs at least ", NarrowestSigma<T>(cell),
                               " Å: use more voxels or a wider sigma");
      }
      const double touched = Touched<T>(cell, atoms_[a].sigma), column = LongestColumn<T>(cell, atoms_[a].sigma);
      touched_ += touched;
      terms_ += Terms<T>(cell, atoms_[a]);
      if (!(terms_ <= kMostTerms && column <= kLongestColumn)) {
        return InvalidArgument(
            "sigma: ", AtomPlace(row_splits, a), " has ", sigma, " Å and reaches ", touched,
            " voxels with its images; quadrature of the atoms up to it takes ", terms_,
            " terms, and the most of a call is ", kMostTerms,
            ": use implementation=\"dense\", fewer voxels, a narrower sigma, float32 or fewer atoms ", "a call");
      }
      longest_ = std::max(longest_, static_cast<int64_t>(column));
    }
  }
  return absl::OkStatus();
}

template <typename T>
Molecule<T> Crystals<T>::aligned(int64_t b, int64_t begin, int64_t end, std::vector<double>* coords) const {
  const Box edges = box(b);
  coords->resize(3 * (end - begin));
  for (int64_t a = begin; a < end; ++a) {
    for (int d = 0; d < 3; ++d) {
      (*coords)[3 * (a - begin) + d] = atoms_[a].place[d] * (edges.lengths[d] / grid(b).shape[d]);
    }
  }
  Molecule<T> molecule = this->atoms(begin, end);
  molecule.coords = coords->data();
  return molecule;
}

template <typename T>
Box Crystals<T>::box(int64_t b) const {
  const CellGrid& cell = grid(b);
  const double edges[3] = {cell.a[2], cell.b[1], cell.c};
  Box box;
  for (int d = 0; d < 3; ++d) {
    box.origin[d] = 0;
    box.lengths[d] = edges[d] * cell.shape[d];
    box.periodic[d] = cell.periodic[d];
  }
  return box;
}

template class Crystals<float>;
template class Crystals<double>;

}  // namespace pg_tf
