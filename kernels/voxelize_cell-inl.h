// One atom on a grid along lattice vectors, column by column: a column is the row of voxels along c at one place (i, j)
// on a and b. All voxels that the sphere around the atom touches are visited, and those outside of the cell are folded
// back into it. So the images of the atom are summed without being searched for.

namespace pg_tf {
namespace PG_TF_LEVEL {

// The nodes of the quadrature across a column. All lengths are in sigma.
template <typename T>
struct Nodes {
  int64_t size;
  T* weight;  // of the rule, times the Gaussian at (y, z)
  T* shift;   // of the column along x, from its middle
  T *y, *z;
};

// A column: voxels window.begin to window.end, not yet folded, of the row (x, y) of the grid.
template <typename T>
struct Column {
  int64_t x, y;
  AxisWindow<T> window;
};

template <typename T>
struct CellScratch {
  Nodes<T> nodes;
  T *plane_y, *plane_z, *plane_weight, *plane_shift;  // of the nodes along a
  T *row_y, *row_weight, *row_shift;                  // of those along b
  T *line, *upstream, *steps;                         // along the column

  PG_TF_INLINE CellScratch(T* memory, int64_t longest) {
    constexpr int64_t kRow = kLargestRule + 16, kNodes = kLargestRule * kRow;
    nodes = {0, memory, memory + kNodes, memory + 2 * kNodes, memory + 3 * kNodes};
    T* next = memory + 4 * kNodes;
    T** const along_nodes[] = {&plane_y, &plane_z, &plane_weight, &plane_shift, &row_y, &row_weight, &row_shift};
    for (T** array : along_nodes) {
      *array = next;
      next += kRow;
    }
    T** const along_column[] = {&line, &upstream, &steps};
    for (T** array : along_column) {
      *array = next;
      next += longest + kCellPadding;
    }
  }
};

PG_TF_INLINE int64_t Folded(int64_t i, int64_t extent) {
  const int64_t rest = i % extent;
  return rest < 0 ? rest + extent : rest;
}

// The distance between 0 and the interval.
PG_TF_INLINE double Nearest(double low, double high) { return low > 0 ? low : high < 0 ? -high : 0; }

// The whole numbers below and above x, at most 2^52; no voxel is counted that far.
PG_TF_INLINE int64_t Below(double x) {
  x = x < 0x1p52 ? x : 0x1p52;
  return static_cast<int64_t>(floor(x > -0x1p52 ? x : -0x1p52));
}
PG_TF_INLINE int64_t Above(double x) { return -Below(-x); }

// Nodes of one column from those of its plane and its row. Nodes with equal shifts have the same integral along c:
// kMerge makes them one, which the grid allows and the gradient does not.
template <bool kMerge, typename T>
PG_TF_INLINE void FillNodes(int64_t size_a, int64_t size_b, T row, CellScratch<T>* scratch) {
  constexpr int64_t kLanes = Simd<T>::kLanes;
  Nodes<T>& nodes = scratch->nodes;
  int64_t size = 0;
  for (int64_t n = 0; n < size_a; ++n) {
    T weights[kLargestRule + 16];
    for (int64_t m = 0; m < size_b; m += kLanes) {
      const Vec<T> y = Load(scratch->row_y + m) + (row + scratch->plane_y[n]);
      Store(weights + m, Density(y) * Load(scratch->row_weight + m) * scratch->plane_weight[n]);
      if (!kMerge) Store(nodes.y + size + m, y);
    }
    for (int64_t m = 0; m < size_b; ++m) {
      const T shift = scratch->plane_shift[n] + scratch->row_shift[m];
      if (kMerge && size > 0 && shift == nodes.shift[size - 1]) {
        nodes.weight[size - 1] += weights[m];
        continue;
      }
      nodes.weight[size] = weights[m];
      nodes.shift[size] = shift;
      if (!kMerge) nodes.z[size] = scratch->plane_z[n];
      ++size;
    }
  }
  nodes.size = size;
}

// Calls visit(column) for all columns that the atom reaches in the planes from x_begin to x_end, the nodes filled.
template <bool kMerge, typename T, typename Visit>
PG_TF_INLINE void ForEachColumn(const CellGrid& grid, const CellAtom& atom, int64_t x_begin, int64_t x_end,
                                CellScratch<T>* scratch, Visit visit) {
  constexpr double kReach = kDerivativeReach<T>;
  const double s = 1 / atom.sigma;
  const double a0 = grid.a[0] * s, a1 = grid.a[1] * s, a2 = grid.a[2] * s, b0 = grid.b[0] * s, b1 = grid.b[1] * s;
  const double c = grid.c * s;
  const Rule &along_a = atom.along_a, &along_b = atom.along_b;
  for (int64_t m = 0; m < along_b.size + Simd<T>::kLanes; ++m) {
    const bool real = m < along_b.size;
    scratch->row_y[m] = static_cast<T>(real ? along_b.places[m] * b1 : 0);
    scratch->row_weight[m] = static_cast<T>(real ? along_b.weights[m] * b1 : 0);
    scratch->row_shift[m] = static_cast<T>(real ? (along_b.places[m] - 0.5) * b0 : 0);
  }

  int64_t i = Below(atom.place[0] - kReach / a2);
  int64_t i_end = Above(atom.place[0] + kReach / a2);
  if (!grid.periodic[0]) i = Max(i, 0), i_end = Min(i_end, grid.shape[0]);
  for (; i < i_end; ++i) {
    const int64_t x = Folded(i, grid.shape[0]);
    if (x < x_begin || x >= x_end) continue;
    const double da = i - atom.place[0];
    const double z = Nearest(da * a2, (da + 1) * a2);
    if (z >= kReach) continue;
    const double low = a1 > 0 ? da * a1 : (da + 1) * a1, high = a1 > 0 ? (da + 1) * a1 : da * a1;
    const double reach = sqrt(kReach * kReach - z * z);
    int64_t j = Below(atom.place[1] - (reach + high) / b1);
    int64_t j_end = Above(atom.place[1] + (reach - low) / b1);
    if (!grid.periodic[1]) j = Max(j, 0), j_end = Min(j_end, grid.shape[1]);
    if (j >= j_end) continue;
    for (int64_t n = 0; n < along_a.size; ++n) {
      const double place = da + along_a.places[n];
      scratch->plane_y[n] = static_cast<T>(place * a1);
      scratch->plane_z[n] = static_cast<T>(place * a2);
      scratch->plane_weight[n] = static_cast<T>(along_a.weights[n] * a2);
      scratch->plane_shift[n] = static_cast<T>((along_a.places[n] - 0.5) * a0);
    }
    for (int64_t n = 0; n < along_a.size; n += Simd<T>::kLanes) {
      Store(scratch->plane_weight + n, Load(scratch->plane_weight + n) * Density(Load(scratch->plane_z + n)));
    }

    for (; j < j_end; ++j) {
      const double db = j - atom.place[1];
      const double y = Nearest(db * b1 + low, (db + 1) * b1 + high), left = kReach * kReach - z * z - y * y;
      if (left <= 0) continue;
      const double half = sqrt(left) + (fabs(a0) + fabs(b0)) / 2;
      const double middle = atom.place[2] - ((da + 0.5) * a0 + (db + 0.5) * b0) / c, edge = rint(middle);
      int64_t k = Below(middle - half / c), k_end = Above(middle + half / c);
      if (!grid.periodic[2]) k = Max(k, 0), k_end = Min(k_end, grid.shape[2]);
      if (k >= k_end) continue;
      Column<T> column = {x, Folded(j, grid.shape[1]), {}};
      column.window.begin = static_cast<int32_t>(k);
      column.window.end = static_cast<int32_t>(k_end);
      column.window.first = static_cast<T>(k - edge);
      column.window.offset = static_cast<T>(middle - edge);
      column.window.step = static_cast<T>(c);
      FillNodes<kMerge>(along_a.size, along_b.size, static_cast<T>(db * b1), scratch);
      visit(column);
    }
  }
}

// The series for the integral over a voxel no wider than sigma; only float32 needs it.
template <typename T>
struct Series {
  PG_TF_INLINE explicit Series(T) {}
  PG_TF_INLINE Vec<T> operator()(Vec<T> t, T) const { return t; }
};
template <>
struct Series<float> : CentreSeries {
  using CentreSeries::CentreSeries;
};

// The integrals over the voxels of a column.
template <typename T>
PG_TF_INLINE void FillLine(const AxisWindow<T>& window, int64_t count, const Nodes<T>& nodes, T* line) {
  constexpr int64_t kLanes = Simd<T>::kLanes;
  Vec<T> position = Iota<T>() + window.first;
  if (UseCentreSeries(window.step)) {
    const Series<T> series(window.step);
    position += static_cast<T>(0.5);
    for (int64_t k = 0; k < count; k += kLanes, position += static_cast<T>(kLanes)) {
      const Vec<T> t = (position - window.offset) * window.step;
      Vec<T> sum = {};
      for (int64_t n = 0; n < nodes.size; ++n) sum += series(t + nodes.shift[n], window.step) * nodes.weight[n];
      Store(line + k, sum);
    }
    return;
  }
  int64_t k = 0;
  for (; k <= count; k += kLanes, position += static_cast<T>(kLanes)) {
    const Vec<T> t = (position - window.offset) * window.step;
    Vec<T> sum = {};
    for (int64_t n = 0; n < nodes.size; ++n) sum += HalfErf(t + nodes.shift[n]) * nodes.weight[n];
    Store(line + k, sum);
  }
  line[k] = 0;
  EdgeDifferences(line, count, line);
}

// Calls visit(k, z, run) for the parts of a column that lie in one piece in the grid: `run` voxels, from the k-th of
// the column and from z in the grid on.
template <typename Visit>
PG_TF_INLINE void ForEachRun(int64_t begin, int64_t count, int64_t extent, Visit visit) {
  int64_t z = Folded(begin, extent);
  for (int64_t k = 0; k < count; z = 0) {
    const int64_t run = Min(count - k, extent - z);
    visit(k, z, run);
    k += run;
  }
}

// Sums are kept in float64, because an atom wider than the cell adds to a voxel thousands of times.
template <typename T>
void AddCellAtom(const CellGrid& grid, const CellAtom& atom, int64_t longest, const T* weights, T* memory,
                 CellSums sums) {
  const int64_t planes = sums.x_end - sums.x_begin, ny = grid.shape[1], nz = grid.shape[2];
  CellScratch<T> scratch(memory, longest);
  const auto add = [&](const Column<T>& column) __attribute__((always_inline)) {
    const int64_t count = column.window.end - column.window.begin;
    FillLine(column.window, count, scratch.nodes, scratch.line);
    for (int64_t c = 0; c < sums.num_channels; ++c) {
      double* const row = sums.values + ((c * planes + column.x - sums.x_begin) * ny + column.y) * nz;
      const auto add_run = [&](int64_t k, int64_t z, int64_t run) __attribute__((always_inline)) {
        const T* const from = scratch.line + k;
        double* const to = row + z;
        for (int64_t r = 0; r < run; ++r) to[r] += static_cast<double>(from[r]) * weights[c];
      };
      ForEachRun(column.window.begin, count, nz, add_run);
    }
  };
  ForEachColumn<true, T>(grid, atom, sums.x_begin, sums.x_end, &scratch, add);
}

// Sums over columns, lane by lane: of h, g and s times 1 and the coordinates of the nodes, where for a node
//   h = sum U (erf's difference),  g = sum U (density's),  s = sum U (t density's)   over the voxels of the column.
template <typename T>
struct CellMoments {
  Vec<T> h = {}, h_y = {}, h_z = {}, h_yy = {}, h_zz = {}, h_yz = {}, g = {}, g_y = {}, g_z = {}, s = {};
};

// A sum over voxels of upstream times a difference between their two edges is a sum over edges of the value at the edge
// times `steps`, the difference of upstream between the two voxels there.
template <bool kVirial, typename T>
PG_TF_INLINE void AddMoments(const AxisWindow<T>& window, int64_t count, const CellScratch<T>& scratch,
                             CellMoments<T>* sums) {
  const Nodes<T>& nodes = scratch.nodes;
  const bool centre = UseCentreSeries(window.step);
  const Series<T> series(window.step);
  Vec<T> position = Iota<T>() + window.first;
  for (int64_t k = 0; k <= count; k += Simd<T>::kLanes, position += static_cast<T>(Simd<T>::kLanes)) {
    const Vec<T> upstream = Load(scratch.upstream + k), steps = Load(scratch.steps + k);
    for (int64_t n = 0; n < nodes.size; ++n) {
      const Vec<T> t = (position - window.offset) * window.step + nodes.shift[n];
      const Vec<T> density = Density(t) * steps * nodes.weight[n];
      const Vec<T> h =
          (centre ? series(t + window.step / 2, window.step) * upstream : HalfErf(t) * steps) * nodes.weight[n];
      const T y = nodes.y[n], z = nodes.z[n];
      sums->h += h;
      sums->h_y += h * y;
      sums->h_z += h * z;
      sums->g += density;
      if (!kVirial) continue;
      sums->h_yy += h * (y * y);
      sums->h_zz += h * (z * z);
      sums->h_yz += h * (y * z);
      sums->g_y += density * y;
      sums->g_z += density * z;
      sums->s += density * t;
    }
  }
}

template <bool kVirial, typename T>
PG_TF_INLINE double CellAtomGradientOf(const CellGrid& grid, const CellAtom& atom, int64_t longest, const T* weights,
                                       const CellUpstream<T>& upstream, T* memory, CellGradient* gradient,
                                       T* to_weights) {
  const int64_t channels = upstream.num_channels, nz = grid.shape[2];
  CellScratch<T> scratch(memory, longest);
  for (int64_t c = 0; c < channels; ++c) to_weights[c] = 0;
  double value = 0;
  *gradient = {};
  const auto add = [&](const Column<T>& column) __attribute__((always_inline)) {
    const int64_t count = column.window.end - column.window.begin;
    const T* const row = upstream.values + column.x * upstream.pitch_x + column.y * upstream.pitch_y;
    T* const values = scratch.upstream;
    for (int64_t k = 0; k < count + 2 * Simd<T>::kLanes; ++k) values[k] = 0;
    if (channels > 1) FillLine(column.window, count, scratch.nodes, scratch.line);
    for (int64_t c = 0; c < channels; ++c) {
      double product = 0;
      const auto read_run = [&](int64_t k, int64_t z, int64_t run) __attribute__((always_inline)) {
        const T* const from = row + c * upstream.channel_pitch + z * upstream.pitch_z;
        for (int64_t r = 0; r < run; ++r) {
          const T read = from[r * upstream.pitch_z];
          values[k + r] += channels > 1 ? read * weights[c] : read;
          if (channels > 1) product += static_cast<double>(read * scratch.line[k + r]);
        }
      };
      ForEachRun(column.window.begin, count, nz, read_run);
      if (channels > 1) to_weights[c] += static_cast<T>(product);
    }
    scratch.steps[0] = -values[0];
    for (int64_t k = 1; k < count + Simd<T>::kLanes; ++k) scratch.steps[k] = values[k - 1] - values[k];

    CellMoments<T> sums;
    AddMoments<kVirial>(column.window, count, scratch, &sums);
    value += Sum<T>(sums.h);
    gradient->coords[0] -= Sum<T>(sums.g);
    gradient->coords[1] += Sum<T>(sums.h_y);
    gradient->coords[2] += Sum<T>(sums.h_z);
    if (!kVirial) return;
    gradient->virial[0] += Sum<T>(sums.s);
    gradient->virial[1] += Sum<T>(sums.h - sums.h_yy);
    gradient->virial[2] += Sum<T>(sums.h - sums.h_zz);
    gradient->virial[3] -= Sum<T>(sums.h_yz);
    gradient->virial[4] += Sum<T>(sums.g_z);
    gradient->virial[5] += Sum<T>(sums.g_y);
  };
  ForEachColumn<false, T>(grid, atom, 0, grid.shape[0], &scratch, add);
  return value;
}

template <typename T>
void CellAtomGradient(const CellGrid& grid, const CellAtom& atom, int64_t longest, const T* weights,
                      const CellUpstream<T>& upstream, bool with_virial, T* memory, CellGradient* gradient,
                      T* to_weights) {
  double value;
  if (with_virial) {
    value = CellAtomGradientOf<true>(grid, atom, longest, weights, upstream, memory, gradient, to_weights);
  } else {
    value = CellAtomGradientOf<false>(grid, atom, longest, weights, upstream, memory, gradient, to_weights);
  }
  // A single channel is summed without its weight, so that the sum is the derivative to it.
  const bool single = upstream.num_channels == 1;
  if (single) to_weights[0] = static_cast<T>(value);
  const double weight = single ? weights[0] : 1;
  for (double& component : gradient->coords) component *= weight / atom.sigma;
  for (double& component : gradient->virial) component *= weight;
}

}  // namespace PG_TF_LEVEL
}  // namespace pg_tf
