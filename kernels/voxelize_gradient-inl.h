// Grid to atoms: from the gradient at the voxels to the gradient of each atom. The reverse of voxelize_forward-inl.h;
// since the grid is only read, each atom sums over its own window.
//
// With the sums of U(x, y, z) over y taken first, each voxel costs one load and two multiply-adds (three with sigma):
//   dE/dmu_x = w sum_x P'_x sum_z P_z [sum_y P_y U],   dE/dmu_y = w sum_x P_x sum_z P_z [sum_y P'_y U],   and so on.

namespace pg_tf {
namespace PG_TF_LEVEL {

// The upstream gradient of a molecule's grid; consecutive z are `stride` apart, and nothing at or behind `end` may be
// read.
template <typename Stored>
struct Upstream {
  const Stored* end;
  int64_t pitch_x, pitch_y, stride;
};

// A vector of consecutive z.
template <typename As, typename T>
PG_TF_INLINE Vec<T> LoadRow(const typename As::Stored* row, int64_t stride) {
  constexpr int kLanes = Simd<T>::kLanes;
  if constexpr (sizeof(typename As::Stored) == sizeof(T)) {
    if (stride == 1) return Load<T>(row);
  } else if constexpr (kLanes % 8 == 0) {
    if (stride == 1) {
      T values[kLanes];
      for (int i = 0; i < kLanes; i += 8) StoreEight(values + i, As::From(LoadEight(row + i)));
      return Load(values);
    }
  }
  Vec<T> values;
  for (int i = 0; i < kLanes; ++i) values[i] = As::From(row[i * stride]);
  return values;
}

// The same for the first `count` values only; zeros for the others.
template <typename As, typename T>
PG_TF_INLINE Vec<T> LoadGuarded(const typename As::Stored* row, int64_t stride, int64_t count) {
  Vec<T> values = {};
  for (int i = 0; i < Simd<T>::kLanes && i < count; ++i) values[i] = As::From(row[i * stride]);
  return values;
}

// The sums of one atom and one channel, before the weight.
template <typename T>
struct Moments {
  T value;
  T shift[3];
  T spread[3];
};

// The same, still lane by lane.
template <typename T>
struct LaneMoments {
  Vec<T> value = {};
  Vec<T> shift[3] = {};
  Vec<T> spread[3] = {};
};

// Adds kVectors vectors along z of an atom's window: sums of P_x P_y P_z U and of the same with one factor replaced by
// its derivative. kGuarded: nothing beside the window is read.
template <typename As, bool kSpread, bool kGuarded, int kVectors, typename T>
PG_TF_INLINE void AddMoments(const int64_t count[3], const AxisDerivatives<T> factor[3], int64_t z,
                             const typename As::Stored* first_row, const Upstream<typename As::Stored>& upstream,
                             LaneMoments<T>* moments) {
  constexpr int kLanes = Simd<T>::kLanes;
  Vec<T> sum[kVectors] = {}, shift_x[kVectors] = {}, shift_y[kVectors] = {}, spread_x[kVectors] = {},
         spread_y[kVectors] = {};
  for (int64_t x = 0; x < count[0]; ++x) {
    const typename As::Stored* row = first_row + x * upstream.pitch_x + z * upstream.stride;
    Vec<T> row_sum[kVectors] = {}, row_shift[kVectors] = {}, row_spread[kVectors] = {};
    for (int64_t y = 0; y < count[1]; ++y, row += upstream.pitch_y) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const typename As::Stored* const at = row + v * kLanes * upstream.stride;
        const Vec<T> loaded = kGuarded ? LoadGuarded<As, T>(at, upstream.stride, count[2] - z - v * kLanes)
                                       : LoadRow<As, T>(at, upstream.stride);
        row_sum[v] += loaded * factor[1].value[y];
        row_shift[v] += loaded * factor[1].shift[y];
        if (kSpread) row_spread[v] += loaded * factor[1].spread[y];
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sum[v] += row_sum[v] * factor[0].value[x];
      shift_x[v] += row_sum[v] * factor[0].shift[x];
      shift_y[v] += row_shift[v] * factor[0].value[x];
      if (kSpread) {
        spread_x[v] += row_sum[v] * factor[0].spread[x];
        spread_y[v] += row_spread[v] * factor[0].value[x];
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const Vec<T> p_z = Load(factor[2].value + z + v * kLanes);
    moments->value += sum[v] * p_z;
    moments->shift[0] += shift_x[v] * p_z;
    moments->shift[1] += shift_y[v] * p_z;
    moments->shift[2] += sum[v] * Load(factor[2].shift + z + v * kLanes);
    if (kSpread) {
      moments->spread[0] += spread_x[v] * p_z;
      moments->spread[1] += spread_y[v] * p_z;
      moments->spread[2] += sum[v] * Load(factor[2].spread + z + v * kLanes);
    }
  }
}

template <typename As, bool kSpread, typename T>
PG_TF_INLINE LaneMoments<T> GuardedMoments(const int64_t count[3], const AxisDerivatives<T> factor[3],
                                           const typename As::Stored* first_row,
                                           const Upstream<typename As::Stored>& upstream) {
  LaneMoments<T> sums;
  for (int64_t z = 0; z < count[2]; z += Simd<T>::kLanes) {
    AddMoments<As, kSpread, true, 1>(count, factor, z, first_row, upstream, &sums);
  }
  return sums;
}

// The same, but whole vectors are read: values beside the window are multiplied by factors of zero.
template <typename As, bool kSpread, typename T>
PG_TF_INLINE LaneMoments<T> FastMoments(const int64_t count[3], const AxisDerivatives<T> factor[3],
                                        const typename As::Stored* first_row,
                                        const Upstream<typename As::Stored>& upstream) {
  constexpr int kLanes = Simd<T>::kLanes;
  LaneMoments<T> sums;
  int64_t z = 0;
  if (kSpread) {
    // Two vectors at a time would not leave enough registers.
    for (; count[2] - z > kLanes; z += kLanes) {
      AddMoments<As, kSpread, false, 1>(count, factor, z, first_row, upstream, &sums);
    }
  } else {
    for (; count[2] - z > 3 * kLanes; z += 2 * kLanes) {
      AddMoments<As, kSpread, false, 2>(count, factor, z, first_row, upstream, &sums);
    }
    if (count[2] - z > 2 * kLanes) {
      AddMoments<As, kSpread, false, 3>(count, factor, z, first_row, upstream, &sums);
      return sums;
    }
    if (count[2] - z > kLanes) {
      AddMoments<As, kSpread, false, 2>(count, factor, z, first_row, upstream, &sums);
      return sums;
    }
  }
  AddMoments<As, kSpread, false, 1>(count, factor, z, first_row, upstream, &sums);
  return sums;
}

template <bool kSpread, typename T>
PG_TF_INLINE Moments<T> SumLanes(const LaneMoments<T>& sums) {
  Moments<T> moments = {};
  moments.value = Sum<T>(sums.value);
  for (int d = 0; d < 3; ++d) moments.shift[d] = Sum<T>(sums.shift[d]);
  for (int d = 0; kSpread && d < 3; ++d) moments.spread[d] = Sum<T>(sums.spread[d]);
  return moments;
}

template <typename As, bool kSpread, typename T>
PG_TF_INLINE Moments<T> WindowMoments(const AxisWindow<T>* const window[3], const AxisDerivatives<T> factor[3],
                                      const typename As::Stored* first_row,
                                      const Upstream<typename As::Stored>& upstream) {
  constexpr int kLanes = Simd<T>::kLanes;
  int64_t count[3];
  for (int d = 0; d < 3; ++d) count[d] = window[d]->end - window[d]->begin;
  const typename As::Stored* const last_row =
      first_row + (count[0] - 1) * upstream.pitch_x + (count[1] - 1) * upstream.pitch_y;
  if (upstream.end - last_row >= (count[2] + kLanes - 1) / kLanes * kLanes * upstream.stride) {
    const Moments<T> moments = SumLanes<kSpread>(FastMoments<As, kSpread>(count, factor, first_row, upstream));
    // A value beside the window that is not finite makes the sums NaN even with a factor of zero: then sum again
    // without reading it.
    T test = moments.value * 0;
    for (int d = 0; d < 3; ++d) test += moments.shift[d] * 0 + moments.spread[d] * 0;
    if (__builtin_expect(test == 0, true)) return moments;
  }
  return SumLanes<kSpread>(GuardedMoments<As, kSpread>(count, factor, first_row, upstream));
}

// Half of a second-level cache.
constexpr int64_t kPrefetchedBytes = int64_t{1} << 18;

template <typename As, bool kSpread, typename T>
PG_TF_INLINE void GradientAs(const AtomList<T>& atoms, const int32_t* channels, const GridLayout& layout,
                             const typename As::Stored* grid, T* scratch, const GradientArrays<T>& gradients) {
  const int64_t nx = layout.shape[0], ny = layout.shape[1], nz = layout.shape[2];
  const int64_t stride = layout.channels_last ? layout.num_channels : 1;
  const int64_t channel_pitch = layout.channels_last ? 1 : nx * ny * nz;
  // Feature vectors in place of channels: then a channel only tells by its sign whether the atom is padding. With a
  // single channel both cases are computed alike.
  const bool soft = atoms.weight_stride == layout.num_channels;
  const Upstream<typename As::Stored> upstream = {grid + nx * ny * nz * layout.num_channels, ny * nz * stride,
                                                  nz * stride, stride};

  int64_t longest = nx > ny ? nx : ny;
  longest = nz > longest ? nz : longest;
  const int64_t room = longest + kGradientPadding;
  AxisDerivatives<T> factor[3], image;
  for (int d = 0; d < 4; ++d) {
    T* const arrays = scratch + 3 * d * room;
    (d < 3 ? factor[d] : image) = {arrays, arrays + room, arrays + 2 * room};
  }

  // The memory behind this grid is that of the next molecule, if any: it is brought into the caches while this molecule
  // is worked on, unless it is so large that it would push this grid out.
  const char* const next_grid = reinterpret_cast<const char*>(upstream.end);
  const int64_t next_bytes = nx * ny * nz * layout.num_channels * static_cast<int64_t>(sizeof(typename As::Stored));
  const int64_t share = next_bytes > kPrefetchedBytes ? 0 : next_bytes / (atoms.size + 1);

  for (int64_t a = 0; a < atoms.size; ++a) {
    for (int64_t i = 0; i < share; i += 64) __builtin_prefetch(next_grid + a * share + i, 0, 2);
    const int64_t atom = atoms.atoms[a];
    double* const coords = gradients.coords + 3 * atom;
    T* const weights = gradients.weights + atoms.weight_stride * atom;
    T* const sigma = kSpread ? gradients.sigma + 3 * atom : nullptr;
    if (atom == a) {  // the first entry of the atom; the others add to it
      for (int d = 0; d < 3; ++d) coords[d] = 0;
      for (int64_t c = 0; c < atoms.weight_stride; ++c) weights[c] = 0;
      for (int d = 0; kSpread && d < 3; ++d) sigma[d] = 0;
    }

    const AxisWindow<T>* window[3] = {atoms.windows[0] + a, atoms.windows[1] + a, atoms.windows[2] + a};
    bool reaches = channels[atom] >= 0;
    for (int d = 0; d < 3; ++d) reaches = reaches && window[d]->begin < window[d]->end;
    if (!reaches) continue;
    for (int d = 0; d < 3; ++d) Derivatives(*window[d], window[d]->end - window[d]->begin, factor[d], image);
    const int64_t count_z = window[2]->end - window[2]->begin;
    Store(factor[2].value + count_z, Vec<T>{});
    Store(factor[2].shift + count_z, Vec<T>{});
    Store(factor[2].spread + count_z, Vec<T>{});

    const typename As::Stored* first_row =
        grid + ((window[0]->begin * ny + window[1]->begin) * nz + window[2]->begin) * stride;
    for (int64_t column = 0; column < atoms.weight_stride; ++column) {
      const int64_t channel = soft ? column : channels[atom];
      const Moments<T> moments =
          WindowMoments<As, kSpread, T>(window, factor, first_row + channel * channel_pitch, upstream);
      const T weight = atoms.weights[a * atoms.weight_stride + column];
      weights[column] += moments.value;
      for (int d = 0; d < 3; ++d) coords[d] += weight * window[d]->step * moments.shift[d];
      for (int d = 0; kSpread && d < 3; ++d) sigma[d] += weight * moments.spread[d];
    }
  }
}

template <typename As, typename T>
PG_TF_INLINE void GradientFrom(const AtomList<T>& atoms, const int32_t* channels, const GridLayout& layout,
                               const void* upstream, T* scratch, const GradientArrays<T>& gradients) {
  const auto* stored = static_cast<const typename As::Stored*>(upstream);
  if (gradients.sigma != nullptr) {
    GradientAs<As, true>(atoms, channels, layout, stored, scratch, gradients);
  } else {
    GradientAs<As, false>(atoms, channels, layout, stored, scratch, gradients);
  }
}

inline void Gradient(const AtomList<float>& atoms, const int32_t* channels, const GridLayout& layout,
                     const void* upstream, float* scratch, const GradientArrays<float>& gradients) {
  switch (layout.storage) {
    case Storage::kFloat16:
      return GradientFrom<Float16Storage>(atoms, channels, layout, upstream, scratch, gradients);
    case Storage::kBfloat16:
      return GradientFrom<Bfloat16Storage>(atoms, channels, layout, upstream, scratch, gradients);
    default:
      return GradientFrom<PlainStorage<float>>(atoms, channels, layout, upstream, scratch, gradients);
  }
}

inline void Gradient(const AtomList<double>& atoms, const int32_t* channels, const GridLayout& layout,
                     const void* upstream, double* scratch, const GradientArrays<double>& gradients) {
  GradientFrom<PlainStorage<double>>(atoms, channels, layout, upstream, scratch, gradients);
}

}  // namespace PG_TF_LEVEL
}  // namespace pg_tf
