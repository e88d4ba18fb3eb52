#include "kernels/buffer_pool.h"

#include <sys/mman.h>

#include <cstdint>

namespace pg_tf {
namespace {

constexpr size_t kPage = size_t{4} << 10;
constexpr size_t kHugePage = size_t{2} << 20;

size_t RoundUp(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

void* Map(size_t bytes) {
  void* const mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mapped == MAP_FAILED ? nullptr : mapped;
}

// Huge pages where the system has them: fewer pages to map and to look up.
void* MapHuge(size_t bytes) {
  char* const begin = static_cast<char*>(Map(bytes + kHugePage));
  if (begin == nullptr) return nullptr;
  char* const aligned = reinterpret_cast<char*>(RoundUp(reinterpret_cast<uintptr_t>(begin), kHugePage));
  char* const end = begin + bytes + kHugePage;
  if (aligned > begin) munmap(begin, aligned - begin);
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
  const bool huge = bytes >= kHugePage;
  bytes = RoundUp(bytes == 0 ? 1 : bytes, huge ? kHugePage : kPage);
  const std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = idle_.size(); i-- > 0;) {
    const Buffer buffer = idle_[i];
    if (buffer.bytes < bytes || buffer.bytes - bytes > bytes / 4) continue;
    idle_.erase(idle_.begin() + i);
    idle_bytes_ -= buffer.bytes;
    in_use_.emplace(buffer.memory, buffer.bytes);
    return buffer.memory;
  }
  Trim(kIdleBytes);
  void* memory = huge ? MapHuge(bytes) : Map(bytes);
  if (memory == nullptr) {
    Trim(0);
    memory = huge ? MapHuge(bytes) : Map(bytes);
  }
  if (memory != nullptr) in_use_.emplace(memory, bytes);
  return memory;
}

void BufferPool::Release(void* memory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = in_use_.find(memory);
  if (found == in_use_.end()) return;
  const Buffer buffer = {memory, found->second};
#if defined(MADV_FREE)
  // Not for a few small buffers: the call takes as long as writing one.
  if (buffer.bytes >= kHugePage || idle_bytes_ >= kIdleBytes) madvise(buffer.memory, buffer.bytes, MADV_FREE);
#endif
  idle_.push_back(buffer);
  idle_bytes_ += buffer.bytes;
  in_use_.erase(found);
}

size_t BufferPool::idle_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return idle_bytes_;
}

void BufferPool::Trim(size_t limit) {
  std::vector<Buffer> kept;
  for (const Buffer& buffer : idle_) {
    if (idle_bytes_ > limit && munmap(buffer.memory, buffer.bytes) == 0) {
      idle_bytes_ -= buffer.bytes;
    } else {
      kept.push_back(buffer);
    }
  }
  idle_.swap(kept);
}

}  // namespace pg_tf
