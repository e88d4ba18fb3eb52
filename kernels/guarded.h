// For the C++ tests: memory that shows when something beside it was written.

#ifndef PG_TF_KERNELS_GUARDED_H_
#define PG_TF_KERNELS_GUARDED_H_

#include <cstdint>
#include <vector>

#include "kernels/check.h"

namespace pg_tf {

// Memory with a margin on both sides that must stay as it is.
template <typename T>
class Guarded {
 public:
  explicit Guarded(int64_t size) : bytes_(size * sizeof(T) + 2 * kMargin, kPattern) {}
  ~Guarded() {
    for (size_t i = 0; i < kMargin; ++i) {
      CHECK(bytes_[i] == kPattern && bytes_[bytes_.size() - 1 - i] == kPattern, "written out of bounds");
    }
  }
  T* data() { return reinterpret_cast<T*>(bytes_.data() + kMargin); }
  T& operator[](int64_t i) { return data()[i]; }

 private:
  static constexpr size_t kMargin = 256;
  static constexpr unsigned char kPattern = 0xFF;  // not a number: to read it shows in the results
  std::vector<unsigned char> bytes_;
};

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_GUARDED_H_
