// The sum of the atoms that reach a block of the grid, in the first-level cache.

namespace pg_tf {
namespace PG_TF_LEVEL {

// Where a block lies.
struct Region {
  int64_t x, x_end;
  int64_t y, y_end;

  PG_TF_INLINE int64_t rows() const { return (x_end - x) * (y_end - y); }
};

// The atoms of a block. Class v holds those with 1 + v vectors along z, the last class also those with more. Atoms of
// equal size one after another save the CPU a mispredicted branch for nearly each atom.
struct Members {
  int32_t* list[kVectorClasses];
  int64_t count[kVectorClasses];
  int64_t total;
};

// Finds the atoms of group g that reach the region, in their order.
template <typename T>
PG_TF_INLINE Members Reaching(const Plan<T>& plan, int64_t g, const Region& region) {
  const AxisWindow<T>*x = plan.atoms.windows[0], *y = plan.atoms.windows[1], *z = plan.atoms.windows[2];
  const int64_t end = plan.group_begin[g + 1];
  // They are ordered by where they begin along x, and none is wider than widest_x.
  int64_t first = plan.group_begin[g];
  for (int64_t left = end - first; left > 8;) {
    const int64_t half = left / 2;
    if (x[first + half].begin + plan.widest_x <= region.x) first += half;
    left -= half;
  }
  Members members = {};
  for (int v = 0; v < kVectorClasses; ++v) members.list[v] = plan.list + v * plan.atoms.size;
  for (int64_t a = first; a < end && x[a].begin < region.x_end; ++a) {
    const int64_t v = Min((z[a].end - z[a].begin) / Simd<T>::kLanes, kVectorClasses) - 1;
    members.list[v][members.count[v]] = static_cast<int32_t>(a);
    members.count[v] += (x[a].end > region.x) & (y[a].begin < region.y_end) & (y[a].end > region.y);
  }
  for (int v = 0; v < kVectorClasses; ++v) members.total += members.count[v];
  return members;
}

// The rows and columns that any of the atoms reaches, in the grid.
struct Hull {
  int64_t y, y_end;
  int64_t z, z_end;
};

template <typename T>
PG_TF_INLINE void Include(const Plan<T>& plan, const Members& members, Hull* hull) {
  for (int v = 0; v < kVectorClasses; ++v) {
    for (int64_t k = 0; k < members.count[v]; ++k) {
      const AxisWindow<T>&y = plan.atoms.windows[1][members.list[v][k]], &z = plan.atoms.windows[2][members.list[v][k]];
      *hull = {Min(hull->y, y.begin), Max(hull->y_end, y.end), Min(hull->z, z.begin), Max(hull->z_end, z.end)};
    }
  }
}

// sum[x, y, z] += p_x[x] p_y[y] (weight p_z)[z], for kVectors vectors along z.
template <int kVectors, typename T>
PG_TF_INLINE void AddProduct(const T* p_x, int64_t planes, const T* p_y, int64_t rows, const T* p_z, T weight,
                             int64_t pitch_x, int64_t pitch_y, T* sum) {
  constexpr int kLanes = Simd<T>::kLanes;
  Vec<T> z[kVectors];
  for (int v = 0; v < kVectors; ++v) z[v] = Load(p_z + v * kLanes) * weight;
  for (int64_t i = 0; i < planes; ++i, sum += pitch_x) {
    T* row = sum;
    for (int64_t j = 0; j < rows; ++j, row += pitch_y) {
      const T scale = p_x[i] * p_y[j];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) Store(row + v * kLanes, Load(row + v * kLanes) + z[v] * scale);
    }
  }
}

// Adds atoms whose windows along z have kVectors vectors (the last class: or more) to the block at `sum`, rows `pitch`
// apart.
template <int kVectors, typename T>
PG_TF_INLINE void AddAtoms(const Plan<T>& plan, const int32_t* list, int64_t count, int64_t weight_column,
                           const Region& region, int64_t pitch, T* sum) {
  constexpr int kLanes = Simd<T>::kLanes;
  for (int64_t k = 0; k < count; ++k) {
    const int64_t a = list[k];
    const AxisWindow<T>&x = plan.atoms.windows[0][a], &y = plan.atoms.windows[1][a], &z = plan.atoms.windows[2][a];
    const int64_t x_begin = Max(x.begin, region.x), planes = Min(x.end, region.x_end) - x_begin;
    const int64_t y_begin = Max(y.begin, region.y), rows = Min(y.end, region.y_end) - y_begin;
    const T* p_x = plan.factors[0] + a * plan.pitch[0] + (x_begin - x.begin);
    const T* p_y = plan.factors[1] + a * plan.pitch[1] + (y_begin - y.begin);
    const T* p_z = plan.factors[2] + a * plan.pitch[2];
    const T weight = plan.atoms.weights[a * plan.atoms.weight_stride + weight_column];
    const int64_t pitch_x = (region.y_end - region.y) * pitch;
    T* at = sum + (x_begin - region.x) * pitch_x + (y_begin - region.y) * pitch + z.begin;
    AddProduct<kVectors>(p_x, planes, p_y, rows, p_z, weight, pitch_x, pitch, at);
    if (kVectors < kVectorClasses) continue;
    const int64_t size = z.end - z.begin;
    int64_t done = kVectors * kLanes;
    for (; done + kVectors * kLanes <= size; done += kVectors * kLanes) {
      AddProduct<kVectors>(p_x, planes, p_y, rows, p_z + done, weight, pitch_x, pitch, at + done);
    }
    for (; done < size; done += kLanes) {
      AddProduct<1>(p_x, planes, p_y, rows, p_z + done, weight, pitch_x, pitch, at + done);
    }
  }
}

template <typename T>
PG_TF_INLINE void AddAtoms(int vectors, const Plan<T>& plan, const int32_t* list, int64_t count, int64_t weight_column,
                           const Region& region, int64_t pitch, T* sum) {
  static_assert(kVectorClasses == 4, "a case for each class");
  switch (vectors) {
    case 1:
      return AddAtoms<1>(plan, list, count, weight_column, region, pitch, sum);
    case 2:
      return AddAtoms<2>(plan, list, count, weight_column, region, pitch, sum);
    case 3:
      return AddAtoms<3>(plan, list, count, weight_column, region, pitch, sum);
    default:
      return AddAtoms<4>(plan, list, count, weight_column, region, pitch, sum);
  }
}

// The number of atoms that are summed before the sum is added to a total with compensation: in one plain sum of
// thousands of atoms float32 would lose digits.
constexpr int64_t kRun = 64;

// Moves a sum into a total and leaves zeros (Kahan, CACM 8, 40 (1965)).
template <typename T>
PG_TF_INLINE void Fold(int64_t size, T* sum, T* total, T* lost) {
  for (int64_t i = 0; i < size; i += Simd<T>::kLanes) {
    const Vec<T> before = Load(total + i), mended = Load(sum + i) - Load(lost + i), after = before + mended;
    Store(total + i, after);
    Store(lost + i, (after - before) - mended);
    Store(sum + i, Vec<T>{});
  }
}

template <typename T>
PG_TF_INLINE void Clear(int64_t size, T* values) {
  for (int64_t i = 0; i < size; i += Simd<T>::kLanes) Store(values + i, Vec<T>{});
}

template <typename T>
PG_TF_INLINE void AddMembers(const Plan<T>& plan, const Members& members, int64_t weight_column, const Region& region,
                             int64_t pitch, T* sum) {
  for (int v = 0; v < kVectorClasses; ++v) {
    if (members.count[v] == 0) continue;
    AddAtoms(v + 1, plan, members.list[v], members.count[v], weight_column, region, pitch, sum);
  }
}

// The sum of more atoms than a run: the first run is the total, and later ones are moved to it.
template <typename T>
void AddRuns(const Plan<T>& plan, const Members& members, int64_t weight_column, const Region& region, T* total) {
  const int64_t pitch = plan.block.pitch, size = region.rows() * pitch;
  T *const sum = plan.run, *const lost = plan.run + size;
  Clear(2 * size, sum);
  T* to = total;
  int64_t room = kRun;
  for (int v = 0; v < kVectorClasses; ++v) {
    for (int64_t k = 0, count = 0; k < members.count[v]; k += count, room -= count) {
      if (room == 0) {
        if (to == sum) Fold(size, sum, total, lost);
        to = sum;
        room = kRun;
      }
      count = Min(room, members.count[v] - k);
      AddAtoms(v + 1, plan, members.list[v] + k, count, weight_column, region, pitch, to);
    }
  }
  Fold(size, sum, total, lost);
}

// The sum over the members in the region, rows plan.block.pitch apart.
template <typename T>
PG_TF_INLINE void SumBlock(const Plan<T>& plan, const Members& members, int64_t weight_column, const Region& region,
                           T* sum, bool clear = true) {
  const int64_t pitch = plan.block.pitch;
  if (clear) Clear(region.rows() * pitch, sum);
  if (members.total <= kRun) {
    AddMembers(plan, members, weight_column, region, pitch, sum);
  } else {
    AddRuns(plan, members, weight_column, region, sum);
  }
}

}  // namespace PG_TF_LEVEL
}  // namespace pg_tf
