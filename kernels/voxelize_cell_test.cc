// Grids along lattice vectors on every level of this CPU: they agree with quadrature of the formula, image by image; no
// kernel touches a byte beside its buffers; slabs give the same bits.

#include "kernels/voxelize_cell.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/geometry.h"
#include "kernels/guarded.h"
#include "kernels/limits.h"
#include "kernels/voxelize_cell_lattice.h"

namespace pg_tf {
namespace {

constexpr int kCases = 12;

struct Problem {
  explicit Problem(int seed) {
    std::mt19937_64 engine(seed);
    const auto whole = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine); };
    const auto real = [&](double low, double high) {
      return std::uniform_real_distribution<double>(low, high)(engine);
    };
    do {
      for (double (&vector)[3] : cell) {
        for (double& component : vector) component = real(-5, 5);
      }
    } while (RelativeVolume(cell) < 0.1);
    for (int d = 0; d < 3; ++d) {
      shape[d] = whole(1, 6);
      periodic[d] = whole(0, 2) > 0;
    }
    grid = MakeCellGrid(cell, shape, periodic);
    double longest = 0;
    for (int d = 0; d < 3; ++d) {
      longest = std::max(longest, Length(cell[d]) / shape[d]);
    }
    sigma = static_cast<float>(longest * real(0.3, 0.9));
    double fractional[3];
    for (double& s : fractional) s = real(-0.3, 1.3);
    for (int e = 0; e < 3; ++e) {
      coords[e] = fractional[0] * cell[0][e] + fractional[1] * cell[1][e] + fractional[2] * cell[2][e];
    }
    channels = whole(1, 3);
    for (int64_t c = 0; c < channels; ++c) weights.push_back(static_cast<float>(real(-1, 1)));
  }

  int64_t voxels() const { return shape[0] * shape[1] * shape[2]; }

  double cell[3][3], coords[3], sigma;
  int64_t shape[3], channels;
  bool periodic[3];
  CellGrid grid;
  std::vector<double> weights;
};

// The integral over a voxel by Gauss and Legendre in all three dimensions, all images.
std::vector<double> Reference(const Problem& problem) {
  const Rule rule = GaussLegendre<double>(3.4);
  const int64_t* n = problem.shape;
  int64_t images[3];
  const double volume = RelativeVolume(problem.cell);
  for (int d = 0; d < 3; ++d) {
    const double height = Length(problem.cell[d]) * volume;  // or less
    images[d] = problem.periodic[d] ? static_cast<int64_t>(9 * problem.sigma / height) + 2 : 0;
  }
  const auto& cell = problem.cell;
  std::vector<double> values(problem.voxels());
  for (int64_t i = -images[0] * n[0]; i < (images[0] + 1) * n[0]; ++i) {
    for (int64_t j = -images[1] * n[1]; j < (images[1] + 1) * n[1]; ++j) {
      for (int64_t k = -images[2] * n[2]; k < (images[2] + 1) * n[2]; ++k) {
        const auto fold = [](int64_t v, int64_t extent) { return ((v % extent) + extent) % extent; };
        double* const value = &values[(fold(i, n[0]) * n[1] + fold(j, n[1])) * n[2] + fold(k, n[2])];
        double middle = 0;
        for (int e = 0; e < 3; ++e) {
          const double d = (i + .5) / n[0] * cell[0][e] + (j + .5) / n[1] * cell[1][e] + (k + .5) / n[2] * cell[2][e] -
                           problem.coords[e];
          middle += d * d;
        }
        if (std::sqrt(middle) > 11 * problem.sigma) continue;
        for (int64_t p = 0; p < rule.size; ++p) {
          for (int64_t q = 0; q < rule.size; ++q) {
            for (int64_t r = 0; r < rule.size; ++r) {
              double square = 0;
              for (int e = 0; e < 3; ++e) {
                const double d = (i + rule.places[p]) / n[0] * cell[0][e] + (j + rule.places[q]) / n[1] * cell[1][e] +
                                 (k + rule.places[r]) / n[2] * cell[2][e] - problem.coords[e];
                square += d * d;
              }
              *value += rule.weights[p] * rule.weights[q] * rule.weights[r] *
                        std::exp(-square / (2 * problem.sigma * problem.sigma));
            }
          }
        }
      }
    }
  }
  for (double& value : values) {
    value *= std::abs(Volume(cell)) / problem.voxels() / std::pow(2 * M_PI * problem.sigma * problem.sigma, 1.5);
  }
  return values;
}

