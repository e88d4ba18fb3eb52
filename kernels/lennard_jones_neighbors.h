// Which atoms, and which periodic images of them, are within the cutoff of a grid of probes.

#ifndef PG_TF_KERNELS_LENNARD_JONES_NEIGHBORS_H_
#define PG_TF_KERNELS_LENNARD_JONES_NEIGHBORS_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/lennard_jones.h"

namespace pg_tf {

// A grid of shape[0] x shape[1] x shape[2] probes in the middle of the voxels of a parallelepiped.
ProbeGrid MakeProbeGrid(const double origin[3], const double edges[3][3], const int64_t shape[3]);

// Rows are lattice vectors; images repeat along the periodic ones only.
struct Lattice {
  double rows[3][3];
  bool periodic[3];
};

// The images of any atom that lie within a distance of a grid.
class ImageSearch {
 public:
  ImageSearch(const Lattice& lattice, const ProbeGrid& grid, double cutoff);

  // A bound on the number of images of one atom.
  double MostImages() const { return most_images_; }

  // Calls visit(place, n) for each image, place[3] = atom[3] + n . lattice, always in the same order.
  template <typename Visit>
  void ForEach(const double* atom, Visit visit) const {
    double low[3], high[3];
    for (int d = 0; d < 3; ++d) {
      const double f = atom[0] * dual_[d][0] + atom[1] * dual_[d][1] + atom[2] * dual_[d][2];
      low[d] = periodic_[d] ? std::ceil(low_[d] - f) : 0;
      high[d] = periodic_[d] ? std::floor(high_[d] - f) : 0;
      if (!periodic_[d] && (f < low_[d] || f > high_[d])) return;
    }
    for (double i = low[0]; i <= high[0]; ++i) {
      for (double j = low[1]; j <= high[1]; ++j) {
        for (double k = low[2]; k <= high[2]; ++k) {
          double place[3], n[3];
          for (int e = 0; e < 3; ++e) {
            place[e] = atom[e] + (i * rows_[0][e] + j * rows_[1][e] + k * rows_[2][e]);
            n[e] = i * change_[0][e] + j * change_[1][e] + k * change_[2][e];
          }
          if (NearGrid(place)) visit(place, n);
        }
      }
    }
  }

 private:
  bool NearGrid(const double place[3]) const;

  double rows_[3][3];    // the lattice, its periodic vectors reduced
  double change_[3][3];  // rows_ = change_ . the lattice as it was given
  bool periodic_[3];
  double dual_[3][3];        // fractional coordinate d of x is x . dual_[d]
  double low_[3], high_[3];  // fractional coordinates that are within the cutoff of the grid
  double most_images_;
  ProbeGrid grid_;
  double grid_dual_[3][3], grid_margin_[3];
};

// The atoms of one structure with their mixed parameters.
struct LennardJonesAtoms {
  int64_t size;
  const double* coords;   // [size, 3]
  const double* sigma;    // [size]
  const double* epsilon;  // [size]
};

// All images within the cutoff of a grid, sorted into bins so that those close to a tile are found quickly.
class Neighborhood {
 public:
  void Build(const LennardJonesAtoms& atoms, const ImageSearch& search, double cutoff, bool shift);

  double AverageNeighbors() const { return average_; }

  // The images within `radius` of `middle`, their places relative to it.
  template <typename T>
  void Gather(const double middle[3], double radius, std::vector<Neighbor<T>>* neighbors) const;

 private:
  struct Image {
    double place[3];
    double sigma_squared, four_epsilon, shift;
  };

  int64_t Bin(int d, double coordinate) const;

  std::vector<Image> images_;
  std::vector<int64_t> begin_;  // of each bin in images_, the last axis running fastest
  double low_[3], side_;
  int64_t bins_[3];
  double average_;
};

// How a grid is cut into tiles of about the same size in space.
class Tiling {
 public:
  explicit Tiling(const ProbeGrid& grid);

  int64_t num_tiles() const { return tiles_[0] * tiles_[1] * tiles_[2]; }
  int64_t largest_tile() const { return side_[0] * side_[1] * side_[2]; }  // probes

  struct Tile {
    int64_t begin[3], end[3];
    double middle[3];
    double radius;  // of the sphere around its probes
  };
  Tile tile(int64_t index) const;

 private:
  ProbeGrid grid_;
  int64_t side_[3], tiles_[3];
};

// (sigma / r)^6 at the cutoff; as the energy, what it is at the closest distance for a cutoff below that.
double SixthPowerAtCutoff(double sigma, double cutoff);

// The energy of a pair at the cutoff, per 4 epsilon: (sigma / cutoff)^12 - (sigma / cutoff)^6.
double ShiftAtCutoff(double sigma, double cutoff);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_LENNARD_JONES_NEIGHBORS_H_
