// Persistent homology of a grid in dimension 0, superlevel filtration: which peaks stand out, and by how much.

#ifndef PG_TF_KERNELS_PERSISTENCE_H_
#define PG_TF_KERNELS_PERSISTENCE_H_

#include <cstdint>
#include <vector>

namespace pg_tf {

// A component of the set {voxel value >= level}, as the level falls: it is born at its peak and dies at the saddle
// where it meets a component with a higher peak.
template <typename T>
struct PersistentPeak {
  int64_t peak;    // index of the voxel
  int64_t saddle;  // index of the voxel, -1 for a component that never dies
  T birth;         // value at the peak
  T death;         // value at the saddle, minus infinity for a component that never dies
};

// The grids that are filtered: extents of x, y, z (z fastest), and which axes close to a circle.
struct PersistenceSpec {
  int64_t shape[3];
  bool periodic[3];
};

// Pairs the peaks and saddles of one grid after another. Keeps its work space between grids.
template <typename T>
class PeakPairing {
 public:
  explicit PeakPairing(const PersistenceSpec& spec);

  // The components born above `floor`, where the filtration ends. Those that never die come first, the highest peak
  // first; then the others, the most persistent first. Voxels that share a face are neighbours; components without
  // persistence are left out; of equal voxels the one with the lower index is the older. Valid until the next call.
  const std::vector<PersistentPeak<T>>& operator()(const T* grid, T floor);

 private:
  int32_t Root(int32_t voxel);

  PersistenceSpec spec_;
  std::vector<int32_t> order_;   // voxels above the floor, the highest first
  std::vector<int32_t> parent_;  // of the union-find forest; a root is the peak of its component; -1: below the level
  std::vector<PersistentPeak<T>> peaks_;
};

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_PERSISTENCE_H_
