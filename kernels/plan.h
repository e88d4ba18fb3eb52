// From a molecule and its box to a Plan: which atoms reach which voxels, in which order they are summed.

#ifndef PG_TF_KERNELS_PLAN_H_
#define PG_TF_KERNELS_PLAN_H_

#include <cstdint>
#include <vector>

#include "kernels/voxelize.h"

namespace pg_tf {

// One molecule as it comes from the caller. A stride of 0 repeats one value for all atoms.
template <typename T>
struct Molecule {
  int64_t num_atoms;
  const T* coords;          // [num_atoms, 3]
  const int32_t* channels;  // [num_atoms], negative: no atom
  const T* weights;         // [num_atoms, weight_stride]
  int64_t weight_stride;    // 0, 1 or (soft channels) the number of columns
  const T* sigma;           // [num_atoms]
  int64_t sigma_stride;     // 0 or 1
  bool soft;                // weights are feature vectors, one column a channel
};

struct Box {
  double origin[3];
  double lengths[3];
};

// How far an atom reaches, in sigma: what lies beyond is below the resolution of the type relative to the atom's peak,
// exp(-r^2 / 2) < 2^-24 and 2^-53.
template <typename T>
constexpr double kReach = sizeof(T) == 4 ? 5.77 : 8.58;

// The windows of the atoms in their given order. Atoms that do not reach the grid have empty ones.
template <typename T>
class AtomWindows {
 public:
  void Build(const Molecule<T>& molecule, const Box& box, const GridLayout& layout);
  const AtomList<T>& atoms() const { return atoms_; }

 private:
  AtomList<T> atoms_;
  std::vector<AxisWindow<T>> windows_[3];
  std::vector<T> weights_;
};

// A Plan and the memory behind it; use one again and again to spare allocations.
template <typename T>
class Planner {
 public:
  // The plan for the planes [x_begin, x_end), its factors not yet filled. The order in which a voxel's atoms are summed does
  // not depend on the range of planes, so any split of the work gives the same bits.
  const Plan<T>& Build(const Molecule<T>& molecule, const Box& box, const GridLayout& layout, const TileShape& tile,
                       int64_t x_begin, int64_t x_end);

 private:
  void Order(const Molecule<T>& molecule, const GridLayout& layout);
  void BuildFactors(const TileShape& tile);
  void BuildMasks(const GridLayout& layout, const TileShape& tile);

  AtomWindows<T> all_;
  Plan<T> plan_;
  std::vector<int32_t> order_, buckets_, group_begin_, group_word_;
  std::vector<int64_t> offsets_[3];
  std::vector<AxisWindow<T>> windows_[3];
  std::vector<T> weights_, factors_;
  std::vector<uint64_t> masks_;
};

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_PLAN_H_
