// The Lennard-Jones arithmetic of every instruction set, and the search for images, against sums over all pairs.

#include <cmath>
#include <cstdint>
#include <random>
#include <set>
#include <type_traits>
#include <vector>

#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/lennard_jones_neighbors.h"

namespace pg_tf {
namespace {

using Random = std::mt19937;

double Uniform(Random& random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random);
}

double PairEnergy(double r_squared, double sigma_squared, double four_epsilon) {
  const double s6 = std::pow(sigma_squared / r_squared, 3);
  return four_epsilon * (s6 * s6 - s6);
}

template <typename T>
void TestTileAgreesWithPairs(const Level& level) {
  const double tolerance = sizeof(T) == 4 ? 2e-5 : 1e-12;
  Random random(1);
  const double cutoff_squared = 49, max_energy = 1e4;
  for (int64_t count : {0, 1, 3, 255, 256, 257, 1000}) {
    std::vector<Neighbor<T>> neighbors(count);
    for (auto& n : neighbors) {
      for (T& x : n.place) x = static_cast<T>(Uniform(random, -8, 8));
      n.sigma_squared = static_cast<T>(Uniform(random, 4, 12));
      n.four_epsilon = static_cast<T>(Uniform(random, 10, 400));
      n.shift = 0;
    }
    constexpr int64_t kSize = 3 * kProbePadding;
    std::vector<T> values(7 * kSize);
    for (int64_t i = 0; i < 3 * kSize; ++i) values[i] = static_cast<T>(Uniform(random, -1, 1));
    T* const v = values.data();
    const ProbeTile<T> tile = {
        kSize, {v, v + kSize, v + 2 * kSize}, v + 3 * kSize, {v + 4 * kSize, v + 5 * kSize, v + 6 * kSize}};
    LennardJonesKernels<T>(level).energy(
        {count, neighbors.data(), static_cast<T>(cutoff_squared), static_cast<T>(max_energy)}, tile);
    for (int64_t i = 0; i < kSize; ++i) {
      double energy = 0, scale = 100;
      for (const auto& n : neighbors) {
        double r_squared = 0;
        for (int d = 0; d < 3; ++d) r_squared += std::pow(double{tile.place[d][i]} - double{n.place[d]}, 2);
        if (std::abs(r_squared - cutoff_squared) < 1e-4) scale = 1e9;  // rounding decides on which side it is
        if (r_squared >= cutoff_squared) continue;
        const double pair = PairEnergy(r_squared, n.sigma_squared, n.four_epsilon);
        energy += pair;
        scale += std::abs(pair);
      }
      const double expected = std::fmin(energy, max_energy);
      CHECK(std::abs(tile.energy[i] - expected) <= tolerance * scale, "%s, %d neighbours, probe %d: %g instead of %g",
            level.name, static_cast<int>(count), static_cast<int>(i), static_cast<double>(tile.energy[i]), expected);
      if (tile.energy[i] < static_cast<T>(max_energy)) continue;
      for (int d = 0; d < 3; ++d) CHECK(tile.gradient[d][i] == 0, "%s: gradient of a clamped probe", level.name);
    }
  }
}

// Reading behind the upstream gradient would find a NaN.
template <typename T>
void TestSourceGradientStaysInsideAndAgreesWithPairs(const Level& level) {
  const double tolerance = sizeof(T) == 4 ? 1e-4 : 1e-11;
  Random random(2);
  const double origin[3] = {1, -2, 0.5}, edges[3][3] = {{4, 0.5, 0}, {-1, 5, 0.3}, {0.2, 0.7, 3}};
  for (int64_t nz : {1, 2, 7, 8, 9, 31}) {
    const int64_t shape[3] = {3, 4, nz};
    const ProbeGrid grid = MakeProbeGrid(origin, edges, shape);
    std::vector<T> upstream(shape[0] * shape[1] * nz + 64, static_cast<T>(NAN));
    for (int64_t i = 0; i < shape[0] * shape[1] * nz; ++i) upstream[i] = static_cast<T>(Uniform(random, -1, 1));
    const double cutoff = 4.5;
    Source<T> source = {{3.1, 0.4, 1.2}, static_cast<T>(1.69), 0, 0};
    SourceSums sums = {};
    LennardJonesKernels<T>(level).source_gradient(grid, source, cutoff, upstream.data(), &sums);
    double place[3] = {}, epsilon = 0, scale = 1e-9;
    for (int64_t v = 0; v < shape[0] * shape[1] * nz; ++v) {
      const int64_t index[3] = {v / (shape[1] * nz), v / nz % shape[1], v % nz};
      double apart[3], r_squared = 0;
      for (int e = 0; e < 3; ++e) {
        apart[e] = grid.first[e] - source.place[e];
        for (int d = 0; d < 3; ++d) apart[e] += static_cast<double>(index[d]) * grid.step[d][e];
        r_squared += apart[e] * apart[e];
      }
      if (r_squared >= cutoff * cutoff) continue;
      const double s6 = std::pow(double{source.sigma_squared} / r_squared, 3), u = upstream[v];
      for (int e = 0; e < 3; ++e) {
        const double pull = -u * (12 * s6 * s6 - 6 * s6) / r_squared * apart[e];
        place[e] += pull;
        scale += std::abs(pull);
      }
      epsilon += u * (s6 * s6 - s6);
    }
    for (int e = 0; e < 3; ++e) {
      CHECK(std::abs(sums.place[e] - place[e]) <= tolerance * scale, "%s, %d voxels: %g instead of %g", level.name,
            static_cast<int>(nz), sums.place[e], place[e]);
    }
    CHECK(std::abs(sums.epsilon - epsilon) <= tolerance * scale, "%s: %g instead of %g", level.name, sums.epsilon,
          epsilon);
  }
}

void TestImageSearchFindsEveryImageOnce() {
  Random random(3);
  for (int trial = 0; trial < 20; ++trial) {
    Lattice lattice = {{{4, 0, 0}, {0, 5, 0}, {0, 0, 6}}, {trial % 2 == 0, true, trial % 3 == 0}};
    for (auto& row : lattice.rows) {
      for (double& x : row) x += Uniform(random, -1.5, 1.5);
    }
    // A skewed description of the same lattice.
    Lattice skewed = lattice;
    if (lattice.periodic[0]) {
      for (int e = 0; e < 3; ++e) skewed.rows[1][e] += 3 * lattice.rows[0][e];
    }
    const double origin[3] = {Uniform(random, -9, 9), Uniform(random, -9, 9), 0};
    const double edges[3][3] = {{3, 0, 0}, {0, 2, 0}, {0, 0, 5}};
    const int64_t shape[3] = {3, 2, 4};
    const ProbeGrid grid = MakeProbeGrid(origin, edges, shape);
    const double cutoff = 6, atom[3] = {Uniform(random, -20, 20), Uniform(random, -5, 5), Uniform(random, -5, 5)};
    std::set<std::vector<int64_t>> found;
    const ImageSearch search(skewed, grid, cutoff);
    search.ForEach(atom, [&](const double* place, const double* n) {
      double expected;
      for (int e = 0; e < 3; ++e) {
        expected = atom[e];
        for (int d = 0; d < 3; ++d) expected += n[d] * skewed.rows[d][e];
        CHECK(std::abs(place[e] - expected) < 1e-9, "trial %d: place", trial);
      }
      CHECK(
          found.insert({std::lround(place[0] * 1e6), std::lround(place[1] * 1e6), std::lround(place[2] * 1e6)}).second,
          "trial %d: an image twice", trial);
    });
    CHECK(static_cast<double>(found.size()) <= search.MostImages() + 1e-9, "trial %d: more than the bound", trial);
    const int64_t reach = 25;
    for (int64_t i = -reach; i <= reach; ++i) {
      for (int64_t j = -reach; j <= reach; ++j) {
        for (int64_t k = -reach; k <= reach; ++k) {
          if ((i && !lattice.periodic[0]) || (j && !lattice.periodic[1]) || (k && !lattice.periodic[2])) continue;
          double place[3], r_squared = 0;
          for (int e = 0; e < 3; ++e) {
            place[e] = atom[e] + static_cast<double>(i) * lattice.rows[0][e] +
                       static_cast<double>(j) * lattice.rows[1][e] + static_cast<double>(k) * lattice.rows[2][e];
            const double low = origin[e] + edges[e][e] / static_cast<double>(2 * shape[e]);
            const double high = origin[e] + edges[e][e] * (1 - 1.0 / static_cast<double>(2 * shape[e]));
            const double outside = std::fmax(std::fmax(low - place[e], place[e] - high), 0.0);
            r_squared += outside * outside;
          }
          if (r_squared > cutoff * cutoff - 1e-6) continue;
          CHECK(
              found.count({std::lround(place[0] * 1e6), std::lround(place[1] * 1e6), std::lround(place[2] * 1e6)}) == 1,
              "trial %d: image %d %d %d is missing", trial, static_cast<int>(i), static_cast<int>(j),
              static_cast<int>(k));
        }
      }
    }
  }
}

void TestTilesCoverTheGridOnce() {
  const double origin[3] = {0, 0, 0}, edges[3][3] = {{9, 0, 0}, {2, 7, 0}, {1, 1, 30}};
  for (int64_t n : {1, 2, 5, 16, 17, 100}) {
    const int64_t shape[3] = {n, 7, 3 * n};
    const Tiling tiling(MakeProbeGrid(origin, edges, shape));
    std::vector<int> seen(shape[0] * shape[1] * shape[2], 0);
    for (int64_t t = 0; t < tiling.num_tiles(); ++t) {
      const Tiling::Tile tile = tiling.tile(t);
      int64_t size = 1;
      for (int d = 0; d < 3; ++d) size *= tile.end[d] - tile.begin[d];
      CHECK(size > 0 && size <= tiling.largest_tile(), "%d: tile of %d", static_cast<int>(n), static_cast<int>(size));
      for (int64_t i = tile.begin[0]; i < tile.end[0]; ++i) {
        for (int64_t j = tile.begin[1]; j < tile.end[1]; ++j) {
          for (int64_t k = tile.begin[2]; k < tile.end[2]; ++k) ++seen[(i * shape[1] + j) * shape[2] + k];
        }
      }
    }
    for (int count : seen) CHECK(count == 1, "%d: a voxel in %d tiles", static_cast<int>(n), count);
  }
}

}  // namespace
}  // namespace pg_tf

int main() {
  for (const pg_tf::Level* level : pg_tf::SupportedLevels()) {
    pg_tf::TestTileAgreesWithPairs<float>(*level);
    pg_tf::TestTileAgreesWithPairs<double>(*level);
    pg_tf::TestSourceGradientStaysInsideAndAgreesWithPairs<float>(*level);
    pg_tf::TestSourceGradientStaysInsideAndAgreesWithPairs<double>(*level);
  }
  pg_tf::TestImageSearchFindsEveryImageOnce();
  pg_tf::TestTilesCoverTheGridOnce();
}
