// Writing memory, and nothing else: what no voxelizer can be faster than.

#include <stddef.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

// Fills a buffer past the caches: without reading its lines first, as plain stores do.
void Stream(char* to, size_t bytes, float value) {
  float* const floats = reinterpret_cast<float*>(to);
#if defined(__AVX__)
  for (size_t i = 0; i < bytes / 4; i += 8) _mm256_stream_ps(floats + i, _mm256_set1_ps(value));
#elif defined(__SSE2__)
  for (size_t i = 0; i < bytes / 4; i += 4) _mm_stream_ps(floats + i, _mm_set1_ps(value));
#else
  for (size_t i = 0; i < bytes / 4; ++i) floats[i] = value;
#endif
}

}  // namespace

extern "C" {

// Fills `buffers` buffers, `stride` bytes apart (0: the same one again and again), of `bytes` each, a multiple of 64.
void stream_fill(char* base, size_t bytes, size_t stride, size_t buffers, float value) {
  for (size_t b = 0; b < buffers; ++b) Stream(base + b * stride, bytes, value);
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

void memset_fill(char* base, size_t bytes, size_t stride, size_t buffers) {
  for (size_t b = 0; b < buffers; ++b) {
    memset(base + b * stride, 0, bytes);
    __asm__ volatile("" : : "r"(base) : "memory");  // or all but the last one are left out
  }
}

}  // extern "C"
