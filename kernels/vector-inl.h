// Vectors of the width that PG_TF_VECTOR_BYTES names, in the namespace PG_TF_LEVEL.
//
// The arithmetic is written in the compiler's generic vectors (GCC and Clang agree on them); intrinsics are used only
// for what these cannot express: streaming stores and half precision in hardware. No templates of the standard library
// or of TensorFlow in here: compiled for AVX-512, they could be the copy that the linker keeps for every CPU.

#define PG_TF_INLINE inline __attribute__((always_inline))

namespace pg_tf {
namespace PG_TF_LEVEL {

PG_TF_INLINE int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
PG_TF_INLINE int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

template <typename T>
struct Simd;

template <>
struct Simd<float> {
  static constexpr int kLanes = PG_TF_VECTOR_BYTES / 4;
  typedef float Vec __attribute__((vector_size(PG_TF_VECTOR_BYTES)));
  typedef float Unaligned __attribute__((vector_size(PG_TF_VECTOR_BYTES), aligned(4), may_alias));
  typedef int32_t Int __attribute__((vector_size(PG_TF_VECTOR_BYTES)));
};

template <>
struct Simd<double> {
  static constexpr int kLanes = PG_TF_VECTOR_BYTES / 8;
  typedef double Vec __attribute__((vector_size(PG_TF_VECTOR_BYTES)));
  typedef double Unaligned __attribute__((vector_size(PG_TF_VECTOR_BYTES), aligned(8), may_alias));
  typedef int64_t Int __attribute__((vector_size(PG_TF_VECTOR_BYTES)));
};

template <typename T>
using Vec = typename Simd<T>::Vec;

template <typename T>
PG_TF_INLINE Vec<T> Load(const T* from) {
  return *reinterpret_cast<const typename Simd<T>::Unaligned*>(from);
}

template <typename T>
PG_TF_INLINE void Store(T* to, Vec<T> value) {
  *reinterpret_cast<typename Simd<T>::Unaligned*>(to) = value;
}

// Eight values, whatever the instruction set: the unit in which sums are turned into what is stored.
template <typename T>
struct Eight {
  typedef T Vec __attribute__((vector_size(8 * sizeof(T))));
  typedef T Unaligned __attribute__((vector_size(8 * sizeof(T)), aligned(alignof(T)), may_alias));
};

template <typename T>
PG_TF_INLINE typename Eight<T>::Vec LoadEight(const T* from) {
  return *reinterpret_cast<const typename Eight<T>::Unaligned*>(from);
}

template <typename T>
PG_TF_INLINE void StoreEight(T* to, typename Eight<T>::Vec values) {
  *reinterpret_cast<typename Eight<T>::Unaligned*>(to) = values;
}

// Writes eight values past the caches, to an address that is a multiple of their size or of 32.
template <typename T>
PG_TF_INLINE void StreamEight(T* to, typename Eight<T>::Vec values) {
#if defined(__SSE2__)
  float* const at = reinterpret_cast<float*>(to);
  if constexpr (sizeof values == 16) {
    _mm_stream_ps(at, reinterpret_cast<__m128>(values));
    return;
  }
#if defined(__AVX__)
  if constexpr (sizeof values == 32) {
    _mm256_stream_ps(at, reinterpret_cast<__m256>(values));
    return;
  }
#endif
  __m128 parts[sizeof values / 16];
  __builtin_memcpy(parts, &values, sizeof values);
  for (unsigned i = 0; i < sizeof values / 16; ++i) _mm_stream_ps(at + 4 * i, parts[i]);
#else
  StoreEight(to, values);
#endif
}

// Makes streamed stores visible to other threads.
PG_TF_INLINE void FinishStream() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// 0, 1, 2, ...
template <typename T>
PG_TF_INLINE Vec<T> Iota() {
  Vec<T> lanes = {};
  for (int i = 0; i < Simd<T>::kLanes; ++i) lanes[i] = static_cast<T>(i);
  return lanes;
}

template <typename T>
PG_TF_INLINE T Sum(Vec<T> value) {
  T sum = 0;
  for (int i = 0; i < Simd<T>::kLanes; ++i) sum += value[i];
  return sum;
}

// The cumulative normal distribution less a half: erf(t / sqrt 2) / 2.
// float: largest error 1.9e-7 for any t. A rational minimax fit t P(t^2) / Q(t^2) on |t| <= 5.4, beyond which the
// function is 1/2 to 3e-8 (fitted by Lawson's iteration against a float64 erf; the fit itself is good to 5.5e-9).
PG_TF_INLINE Vec<float> HalfErf(Vec<float> t) {
  const Vec<float> limit = Vec<float>{} + 5.4f;
  t = t > limit ? limit : t;
  t = t < -limit ? -limit : t;
  const Vec<float> s = t * t;
  Vec<float> p = s * 2.338673322e-08f + 6.359997372e-06f;
  p = p * s + 1.643204409e-04f;
  p = p * s + 4.650843321e-03f;
  p = p * s + 3.337212088e-02f;
  p = p * s + 3.989422454e-01f;
  Vec<float> q = s * 1.216589278e-06f + 7.239970999e-05f;
  q = q * s + 1.858974432e-03f;
  q = q * s + 2.837862256e-02f;
  q = q * s + 2.503175908e-01f;
  q = q * s + 1.0f;
  return t * p / q;
}

// double: the C library's erf, lane by lane.
PG_TF_INLINE Vec<double> HalfErf(Vec<double> t) {
  for (int i = 0; i < Simd<double>::kLanes; ++i) t[i] = 0.5 * ::erf(t[i] * 0.70710678118654752440);
  return t;
}

// The normal density exp(-t^2 / 2) / sqrt(2 pi). float: largest error 4e-8 absolute, for any t.
PG_TF_INLINE Vec<float> Density(Vec<float> t) {
  // exp(x) = 2^n exp(r), |r| <= ln 2 / 2; adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  const Vec<float> lowest = Vec<float>{} - 87.0f;
  Vec<float> x = t * t * -0.5f;
  x = x < lowest ? lowest : x;
  const Vec<float> shifted = x * 1.44269504089f + 12582912.0f;
  const Vec<float> n = shifted - 12582912.0f;
  Vec<float> r = x - n * 0.693359375f;  // ln 2 in two parts, the first exact in few bits
  r = r + n * 2.12194440e-4f;
  Vec<float> e = r * (1.0f / 5040.0f) + (1.0f / 720.0f);
  e = e * r + (1.0f / 120.0f);
  e = e * r + (1.0f / 24.0f);
  e = e * r + (1.0f / 6.0f);
  e = e * r + 0.5f;
  e = e * r + 1.0f;
  e = e * r + 1.0f;
  typedef Simd<float>::Int Int;
  const Int exponent = (reinterpret_cast<Int>(shifted) - 0x4B400000 + 127) << 23;
  return e * reinterpret_cast<Vec<float>>(exponent) * 0.3989422804014327f;
}

PG_TF_INLINE Vec<double> Density(Vec<double> t) {
  for (int i = 0; i < Simd<double>::kLanes; ++i) t[i] = 0.3989422804014326779 * ::exp(-0.5 * t[i] * t[i]);
  return t;
}

PG_TF_INLINE uint32_t Bits(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

PG_TF_INLINE float FromBits(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// How a grid's voxels are stored, and the way to and from the type of the arithmetic: as they are, or in half precision
// as bits, rounded once to the nearest even.
template <typename T>
struct PlainStorage {
  typedef T Stored;
  static PG_TF_INLINE T To(T value) { return value; }
  static PG_TF_INLINE T From(T value) { return value; }
  static PG_TF_INLINE typename Eight<T>::Vec To(typename Eight<T>::Vec values) { return values; }
  static PG_TF_INLINE typename Eight<T>::Vec From(typename Eight<T>::Vec values) { return values; }
};

struct Bfloat16Storage {
  typedef uint16_t Stored;

  static PG_TF_INLINE uint16_t To(float value) {
    const uint32_t bits = Bits(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>((bits >> 16) | 0x40);
    return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
  }

  static PG_TF_INLINE float From(uint16_t half) { return FromBits(static_cast<uint32_t>(half) << 16); }

  static PG_TF_INLINE Eight<uint16_t>::Vec To(Eight<float>::Vec values) {
    // No test for NaN: here it can only come from infinity minus infinity, and the bits of that one stay a NaN.
    typedef Eight<uint32_t>::Vec Words;
    const Words bits = reinterpret_cast<Words>(values);
    return __builtin_convertvector((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16, Eight<uint16_t>::Vec);
  }

  static PG_TF_INLINE Eight<float>::Vec From(Eight<uint16_t>::Vec halves) {
    return reinterpret_cast<Eight<float>::Vec>(__builtin_convertvector(halves, Eight<uint32_t>::Vec) << 16);
  }
};

struct Float16Storage {
  typedef uint16_t Stored;

  static PG_TF_INLINE uint16_t To(float value) {
#if defined(__F16C__)
    return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
#else
    const uint32_t sign = (Bits(value) >> 16) & 0x8000;
    const uint32_t magnitude = Bits(value) & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return static_cast<uint16_t>(sign | 0x7E00);
    if (magnitude >= 0x477FF000) return static_cast<uint16_t>(sign | 0x7C00);  // rounds to 65536 or more
    // Below 2^-14 the result is subnormal: adding 0.5 lets the float unit round at the last bit that a half has there.
    if (magnitude < 0x38800000) return static_cast<uint16_t>(sign | (Bits(FromBits(magnitude) + 0.5f) - 0x3F000000));
    const uint32_t rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000) >> 13));
#endif
  }

  static PG_TF_INLINE float From(uint16_t half) {
#if defined(__F16C__)
    return _cvtsh_ss(half);
#else
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
    const uint32_t magnitude = half & 0x7FFF;
    if (magnitude >= 0x7C00) return FromBits(sign | 0x7F800000 | ((magnitude & 0x3FF) << 13));
    // The bits read as a float are the value times 2^-112, exactly.
    return FromBits(sign | Bits(FromBits(magnitude << 13) * 0x1p112f));
#endif
  }

  static PG_TF_INLINE Eight<uint16_t>::Vec To(Eight<float>::Vec values) {
#if defined(__F16C__)
    return reinterpret_cast<Eight<uint16_t>::Vec>(
        _mm256_cvtps_ph(reinterpret_cast<__m256>(values), _MM_FROUND_TO_NEAREST_INT));
#else
    Eight<uint16_t>::Vec stored;
    for (int i = 0; i < 8; ++i) stored[i] = To(values[i]);
    return stored;
#endif
  }

  static PG_TF_INLINE Eight<float>::Vec From(Eight<uint16_t>::Vec halves) {
#if defined(__F16C__)
    return reinterpret_cast<Eight<float>::Vec>(_mm256_cvtph_ps(reinterpret_cast<__m128i>(halves)));
#else
    Eight<float>::Vec values;
    for (int i = 0; i < 8; ++i) values[i] = From(static_cast<uint16_t>(halves[i]));
    return values;
#endif
  }
};

}  // namespace PG_TF_LEVEL
}  // namespace pg_tf
