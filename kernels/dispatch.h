// The instruction set that the kernels run with.

#ifndef PG_TF_KERNELS_DISPATCH_H_
#define PG_TF_KERNELS_DISPATCH_H_

#include <string>
#include <type_traits>
#include <vector>

#include "kernels/level.h"

namespace pg_tf {

// The levels that this CPU can run, slowest first.
std::vector<const Level*> SupportedLevels();

// The level with the name `requested`, or the best one if that is null or empty. Returns null and sets `error` if this
// CPU does not have the level.
const Level* ChooseLevel(const char* requested, std::string* error);

// The functions of a level for one type of arithmetic.
template <typename T>
const KernelTable<T>& Table(const Level& level) {
  if constexpr (std::is_same_v<T, float>) {
    return level.f32;
  } else {
    return level.f64;
  }
}

template <typename T>
const LennardJonesTable<T>& LennardJonesKernels(const Level& level) {
  if constexpr (std::is_same_v<T, float>) {
    return level.lennard_jones_f32;
  } else {
    return level.lennard_jones_f64;
  }
}

template <typename T>
const CellTable<T>& CellKernels(const Level& level) {
  if constexpr (std::is_same_v<T, float>) {
    return level.cell_f32;
  } else {
    return level.cell_f64;
  }
}

// The level that the environment variable PG_TF_SIMD names, chosen once per process. Returns null and sets `error` if
// this CPU does not have it.
const Level* ActiveLevel(std::string* error);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_DISPATCH_H_
