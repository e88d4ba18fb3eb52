// Grids whose voxels lie along the vectors of a lattice, any angles between them: plain data, and the table of
// functions that each instruction set offers. Free of code, see level.h.
//
// The lattice is seen in the frame where  c = (c0, 0, 0), b = (b0, b1, 0), a = (a0, a1, a2).  There the integral of a
// Gaussian along c is a difference of two erf for any place along a and b; over a and b it is integrated by
// Gauss-Legendre quadrature.

#ifndef PG_TF_KERNELS_VOXELIZE_CELL_H_
#define PG_TF_KERNELS_VOXELIZE_CELL_H_

#include <stdint.h>

namespace pg_tf {

struct CellGrid {
  int64_t shape[3];
  bool periodic[3];
  double a[3], b[2], c;   // edges of a voxel in the frame, Å; a[2], b[1] and c are positive
  double frame[3][3];     // rows: the unit vectors of the frame
  double longest_period;  // of the lattice by short vectors, Å
};

// A quadrature rule over [0, 1].
struct Rule {
  int64_t size;
  const double* places;
  const double* weights;
};

constexpr int64_t kLargestRule = 32;

struct CellAtom {
  double place[3];  // in voxels along a, b and c; inside of the cell on periodic axes
  double sigma;     // Å
  bool even;        // so wide that its images add the same to each voxel: the kernels are not for it
  Rule along_a, along_b;
};

// Where the integrals of one atom are added: [num_channels, x_end - x_begin, ny, nz].
struct CellSums {
  int64_t x_begin, x_end;
  int64_t num_channels;
  double* values;
};

// An upstream gradient: voxel (x, y, z) of channel c is at c * channel_pitch + x * pitch_x + y * pitch_y + z * pitch_z.
template <typename T>
struct CellUpstream {
  const T* values;
  int64_t num_channels;
  int64_t channel_pitch, pitch_x, pitch_y, pitch_z;
};

// Of one atom, in the frame. The virial is the derivative to a strain of all space around the atom,
//   V_de = sum upstream * integral of (delta_de - d_d d_e / sigma^2) g(d),   in the order xx, yy, zz, yz, xz, xy;
// minus its trace is the derivative to the logarithm of sigma.
struct CellGradient {
  double coords[3];
  double virial[6];
};

// Both functions need kCellScratch values of scratch, and kCellArrays more for each voxel of the longest column.
constexpr int64_t kCellArrays = 3;
constexpr int64_t kCellPadding = 64;
constexpr int64_t kCellScratch = (4 * kLargestRule + 8) * (kLargestRule + 16) + kCellArrays * kCellPadding;

template <typename T>
struct CellTable {
  // Adds weights[c] times the atom's integrals to channel c of the sums. `longest`: see LongestColumn.
  void (*add)(const CellGrid& grid, const CellAtom& atom, int64_t longest, const T* weights, T* scratch, CellSums sums);
  // The gradient of sum(weights[c] * upstream * integrals) to the atom, and that to each weight; the virial only if
  // asked.
  void (*gradient)(const CellGrid& grid, const CellAtom& atom, int64_t longest, const T* weights,
                   const CellUpstream<T>& upstream, bool with_virial, T* scratch, CellGradient* gradient,
                   T* to_weights);
};

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_VOXELIZE_CELL_H_
