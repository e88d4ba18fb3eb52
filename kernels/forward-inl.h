// Atoms to grid. Each voxel is summed up in a register over all atoms that touch it, and stored once: the grid is never
// cleared, nor read.

namespace pg_tf {
namespace PG_TF_LEVEL {

// Accumulators of one tile: kTileRows rows (y) of kTileVectors vectors (z). With the two factor vectors and a broadcast they
// fill the registers of the instruction set.
constexpr int kTileVectors = 2;
#if PG_TF_VECTOR_BYTES == 64
constexpr int kTileRows = 8;
#else
constexpr int kTileRows = 6;
#endif

template <typename T>
struct Tile {
  static constexpr int kLanes = Simd<T>::kLanes;
  static constexpr int kDepth = kTileVectors * kLanes;
  static constexpr int kSize = kTileRows * kDepth;
  Vec<T> rows[kTileRows][kTileVectors];
};

// Where a tile lies: plane x, tile row y, tile column z, and the mask words of the group.
struct TilePosition {
  int64_t x, y_tile, z_tile;
  int64_t word_begin, word_end;
  int64_t first_atom;  // the atom of bit 0 of word_begin
};

// Atoms of one tile that are summed in registers. Such runs are summed with compensation, or thousands of atoms in one
// voxel would wear out float32.
constexpr int kRun = 64;

// The sum of the runs so far, and what its rounding took away (Kahan, CACM 8, 40 (1965)).
template <typename T>
struct RunTotal {
  Tile<T> sum, lost;
  bool empty = true;

  // Moves a run into the total and leaves zeros.
  PG_TF_INLINE void Take(Vec<T> (&run)[kTileRows][kTileVectors]) {
    for (int r = 0; r < kTileRows; ++r) {
      for (int v = 0; v < kTileVectors; ++v) {
        const Vec<T> before = empty ? Vec<T>{} : sum.rows[r][v];
        const Vec<T> mended = run[r][v] - (empty ? Vec<T>{} : lost.rows[r][v]);
        sum.rows[r][v] = before + mended;
        lost.rows[r][v] = (sum.rows[r][v] - before) - mended;
        run[r][v] = Vec<T>{};
      }
    }
    empty = false;
  }
};

// tile = sum over the atoms of w P_x P_y P_z; false where there are none.
template <typename T>
PG_TF_INLINE bool Accumulate(const Plan<T>& plan, const TilePosition& at, int64_t weight_column, Tile<T>* tile) {
  const uint64_t* x_mask = plan.masks[0] + (at.x - plan.x_begin) * plan.num_words;
  const uint64_t* y_mask = plan.masks[1] + at.y_tile * plan.num_words;
  const uint64_t* z_mask = plan.masks[2] + at.z_tile * plan.num_words;
  const int64_t y = at.y_tile * kTileRows, z = at.z_tile * Tile<T>::kDepth;
  Vec<T> sum[kTileRows][kTileVectors];
  for (int r = 0; r < kTileRows; ++r) {
    for (int v = 0; v < kTileVectors; ++v) sum[r][v] = Vec<T>{};
  }
  RunTotal<T> total;
  bool any = false;
  int left = kRun;
  for (int64_t word = at.word_begin; word < at.word_end; ++word) {
    uint64_t bits = x_mask[word] & y_mask[word] & z_mask[word];
    any |= bits != 0;
    for (; bits != 0; bits &= bits - 1) {
      if (__builtin_expect(left-- == 0, false)) {
        total.Take(sum);
        left = kRun - 1;
      }
      const int64_t a = at.first_atom + 64 * (word - at.word_begin) + __builtin_ctzll(bits);
      const T scale = plan.factors[0][plan.offset[0][a] + at.x] *
                      plan.atoms.weights[a * plan.atoms.weight_stride + weight_column];
      const T* p_y = plan.factors[1] + plan.offset[1][a] + y;
      const T* p_z = plan.factors[2] + plan.offset[2][a] + z;
      Vec<T> row[kTileVectors];
      for (int v = 0; v < kTileVectors; ++v) row[v] = Load(p_z + v * Tile<T>::kLanes) * scale;
#pragma GCC unroll 8
      for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 2
        for (int v = 0; v < kTileVectors; ++v) sum[r][v] += row[v] * p_y[r];
      }
    }
  }
  if (!total.empty) {
    total.Take(sum);
    *tile = total.sum;
    return true;
  }
  for (int r = 0; r < kTileRows; ++r) {
    for (int v = 0; v < kTileVectors; ++v) tile->rows[r][v] = sum[r][v];
  }
  return any;
}

template <typename T>
inline bool Aligned(const T* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % PG_TF_VECTOR_BYTES == 0;
}

// Stores `count` values of one row of a tile; consecutive z are `stride` apart.
template <typename As, typename T>
PG_TF_INLINE void StoreRow(const T* row, int64_t count, int64_t stride, typename As::Stored* out) {
  if (stride == 1) {
    for (int64_t k = 0; k < count; ++k) out[k] = As::To(row[k]);
  } else {
    for (int64_t k = 0; k < count; ++k) out[k * stride] = As::To(row[k]);
  }
}

// The whole vectors of a row that is stored as it was computed.
template <typename T>
PG_TF_INLINE void StoreRow(const Vec<T>* row, bool stream, T* out) {
  if (stream && Aligned(out)) {
    for (int v = 0; v < kTileVectors; ++v) Stream(out + v * Simd<T>::kLanes, row[v]);
  } else {
    for (int v = 0; v < kTileVectors; ++v) Store(out + v * Simd<T>::kLanes, row[v]);
  }
}

PG_TF_INLINE int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }

