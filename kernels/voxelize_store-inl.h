// From the sums of a block to the grid as it is stored: types, the order of channels, stores past the caches.

namespace pg_tf {
namespace PG_TF_LEVEL {

template <typename T>
PG_TF_INLINE bool Aligned(const T* pointer) {
  constexpr uintptr_t kSize = sizeof(typename Eight<T>::Vec);
  return reinterpret_cast<uintptr_t>(pointer) % (kSize < 32 ? kSize : 32) == 0;
}

// Writes `count` values past the caches, except those at the ends that do not make up eight. kClear sets the source to
// zero: that costs no time here, since the stores wait for memory.
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

// A row of a block with the channels innermost, from z = `begin` to `end`; sums[c] is null for a channel without atoms,
// up to a multiple of eight. Eight values are written at a time, so up to seven behind each voxel and behind the last
// one are overwritten; those of later voxels get their own values afterwards.
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

}  // namespace PG_TF_LEVEL
}  // namespace pg_tf
