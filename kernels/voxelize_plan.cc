#include "kernels/voxelize_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "kernels/limits.h"

namespace pg_tf {
namespace {

int64_t RoundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// A block fills half of a first-level cache; with channels innermost, where a block of each channel is held at once,
// all of them fill an eighth of a second-level one.
constexpr int64_t kBlockBytes = 16384;
constexpr int64_t kAllBlocksBytes = 65536;

// A Gaussian wider than this many voxels adds less to any of them than float32 can hold, and so is left out.
constexpr double kWidest = 1e30;

constexpr double kStepsPerUnit = 16;
constexpr int kReachEntries = 65;

// The distance t where the integral over [t, t + step], at most phi(t) (1 - exp(-t step)) / t, falls below `resolution`
// times the integral over [0, step]. The voxel with the atom in it holds at least that integral.
double SolveReach(double step, double resolution) {
  const double peak = std::erf(step / M_SQRT2) / 2;
  double t = 5;
  for (int i = 0; i < 20; ++i) {
    t = std::sqrt(-2 * std::log(resolution * peak * std::sqrt(2 * M_PI) * t / -std::expm1(-t * step)));
  }
  return t;
}

template <typename T>
std::array<double, kReachEntries> ReachTable() {
  std::array<double, kReachEntries> table;
  table[0] = kDerivativeReach<T>;
  for (int i = 1; i < kReachEntries; ++i) table[i] = SolveReach(i / kStepsPerUnit, sizeof(T) == 4 ? 0x1p-24 : 0x1p-53);
  return table;
}

// Truncation rounds towards zero; SSE2, the baseline, has nothing for floor and ceil. Values are within +-2^31.
int32_t Floor(double value) {
  const int32_t whole = static_cast<int32_t>(value);
  return whole - (value < whole);
}

int32_t Ceil(double value) { return -Floor(-value); }

template <typename V>
size_t Bytes(const std::vector<V>& values) {
  return values.capacity() * sizeof(V);
}

// The window around u, cut off at the ends of the axis. On a periodic axis it may cross one of the faces, and if it
// were longer than the axis it is the whole axis.
template <typename T>
AxisWindow<T> Window(double u, double width, double reach, double step, double extent, bool periodic) {
  AxisWindow<T> window = {};
  if (!(u + reach > 0 && u - reach < extent && width < kWidest)) return window;
  if (periodic && (2 * reach > extent || Ceil(u + reach) - Floor(u - reach) > extent)) {
    window.end = static_cast<int32_t>(extent);
    window.period = static_cast<T>(extent);
  } else {
    window.begin = Floor(periodic ? u - reach : std::max(0.0, u - reach));
    window.end = Ceil(periodic ? u + reach : std::min(extent, u + reach));
  }
  // A float64: an atom far outside reaches the grid only if its sigma is as large, and then this rounding is harmless.
  const double edge = std::rint(u);
  window.first = static_cast<T>(window.begin - edge);
  window.offset = static_cast<T>(u - edge);
  window.step = static_cast<T>(step);
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
double Reach(double step) {
  static const std::array<double, kReachEntries> table = ReachTable<T>();
  // The reach decreases with the step, so the entry for the next smaller step is large enough.
  return table[static_cast<int>(std::min(step * kStepsPerUnit, kReachEntries - 1.0))];
}

BlockShape Blocks(const GridLayout& layout, int64_t lanes, int64_t value_size) {
  const int64_t sums = layout.channels_last ? layout.num_channels : 1;
  BlockShape block;
  block.pitch = RoundUp(layout.shape[2], lanes);
  const int64_t bytes = std::min(kBlockBytes, kAllBlocksBytes / sums);
  const int64_t rows = std::max<int64_t>(1, bytes / (block.pitch * value_size));
  block.rows = std::min(rows, layout.shape[1]);
  block.planes = std::min(std::max<int64_t>(1, rows / layout.shape[1]), layout.shape[0]);
  return block;
}

template <typename T>
void AtomWindows<T>::Build(const Molecule<T>& molecule, const Box& box, const GridLayout& layout, Quantity quantity) {
  const int64_t columns = molecule.soft ? molecule.weight_stride : 1;
  for (int d = 0; d < 3; ++d) {
    const double extent = static_cast<double>(layout.shape[d]), length = box.lengths[d];
    const double voxels_per_unit = extent / length;
    const bool periodic = box.periodic[d];
    windows_[d].resize(molecule.num_atoms);
    double sigma = 0, width = 0, step = 0, reach = 0;
    for (int64_t a = 0; a < molecule.num_atoms; ++a) {
      if (molecule.channels[a] < 0) {
        windows_[d][a] = {};
        continue;
      }
      if (molecule.sigma[a * molecule.sigma_stride] != sigma) {
        sigma = molecule.sigma[a * molecule.sigma_stride];
        width = sigma * voxels_per_unit;
        if (periodic) width = std::min(width, kWidestPeriods * extent);
        // The bound keeps 0 * step finite for an atom on an edge. So narrow a Gaussian lies within one voxel.
        step = std::min(1 / width, 1e18);
        // Never less than the rounding of u: an atom on an edge reaches the voxels on both sides, however narrow.
        reach = std::max((quantity == Quantity::kIntegral ? Reach<T>(step) : kDerivativeReach<T>)*width, 1e-6);
      }
      double position = molecule.coords[3 * a + d] - box.origin[d];
      if (periodic && !(position >= 0 && position < length)) {
        position = std::fmod(position, length);
        if (position < 0) position += length;
      }
      windows_[d][a] = Window<T>(position * voxels_per_unit, width, reach, step, extent, periodic);
    }
  }
  atom_of_entry_.resize(molecule.num_atoms);
  std::iota(atom_of_entry_.begin(), atom_of_entry_.end(), 0);
  for (int d = 0; d < 3; ++d) {
    if (box.periodic[d]) SplitAtFaces(d, static_cast<int32_t>(layout.shape[d]));
  }

  atoms_.size = static_cast<int64_t>(atom_of_entry_.size());
  atoms_.atoms = atom_of_entry_.data();
  for (int d = 0; d < 3; ++d) atoms_.windows[d] = windows_[d].data();
  atoms_.weights = molecule.weights;
  atoms_.weight_stride = columns;
  if (molecule.weight_stride == 0) {
    weights_.assign(atoms_.size, molecule.weights[0]);
    atoms_.weights = weights_.data();
  } else if (atoms_.size > molecule.num_atoms) {
    weights_.clear();
    for (int32_t a : atom_of_entry_) {
      weights_.insert(weights_.end(), molecule.weights + a * columns, molecule.weights + (a + 1) * columns);
    }
    atoms_.weights = weights_.data();
  }
}

// Cuts the windows that cross a face of a periodic axis; the part beyond it becomes an entry at the other end.
template <typename T>
void AtomWindows<T>::SplitAtFaces(int axis, int32_t extent) {
  const size_t size = atom_of_entry_.size();
  for (size_t a = 0; a < size; ++a) {
    AxisWindow<T> inside = windows_[axis][a];
    if (inside.begin >= 0 && inside.end <= extent) continue;
    AxisWindow<T> beyond = inside;
    if (inside.begin < 0) {
      beyond.begin += extent;
      beyond.end = extent;
      inside.first -= inside.begin;
      inside.begin = 0;
    } else {
      beyond.first += extent - inside.begin;
      beyond.begin = 0;
      beyond.end -= extent;
      inside.end = extent;
    }
    windows_[axis][a] = inside;
    atom_of_entry_.push_back(atom_of_entry_[a]);
    for (int d = 0; d < 3; ++d) {
      const AxisWindow<T> window = d == axis ? beyond : windows_[d][a];
      windows_[d].push_back(window);
    }
  }
}

template <typename T>
size_t AtomWindows<T>::bytes() const {
  size_t bytes = Bytes(atom_of_entry_) + Bytes(weights_);
  for (const auto& windows : windows_) bytes += Bytes(windows);
  return bytes;
}

template <typename T>
size_t Planner<T>::bytes() const {
  size_t bytes = all_.bytes() + Bytes(order_) + Bytes(buckets_) + Bytes(group_begin_) + Bytes(list_) + Bytes(weights_) +
                 Bytes(values_) + Bytes(sums_);
  for (const auto& windows : windows_) bytes += Bytes(windows);
  return bytes;
}

template <typename T>
void Planner<T>::Trim(size_t most) {
  if (bytes() > most) *this = Planner<T>();
}

template <typename T>
const Plan<T>& Planner<T>::Build(const Molecule<T>& molecule, const Box& box, const GridLayout& layout, int64_t lanes,
                                 int64_t x_begin, int64_t x_end) {
  all_.Build(molecule, box, layout, Quantity::kIntegral);
  plan_.x_begin = x_begin;
  plan_.x_end = x_end;

  order_.clear();
  for (int64_t a = 0; a < all_.atoms().size; ++a) {
    const AxisWindow<T>&x = all_.atoms().windows[0][a], &y = all_.atoms().windows[1][a],
          &z = all_.atoms().windows[2][a];
    const bool reaches =
        std::max<int64_t>(x.begin, x_begin) < std::min<int64_t>(x.end, x_end) && y.begin < y.end && z.begin < z.end;
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

  Lay(layout, lanes);
  return plan_;
}

// Along x first, so that a plane's atoms are neighbours, then by channel.
template <typename T>
void Planner<T>::Order(const Molecule<T>& molecule, const GridLayout& layout) {
  const int64_t groups = molecule.soft ? 1 : layout.num_channels;
  const auto channel = [&](int32_t a) { return molecule.channels[all_.atoms().atoms[a]]; };
  CountingSort(layout.shape[0], [&](int32_t a) { return all_.atoms().windows[0][a].begin; }, &buckets_, &order_);
  if (groups > 1) CountingSort(groups, channel, &buckets_, &order_);

  group_begin_.assign(groups + 1, 0);
  for (int32_t a : order_) ++group_begin_[(groups > 1 ? channel(a) : 0) + 1];
  for (int64_t g = 0; g < groups; ++g) group_begin_[g + 1] += group_begin_[g];
  plan_.group_begin = group_begin_.data();
}

// Memory for the factors and for the blocks.
template <typename T>
void Planner<T>::Lay(const GridLayout& layout, int64_t lanes) {
  const int64_t size = plan_.atoms.size;
  // Along z a window is widened to whole vectors of a row; what the atom adds beyond its window is negligible.
  for (AxisWindow<T>& z : windows_[2]) {
    const int32_t begin = z.begin / lanes * lanes;
    z.first -= z.begin - begin;
    z.begin = begin;
    z.end = RoundUp(z.end, lanes);
  }
  plan_.edge_pitch = 0;
  int64_t values = 0;
  for (int d = 0; d < 3; ++d) {
    int64_t longest = 0;
    for (const AxisWindow<T>& window : windows_[d]) longest = std::max<int64_t>(longest, window.end - window.begin);
    plan_.pitch[d] = RoundUp(longest, lanes);
    plan_.edge_pitch = std::max(plan_.edge_pitch, RoundUp(longest + 1, lanes) + lanes);
    if (d == 0) plan_.widest_x = longest;
    values += plan_.pitch[d] * size;
  }
  values += plan_.edge_pitch * size;

  plan_.block = Blocks(layout, lanes, sizeof(T));
  const int64_t sums = layout.channels_last ? layout.num_channels : 1;
  const int64_t block = plan_.block.planes * plan_.block.rows * plan_.block.pitch;
  // Eight values are read and written at a time, so some behind the end: behind the last sum lies `packed`, and that
  // has room for eight more.
  const int64_t packed = block * sums + 8;
  values += (sums + 2) * block + packed;

  constexpr size_t kAlignment = 64;
  values += kAlignment / sizeof(T);
  if (static_cast<int64_t>(values_.size()) < values) values_.resize(values);
  T* next = reinterpret_cast<T*>(RoundUp(reinterpret_cast<intptr_t>(values_.data()), kAlignment));
  plan_.sum = next;
  next += sums * block;
  plan_.run = next;
  next += 2 * block;
  plan_.packed = next;
  next += packed;
  for (int d = 0; d < 3; ++d) {
    plan_.factors[d] = next;
    next += plan_.pitch[d] * size;
  }
  plan_.edges = next;
  sums_.assign(RoundUp(sums, 8), nullptr);
  plan_.sums = sums_.data();
  list_.resize(kVectorClasses * size);
  plan_.list = list_.data();
}

template double Reach<float>(double);
template double Reach<double>(double);
template class AtomWindows<float>;
template class AtomWindows<double>;
template class Planner<float>;
template class Planner<double>;

}  // namespace pg_tf
