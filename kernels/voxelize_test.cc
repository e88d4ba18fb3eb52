// Every level of this CPU against the formula, atom by atom and voxel by voxel; and that no kernel touches a byte
// beside its buffers, however the work is split.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/guarded.h"
#include "kernels/voxelize_plan.h"

namespace pg_tf {
namespace {

constexpr int kCases = 300;

class Random {
 public:
  explicit Random(int seed) : engine_(seed) {}
  int64_t Whole(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine_); }
  double Real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }

 private:
  std::mt19937_64 engine_;
};

template <typename T>
struct Problem {
  explicit Problem(Random* random) {
    for (int64_t& extent : layout.shape) extent = random->Whole(1, random->Whole(0, 3) == 0 ? 40 : 12);
    layout.num_channels = random->Whole(1, 4);
    layout.channels_last = random->Whole(0, 1) == 1;
    layout.storage = std::is_same_v<T, float> ? Storage::kFloat32 : Storage::kFloat64;
    const int64_t num_atoms = random->Whole(0, 9) == 0 ? 150 : random->Whole(0, 12);
    soft = random->Whole(0, 3) == 0;
    columns = soft ? layout.num_channels : 1;
    double narrowest = 1e9;
    for (int d = 0; d < 3; ++d) {
      // Far from the origin, float has no digits left for a place in the box; the coordinates are double.
      const bool away = std::is_same_v<T, float> && random->Whole(0, 3) == 0;
      box.origin[d] = random->Real(-3, 3) * (away ? 1e5 : 1);
      box.lengths[d] = static_cast<float>(random->Real(2, 6));
      box.periodic[d] = random->Whole(0, 2) == 0;
      narrowest = std::min(narrowest, box.lengths[d] / layout.shape[d]);
    }
    const double far = random->Whole(0, 3);
    for (int64_t a = 0; a < num_atoms; ++a) {
      channels.push_back(random->Whole(0, 9) == 0 ? -1 : random->Whole(0, soft ? 1000 : layout.num_channels - 1));
      sigma.push_back(static_cast<float>(narrowest * std::exp(random->Real(-2, 2))));
      for (int64_t c = 0; c < columns; ++c) weights.push_back(static_cast<float>(random->Real(-1, 1)));
      for (int d = 0; d < 3; ++d) {
        const double anywhere = random->Real(-0.2 - far * box.periodic[d], 1.2 + far * box.periodic[d]),
                     extent = static_cast<double>(layout.shape[d]);
        const double on_an_edge = std::round(anywhere * extent) / extent;
        coords.push_back(box.origin[d] + box.lengths[d] * (random->Whole(0, 3) == 0 ? on_an_edge : anywhere));
      }
    }
    molecule = {num_atoms, coords.data(), channels.data(), weights.data(), columns, sigma.data(), 1, soft};
  }

  int64_t voxels() const { return layout.shape[0] * layout.shape[1] * layout.shape[2] * layout.num_channels; }

  int64_t Index(int64_t c, int64_t x, int64_t y, int64_t z) const {
    const int64_t* n = layout.shape;
    return layout.channels_last ? ((x * n[1] + y) * n[2] + z) * layout.num_channels + c
                                : ((c * n[0] + x) * n[1] + y) * n[2] + z;
  }

  // What atom a adds to channel c.
  double Weight(int64_t a, int64_t c) const {
    if (channels[a] < 0) return 0;
    return soft ? weights[a * columns + c] : channels[a] == c ? weights[a] : 0;
  }

  // P of an atom in voxel i of axis d, sigma dP/dsigma, and the voxel width times dP/dmu.
  void Factor(int64_t a, int d, int64_t i, double* value, double* spread, double* shift) const {
    const double width = box.lengths[d] / layout.shape[d], s = sigma[a];
    const auto density = [](double t) { return std::exp(-t * t / 2) / std::sqrt(2 * M_PI); };
    const double position = (box.origin[d] + i * width - coords[3 * a + d]) / s, period = box.lengths[d] / s;
    const double around = box.periodic[d] ? std::ceil(10 / period) + 1 : 0, nearest = std::rint(position / period);
    *value = *spread = *shift = 0;
    for (double m = -around; m <= around; ++m) {
      const double low = position + (box.periodic[d] ? m - nearest : 0) * period, high = low + width / s;
      const double sign = low + high > 0 ? -1 : 1;  // differences of the small tails
      *value += sign * (std::erfc(-sign * high / M_SQRT2) - std::erfc(-sign * low / M_SQRT2)) / 2;
      *spread += low * density(low) - high * density(high);
      *shift += (density(low) - density(high)) * width / s;
    }
  }

