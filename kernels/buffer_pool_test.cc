// Memory that is used again: whole, apart from all other memory, and little more of it than was in use.

#include "kernels/buffer_pool.h"

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "kernels/check.h"

namespace pg_tf {
namespace {

constexpr size_t kMega = size_t{1} << 20;

void TestBuffersAreUsedAgain() {
  BufferPool pool;
  for (size_t bytes : {size_t{1}, kMega / 8, 2 * kMega, 3 * kMega, 9 * kMega, 33 * kMega}) {
    void* const first = pool.Allocate(bytes);
    const size_t page = bytes < 2 * kMega ? 4096 : 2 * kMega;
    CHECK(reinterpret_cast<uintptr_t>(first) % page == 0, "alignment of %zu bytes", bytes);
    std::memset(first, 1, bytes);
    pool.Release(first);
    CHECK(pool.Allocate(bytes) == first, "%zu bytes", bytes);
    CHECK(pool.Allocate(bytes) != first, "%zu bytes given twice", bytes);
  }
}

void TestSmallRequestDoesNotTakeALargeBuffer() {
  BufferPool pool;
  void* const large = pool.Allocate(32 * kMega);
  pool.Release(large);
  CHECK(pool.Allocate(4 * kMega) != large, "4 MiB");
  CHECK(pool.Allocate(30 * kMega) == large, "30 MiB");
}

void TestIdleMemoryGoesBackForAnotherSize() {
  BufferPool pool;
  std::vector<void*> buffers;
  for (int i = 0; i < 10; ++i) buffers.push_back(pool.Allocate(32 * kMega));
  for (void* buffer : buffers) pool.Release(buffer);
  CHECK(pool.idle_bytes() == 320 * kMega, "%zu", pool.idle_bytes());
  pool.Release(pool.Allocate(100 * kMega));
  CHECK(pool.idle_bytes() <= BufferPool::kIdleBytes + 100 * kMega, "%zu", pool.idle_bytes());
}

void TestPoolHoldsLittleMoreThanWasInUse() {
  BufferPool pool;
  std::vector<void*> buffers;
  for (int i = 0; i < 10; ++i) buffers.push_back(pool.Allocate(64 * kMega));
  for (void* buffer : buffers) pool.Release(buffer);
  buffers.clear();
  for (int i = 0; i < 20; ++i) buffers.push_back(pool.Allocate(32 * kMega));
  for (void* buffer : buffers) pool.Release(buffer);
  CHECK(pool.idle_bytes() <= 640 * kMega / 4 * 5 + BufferPool::kIdleBytes, "%zu", pool.idle_bytes());
}

void TestManySmallBuffersDoNotStay() {
  BufferPool pool;
  std::vector<void*> buffers;
  for (int i = 0; i < 2000; ++i) buffers.push_back(pool.Allocate(kMega / 8));
  for (void* buffer : buffers) pool.Release(buffer);
  CHECK(pool.idle_bytes() == 250 * kMega, "%zu", pool.idle_bytes());
  pool.Release(pool.Allocate(kMega / 4));
  CHECK(pool.idle_bytes() <= BufferPool::kIdleBytes + kMega, "%zu", pool.idle_bytes());
}

void TestImpossibleRequestIsNull() {
  BufferPool pool;
  CHECK(pool.Allocate(SIZE_MAX) == nullptr, "all of memory");
  CHECK(pool.Allocate(SIZE_MAX / 4) == nullptr, "a quarter of it");
  CHECK(pool.Allocate(kMega) != nullptr, "afterwards");
}

// Each thread finds its own bytes in its own buffers.
void TestManyThreads() {
  BufferPool pool;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&pool, t] {
      for (int i = 0; i < 300; ++i) {
        const size_t bytes = 1000 + 977 * ((t + i) % 7);
        unsigned char* const buffer = static_cast<unsigned char*>(pool.Allocate(bytes));
        std::memset(buffer, t, bytes);
        for (size_t k = 0; k < bytes; ++k) CHECK(buffer[k] == t, "thread %d", t);
        pool.Release(buffer);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace pg_tf

int main() {
  pg_tf::TestBuffersAreUsedAgain();
  pg_tf::TestSmallRequestDoesNotTakeALargeBuffer();
  pg_tf::TestIdleMemoryGoesBackForAnotherSize();
  pg_tf::TestPoolHoldsLittleMoreThanWasInUse();
  pg_tf::TestManySmallBuffersDoNotStay();
  pg_tf::TestImpossibleRequestIsNull();
  pg_tf::TestManyThreads();
}
