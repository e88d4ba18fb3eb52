#include "ops/shapes.h"

namespace pg_tf {
namespace {

absl::Status CheckInputs(InferenceContext* c, DimensionHandle* num_atoms, DimensionHandle* batch_size) {
  // coords, sigma, epsilon, row_splits, origin, edges, cell, cutoff.
  constexpr int kRanks[] = {2, 1, 1, 1, 2, 3, 3, 0};
  ShapeHandle inputs[8];
  for (int i = 0; i < 8; ++i) TF_RETURN_IF_ERROR(c->WithRank(c->input(i), kRanks[i], &inputs[i]));
  DimensionHandle three;
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(inputs[0], 1), 3, &three));
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(inputs[0], 0), c->Dim(inputs[1], 0), num_atoms));
  TF_RETURN_IF_ERROR(c->Merge(*num_atoms, c->Dim(inputs[2], 0), num_atoms));
  return c->Subtract(c->Dim(inputs[3], 0), 1, batch_size);
}

absl::Status LennardJonesShape(InferenceContext* c) {
  DimensionHandle num_atoms, batch_size;
  TF_RETURN_IF_ERROR(CheckInputs(c, &num_atoms, &batch_size));
  ShapeHandle ignored;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(8), 0, &ignored));
  std::vector<int64_t> grid_shape;
  bool with_gradient;
  TF_RETURN_IF_ERROR(c->GetAttr("grid_shape", &grid_shape));
  TF_RETURN_IF_ERROR(c->GetAttr("with_gradient", &with_gradient));
  std::vector<DimensionHandle> dims = {batch_size};
  for (int64_t extent : grid_shape) dims.push_back(c->MakeDim(extent));
  c->set_output(0, c->MakeShape(dims));
  if (!with_gradient) dims[0] = c->MakeDim(0);
  dims.push_back(c->MakeDim(3));
  c->set_output(1, c->MakeShape(dims));
  return absl::OkStatus();
}

absl::Status LennardJonesGradShape(InferenceContext* c) {
  DimensionHandle num_atoms, batch_size;
  TF_RETURN_IF_ERROR(CheckInputs(c, &num_atoms, &batch_size));
  ShapeHandle upstream;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(8), 4, &upstream));
  c->set_output(0, c->Matrix(num_atoms, 3));
  c->set_output(1, c->Vector(num_atoms));
  c->set_output(2, c->Vector(num_atoms));
  c->set_output(3, c->MakeShape({num_atoms, c->MakeDim(3), c->MakeDim(3)}));
  c->set_output(4, c->MakeShape({num_atoms, c->MakeDim(3), c->MakeDim(3)}));
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("PgTf>LennardJones")
    .Input("coords: double")
    .Input("sigma: double")
    .Input("epsilon: double")
    .Input("row_splits: int64")
    .Input("origin: double")
    .Input("edges: double")
    .Input("cell: double")
    .Input("cutoff: double")
    .Input("max_energy: double")
    .Output("energy: T")
    .Output("gradient: T")
    .Attr("T: {float, double}")
    .Attr("grid_shape: list(int) >= 3")
    .Attr("periodic: list(bool) >= 3")
    .Attr("shift: bool = false")
    .Attr("with_gradient: bool = false")
    .SetShapeFn(LennardJonesShape)
    .Doc(R"doc(
The Lennard-Jones energy of a probe in the middle of each voxel, one grid per molecule:
sum over atoms and images of 4 epsilon [(sigma / r)^12 - (sigma / r)^6], r below the cutoff.

coords: [N, 3], the atoms of all molecules, one after another. Coordinates are always double, because the geometry of a
  large cell needs the digits; T is the type of the grids.
sigma: [N], of the pair of atom and probe.
epsilon: [N], likewise.
row_splits: [B + 1]; molecule b has the atoms row_splits[b] to row_splits[b + 1].
origin: [B, 3] or [1, 3], the corner of the grid.
edges: [B, 3, 3] or [1, 3, 3], rows the edges of the grid, from that corner.
cell: [B, 3, 3] or [1, 3, 3], rows the lattice vectors. Looked at only if an axis is periodic.
cutoff: [].
max_energy: []; energies are clamped to [-max_energy, max_energy].
energy: [B, nx, ny, nz].
gradient: [B, nx, ny, nz, 3], of the energy to the place of the probe, 0 where the energy is clamped;
  [0, nx, ny, nz, 3] unless with_gradient.
periodic: for each row of the cell, whether images repeat along it.
shift: subtracts from each pair its energy at the cutoff.
)doc");

REGISTER_OP("PgTf>LennardJonesGrad")
    .Input("coords: double")
    .Input("sigma: double")
    .Input("epsilon: double")
    .Input("row_splits: int64")
    .Input("origin: double")
    .Input("edges: double")
    .Input("cell: double")
    .Input("cutoff: double")
    .Input("upstream: T")
    .Output("coords_gradient: double")
    .Output("sigma_gradient: double")
    .Output("epsilon_gradient: double")
    .Output("edges_gradient: double")
    .Output("cell_gradient: double")
    .Attr("T: {float, double}")
    .Attr("periodic: list(bool) >= 3")
    .Attr("shift: bool = false")
    .SetShapeFn(LennardJonesGradShape)
    .Doc(R"doc(
The gradient of sum(upstream * energy) to each atom, where energy is that of PgTf>LennardJones before it is clamped.

upstream: [B, nx, ny, nz]; must be 0 where the energy was clamped.
coords_gradient: [N, 3]. The gradient to the origin of the grid is minus their sum.
sigma_gradient: [N].
epsilon_gradient: [N].
edges_gradient: [N, 3, 3], the contribution of each atom to the gradient to the edges of its molecule's grid.
cell_gradient: [N, 3, 3], likewise to the lattice vectors, at fixed coords.
)doc");

}  // namespace pg_tf
