#include "kernels/buffer_pool.h"

#include <sys/mman.h>

#include <cstdint>

namespace pg_tf {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;

size_t RoundUp(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

void* Map(size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

// Buffers of a huge page or more are made of huge pages where the system has them: fewer to map and to look up.
void* MapBuffer(size_t bytes) {
  if (bytes < kHugePage) return Map(bytes);
  char* const mapped = static_cast<char*>(Map(bytes + kHugePage));
  if (mapped == nullptr) return nullptr;
  char* const aligned = reinterpret_cast<char*>(RoundUp(reinterpret_cast<uintptr_t>(mapped), kHugePage));
  if (aligned > mapped) munmap(mapped, aligned - mapped);
  char* const end = mapped + bytes + kHugePage;
  if (end > aligned + bytes) munmap(aligned + bytes, end - (aligned + bytes));
#if defined(MADV_HUGEPAGE)
  madvise(aligned, bytes, MADV_HUGEPAGE);
#endif
  return aligned;
}

}  // namespace

BufferPool::~BufferPool() { Trim(0); }

void* BufferPool::Allocate(size_t bytes) {
  if (bytes > SIZE_MAX / 2) return nullptr;
  bytes = RoundUp(bytes == 0 ? 1 : bytes, bytes < kHugePage ? kPage : kHugePage);
  const std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = idle_.size(); i-- > 0;) {
    const Buffer buffer = idle_[i];
    if (buffer.bytes < bytes || buffer.bytes / 2 > bytes) continue;
    idle_.erase(idle_.begin() + i);
    idle_bytes_ -= buffer.bytes;
    in_use_.emplace(buffer.memory, buffer.bytes);
    return buffer.memory;
  }
  Trim(kIdleBytes);
  void* memory = MapBuffer(bytes);
  if (memory == nullptr) {
    Trim(0);
    memory = MapBuffer(bytes);
  }
  if (memory != nullptr) in_use_.emplace(memory, bytes);
  return memory;
}

void BufferPool::Release(void* memory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = in_use_.find(memory);
  if (found == in_use_.end()) return;
  const Buffer buffer = {memory, found->second};
  in_use_.erase(found);
#if defined(MADV_FREE)
  if (buffer.bytes >= kHugePage) madvise(buffer.memory, buffer.bytes, MADV_FREE);
#endif
  idle_.push_back(buffer);
  idle_bytes_ += buffer.bytes;
}

size_t BufferPool::idle_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return idle_bytes_;
}

void BufferPool::Trim(size_t limit) {
  size_t count = 0;
  for (; count < idle_.size() && idle_bytes_ > limit; ++count) {
    munmap(idle_[count].memory, idle_[count].bytes);
    idle_bytes_ -= idle_[count].bytes;
  }
  idle_.erase(idle_.begin(), idle_.begin() + count);
}

}  // namespace pg_tf
