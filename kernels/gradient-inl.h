// Grid to atoms: what a gradient arriving at the voxels means for each atom. The mirror image of forward-inl.h; the grid
// is only read, so each atom sums up its own window.
//
// With the sums of U(x, y, z) over y taken first, each voxel costs one load and two multiply-adds (three with sigma):
//   dE/dmu_x = w sum_x P'_x sum_z P_z [sum_y P_y U],   dE/dmu_y = w sum_x P_x sum_z P_z [sum_y P'_y U],   and so on.

namespace pg_tf {
namespace PG_TF_LEVEL {

// The upstream gradient in memory; consecutive z are `stride` apart, and nothing at or behind `end` may be read.
template <typename Stored>
struct Upstream {
  const Stored* end;
  int64_t pitch_x, pitch_y, stride;
};

// A vector of consecutive z; zeros for those behind the end of the tensor. What lies between the end of the window and
// the end of the tensor is read, and meets a factor of zero.
template <typename As, typename T>
PG_TF_INLINE Vec<T> LoadRow(const typename As::Stored* row, const Upstream<typename As::Stored>& upstream) {
  constexpr int kLanes = Simd<T>::kLanes;
  Vec<T> values = {};
  if (row + (kLanes - 1) * upstream.stride >= upstream.end) {
    for (int i = 0; i < kLanes && row < upstream.end; ++i, row += upstream.stride) values[i] = As::From(*row);
    return values;
  }
  if constexpr (sizeof(typename As::Stored) == sizeof(T)) {
    if (upstream.stride == 1) return Load<T>(row);
  }
  for (int i = 0; i < kLanes; ++i) values[i] = As::From(row[i * upstream.stride]);
  return values;
}

// The sums of one atom and one channel, before the weight.
template <typename T>
struct Moments {
  T value;
  T shift[3];
  T spread[3];
};

template <typename As, bool kSpread, typename T>
PG_TF_INLINE Moments<T> WindowMoments(const AxisWindow<T>* const window[3], const AxisDerivatives<T> factor[3],
                                      const typename As::Stored* first_row,
                                      const Upstream<typename As::Stored>& upstream) {
  constexpr int kLanes = Simd<T>::kLanes;
  const int64_t count_x = window[0]->end - window[0]->begin;
  const int64_t count_y = window[1]->end - window[1]->begin;
  const int64_t count_z = window[2]->end - window[2]->begin;
  // Lane by lane sums over all z: of P_x P_y P_z U and of the same with one factor replaced by its derivative.
  Vec<T> value = {}, shift_x = {}, shift_y = {}, shift_z = {}, spread_x = {}, spread_y = {}, spread_z = {};
  for (int64_t z = 0; z < count_z; z += kLanes) {
    Vec<T> sum = {}, sum_shift_x = {}, sum_shift_y = {}, sum_spread_x = {}, sum_spread_y = {};
    for (int64_t x = 0; x < count_x; ++x) {
      const typename As::Stored* row = first_row + x * upstream.pitch_x + z * upstream.stride;
      Vec<T> row_sum = {}, row_shift = {}, row_spread = {};
      for (int64_t y = 0; y < count_y; ++y, row += upstream.pitch_y) {
        const Vec<T> loaded = LoadRow<As, T>(row, upstream);
        row_sum += loaded * factor[1].value[y];
        row_shift += loaded * factor[1].shift[y];
        if (kSpread) row_spread += loaded * factor[1].spread[y];
      }
      sum += row_sum * factor[0].value[x];
      sum_shift_x += row_sum * factor[0].shift[x];
      sum_shift_y += row_shift * factor[0].value[x];
      if (kSpread) {
        sum_spread_x += row_sum * factor[0].spread[x];
        sum_spread_y += row_spread * factor[0].value[x];
      }
    }
    const Vec<T> p_z = Load(factor[2].value + z);
    value += sum * p_z;
    shift_x += sum_shift_x * p_z;
    shift_y += sum_shift_y * p_z;
    shift_z += sum * Load(factor[2].shift + z);
    if (kSpread) {
      spread_x += sum_spread_x * p_z;
      spread_y += sum_spread_y * p_z;
      spread_z += sum * Load(factor[2].spread + z);
    }
  }
  Moments<T> moments = {Sum<T>(value), {Sum<T>(shift_x), Sum<T>(shift_y), Sum<T>(shift_z)}, {}};
  if (kSpread) {
    moments.spread[0] = Sum<T>(spread_x);
    moments.spread[1] = Sum<T>(spread_y);
    moments.spread[2] = Sum<T>(spread_z);
  }
  return moments;
}

template <typename As, bool kSpread, typename T>
PG_TF_INLINE void GradientAs(const AtomList<T>& atoms, const int32_t* channels, const GridLayout& layout,
                             const typename As::Stored* grid, T* scratch, const GradientArrays<T>& gradients) {
  const int64_t nx = layout.shape[0], ny = layout.shape[1], nz = layout.shape[2];
  const int64_t stride = layout.channels_last ? layout.num_channels : 1;
  const int64_t channel_pitch = layout.channels_last ? 1 : nx * ny * nz;
  // With a single channel both kinds are the same, and of soft atoms' channels only the sign counts.
  const bool soft = atoms.weight_stride == layout.num_channels;
  const Upstream<typename As::Stored> upstream = {grid + nx * ny * nz * layout.num_channels, ny * nz * stride,
                                                    nz * stride, stride};

  int64_t longest = nx > ny ? nx : ny;
  longest = nz > longest ? nz : longest;
  const int64_t room = longest + kGradientPadding;
  AxisDerivatives<T> factor[3];
  for (int d = 0; d < 3; ++d) {
    T* const arrays = scratch + 3 * d * room;
    factor[d] = {arrays, arrays + room, arrays + 2 * room};
  }

  for (int64_t a = 0; a < atoms.size; ++a) {
    T* const coords = gradients.coords + 3 * a;
    T* const weights = gradients.weights + atoms.weight_stride * a;
    T* const sigma = kSpread ? gradients.sigma + 3 * a : nullptr;
    for (int d = 0; d < 3; ++d) coords[d] = 0;
    for (int64_t c = 0; c < atoms.weight_stride; ++c) weights[c] = 0;
    for (int d = 0; kSpread && d < 3; ++d) sigma[d] = 0;

    const AxisWindow<T>* window[3] = {atoms.windows[0] + a, atoms.windows[1] + a, atoms.windows[2] + a};
    bool reaches = channels[a] >= 0;
    for (int d = 0; d < 3; ++d) reaches = reaches && window[d]->begin < window[d]->end;
    if (!reaches) continue;
    for (int d = 0; d < 3; ++d) Derivatives(*window[d], window[d]->end - window[d]->begin, factor[d]);
    const int64_t count_z = window[2]->end - window[2]->begin;
    Store(factor[2].value + count_z, Vec<T>{});
    Store(factor[2].shift + count_z, Vec<T>{});
    Store(factor[2].spread + count_z, Vec<T>{});

    const typename As::Stored* first_row =
        grid + ((window[0]->begin * ny + window[1]->begin) * nz + window[2]->begin) * stride;
    for (int64_t column = 0; column < atoms.weight_stride; ++column) {
      const int64_t channel = soft ? column : channels[a];
      const Moments<T> moments = WindowMoments<As, kSpread, T>(
          window, factor, first_row + channel * channel_pitch, upstream);
      const T weight = atoms.weights[a * atoms.weight_stride + column];
      weights[column] = moments.value;
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
