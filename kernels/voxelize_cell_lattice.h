// Preparations for grids along lattice vectors: the frame of the cell, quadrature rules, the places of atoms in it.

#ifndef PG_TF_KERNELS_VOXELIZE_CELL_LATTICE_H_
#define PG_TF_KERNELS_VOXELIZE_CELL_LATTICE_H_

#include <cstdint>

#include "kernels/voxelize_cell.h"

namespace pg_tf {

// Whether the lattice vectors, the rows of `cell`, are at right angles, to the resolution of the type that they came
// in.
bool IsOrthogonal(const double cell[3][3], double resolution);

CellGrid MakeCellGrid(const double cell[3][3], const int64_t shape[3], const bool periodic[3]);

// The Gauss-Legendre rule that integrates a Gaussian over an interval of `width` sigma, wherever it lies, to 2e-7
// (float) or 1e-13 (double) of the largest such integral. Its size is 0 if that takes more than kLargestRule nodes.
template <typename T>
Rule GaussLegendre(double width);

// The atom at `coords` (Å, Cartesian). Its rules have size 0 where sigma is too narrow for the voxels.
template <typename T>
CellAtom MakeCellAtom(const CellGrid& grid, const double coords[3], double sigma);

// The terms of the quadrature for one atom: nodes, summed over the voxels that it touches.
template <typename T>
double Terms(const CellGrid& grid, const CellAtom& atom);

// The narrowest sigma for which the rules suffice, Å.
template <typename T>
double NarrowestSigma(const CellGrid& grid);

// Upper bounds for an atom of this sigma: the number of voxels that it touches, and of those in its longest column.
template <typename T>
double Touched(const CellGrid& grid, double sigma);
template <typename T>
double LongestColumn(const CellGrid& grid, double sigma);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_VOXELIZE_CELL_LATTICE_H_
