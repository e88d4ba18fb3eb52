#include "kernels/voxelize_cell_lattice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/geometry.h"
#include "kernels/lattice_reduction.h"
#include "kernels/limits.h"

namespace pg_tf {
namespace {

// Atoms farther away than this many voxels are put there: it is out of reach, and float64 still counts single voxels.
constexpr double kFarthest = 1e15;

struct LegendreRules {
  // places[n] and weights[n] hold the rule of n nodes.
  std::array<std::vector<double>, kLargestRule + 1> places, weights;

  LegendreRules() {
    for (int64_t n = 1; n <= kLargestRule; ++n) {
      for (int64_t i = 0; i < n; ++i) {
        // Newton's method for the roots of the Legendre polynomial P_n, from Tricomi's estimate.
        double x = std::cos(M_PI * (i + 0.75) / (n + 0.5)), slope = 1;
        for (int step = 0; step < 10; ++step) {
          double before = 1, value = x;
          for (int64_t k = 2; k <= n; ++k) {
            const double next = ((2 * k - 1) * x * value - (k - 1) * before) / k;
            before = value;
            value = next;
          }
          slope = n * (x * value - before) / (x * x - 1);
          x -= value / slope;
        }
        places[n].push_back((1 - x) / 2);
        weights[n].push_back(1 / ((1 - x * x) * slope * slope));
      }
    }
  }
};

// The largest error of n nodes for the integral of a Gaussian over `width` sigma, relative to the largest such
// integral: f^(2n) width^(2n+1) (n!)^4 / ((2n + 1) (2n)!^3), where |f^(2n)| is at most (2n - 1)!!, at the peak.
double Error(int64_t n, double width) {
  const double m = static_cast<double>(n);
  const double log_error = std::lgamma(2 * m + 1) - m * M_LN2 - std::lgamma(m + 1) + 2 * m * std::log(width) +
                           4 * std::lgamma(m + 1) - std::log(2 * m + 1) - 3 * std::lgamma(2 * m + 1);
  const double largest = std::erf(width / M_SQRT2) / 2;
  return std::exp(log_error) * width / std::sqrt(2 * M_PI) / largest;
}

// The widest interval, in sigma, that each number of nodes integrates to kTolerance.
template <typename T>
struct WidestIntervals {
  double of[kLargestRule + 1];

  WidestIntervals() {
    for (int64_t n = 1; n <= kLargestRule; ++n) {
      double low = 0, high = 100;
      for (int i = 0; i < 60; ++i) (Error(n, (low + high) / 2) <= kTolerance ? low : high) = (low + high) / 2;
      of[n] = low;
    }
  }

