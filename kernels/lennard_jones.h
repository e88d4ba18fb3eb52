// Lennard-Jones energies of a probe, E(r) = 4 epsilon [(sigma / r)^12 - (sigma / r)^6]: plain data, and the table of
// functions that each instruction set offers. Free of code, see level.h.

#ifndef PG_TF_KERNELS_LENNARD_JONES_H_
#define PG_TF_KERNELS_LENNARD_JONES_H_

#include <stdint.h>

namespace pg_tf {

// The places of the probe: voxel centres  first + i step[0] + j step[1] + k step[2].
struct ProbeGrid {
  int64_t shape[3];
  double first[3];
  double step[3][3];
  // Unit vectors: frame[2] along step[2], frame[1] across it in the plane of step[1] and step[2], frame[0] across both.
  double frame[3][3];
};

// An atom or an image of one, its place relative to the middle of a tile of probes.
template <typename T>
struct Neighbor {
  T place[3];
  T sigma_squared;
  T four_epsilon;
  T shift;  // (sigma / cutoff)^12 - (sigma / cutoff)^6, or 0
};

template <typename T>
struct NeighborList {
  int64_t size;
  const Neighbor<T>* neighbors;
  T cutoff_squared;
  T max_energy;
};

// Arrays of a tile are padded to a multiple of this many probes, the widest vector of any instruction set.
constexpr int64_t kProbePadding = 32;

// Probes of one tile, their coordinates and results; `gradient` is null where it is not wanted.
template <typename T>
struct ProbeTile {
  int64_t size;  // a multiple of kProbePadding
  const T* place[3];
  T* energy;
  T* gradient[3];
};

// One image of an atom, for the gradient.
template <typename T>
struct Source {
  double place[3];
  T sigma_squared;
  T shift;        // as above
  T sigma_shift;  // 12 (sigma / cutoff)^12 - 6 (sigma / cutoff)^6, or 0
};

// Sums over the probes around one source: of the upstream gradient u times a derivative of the energy E. All are
// divided by 4 epsilon.
struct SourceSums {
  double place[3];     // u dE/dprobe
  double edges[3][3];  // u f_d dE/dprobe, f the probe's fractional coordinate along axis d of the grid
  double log_sigma;    // u dE/dsigma * sigma
  double epsilon;      // u E
};

template <typename T>
struct LennardJonesTable {
  // The clamped energy of each probe of a tile, and its gradient to the place of the probe: 0 where it was clamped.
  void (*energy)(const NeighborList<T>& list, const ProbeTile<T>& tile);
  // Adds the sums for one source and an upstream gradient [nx, ny, nz].
  void (*source_gradient)(const ProbeGrid& grid, const Source<T>& source, double cutoff, const T* upstream,
                          SourceSums* sums);
};

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_LENNARD_JONES_H_
