#include "kernels/memory.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace pg_tf {
namespace {

// The beginning of a file; empty if there is none. The files of the system are short.
std::string ReadFile(const std::string& path) {
  std::string text;
  if (std::FILE* const file = std::fopen(path.c_str(), "r")) {
    char buffer[4096];
    while (text.size() < (size_t{1} << 16)) {
      const size_t count = std::fread(buffer, 1, sizeof(buffer), file);
      if (count == 0) break;
      text.append(buffer, count);
    }
    std::fclose(file);
  }
  return text;
}

// The least number in the files `name` of a folder below `mount` and of all folders above it. A container may see its
// own group as the root, under whatever path the group has outside.
int64_t LeastLimit(const std::string& mount, std::string group, const char* name) {
  int64_t least = INT64_MAX;
  while (true) {
    const std::string text = ReadFile(mount + group + "/" + name);
    char* end = nullptr;
    const int64_t limit = std::strtoll(text.c_str(), &end, 10);  // 0 for "max"
    if (end != text.c_str() && limit > 0) least = std::min(least, limit);
    const size_t slash = group.rfind('/');
    if (slash == std::string::npos) return least;
    group.resize(slash);
  }
}

}  // namespace

int64_t LimitOfControlGroups(const std::string& membership, const std::string& mount) {
  int64_t least = INT64_MAX;
  for (size_t begin = 0; begin < membership.size();) {
    const size_t end = std::min(membership.find('\n', begin), membership.size());
    const std::string line = membership.substr(begin, end - begin);
    begin = end + 1;
    // number:controllers:path, the controllers empty in version 2
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") least = std::min(least, LeastLimit(mount, group, "memory.max"));
    if (controllers.find(",memory,") != std::string::npos) {
      least = std::min(least, LeastLimit(mount + "/memory", group, "memory.limit_in_bytes"));
    }
  }
  return least;
}

int64_t MemoryOfProcess() {
  static const int64_t memory = std::min(static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE),
                                         LimitOfControlGroups(ReadFile("/proc/self/cgroup"), "/sys/fs/cgroup"));
  return memory;
}

}  // namespace pg_tf
