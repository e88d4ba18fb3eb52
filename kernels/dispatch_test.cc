#include "kernels/dispatch.h"

#include <cstring>
#include <string>

#include "kernels/check.h"

namespace pg_tf {
namespace {

void TestBestLevelIsTheDefault() {
  const auto levels = SupportedLevels();
  CHECK(!levels.empty() && std::strcmp(levels[0]->name, "baseline") == 0, "first level");
  std::string error;
  CHECK(ChooseLevel(nullptr, &error) == levels.back(), "without a request");
  CHECK(ChooseLevel("", &error) == levels.back(), "empty request");
}

void TestEverySupportedLevelCanBeChosen() {
  for (const Level* level : SupportedLevels()) {
    std::string error;
    CHECK(ChooseLevel(level->name, &error) == level, "%s", level->name);
  }
}

void TestUnknownLevelIsNullAndNamesTheOthers() {
  std::string error;
  CHECK(ChooseLevel("sse9", &error) == nullptr, "sse9");
  CHECK(error.find("'sse9'") != std::string::npos, "%s", error.c_str());
  for (const Level* level : SupportedLevels()) {
    CHECK(error.find(level->name) != std::string::npos, "%s", error.c_str());
  }
}

void TestScratchHoldsWholeVectors() {
  for (const Level* level : SupportedLevels()) {
    for (const int64_t lanes : {level->f32.lanes, level->f64.lanes}) {
      CHECK(lanes > 0 && kGradientPadding >= 2 * lanes + 1, "%s", level->name);
    }
  }
}

}  // namespace
}  // namespace pg_tf

int main() {
  pg_tf::TestBestLevelIsTheDefault();
  pg_tf::TestEverySupportedLevelCanBeChosen();
  pg_tf::TestUnknownLevelIsNullAndNamesTheOthers();
  pg_tf::TestScratchHoldsWholeVectors();
}
