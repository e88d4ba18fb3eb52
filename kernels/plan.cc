#include "kernels/plan.h"

#include <algorithm>
#include <cmath>

namespace pg_tf {
namespace {

int64_t RoundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// A Gaussian wider than this many voxels leaves nothing in any of them; float32 could not even hold its window.
constexpr double kWidest = 1e30;

template <typename T>
AxisWindow<T> Window(double coordinate, double sigma, double origin, double length, int64_t extent) {
  const double voxels_per_unit = static_cast<double>(extent) / length;
  const double u = (coordinate - origin) * voxels_per_unit;
  const double spread = sigma * voxels_per_unit;
  // Never less than the rounding of u: an atom exactly on an edge belongs to both voxels however narrow it is.
  const double reach = std::max(kReach<T> * spread, 1e-6);
  const double limit = static_cast<double>(extent);
  AxisWindow<T> window = {};
  if (!(u + reach > 0 && u - reach < limit && spread < kWidest)) return window;
  window.begin = static_cast<int32_t>(std::max(0.0, std::floor(u - reach)));
  window.end = static_cast<int32_t>(std::min(limit, std::ceil(u + reach)));
  const double edge = std::floor(u + 0.5);
  window.first = static_cast<T>(window.begin - edge);
  window.offset = static_cast<T>(u - edge);
  // The bound keeps 0 * step finite for an atom on an edge; a Gaussian that narrow is a point to both types.
  window.step = static_cast<T>(std::min(1 / spread, 1e18));
  return window;
}

// Puts `order` into ascending order of key(atom), 0 <= key < num_keys; atoms of equal keys keep their order.
template <typename Key>
void CountingSort(int64_t num_keys, Key key, std::vector<int32_t>* buckets, std::vector<int32_t>* order) {
  buckets->assign(num_keys + 1, 0);
  for (int32_t a : *order) ++(*buckets)[key(a) + 1];
  for (int64_t k = 0; k < num_keys; ++k) (*buckets)[k + 1] += (*buckets)[k];
  const std::vector<int32_t> unsorted = *order;
  for (int32_t a : unsorted) (*order)[(*buckets)[key(a)]++] = a;
}

}  // namespace

template <typename T>
void AtomWindows<T>::Build(const Molecule<T>& molecule, const Box& box, const GridLayout& layout) {
  const int64_t columns = molecule.soft ? molecule.weight_stride : 1;
  for (int d = 0; d < 3; ++d) {
    windows_[d].resize(molecule.num_atoms);
    for (int64_t a = 0; a < molecule.num_atoms; ++a) {
      windows_[d][a] = molecule.channels[a] < 0 ? AxisWindow<T>{}
                                                : Window<T>(molecule.coords[3 * a + d], molecule.sigma[a * molecule.sigma_stride],
                                                            box.origin[d], box.lengths[d], layout.shape[d]);
    }
    atoms_.windows[d] = windows_[d].data();
  }
  atoms_.size = molecule.num_atoms;
  atoms_.weights = molecule.weights;
  atoms_.weight_stride = columns;
  if (molecule.weight_stride == 0) {
    weights_.assign(molecule.num_atoms, molecule.weights[0]);
    atoms_.weights = weights_.data();
  }
}

template <typename T>
const Plan<T>& Planner<T>::Build(const Molecule<T>& molecule, const Box& box, const GridLayout& layout,
                                 const TileShape& tile, int64_t x_begin, int64_t x_end) {
  all_.Build(molecule, box, layout);
  plan_.x_begin = x_begin;
  plan_.x_end = x_end;

  order_.clear();
  for (int64_t a = 0; a < molecule.num_atoms; ++a) {
    const AxisWindow<T>&x = all_.atoms().windows[0][a], &y = all_.atoms().windows[1][a], &z = all_.atoms().windows[2][a];
    const bool reaches = std::max<int64_t>(x.begin, x_begin) < std::min<int64_t>(x.end, x_end) && y.begin < y.end &&
                         z.begin < z.end;
    if (reaches) order_.push_back(static_cast<int32_t>(a));
  }
  Order(molecule, layout);

  const int64_t columns = all_.atoms().weight_stride, size = static_cast<int64_t>(order_.size());
  weights_.resize(size * columns);
  for (int64_t i = 0; i < size; ++i) {
    std::copy_n(all_.atoms().weights + order_[i] * columns, columns, weights_.data() + i * columns);
  }
  for (int d = 0; d < 3; ++d) {
    windows_[d].resize(size);
    for (int64_t i = 0; i < size; ++i) windows_[d][i] = all_.atoms().windows[d][order_[i]];
    plan_.atoms.windows[d] = windows_[d].data();
  }
  plan_.atoms.size = size;
  plan_.atoms.weights = weights_.data();
  plan_.atoms.weight_stride = columns;

  BuildFactors(tile);
  BuildMasks(layout, tile);
  return plan_;
}

// Along x first, so that a plane's atoms are neighbours, then by channel.
template <typename T>
void Planner<T>::Order(const Molecule<T>& molecule, const GridLayout& layout) {
  const int64_t groups = molecule.soft ? 1 : layout.num_channels;
  CountingSort(layout.shape[0], [&](int32_t a) { return all_.atoms().windows[0][a].begin; }, &buckets_, &order_);
  if (groups > 1) CountingSort(groups, [&](int32_t a) { return molecule.channels[a]; }, &buckets_, &order_);

  group_begin_.assign(groups + 1, 0);
  for (int32_t a : order_) ++group_begin_[(groups > 1 ? molecule.channels[a] : 0) + 1];
  group_word_.assign(groups + 1, 0);
  for (int64_t g = 0; g < groups; ++g) {
    group_word_[g + 1] = group_word_[g] + (group_begin_[g + 1] + 63) / 64;
    group_begin_[g + 1] += group_begin_[g];
  }
  plan_.num_words = group_word_[groups];
  plan_.group_begin = group_begin_.data();
  plan_.group_word = group_word_.data();
}

template <typename T>
void Planner<T>::BuildFactors(const TileShape& tile) {
  const int64_t size = plan_.atoms.size;
  const int64_t unit[3] = {1, tile.rows, tile.depth};
  int64_t longest = 0;
  int64_t values = 0;
  for (int d = 0; d < 3; ++d) {
    offsets_[d].resize(size);
    int64_t pitch = 0;
    for (int64_t i = 0; i < size; ++i) {
      const AxisWindow<T>& window = windows_[d][i];
      const int64_t count = window.end - window.begin;
      const int64_t first = window.begin / unit[d] * unit[d];
      offsets_[d][i] = -first;
      // The window is written in whole vectors and read in whole tiles.
      pitch = std::max({pitch, window.begin - first + RoundUp(count, tile.lanes), RoundUp(window.end - first, unit[d])});
      longest = std::max(longest, count);
    }
    plan_.pitch[d] = RoundUp(pitch, tile.lanes);
    for (int64_t i = 0; i < size; ++i) offsets_[d][i] += i * plan_.pitch[d];
    plan_.offset[d] = offsets_[d].data();
    values += plan_.pitch[d] * size;
  }
  plan_.edge_pitch = RoundUp(longest + 1, tile.lanes) + tile.lanes;
  values += plan_.edge_pitch * size;

  constexpr size_t kAlignment = 64;
  values += kAlignment / sizeof(T);
  if (static_cast<int64_t>(factors_.size()) < values) factors_.resize(values);
  T* next = reinterpret_cast<T*>(RoundUp(reinterpret_cast<intptr_t>(factors_.data()), kAlignment));
  for (int d = 0; d < 3; ++d) {
    plan_.factors[d] = next;
    next += plan_.pitch[d] * size;
  }
  plan_.edges = next;
}

template <typename T>
void Planner<T>::BuildMasks(const GridLayout& layout, const TileShape& tile) {
  const int64_t unit[3] = {1, tile.rows, tile.depth};
  const int64_t first[3] = {plan_.x_begin, 0, 0};
  const int64_t extent[3] = {plan_.x_end - plan_.x_begin, RoundUp(layout.shape[1], tile.rows) / tile.rows,
                             RoundUp(layout.shape[2], tile.depth) / tile.depth};
  masks_.assign((extent[0] + extent[1] + extent[2]) * plan_.num_words, 0);
  uint64_t* mask = masks_.data();
  const int64_t groups = static_cast<int64_t>(group_word_.size()) - 1;
  for (int d = 0; d < 3; ++d) {
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t i = group_begin_[g]; i < group_begin_[g + 1]; ++i) {
        const int64_t in_group = i - group_begin_[g];
        const int64_t word = group_word_[g] + in_group / 64;
        const int64_t begin = std::max<int64_t>(windows_[d][i].begin / unit[d] - first[d], 0);
        const int64_t end = std::min<int64_t>((windows_[d][i].end - 1) / unit[d] + 1 - first[d], extent[d]);
        for (int64_t k = begin; k < end; ++k) mask[k * plan_.num_words + word] |= uint64_t{1} << (in_group % 64);
      }
    }
    plan_.masks[d] = mask;
    mask += extent[d] * plan_.num_words;
  }
}

template class AtomWindows<float>;
template class AtomWindows<double>;
template class Planner<float>;
template class Planner<double>;

}  // namespace pg_tf
