// What the grids along lattice vectors need before the arithmetic: the frame, quadrature rules, places of atoms.

#ifndef PG_TF_KERNELS_LATTICE_H_
#define PG_TF_KERNELS_LATTICE_H_

#include <cstdint>

#include "kernels/voxelize_cell.h"

namespace pg_tf {

// Whether the lattice vectors, the rows of `cell`, are at right angles, to the resolution of the type that they came
// in.
bool IsOrthogonal(const double cell[3][3], double resolution);

CellGrid MakeCellGrid(const double cell[3][3], const int64_t shape[3], const bool periodic[3]);

// The rule of Gauss and Legendre that integrates a Gaussian over `width` sigma to 2e-7 (float) or 1e-13 (double) of the
// largest such integral; its size is 0 where kLargestRule does not suffice.
template <typename T>
Rule GaussLegendre(double width);

// The atom at `coords` (Å, Cartesian). Its rules have size 0 where sigma is too narrow for the voxels.
template <typename T>
CellAtom MakeCellAtom(const CellGrid& grid, const double coords[3], double sigma);

// The narrowest sigma for which the rules suffice, Å.
template <typename T>
double NarrowestSigma(const CellGrid& grid);

// More than the voxels that an atom of this sigma touches, and those in the longest column.
template <typename T>
double Touched(const CellGrid& grid, double sigma);
template <typename T>
double LongestColumn(const CellGrid& grid, double sigma);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_LATTICE_H_
