// Writing memory, and nothing else: what no voxelizer can be faster than.

#include <stddef.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

// Zeros a buffer past the caches: without reading its lines first, as plain stores do.
void StreamZeros(char* to, size_t bytes) {
#if defined(__AVX__)
  for (size_t i = 0; i < bytes; i += 32) _mm256_stream_ps(reinterpret_cast<float*>(to + i), _mm256_setzero_ps());
#elif defined(__SSE2__)
  for (size_t i = 0; i < bytes; i += 16) _mm_stream_ps(reinterpret_cast<float*>(to + i), _mm_setzero_ps());
#else
  memset(to, 0, bytes);
#endif
}

}  // namespace

extern "C" {

// Zeros `buffers` buffers, `stride` bytes apart (0: the same one again and again), of `bytes` each, a multiple of 64.
void stream_fill(char* base, size_t bytes, size_t stride, size_t buffers) {
  for (size_t b = 0; b < buffers; ++b) StreamZeros(base + b * stride, bytes);
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