template <typename T>
void TestLevel(const Level& level, int seed, const Problem& problem, const std::vector<double>& expected) {
  const CellTable<T>& kernels = CellKernels<T>(level);
  const CellAtom atom = MakeCellAtom<T>(problem.grid, problem.coords, problem.sigma);
  const int64_t longest = static_cast<int64_t>(LongestColumn<T>(problem.grid, problem.sigma));
  Guarded<T> scratch(kCellScratch + kCellArrays * longest);
  const std::vector<T> weights(problem.weights.begin(), problem.weights.end());
  const int64_t size = problem.voxels(), nx = problem.shape[0], plane = size / nx, channels = problem.channels;
  std::vector<double> sums(channels * size);
  kernels.add(problem.grid, atom, longest, weights.data(), scratch.data(), {0, nx, channels, sums.data()});

  const double tolerance = sizeof(T) == 4 ? 2e-6 : 1e-10;  // the reference is itself a quadrature
  const double largest = *std::max_element(expected.begin(), expected.end());
  std::vector<T> upstream(channels * size);
  std::vector<double> products(channels);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < size; ++i) {
      const double want = expected[i] * problem.weights[c], got = sums[c * size + i];
      CHECK(std::abs(got - want) < tolerance * largest, "%s, case %d: voxel %ld: %.15g, not %.15g", level.name, seed, i,
            got, want);
      upstream[c * size + i] = static_cast<T>(std::sin(i * 7.0 + c));
      products[c] += upstream[c * size + i] * expected[i];
    }
  }

  for (int64_t x = 0; x < nx; ++x) {
    std::vector<double> slab(channels * plane);
    kernels.add(problem.grid, atom, longest, weights.data(), scratch.data(), {x, x + 1, channels, slab.data()});
    for (int64_t c = 0; c < channels; ++c) {
      CHECK(std::memcmp(&slab[c * plane], &sums[c * size + x * plane], plane * sizeof(double)) == 0,
            "%s, case %d: slab", level.name, seed);
    }
  }

  Guarded<T> to_weights(channels);
  CellGradient gradient;
  const CellUpstream<T> view = {upstream.data(), channels, size, plane, problem.shape[2], 1};
  for (bool with_virial : {false, true}) {
    kernels.gradient(problem.grid, atom, longest, weights.data(), view, with_virial, scratch.data(), &gradient,
                     to_weights.data());
    for (int64_t c = 0; c < channels; ++c) {
      const double got = to_weights.data()[c];
      CHECK(std::abs(got - products[c]) < 20 * tolerance, "%s, case %d: to weight %ld: %g, not %g", level.name, seed, c,
            got, products[c]);
    }
  }
}

void TestOrthogonalCellsAreKnown() {
  const double turned[3][3] = {{0.6, 0.8, 0}, {-1.6, 1.2, 0}, {0, 0, -3}};
  CHECK(IsOrthogonal(turned, 1e-16), "right angles");
  const double oblique[3][3] = {{0.6, 0.8, 1e-6}, {-1.6, 1.2, 0}, {0, 0, -3}};
  CHECK(!IsOrthogonal(oblique, 1e-7), "not quite");
  CHECK(std::abs(RelativeVolume(turned) - 1) < 1e-12, "%g", RelativeVolume(turned));
}

// Gaussians anywhere in an interval of the largest width that each rule is taken for.
template <typename T>
void TestRulesAreAccurate() {
  for (double width = 0.01; width < (sizeof(T) == 4 ? 14 : 10); width *= 1.07) {
    const Rule rule = GaussLegendre<T>(width);
    CHECK(rule.size > 0, "%g", width);
    const double largest = std::erf(width / M_SQRT2) / 2;
    for (double centre = -6; centre < width + 6; centre += 0.05) {
      double sum = 0;
      for (int64_t n = 0; n < rule.size; ++n) {
        const double t = rule.places[n] * width - centre;
        sum += rule.weights[n] * width * std::exp(-t * t / 2) / std::sqrt(2 * M_PI);
      }
      const double exact = (std::erf((width - centre) / M_SQRT2) - std::erf(-centre / M_SQRT2)) / 2;
      const double tolerance = sizeof(T) == 4 ? 2e-7 : 4e-13;
      CHECK(std::abs(sum - exact) < tolerance * largest, "width %g, %ld nodes, centre %g: off by %g", width, rule.size,
            centre, (sum - exact) / largest);
    }
  }
  CHECK(GaussLegendre<T>(1 / kLeastSigma).size > 0, "no rule for the narrowest sigma");
  CHECK(GaussLegendre<T>(50).size == 0, "a rule for too wide an interval");
}

}  // namespace
}  // namespace pg_tf

int main() {
  pg_tf::TestOrthogonalCellsAreKnown();
  pg_tf::TestRulesAreAccurate<float>();
  pg_tf::TestRulesAreAccurate<double>();
  for (int seed = 0; seed < pg_tf::kCases; ++seed) {
    const pg_tf::Problem problem(seed);
    const std::vector<double> expected = pg_tf::Reference(problem);
    for (const pg_tf::Level* level : pg_tf::SupportedLevels()) {
      pg_tf::TestLevel<float>(*level, seed, problem, expected);
      pg_tf::TestLevel<double>(*level, seed, problem, expected);
    }
  }
}
