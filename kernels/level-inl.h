// All the arithmetic, compiled for one instruction set: each level file names its namespace (PG_TF_LEVEL) and vector
// width (PG_TF_VECTOR_BYTES) and includes this file once. Each block of headers below needs those before it.

#include <math.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "kernels/level.h"
#include "kernels/limits.h"

#include "kernels/vector-inl.h"

#include "kernels/voxelize_factors-inl.h"

#include "kernels/voxelize_sums-inl.h"

#include "kernels/voxelize_store-inl.h"

#include "kernels/lennard_jones-inl.h"
#include "kernels/voxelize_cell-inl.h"
#include "kernels/voxelize_forward-inl.h"
#include "kernels/voxelize_gradient-inl.h"

#define PG_TF_STRING(x) #x
#define PG_TF_NAME(x) PG_TF_STRING(x)

namespace pg_tf {
namespace PG_TF_LEVEL {

template <typename T>
constexpr KernelTable<T> Table() {
  return {Simd<T>::kLanes, Factors, Forward, Gradient};
}

template <typename T>
constexpr LennardJonesTable<T> LennardJones() {
  return {LennardJonesEnergy<T>, LennardJonesSourceGradient<T>};
}

template <typename T>
constexpr CellTable<T> Cell() {
  return {AddCellAtom<T>, CellAtomGradient<T>};
}

extern const Level kLevel;
const Level kLevel = {PG_TF_NAME(PG_TF_LEVEL), Table<float>(), Table<double>(), LennardJones<float>(),
                      LennardJones<double>(),  Cell<float>(),  Cell<double>()};

}  // namespace PG_TF_LEVEL
}  // namespace pg_tf
