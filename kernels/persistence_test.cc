#include "kernels/persistence.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/check.h"

namespace pg_tf {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<PersistentPeak<float>> Pairs(const std::vector<float>& profile, bool periodic, float floor) {
  PeakPairing<float> pairing({{1, static_cast<int64_t>(profile.size()), 1}, {false, periodic, false}});
  return pairing(profile.data(), floor);
}

void TestPeaksPairWithTheSaddleToAHigherPeak() {
  const auto pairs = Pairs({2, 1, 5, 3, 4, 0, 3}, false, -kInfinity);
  CHECK(pairs.size() == 4, "%zu pairs", pairs.size());
  CHECK(pairs[0].peak == 2 && pairs[0].saddle == -1 && std::isinf(pairs[0].death), "the highest peak never dies");
  CHECK(pairs[1].peak == 6 && pairs[1].saddle == 5, "the most persistent of the others");
  CHECK(pairs[2].peak == 0 && pairs[2].death == 1 && pairs[3].peak == 4 && pairs[3].death == 3, "equally persistent");
}

void TestFloorEndsTheFiltration() {
  const auto pairs = Pairs({2, 1, 5, 3, 4, 0, 3}, false, 2.5f);
  CHECK(pairs.size() == 3, "%zu pairs", pairs.size());
  CHECK(pairs[0].peak == 2 && pairs[1].peak == 6 && pairs[1].saddle == -1, "two components are left");
  CHECK(pairs[2].peak == 4 && pairs[2].saddle == 3, "one died above the floor");
}

void TestPeakAcrossAPeriodicFaceIsOne() {
  CHECK(Pairs({3, 1, 0, 1, 2}, false, -kInfinity).size() == 2, "two peaks on a line");
  CHECK(Pairs({3, 1, 0, 1, 2}, true, -kInfinity).size() == 1, "one peak on a circle");
}

void TestPlateauIsOnePeak() {
  const auto pairs = Pairs({1, 2, 2, 1}, false, -kInfinity);
  CHECK(pairs.size() == 1 && pairs[0].peak == 1, "of equal voxels the first is the peak");
}

void TestNothingAboveTheFloorIsNoPeak() { CHECK(Pairs({0, 0, 0}, true, 0).empty(), "zeros"); }

}  // namespace
}  // namespace pg_tf

int main() {
  pg_tf::TestPeaksPairWithTheSaddleToAHigherPeak();
  pg_tf::TestFloorEndsTheFiltration();
  pg_tf::TestPeakAcrossAPeriodicFaceIsOne();
  pg_tf::TestPlateauIsOnePeak();
  pg_tf::TestNothingAboveTheFloorIsNoPeak();
}
