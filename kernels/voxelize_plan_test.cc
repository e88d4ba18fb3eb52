// How far an atom reaches: no further than float32 or float64 can tell, and hardly less.

#include "kernels/voxelize_plan.h"

#include <cmath>

#include "kernels/check.h"
#include "kernels/limits.h"

namespace pg_tf {
namespace {

// The integral over the voxel whose nearest edge lies `distance` sigma away, relative to the least that the voxel with
// the atom can hold.
double Relative(double distance, double step) {
  const double beyond = std::erfc(distance / M_SQRT2) - std::erfc((distance + step) / M_SQRT2);
  return beyond / std::erf(step / M_SQRT2);
}

template <typename T>
void TestReachEndsAtTheResolution() {
  const double resolution = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;
  for (double step = 0.001; step < 30; step *= 1.01) {
    CHECK(Relative(Reach<T>(step), step) < resolution, "step %g: cut at %g", step, Reach<T>(step));
    CHECK(Reach<T>(step) <= kDerivativeReach<T>, "step %g: further than a derivative", step);
    if (step > 4) continue;  // the last entry holds for all wider voxels
    CHECK(Relative(Reach<T>(step) - 0.15, step) > resolution, "step %g: %g is too far", step, Reach<T>(step));
  }
}

void TestBlocksAreRunsInMemory() {
  for (int64_t ny = 1; ny < 3000; ny = ny * 3 / 2 + 1) {
    for (int64_t nz = 1; nz < 9000; nz = nz * 5 / 4 + 1) {
      for (int64_t channels : {1, 8, 200}) {
        const GridLayout layout = {{50, ny, nz}, channels, channels > 1, Storage::kFloat32};
        const BlockShape block = Blocks(layout, 8, 4);
        CHECK(block.rows >= 1 && block.rows <= ny && block.planes >= 1 && block.planes <= 50, "%ld x %ld", ny, nz);
        CHECK(block.rows == ny || block.planes == 1, "%ld x %ld", ny, nz);
        CHECK(block.pitch >= nz && block.pitch % 8 == 0, "%ld x %ld", ny, nz);
      }
    }
  }
}

}  // namespace
}  // namespace pg_tf

int main() {
  pg_tf::TestReachEndsAtTheResolution<float>();
  pg_tf::TestReachEndsAtTheResolution<double>();
  pg_tf::TestBlocksAreRunsInMemory();
}
