// From a molecule and its box to a Plan: which atoms reach which voxels, in which order they are summed.

#ifndef PG_TF_KERNELS_VOXELIZE_PLAN_H_
#define PG_TF_KERNELS_VOXELIZE_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/voxelize.h"

namespace pg_tf {

// One molecule as it comes from the caller. A stride of 0 repeats one value for all atoms.
template <typename T>
struct Molecule {
  int64_t num_atoms;
  const double* coords;     // [num_atoms, 3]
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
  bool periodic[3] = {false, false, false};
};

// How far an atom reaches, in sigma: the distance to the nearest edge of a voxel of width `step` sigma at which the
// integral over it falls below the resolution of the type, relative to the atom's peak. A derivative reaches further:
// kDerivativeReach.
template <typename T>
double Reach(double step);

enum class Quantity { kIntegral, kDerivative };

// The blocks that a grid is summed up in, for vectors of `lanes` values of `value_size` bytes. They lie one after
// another from plane 0 on.
BlockShape Blocks(const GridLayout& layout, int64_t lanes, int64_t value_size);

// The windows of the atoms: an entry for each in their given order, empty for one that does not reach the grid; then
// the parts that lie beyond periodic faces.
template <typename T>
class AtomWindows {
 public:
  void Build(const Molecule<T>& molecule, const Box& box, const GridLayout& layout, Quantity quantity);
  const AtomList<T>& atoms() const { return atoms_; }
  size_t bytes() const;  // of memory that it holds

 private:
  void SplitAtFaces(int axis, int32_t extent);

  AtomList<T> atoms_;
  std::vector<int32_t> atom_of_entry_;
  std::vector<AxisWindow<T>> windows_[3];
  std::vector<T> weights_;
};

// Makes Plans and holds their memory; using one planner many times saves allocations.
template <typename T>
class Planner {
 public:
  // The plan for the planes [x_begin, x_end), its factors not yet filled. Both planes must lie at a boundary between
  // blocks or at an end of the grid: then any split of the work gives the same bits.
  const Plan<T>& Build(const Molecule<T>& molecule, const Box& box, const GridLayout& layout, int64_t lanes,
                       int64_t x_begin, int64_t x_end);

  // Gives its memory back if that is more than `most` bytes; the plan that was built last is lost then.
  void Trim(size_t most);
  size_t bytes() const;  // of memory that it holds

 private:
  void Order(const Molecule<T>& molecule, const GridLayout& layout);
  void Lay(const GridLayout& layout, int64_t lanes);

  AtomWindows<T> all_;
  Plan<T> plan_;
  std::vector<int32_t> order_, buckets_, group_begin_, list_;
  std::vector<AxisWindow<T>> windows_[3];
  std::vector<T> weights_, values_;
  std::vector<T*> sums_;
};

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_VOXELIZE_PLAN_H_
