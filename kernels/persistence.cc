#include "kernels/persistence.h"

#include <algorithm>
#include <limits>

namespace pg_tf {

template <typename T>
PeakPairing<T>::PeakPairing(const PersistenceSpec& spec)
    : spec_(spec), parent_(spec.shape[0] * spec.shape[1] * spec.shape[2]) {}

template <typename T>
int32_t PeakPairing<T>::Root(int32_t voxel) {
  while (parent_[voxel] != voxel) {
    parent_[voxel] = parent_[parent_[voxel]];
    voxel = parent_[voxel];
  }
  return voxel;
}

template <typename T>
const std::vector<PersistentPeak<T>>& PeakPairing<T>::operator()(const T* grid, T floor) {
  const auto older = [grid](int32_t a, int32_t b) { return grid[a] > grid[b] || (grid[a] == grid[b] && a < b); };
  order_.clear();
  for (size_t i = 0; i < parent_.size(); ++i) {
    parent_[i] = -1;
    if (grid[i] > floor) order_.push_back(static_cast<int32_t>(i));
  }
  std::sort(order_.begin(), order_.end(), older);
  peaks_.clear();

  const int64_t strides[3] = {spec_.shape[1] * spec_.shape[2], spec_.shape[2], 1};
  for (const int32_t voxel : order_) {
    parent_[voxel] = voxel;
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t extent = spec_.shape[axis], position = voxel / strides[axis] % extent;
      for (const int step : {-1, 1}) {
        int64_t moved = position + step;
        if (moved < 0 || moved >= extent) {
          if (!spec_.periodic[axis]) continue;
          moved = (moved + extent) % extent;
        }
        const auto neighbour = static_cast<int32_t>(voxel + (moved - position) * strides[axis]);
        if (parent_[neighbour] < 0) continue;
        int32_t elder = Root(neighbour), younger = Root(voxel);
        if (elder == younger) continue;
        if (older(younger, elder)) std::swap(elder, younger);
        parent_[younger] = elder;
        if (grid[younger] > grid[voxel]) peaks_.push_back({younger, voxel, grid[younger], grid[voxel]});
      }
    }
  }
  for (const int32_t voxel : order_) {
    if (parent_[voxel] == voxel) peaks_.push_back({voxel, -1, grid[voxel], -std::numeric_limits<T>::infinity()});
  }

  std::sort(peaks_.begin(), peaks_.end(), [&](const PersistentPeak<T>& a, const PersistentPeak<T>& b) {
    if ((a.saddle < 0) != (b.saddle < 0)) return a.saddle < 0;
    const T first = a.saddle < 0 ? a.birth : a.birth - a.death, second = b.saddle < 0 ? b.birth : b.birth - b.death;
    return first > second || (first == second && a.peak < b.peak);
  });
  return peaks_;
}

template class PeakPairing<float>;
template class PeakPairing<double>;

}  // namespace pg_tf
