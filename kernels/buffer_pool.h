// Memory for grids that is used again. The C library gives large blocks back to the system and asks for new ones, and
// the system maps and clears every page of every batch again: that takes several times longer than writing the grid.

#ifndef PG_TF_KERNELS_BUFFER_POOL_H_
#define PG_TF_KERNELS_BUFFER_POOL_H_

#include <cstddef>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace pg_tf {

// Safe to use from many threads. Idle buffers stay mapped: a pool holds at most the memory that was in use at one time,
// a quarter more, and kIdleBytes. On Linux the system may take idle pages back when it runs short of memory
// (MADV_FREE). For buffers of 64 KiB and more; smaller ones are better left to the C library.
class BufferPool {
 public:
  static constexpr size_t kIdleBytes = size_t{64} << 20;

  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  // At least `bytes`, not cleared; starts at a page, from 2 MiB on at a huge page. Null if there is no memory.
  void* Allocate(size_t bytes);

  // Takes back what Allocate returned.
  void Release(void* memory);

  size_t idle_bytes() const;

 private:
  struct Buffer {
    void* memory;
    size_t bytes;
  };

  // Gives idle buffers back to the system, the longest idle first, until `limit` is kept.
  void Trim(size_t limit);

  mutable std::mutex mutex_;
  std::vector<Buffer> idle_;  // the longest idle first
  size_t idle_bytes_ = 0;
  std::unordered_map<void*, size_t> in_use_;
};

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_BUFFER_POOL_H_