  GridLayout layout;
  Box box;
  bool soft;
  int64_t columns;
  std::vector<double> coords;
  std::vector<T> weights, sigma;
  std::vector<int32_t> channels;
  Molecule<T> molecule;
};

template <typename T>
void Forward(const KernelTable<T>& kernels, const Problem<T>& problem, int64_t begin, int64_t end, bool stream,
             T* grid) {
  Planner<T> planner;
  const Plan<T>& plan = planner.Build(problem.molecule, problem.box, problem.layout, kernels.lanes, begin, end);
  kernels.factors(plan);
  kernels.forward(plan, problem.layout, stream, grid);
}

template <typename T>
void TestGridAndGradientFollowTheFormula(const Level& level, const Problem<T>& problem, Random* random) {
  const KernelTable<T>& kernels = Table<T>(level);
  const int64_t* n = problem.layout.shape;
  const int64_t num_atoms = problem.molecule.num_atoms, columns = problem.columns;
  Guarded<T> grid(problem.voxels()), upstream(problem.voxels());
  Forward(kernels, problem, 0, n[0], random->Whole(0, 1) == 1, grid.data());
  for (int64_t i = 0; i < problem.voxels(); ++i) upstream[i] = static_cast<float>(random->Real(-1, 1));

  AtomWindows<T> windows;
  windows.Build(problem.molecule, problem.box, problem.layout, Quantity::kDerivative);
  Guarded<T> scratch(kGradientArrays * (*std::max_element(n, n + 3) + kGradientPadding));
  Guarded<double> to_coords(3 * num_atoms);
  Guarded<T> to_weights(columns * num_atoms), to_sigma(3 * num_atoms);
  kernels.gradient(windows.atoms(), problem.channels.data(), problem.layout, upstream.data(), scratch.data(),
                   {to_coords.data(), to_weights.data(), to_sigma.data()});

  std::vector<double> expected(problem.voxels());
  const double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-11;
  for (int64_t a = 0; a < num_atoms; ++a) {
    std::vector<double> value[3], spread[3], shift[3];
    double largest_shift = 1;
    for (int d = 0; d < 3; ++d) {
      for (std::vector<double>* list : {&value[d], &spread[d], &shift[d]}) list->resize(n[d]);
      for (int64_t i = 0; i < n[d]; ++i) {
        problem.Factor(a, d, i, &value[d][i], &spread[d][i], &shift[d][i]);
        largest_shift = std::max(largest_shift, std::abs(shift[d][i]));
      }
    }
    for (int64_t c = 0; c < problem.layout.num_channels; ++c) {
      const double weight = problem.Weight(a, c);
      double of_weight = 0, of_shift[3] = {}, of_spread[3] = {};
      for (int64_t x = 0; x < n[0]; ++x) {
        for (int64_t y = 0; y < n[1]; ++y) {
          for (int64_t z = 0; z < n[2]; ++z) {
            const int64_t i = problem.Index(c, x, y, z);
            const double u = upstream[i], px = value[0][x], py = value[1][y], pz = value[2][z];
            expected[i] += weight * px * py * pz;
            of_weight += u * px * py * pz;
            of_shift[0] += u * shift[0][x] * py * pz, of_spread[0] += u * spread[0][x] * py * pz;
            of_shift[1] += u * px * shift[1][y] * pz, of_spread[1] += u * px * spread[1][y] * pz;
            of_shift[2] += u * px * py * shift[2][z], of_spread[2] += u * px * py * spread[2][z];
          }
        }
      }
      if (problem.soft ? problem.channels[a] < 0 : problem.channels[a] != c) continue;
      const T got = to_weights[a * columns + (problem.soft ? c : 0)];
      CHECK(std::abs(got - of_weight) < tolerance, "%s: weight of atom %ld: %g, not %g", level.name, a, double(got),
            of_weight);
      if (problem.soft) continue;  // their sums over all channels are compared in Python
      for (int d = 0; d < 3; ++d) {
        CHECK(std::abs(to_coords[3 * a + d] - weight * of_shift[d]) < tolerance * largest_shift,
              "%s: axis %d of atom %ld: %g, not %g", level.name, d, a, double(to_coords[3 * a + d]),
              weight * of_shift[d]);
        CHECK(std::abs(to_sigma[3 * a + d] - weight * of_spread[d]) < tolerance, "%s: sigma of atom %ld: %g, not %g",
              level.name, a, double(to_sigma[3 * a + d]), weight * of_spread[d]);
      }
    }
    if (problem.channels[a] >= 0) continue;
    for (int64_t i = 0; i < 3; ++i) CHECK(to_coords[3 * a + i] == 0 && to_sigma[3 * a + i] == 0, "padding");
    for (int64_t c = 0; c < columns; ++c) CHECK(to_weights[a * columns + c] == 0, "padding");
  }
  for (int64_t i = 0; i < problem.voxels(); ++i) {
    CHECK(std::abs(grid[i] - expected[i]) < tolerance, "%s: voxel %ld: %g, not %g", level.name, i, double(grid[i]),
          expected[i]);
  }
}

