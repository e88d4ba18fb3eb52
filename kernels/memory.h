// How much memory there is.

#ifndef PG_TF_KERNELS_MEMORY_H_
#define PG_TF_KERNELS_MEMORY_H_

#include <cstdint>
#include <string>

namespace pg_tf {

// Bytes that this process may use: the machine's memory or, where that is less, the limit of its control group, as
// containers and batch systems set it. Looked up once.
int64_t MemoryOfProcess();

// The least limit on the control groups that `membership` names, in the format of /proc/self/cgroup, and on those that
// they are in; INT64_MAX where there is none. Both versions of control groups, mounted at `mount`, usually
// /sys/fs/cgroup.
int64_t LimitOfControlGroups(const std::string& membership, const std::string& mount);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_MEMORY_H_
