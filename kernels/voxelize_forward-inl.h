// Atoms to grid, block by block: the atoms that reach a block are summed up in the first-level cache, and each voxel is
// written to the grid once.

namespace pg_tf {
namespace PG_TF_LEVEL {

// Where a block lies.
struct Region {
  int64_t x, x_end;
  int64_t y, y_end;

  PG_TF_INLINE int64_t rows() const { return (x_end - x) * (y_end - y); }
};

// The atoms of a block. Class v holds those with 1 + v vectors along z, the last those with as many or more: equal ones in
// a row spare the CPU a wrong guess for nearly each atom.
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

// Atoms that are summed before the sum is moved to a total with compensation: thousands of atoms in one voxel would wear
// out float32.
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

template <typename T>
PG_TF_INLINE bool Aligned(const T* pointer) {
  constexpr uintptr_t kSize = sizeof(typename Eight<T>::Vec);
  return reinterpret_cast<uintptr_t>(pointer) % (kSize < 32 ? kSize : 32) == 0;
}

// Writes `count` values past the caches, but for those at the ends that do not make up eight. kClear leaves zeros behind:
// memory is what this waits for.
template <typename As, bool kClear, typename T>
PG_TF_INLINE void StreamRun(T* from, int64_t count, typename As::Stored* to) {
  int64_t i = 0;
  const auto one = [&]() __attribute__((always_inline)) {
    to[i] = As::To(from[i]);
    if (kClear) from[i] = 0;
  };
  for (; i < count && !Aligned(to + i); ++i) one();
  for (; i + 8 <= count; i += 8) {
    StreamEight(to + i, As::To(LoadEight(from + i)));
    if (kClear) StoreEight(from + i, typename Eight<T>::Vec{});
  }
  for (; i < count; ++i) one();
}

template <typename Stored>
PG_TF_INLINE void WriteZeros(int64_t count, bool stream, Stored* to) {
  if (!stream) {
    __builtin_memset(to, 0, count * sizeof(Stored));
    return;
  }
  int64_t i = 0;
  for (; i < count && !Aligned(to + i); ++i) to[i] = 0;
  for (; i + 8 <= count; i += 8) StreamEight(to + i, typename Eight<Stored>::Vec{});
  for (; i < count; ++i) to[i] = 0;
}

// Rows of a block's sum as they are stored.
template <typename As, typename T>
PG_TF_INLINE void Pack(const T* sum, int64_t pitch, int64_t rows, int64_t nz, typename As::Stored* to) {
  for (int64_t r = 0; r < rows; ++r, sum += pitch, to += nz) {
    int64_t z = 0;
    for (; z + 8 <= nz; z += 8) StoreEight(to + z, As::To(LoadEight(sum + z)));
    for (; z < nz; ++z) to[z] = As::To(sum[z]);
  }
}

#if defined(__clang__)
#define PG_TF_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PG_TF_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Index{__VA_ARGS__})
#endif

// Turns eight channels of eight voxels each into eight voxels of eight channels.
template <typename T>
PG_TF_INLINE void Transpose(typename Eight<T>::Vec (&v)[8]) {
  typedef typename Eight<T>::Vec Vec;
  typedef decltype(Vec{} < Vec{}) Index;
  Vec pairs[8], quads[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = PG_TF_SHUFFLE(v[i], v[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = PG_TF_SHUFFLE(v[i], v[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; ++j) {
      quads[i + 2 * j] = PG_TF_SHUFFLE(pairs[i + j], pairs[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      quads[i + 2 * j + 1] = PG_TF_SHUFFLE(pairs[i + j], pairs[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int i = 0; i < 4; ++i) {
    v[i] = PG_TF_SHUFFLE(quads[i], quads[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    v[i + 4] = PG_TF_SHUFFLE(quads[i], quads[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}
#undef PG_TF_SHUFFLE

// A row of a block with the channels innermost, from z = `begin` to `end`; sums[c] is null for a channel without atoms, up
// to a multiple of eight. Eight values are written at a time, so up to seven behind each voxel and behind the last one are
// overwritten; those of later voxels get their own values afterwards.
template <typename As, bool kStream, typename T>
PG_TF_INLINE void Interleave(const T* const* sums, int64_t channels, int64_t offset, int64_t begin, int64_t end,
                             typename As::Stored* to) {
  typedef typename Eight<T>::Vec Vec;
  for (int64_t z = begin; z < end; z += 8) {
    const int64_t depth = Min(8, end - z);
    for (int64_t octet = (channels - 1) / 8 * 8; octet >= 0; octet -= 8) {
      Vec v[8];
      bool any = false;
#pragma GCC unroll 8
      for (int c = 0; c < 8; ++c) {
        const T* const sum = sums[octet + c];
        v[c] = sum == nullptr ? Vec{} : LoadEight(sum + offset + z);
        any |= sum != nullptr;
      }
      if (any) Transpose<T>(v);
      typename As::Stored* const voxel = to + z * channels + octet;
      for (int64_t i = 0; i < depth; ++i) {
        if constexpr (kStream) {
          StreamEight(voxel + i * channels, As::To(v[i]));
        } else {
          StoreEight(voxel + i * channels, As::To(v[i]));
        }
      }
    }
  }
}

// All rows of a block; zeros outside of the hull.
template <typename As, bool kStream, typename T>
PG_TF_INLINE void Interleave(const Plan<T>& plan, const GridLayout& layout, const Region& region, const Hull& hull,
                             typename As::Stored* to) {
  const int64_t nz = layout.shape[2], channels = layout.num_channels, ny = region.y_end - region.y;
  const int64_t begin = hull.z / 8 * 8, end = Min(nz, hull.z_end);
  for (int64_t r = 0; r < region.rows(); ++r, to += nz * channels) {
    const int64_t y = region.y + r % ny;
    if (y < hull.y || y >= hull.y_end) {
      WriteZeros(nz * channels, kStream, to);
      continue;
    }
    WriteZeros(begin * channels, kStream, to);
    Interleave<As, kStream>(plan.sums, channels, r * plan.block.pitch, begin, end, to);
    WriteZeros((nz - end) * channels, kStream, to + end * channels);
  }
}

// Calls visit(region) for each block of the plan's planes.
template <typename T, typename Visit>
PG_TF_INLINE void ForEachBlock(const Plan<T>& plan, int64_t ny, Visit visit) {
  for (int64_t x = plan.x_begin; x < plan.x_end; x += plan.block.planes) {
    for (int64_t y = 0; y < ny; y += plan.block.rows) {
      visit(Region{x, Min(x + plan.block.planes, plan.x_end), y, Min(y + plan.block.rows, ny)});
    }
  }
}

template <typename As, typename T>
PG_TF_INLINE void ForwardChannelsFirst(const Plan<T>& plan, const GridLayout& layout, bool stream,
                                       typename As::Stored* grid) {
  typedef typename As::Stored Stored;
  const int64_t nx = layout.shape[0], ny = layout.shape[1], nz = layout.shape[2], pitch = plan.block.pitch;
  const bool soft = plan.atoms.weight_stride > 1;
  const bool whole_rows = pitch == nz;
  if (whole_rows && stream) Clear(plan.block.planes * plan.block.rows * pitch, plan.sum);
  for (int64_t c = 0; c < layout.num_channels; ++c) {
    ForEachBlock(plan, ny, [&](const Region& region) __attribute__((always_inline)) {
      Stored* const out = grid + ((c * nx + region.x) * ny + region.y) * nz;
      const int64_t rows = region.rows(), column = soft ? c : 0;
      const Members members = Reaching(plan, soft ? 0 : c, region);
      if (members.total == 0) return WriteZeros(rows * nz, stream, out);
      if constexpr (sizeof(Stored) == sizeof(T)) {
        if (whole_rows && !stream) return SumBlock(plan, members, column, region, out);
      }
      SumBlock(plan, members, column, region, plan.sum, !(whole_rows && stream));
      if (whole_rows && stream) return StreamRun<As, true>(plan.sum, rows * nz, out);
      Stored* const to = stream ? static_cast<Stored*>(plan.packed) : out;
      Pack<As>(plan.sum, pitch, rows, nz, to);
      if (stream) StreamRun<PlainStorage<Stored>, false>(to, rows * nz, out);
    });
  }
}

template <typename As, typename T>
PG_TF_INLINE void ForwardChannelsLast(const Plan<T>& plan, const GridLayout& layout, bool stream,
                                      typename As::Stored* grid) {
  typedef typename As::Stored Stored;
  const int64_t ny = layout.shape[1], nz = layout.shape[2], channels = layout.num_channels;
  const bool soft = plan.atoms.weight_stride > 1;
  ForEachBlock(plan, ny, [&](const Region& region) __attribute__((always_inline)) {
    const int64_t rows = region.rows(), values = rows * nz * channels;
    Stored* const out = grid + (region.x * ny + region.y) * nz * channels;
    Hull hull = {ny, 0, nz, 0};
    for (int64_t c = 0; c < channels; ++c) {
      const Members members = Reaching(plan, soft ? 0 : c, region);
      T* const sum = plan.sum + c * rows * plan.block.pitch;
      plan.sums[c] = members.total == 0 ? nullptr : sum;
      if (members.total == 0) continue;
      Include(plan, members, &hull);
      SumBlock(plan, members, soft ? c : 0, region, sum);
    }
    if (hull.y_end == 0) return WriteZeros(values, stream, out);
    if (stream && channels == 8 && Aligned(out)) return Interleave<As, true>(plan, layout, region, hull, out);
    Stored* const packed = static_cast<Stored*>(plan.packed);
    Interleave<As, false>(plan, layout, region, hull, packed);
    if (stream) {
      StreamRun<PlainStorage<Stored>, false>(packed, values, out);
    } else {
      __builtin_memcpy(out, packed, values * sizeof(Stored));
    }
  });
}

template <typename As, typename T>
PG_TF_INLINE void ForwardAs(const Plan<T>& plan, const GridLayout& layout, bool stream, void* grid) {
  typename As::Stored* const stored = static_cast<typename As::Stored*>(grid);
  if (layout.channels_last && layout.num_channels > 1) {
    ForwardChannelsLast<As>(plan, layout, stream, stored);
  } else {
    ForwardChannelsFirst<As>(plan, layout, stream, stored);
  }
  if (stream) FinishStream();
}

inline void Forward(const Plan<float>& plan, const GridLayout& layout, bool stream, void* grid) {
  switch (layout.storage) {
    case Storage::kFloat16:
      return ForwardAs<Float16Storage>(plan, layout, stream, grid);
    case Storage::kBfloat16:
      return ForwardAs<Bfloat16Storage>(plan, layout, stream, grid);
    default:
      return ForwardAs<PlainStorage<float>>(plan, layout, stream, grid);
  }
}

inline void Forward(const Plan<double>& plan, const GridLayout& layout, bool stream, void* grid) {
  ForwardAs<PlainStorage<double>>(plan, layout, stream, grid);
}

}  // namespace PG_TF_LEVEL
}  // namespace pg_tf
