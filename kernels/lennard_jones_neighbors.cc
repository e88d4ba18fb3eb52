#include "kernels/lennard_jones_neighbors.h"

#include <algorithm>

#include "kernels/geometry.h"
#include "kernels/lattice_reduction.h"
#include "kernels/limits.h"

namespace pg_tf {
namespace {

// Images are chosen with this much room for rounding; the exact distance is tested once more for each pair.
constexpr double kSlack = 1e-9;

// Side of a tile, Å. Much smaller than the usual cutoffs, so that most of the images gathered for a tile are within the
// cutoff of its probes.
constexpr double kTileSide = 2.0;
constexpr int64_t kTileMostVoxels = 16;

// A bin holds about this many images.
constexpr double kImagesPerBin = 4;
constexpr double kMostBins = 512;  // along an axis

// dual[i] . rows[j] = 1 where i = j and 0 elsewhere.
void Dual(const double rows[3][3], double dual[3][3]) {
  const double volume = Volume(rows);
  for (int d = 0; d < 3; ++d) {
    Cross(rows[(d + 1) % 3], rows[(d + 2) % 3], dual[d]);
    for (int e = 0; e < 3; ++e) dual[d][e] /= volume;
  }
}

}  // namespace

ProbeGrid MakeProbeGrid(const double origin[3], const double edges[3][3], const int64_t shape[3]) {
  ProbeGrid grid;
  for (int d = 0; d < 3; ++d) {
    grid.shape[d] = shape[d];
    for (int e = 0; e < 3; ++e) grid.step[d][e] = edges[d][e] / static_cast<double>(shape[d]);
  }
  for (int e = 0; e < 3; ++e) {
    grid.first[e] = origin[e] + 0.5 * (grid.step[0][e] + grid.step[1][e] + grid.step[2][e]);
  }
  // Gram-Schmidt orthogonalization, from the last axis to the first.
  for (int d = 2; d >= 0; --d) {
    double* const axis = grid.frame[d];
    for (int e = 0; e < 3; ++e) axis[e] = grid.step[d][e];
    for (int twice = 0; twice < 2; ++twice) {
      for (int other = d + 1; other < 3; ++other) {
        const double part = Dot(axis, grid.frame[other]);
        for (int e = 0; e < 3; ++e) axis[e] -= part * grid.frame[other][e];
      }
    }
    const double length = Length(axis);
    for (int e = 0; e < 3; ++e) axis[e] /= length;
  }
  return grid;
}

ImageSearch::ImageSearch(const Lattice& lattice, const ProbeGrid& grid, double cutoff) : grid_(grid) {
  for (int d = 0; d < 3; ++d) {
    periodic_[d] = lattice.periodic[d];
    for (int e = 0; e < 3; ++e) {
      rows_[d][e] = lattice.rows[d][e];
      change_[d][e] = d == e;
    }
  }
  ReduceLattice(periodic_, rows_, change_);
  Dual(rows_, dual_);
  double edges[3][3];
  for (int d = 0; d < 3; ++d) {
    for (int e = 0; e < 3; ++e) edges[d][e] = grid.step[d][e] * static_cast<double>(grid.shape[d] - 1);
  }
  most_images_ = 1;
  for (int d = 0; d < 3; ++d) {
    const double margin = cutoff * Length(dual_[d]) + kSlack;
    low_[d] = high_[d] = Dot(grid.first, dual_[d]);
    for (int a = 0; a < 3; ++a) {
      const double part = Dot(edges[a], dual_[d]);
      (part < 0 ? low_[d] : high_[d]) += part;
    }
    low_[d] -= margin;
    high_[d] += margin;
    if (periodic_[d]) most_images_ *= high_[d] - low_[d] + 1;
  }
  Dual(grid.step, grid_dual_);
  for (int d = 0; d < 3; ++d) grid_margin_[d] = cutoff * Length(grid_dual_[d]) + kSlack;
}

bool ImageSearch::NearGrid(const double place[3]) const {
  double relative[3];
  for (int e = 0; e < 3; ++e) relative[e] = place[e] - grid_.first[e];
  for (int d = 0; d < 3; ++d) {
    const double voxel = Dot(relative, grid_dual_[d]);
    if (voxel < -grid_margin_[d] || voxel > static_cast<double>(grid_.shape[d] - 1) + grid_margin_[d]) return false;
  }
  return true;
}

double SixthPowerAtCutoff(double sigma, double cutoff) {
  const double closest = std::sqrt(sigma * sigma * kClosestSquared + kClosestAddend);
  return std::pow(sigma / std::max(cutoff, closest), 6);
}

double ShiftAtCutoff(double sigma, double cutoff) {
  const double s6 = SixthPowerAtCutoff(sigma, cutoff);
  return (s6 - 1) * s6;
}

void Neighborhood::Build(const LennardJonesAtoms& atoms, const ImageSearch& search, double cutoff, bool shift) {
  std::vector<Image> unsorted;
  double high[3];
  for (int64_t a = 0; a < atoms.size; ++a) {
    if (atoms.epsilon[a] == 0) continue;
    Image image;
    image.sigma_squared = atoms.sigma[a] * atoms.sigma[a];
    image.four_epsilon = 4 * atoms.epsilon[a];
    image.shift = shift ? ShiftAtCutoff(atoms.sigma[a], cutoff) : 0;
    search.ForEach(atoms.coords + 3 * a, [&](const double* place, const double*) {
      for (int d = 0; d < 3; ++d) {
        low_[d] = unsorted.empty() ? place[d] : std::min(low_[d], place[d]);
        high[d] = unsorted.empty() ? place[d] : std::max(high[d], place[d]);
        image.place[d] = place[d];
      }
      unsorted.push_back(image);
    });
  }
  average_ = 0;
  images_.clear();
  if (unsorted.empty()) return;

  const double count = static_cast<double>(unsorted.size());
  double volume = 1;
  for (int d = 0; d < 3; ++d) volume *= std::max(high[d] - low_[d], 1.0);
  side_ = std::max(std::cbrt(volume * kImagesPerBin / count), cutoff / 16);
  for (int d = 0; d < 3; ++d) side_ = std::max(side_, (high[d] - low_[d]) / kMostBins);
  for (int d = 0; d < 3; ++d) bins_[d] = static_cast<int64_t>((high[d] - low_[d]) / side_) + 1;
  average_ = std::min(count, count * 4.18879 * cutoff * cutoff * cutoff / volume);

  begin_.assign(bins_[0] * bins_[1] * bins_[2] + 1, 0);
  const auto bin = [&](const Image& image) {
    return (Bin(0, image.place[0]) * bins_[1] + Bin(1, image.place[1])) * bins_[2] + Bin(2, image.place[2]);
  };
  for (const Image& image : unsorted) ++begin_[bin(image) + 1];
  for (size_t b = 1; b < begin_.size(); ++b) begin_[b] += begin_[b - 1];
  images_.resize(unsorted.size());
  std::vector<int64_t> next = begin_;
  for (const Image& image : unsorted) images_[next[bin(image)]++] = image;
}

int64_t Neighborhood::Bin(int d, double coordinate) const {
  const double bin = std::floor((coordinate - low_[d]) / side_);
  return static_cast<int64_t>(std::clamp(bin, 0.0, static_cast<double>(bins_[d] - 1)));
}

template <typename T>
void Neighborhood::Gather(const double middle[3], double radius, std::vector<Neighbor<T>>* neighbors) const {
  neighbors->clear();
  if (images_.empty()) return;
  const double radius_squared = radius * radius;
  // The distance from `middle` to a bin along one axis.
  const auto outside = [&](int d, int64_t bin) {
    const double low = low_[d] + static_cast<double>(bin) * side_ - middle[d];
    return std::max({0.0, low, -side_ - low});
  };
  for (int64_t x = Bin(0, middle[0] - radius); x <= Bin(0, middle[0] + radius); ++x) {
    for (int64_t y = Bin(1, middle[1] - radius); y <= Bin(1, middle[1] + radius); ++y) {
      const double dx = outside(0, x), dy = outside(1, y);
      const double left = radius_squared - dx * dx - dy * dy + kSlack;
      if (left < 0) continue;
      const double reach = std::sqrt(left);
      const int64_t column = (x * bins_[1] + y) * bins_[2];
      const int64_t first = begin_[column + Bin(2, middle[2] - reach)];
      const int64_t last = begin_[column + Bin(2, middle[2] + reach) + 1];
      for (int64_t i = first; i < last; ++i) {
        const Image& image = images_[i];
        const double place[3] = {image.place[0] - middle[0], image.place[1] - middle[1], image.place[2] - middle[2]};
        if (Dot(place, place) > radius_squared) continue;
        neighbors->push_back({{static_cast<T>(place[0]), static_cast<T>(place[1]), static_cast<T>(place[2])},
                              static_cast<T>(image.sigma_squared),
                              static_cast<T>(image.four_epsilon),
                              static_cast<T>(image.shift)});
      }
    }
  }
}

template void Neighborhood::Gather(const double*, double, std::vector<Neighbor<float>>*) const;
template void Neighborhood::Gather(const double*, double, std::vector<Neighbor<double>>*) const;

Tiling::Tiling(const ProbeGrid& grid) : grid_(grid) {
  for (int d = 0; d < 3; ++d) {
    const double voxels = std::round(kTileSide / Length(grid.step[d]));
    const int64_t wanted =
        std::min(static_cast<int64_t>(std::clamp<double>(voxels, 1, kTileMostVoxels)), grid.shape[d]);
    tiles_[d] = (grid.shape[d] + wanted - 1) / wanted;
    side_[d] = (grid.shape[d] + tiles_[d] - 1) / tiles_[d];
    tiles_[d] = (grid.shape[d] + side_[d] - 1) / side_[d];
  }
}

Tiling::Tile Tiling::tile(int64_t index) const {
  const int64_t at[3] = {index / (tiles_[1] * tiles_[2]), index / tiles_[2] % tiles_[1], index % tiles_[2]};
  Tile tile;
  for (int e = 0; e < 3; ++e) tile.middle[e] = grid_.first[e];
  double half[3][3];
  for (int d = 0; d < 3; ++d) {
    tile.begin[d] = at[d] * side_[d];
    tile.end[d] = std::min(tile.begin[d] + side_[d], grid_.shape[d]);
    for (int e = 0; e < 3; ++e) {
      tile.middle[e] += 0.5 * static_cast<double>(tile.begin[d] + tile.end[d] - 1) * grid_.step[d][e];
      half[d][e] = 0.5 * static_cast<double>(tile.end[d] - tile.begin[d] - 1) * grid_.step[d][e];
    }
  }
  tile.radius = 0;
  for (int corner = 0; corner < 4; ++corner) {  // the other four lie opposite
    double reach[3];
    for (int e = 0; e < 3; ++e) {
      reach[e] = half[0][e] + (corner & 1 ? half[1][e] : -half[1][e]) + (corner & 2 ? half[2][e] : -half[2][e]);
    }
    tile.radius = std::max(tile.radius, Length(reach));
  }
  return tile;
}

}  // namespace pg_tf
