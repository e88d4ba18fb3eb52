#include "kernels/dispatch.h"

#include <cstdlib>
#include <cstring>

namespace pg_tf {

namespace baseline {
extern const Level kLevel;
}
#if defined(PG_TF_HAVE_X86)
namespace avx2 {
extern const Level kLevel;
}
namespace avx512 {
extern const Level kLevel;
}
#endif

std::vector<const Level*> SupportedLevels() {
  std::vector<const Level*> levels = {&baseline::kLevel};
#if defined(PG_TF_HAVE_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    levels.push_back(&avx2::kLevel);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq")) {
      levels.push_back(&avx512::kLevel);
    }
  }
#endif
  return levels;
}

const Level* ChooseLevel(const char* requested, std::string* error) {
  const std::vector<const Level*> levels = SupportedLevels();
  if (requested == nullptr || *requested == '\0') return levels.back();
  *error = std::string("'") + requested + "' is not an instruction set that this CPU can run: it has";
  for (const Level* level : levels) {
    if (std::strcmp(level->name, requested) == 0) return level;
    *error += std::string(" ") + level->name;
  }
  return nullptr;
}

const Level* ActiveLevel(std::string* error) {
  static std::string* const reason = new std::string;
  static const Level* const chosen = ChooseLevel(std::getenv("PG_TF_SIMD"), reason);
  *error = chosen == nullptr ? "PG_TF_SIMD=" + *reason : "";
  return chosen;
}

}  // namespace pg_tf
