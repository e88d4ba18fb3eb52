// The least limit on a process's control groups is found, in both versions of them.

#include "kernels/memory.h"

#include <sys/stat.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernels/check.h"

namespace pg_tf {
namespace {

void WriteFile(const std::string& path, const char* text) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    mkdir(path.substr(0, slash).c_str(), 0700);
  }
  std::FILE* const file = std::fopen(path.c_str(), "w");
  CHECK(file != nullptr && std::fputs(text, file) >= 0 && std::fclose(file) == 0, "%s", path.c_str());
}

void TestLimits(const std::string& root) {
  const std::string two = root + "/2", one = root + "/1", inside = root + "/inside";
  CHECK(LimitOfControlGroups("0::/job/step\n", two) == INT64_MAX, "no files");
  WriteFile(two + "/job/step/memory.max", "max\n");
  CHECK(LimitOfControlGroups("0::/job/step\n", two) == INT64_MAX, "no limit");
  WriteFile(two + "/job/memory.max", "3000000000\n");
  CHECK(LimitOfControlGroups("0::/job/step\n", two) == 3000000000, "of the group around it");
  WriteFile(two + "/job/step/memory.max", "2000000000\n");
  CHECK(LimitOfControlGroups("0::/job/step\n", two) == 2000000000, "its own");
  CHECK(LimitOfControlGroups("0::/other\n", two) == INT64_MAX, "of another group");

  WriteFile(one + "/memory/job/memory.limit_in_bytes", "1000000000\n");
  WriteFile(one + "/memory/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(LimitOfControlGroups("5:cpu,cpuacct:/other\n4:hugetlb,memory:/job\n", one) == 1000000000, "version 1");
  CHECK(LimitOfControlGroups("5:cpu,cpuacct:/job\n", one) == INT64_MAX, "another controller");

  WriteFile(inside + "/memory.max", "500000000\n");
  CHECK(LimitOfControlGroups("0::/docker/0123\n", inside) == 500000000, "a container that sees itself as the root");
  for (const char* odd : {"", "\n", "0", "0:", "::", "0::", "nonsense\n0::/x"}) LimitOfControlGroups(odd, two);
  CHECK(MemoryOfProcess() > 0, "%ld", static_cast<long>(MemoryOfProcess()));
}

}  // namespace
}  // namespace pg_tf

int main() {
  const char* const folder = std::getenv("TEST_TMPDIR");
  pg_tf::TestLimits(folder == nullptr ? "." : folder);
}