template <typename T>
void TestSlabsGiveTheSameBits(const Level& level, const Problem<T>& problem, Random* random) {
  const int64_t nx = problem.layout.shape[0];
  const int64_t planes = Blocks(problem.layout, Table<T>(level).lanes, sizeof(T)).planes;
  Guarded<T> whole(problem.voxels()), parts(problem.voxels());
  Forward(Table<T>(level), problem, 0, nx, false, whole.data());
  for (int64_t begin = 0, end; begin < nx; begin = end) {
    end = std::min(nx, random->Whole(begin / planes + 1, nx / planes + 1) * planes);
    Forward(Table<T>(level), problem, begin, end, true, parts.data());
  }
  CHECK(std::memcmp(whole.data(), parts.data(), problem.voxels() * sizeof(T)) == 0, "%s", level.name);
}

template <typename T>
void TestAll(const Level& level) {
  for (int i = 0; i < kCases; ++i) {
    Random random(i);
    const Problem<T> problem(&random);
    TestGridAndGradientFollowTheFormula(level, problem, &random);
    TestSlabsGiveTheSameBits(level, problem, &random);
  }
}

// Every finite number in half precision, read as an upstream gradient by an atom deep inside of its own voxel.
void TestHalvesAreReadExactly(const Level& level, Storage storage) {
  constexpr int64_t kBatch = 256;
  std::vector<double> coords(3 * kBatch, 0.5), gradient(3 * kBatch);
  std::vector<float> weights(kBatch);
  for (int64_t a = 0; a < kBatch; ++a) coords[3 * a + 2] = static_cast<double>(a) + 0.5;
  const std::vector<int32_t> channels(kBatch, 0);
  const float one = 1, sigma = 0.01f;
  const GridLayout layout = {{1, 1, kBatch}, 1, false, storage};
  const Molecule<float> molecule = {kBatch, coords.data(), channels.data(), &one, 0, &sigma, 0, false};
  AtomWindows<float> windows;
  windows.Build(molecule, {{0, 0, 0}, {1, 1, kBatch}}, layout, Quantity::kDerivative);
  std::vector<float> scratch(kGradientArrays * (kBatch + kGradientPadding));
  const int mantissa = storage == Storage::kFloat16 ? 10 : 7, exponents = storage == Storage::kFloat16 ? 31 : 255;
  for (int high = 0; high < 256; ++high) {
    std::vector<uint16_t> upstream(kBatch);
    for (int low = 0; low < kBatch; ++low) upstream[low] = static_cast<uint16_t>(high * 256 + low);
    if ((upstream[0] & 0x7FFF) >> mantissa >= exponents) continue;
    for (uint16_t& bits : upstream) {
      if ((bits & 0x7FFF) >> mantissa >= exponents) bits = 0;  // infinite, or no number
    }
    level.f32.gradient(windows.atoms(), channels.data(), layout, upstream.data(), scratch.data(),
                       {gradient.data(), weights.data(), nullptr});
    for (int64_t a = 0; a < kBatch; ++a) {
      const int bits = upstream[a] & 0x7FFF, exponent = bits >> mantissa, fraction = bits & ((1 << mantissa) - 1);
      const double magnitude = std::ldexp(exponent == 0 ? fraction : fraction + (1 << mantissa),
                                          std::max(exponent, 1) - exponents / 2 - mantissa);
      const double value = upstream[a] & 0x8000 ? -magnitude : magnitude;
      CHECK(std::abs(weights[a] - value) <= 1e-6 * magnitude + 1e-37, "%s: %04x read as %g, not %g", level.name,
            upstream[a], double(weights[a]), value);
    }
  }
}

}  // namespace
}  // namespace pg_tf

int main() {
  for (const pg_tf::Level* level : pg_tf::SupportedLevels()) {
    pg_tf::TestAll<float>(*level);
    pg_tf::TestAll<double>(*level);
    pg_tf::TestHalvesAreReadExactly(*level, pg_tf::Storage::kFloat16);
    pg_tf::TestHalvesAreReadExactly(*level, pg_tf::Storage::kBfloat16);
  }
}
