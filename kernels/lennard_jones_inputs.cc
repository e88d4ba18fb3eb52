#include "kernels/lennard_jones_inputs.h"

#include <cmath>
#include <string>

#include "kernels/geometry.h"
#include "kernels/limits.h"
#include "kernels/validate.h"

namespace pg_tf {
namespace {

absl::Status CheckParameter(const char* name, const Tensor& tensor, int64_t num_atoms, const Tensor& row_splits) {
  if (tensor.dims() != 1 || tensor.dim_size(0) != num_atoms) {
    return InvalidArgument(name, " must have one value for each of the ", num_atoms, " atoms, got shape ",
                           tensor.shape().DebugString());
  }
  const auto values = tensor.vec<double>();
  for (int64_t a = 0; a < num_atoms; ++a) {
    if (values(a) >= 0 && values(a) <= kLargestParameter) continue;
    return InvalidArgument(name, " must be from 0 to ", kLargestParameter, ": ", AtomPlace(row_splits, a), " has ",
                           values(a), " with the probe");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Structures::Init(OpKernelContext* ctx, const int64_t grid_shape[3], const bool periodic[3]) {
  std::copy_n(grid_shape, 3, shape_);
  std::copy_n(periodic, 3, periodic_);
  TF_RETURN_IF_ERROR(InitAtoms(ctx));
  TF_RETURN_IF_ERROR(InitGeometry(ctx));
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

absl::Status Structures::InitAtoms(OpKernelContext* ctx) {
  const Tensor &coords = ctx->input(0), &sigma = ctx->input(1), &epsilon = ctx->input(2), &row_splits = ctx->input(3);
  if (coords.dims() != 2 || coords.dim_size(1) != 3) {
    return InvalidArgument("coords must have shape [atoms, 3], got ", coords.shape().DebugString());
  }
  const int64_t num_atoms = coords.dim_size(0);
  if (num_atoms > INT32_MAX) return InvalidArgument("coords: ", num_atoms, " atoms are more than 2^31 - 1");
  TF_RETURN_IF_ERROR(ValidateRowSplits(row_splits, num_atoms));
  TF_RETURN_IF_ERROR(CheckParameter("sigma", sigma, num_atoms, row_splits));
  TF_RETURN_IF_ERROR(CheckParameter("epsilon", epsilon, num_atoms, row_splits));
  all_ = {num_atoms, coords.flat<double>().data(), sigma.flat<double>().data(), epsilon.flat<double>().data()};
  splits_ = row_splits.flat<int64_t>().data();
  batch_size_ = row_splits.NumElements() - 1;
  for (int64_t i = 0; i < 3 * num_atoms; ++i) {
    if (std::abs(all_.coords[i]) <= kLargestCoordinate) continue;
    return InvalidArgument("coords must be finite and at most ", kLargestCoordinate,
                           " Å: ", AtomPlace(row_splits, i / 3), ", axis ", std::string(1, "xyz"[i % 3]), " is ",
                           all_.coords[i]);
  }
  return absl::OkStatus();
}

absl::Status Structures::InitGeometry(OpKernelContext* ctx) {
  const Tensor& cutoff = ctx->input(7);
  if (cutoff.dims() != 0) return InvalidArgument("cutoff must be a scalar, got ", cutoff.shape().DebugString());
  cutoff_ = cutoff.scalar<double>()();
  if (!(cutoff_ > 0 && cutoff_ <= kLargestParameter)) {
    return InvalidArgument("cutoff must be greater than 0 and at most ", kLargestParameter, ", got ", cutoff_);
  }
  TF_RETURN_IF_ERROR(Rows("box: origin", ctx->input(4), {3}, &origin_));
  // The cell is checked first: without a box its vectors are the edges, and the error should name the cell.
  TF_RETURN_IF_ERROR(Rows("cell", ctx->input(6), {3, 3}, &cell_));
  if (any_periodic()) TF_RETURN_IF_ERROR(CheckVolume("cell: the lattice vectors", cell_));
  TF_RETURN_IF_ERROR(Rows("box: edges", ctx->input(5), {3, 3}, &edges_));
  return CheckVolume("box: the edges", edges_);
}

LennardJonesAtoms Structures::atoms(int64_t b) const {
  const int64_t first = begin(b);
  return {end(b) - first, all_.coords + 3 * first, all_.sigma + first, all_.epsilon + first};
}

ProbeGrid Structures::grid(int64_t b) const {
  double edges[3][3];
  CopyRows(edges_(b), edges);
  return MakeProbeGrid(origin_(b), edges, shape_);
}

ImageSearch Structures::search(int64_t b) const {
  // Without periodic axes the cell is not used, so it is not checked either.
  Lattice lattice = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, {periodic_[0], periodic_[1], periodic_[2]}};
  if (any_periodic()) CopyRows(cell_(b), lattice.rows);
  return ImageSearch(lattice, grid(b), cutoff_);
}

absl::Status Structures::Rows(const char* name, const Tensor& tensor, const std::vector<int64_t>& inner,
                              PerMolecule* rows) const {
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
    if (std::abs(value) <= kLargestCoordinate) continue;
    return InvalidArgument(name, " must be finite and at most ", kLargestCoordinate, " Å: molecule ", i / size, " has ",
                           value);
  }
  return absl::OkStatus();
}

absl::Status Structures::CheckVolume(const char* name, const PerMolecule& vectors) const {
  for (int64_t b = 0; b < batch_size_; ++b) {
    double rows[3][3];
    CopyRows(vectors(b), rows);
    if (RelativeVolume(rows) > kLeastEnergyVolume) continue;
    return InvalidArgument(name, " of molecule ", b, " lie in one plane, or one of them is 0: the volume is ",
                           Volume(rows), " Å^3");
  }
  return absl::OkStatus();
}

}  // namespace pg_tf