  // Relative to the largest integral over such an interval.
  static constexpr double kTolerance = sizeof(T) == 4 ? 2e-7 : 1e-13;
};

template <typename T>
const WidestIntervals<T>& Widest() {
  static const WidestIntervals<T>* const widest = new WidestIntervals<T>;
  return *widest;
}

// Not std::hypot, which asks for a newer C library than anything else here.
double Length2(const double b[2]) { return std::sqrt(b[0] * b[0] + b[1] * b[1]); }

double Wrapped(double place, double extent) {
  const double rest = std::fmod(place, extent);
  return rest < 0 ? rest + extent : rest;
}

}  // namespace

bool IsOrthogonal(const double cell[3][3], double resolution) {
  for (int d = 0; d < 3; ++d) {
    const double *u = cell[d], *v = cell[(d + 1) % 3];
    if (std::abs(Dot(u, v)) > 4 * resolution * Length(u) * Length(v)) return false;
  }
  return true;
}

CellGrid MakeCellGrid(const double cell[3][3], const int64_t shape[3], const bool periodic[3]) {
  CellGrid grid;
  std::copy_n(shape, 3, grid.shape);
  std::copy_n(periodic, 3, grid.periodic);
  const double *a = cell[0], *b = cell[1], *c = cell[2];
  double (&frame)[3][3] = grid.frame;
  const double length = Length(c);
  for (int e = 0; e < 3; ++e) frame[0][e] = c[e] / length;
  const double along = Dot(b, frame[0]);
  for (int e = 0; e < 3; ++e) frame[1][e] = b[e] - along * frame[0][e];
  const double across = Length(frame[1]);
  for (int e = 0; e < 3; ++e) frame[1][e] /= across;
  Cross(frame[0], frame[1], frame[2]);
  // The Gaussian is the same in a left-handed frame, so the third vector may point to either side.
  if (Dot(a, frame[2]) < 0) {
    for (double& component : frame[2]) component = -component;
  }
  for (int d = 0; d < 3; ++d) grid.a[d] = Dot(a, frame[d]) / shape[0];
  grid.b[0] = along / shape[1];
  grid.b[1] = across / shape[1];
  grid.c = length / shape[2];
  double rows[3][3], change[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
  std::copy_n(cell[0], 9, rows[0]);
  ReduceLattice(periodic, rows, change);
  grid.longest_period = std::max({Length(rows[0]), Length(rows[1]), Length(rows[2])});
  return grid;
}

template <typename T>
Rule GaussLegendre(double width) {
  static const LegendreRules* const rules = new LegendreRules;
  for (int64_t n = 1; n <= kLargestRule; ++n) {
    if (width <= Widest<T>().of[n]) return {n, rules->places[n].data(), rules->weights[n].data()};
  }
  return {0, nullptr, nullptr};
}

template <typename T>
CellAtom MakeCellAtom(const CellGrid& grid, const double coords[3], double sigma) {
  CellAtom atom;
  atom.sigma = sigma;
  const double x = Dot(coords, grid.frame[0]), y = Dot(coords, grid.frame[1]), z = Dot(coords, grid.frame[2]);
  atom.place[0] = z / grid.a[2];
  atom.place[1] = (y - atom.place[0] * grid.a[1]) / grid.b[1];
  atom.place[2] = (x - atom.place[0] * grid.a[0] - atom.place[1] * grid.b[0]) / grid.c;
  for (int d = 0; d < 3; ++d) {
    if (grid.periodic[d]) atom.place[d] = Wrapped(atom.place[d], static_cast<double>(grid.shape[d]));
    atom.place[d] = std::min(std::max(atom.place[d], -kFarthest), kFarthest);
  }
  atom.even = grid.periodic[0] && grid.periodic[1] && grid.periodic[2] && sigma >= kWidestPeriods * grid.longest_period;
  atom.along_a = GaussLegendre<T>(Length(grid.a) / atom.sigma);
  atom.along_b = GaussLegendre<T>(Length2(grid.b) / atom.sigma);
  return atom;
}

template <typename T>
double NarrowestSigma(const CellGrid& grid) {
  const double longest = std::max(Length(grid.a), Length2(grid.b));
  return longest / Widest<T>().of[kLargestRule];
}

template <typename T>
double Touched(const CellGrid& grid, double sigma) {
  const double reach = kDerivativeReach<T> * sigma;
  // Distances from plane to plane, from row to row in a plane, and from voxel to voxel in a row.
  const double heights[3] = {grid.a[2], grid.b[1], grid.c};
  double touched = 1;
  for (int d = 0; d < 3; ++d) {
    const double count = 2 * reach / heights[d] + 2;
    touched *= grid.periodic[d] ? count : std::min(count, static_cast<double>(grid.shape[d]));
  }
  return touched;
}

template <typename T>
double Terms(const CellGrid& grid, const CellAtom& atom) {
  if (atom.even) return static_cast<double>(grid.shape[0] * grid.shape[1] * grid.shape[2]);
  return Touched<T>(grid, atom.sigma) * static_cast<double>(atom.along_a.size * atom.along_b.size);
}

template <typename T>
double LongestColumn(const CellGrid& grid, double sigma) {
  const double half = kDerivativeReach<T> * sigma + (std::abs(grid.a[0]) + std::abs(grid.b[0])) / 2;
  const double count = 2 * half / grid.c + 4;
  return grid.periodic[2] ? count : std::min(count, static_cast<double>(grid.shape[2]));
}

#define PG_TF_INSTANTIATE(T)                                                   \
  template Rule GaussLegendre<T>(double);                                      \
  template CellAtom MakeCellAtom<T>(const CellGrid&, const double[3], double); \
  template double NarrowestSigma<T>(const CellGrid&);                          \
  template double Touched<T>(const CellGrid&, double);                         \
  template double Terms<T>(const CellGrid&, const CellAtom&);                  \
  template double LongestColumn<T>(const CellGrid&, double)
PG_TF_INSTANTIATE(float);
PG_TF_INSTANTIATE(double);
#undef PG_TF_INSTANTIATE

}  // namespace pg_tf