// The words of group g that have an atom in plane x.
template <typename T>
PG_TF_INLINE TilePosition PlaneOfGroup(const Plan<T>& plan, int64_t x, int64_t g) {
  const uint64_t* mask = plan.masks[0] + (x - plan.x_begin) * plan.num_words;
  const int64_t first = plan.group_word[g];
  int64_t begin = first, end = plan.group_word[g + 1];
  while (begin < end && mask[begin] == 0) ++begin;
  while (begin < end && mask[end - 1] == 0) --end;
  TilePosition at = {};
  at.x = x;
  at.word_begin = begin;
  at.word_end = end;
  at.first_atom = plan.group_begin[g] + 64 * (begin - first);
  return at;
}

// Calls visit(position, y, rows, z, depth) for every tile of a plane, those at the upper faces cut to the grid.
template <typename T, typename Visit>
PG_TF_INLINE void ForEachTile(const GridLayout& layout, Visit visit) {
  const int64_t ny = layout.shape[1], nz = layout.shape[2];
  for (int64_t y = 0; y < ny; y += kTileRows) {
    for (int64_t z = 0; z < nz; z += Tile<T>::kDepth) {
      visit(y, Min(kTileRows, ny - y), z, Min(Tile<T>::kDepth, nz - z));
    }
  }
}

template <typename As, typename T>
PG_TF_INLINE void ForwardChannelsFirst(const Plan<T>& plan, const GridLayout& layout, bool stream,
                                       typename As::Stored* grid) {
  const int64_t nx = layout.shape[0], ny = layout.shape[1], nz = layout.shape[2];
  const bool soft = plan.atoms.weight_stride > 1;
  for (int64_t c = 0; c < layout.num_channels; ++c) {
    for (int64_t x = plan.x_begin; x < plan.x_end; ++x) {
      TilePosition at = PlaneOfGroup(plan, x, soft ? 0 : c);
      typename As::Stored* const plane = grid + (c * nx + x) * ny * nz;
      ForEachTile<T>(layout, [&](int64_t y, int64_t rows, int64_t z, int64_t depth) __attribute__((always_inline)) {
        at.y_tile = y / kTileRows;
        at.z_tile = z / Tile<T>::kDepth;
        Tile<T> tile;
        Accumulate(plan, at, soft ? c : 0, &tile);
        for (int64_t r = 0; r < rows; ++r) {
          typename As::Stored* const out = plane + (y + r) * nz + z;
          if constexpr (sizeof(typename As::Stored) == sizeof(T)) {
            if (depth == Tile<T>::kDepth) {
              StoreRow<T>(tile.rows[r], stream, out);
              continue;
            }
          }
          StoreRow<As>(reinterpret_cast<const T*>(tile.rows[r]), depth, 1, out);
        }
      });
    }
  }
}

// Channels are innermost: a tile's lines are cleared, then each channel that has atoms there writes its column.
template <typename As, typename T>
PG_TF_INLINE void ForwardChannelsLast(const Plan<T>& plan, const GridLayout& layout, typename As::Stored* grid) {
  const int64_t ny = layout.shape[1], nz = layout.shape[2], channels = layout.num_channels;
  const bool soft = plan.atoms.weight_stride > 1;
  for (int64_t x = plan.x_begin; x < plan.x_end; ++x) {
    typename As::Stored* const plane = grid + x * ny * nz * channels;
    ForEachTile<T>(layout, [&](int64_t y, int64_t rows, int64_t z, int64_t depth) __attribute__((always_inline)) {
      for (int64_t r = 0; r < rows; ++r) {
        __builtin_memset(plane + ((y + r) * nz + z) * channels, 0, depth * channels * sizeof(typename As::Stored));
      }
      for (int64_t c = 0; c < channels; ++c) {
        TilePosition at = PlaneOfGroup(plan, x, soft ? 0 : c);
        at.y_tile = y / kTileRows;
        at.z_tile = z / Tile<T>::kDepth;
        Tile<T> tile;
        if (!Accumulate(plan, at, soft ? c : 0, &tile)) continue;
        for (int64_t r = 0; r < rows; ++r) {
          StoreRow<As>(reinterpret_cast<const T*>(tile.rows[r]), depth, channels,
                       plane + ((y + r) * nz + z) * channels + c);
        }
      }
    });
  }
}

template <typename As, typename T>
PG_TF_INLINE void ForwardAs(const Plan<T>& plan, const GridLayout& layout, bool stream, void* grid) {
  typename As::Stored* const stored = static_cast<typename As::Stored*>(grid);
  if (layout.channels_last && layout.num_channels > 1) {
    ForwardChannelsLast<As>(plan, layout, stored);
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
