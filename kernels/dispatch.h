// The instruction set that the kernels run with.

#ifndef PG_TF_KERNELS_DISPATCH_H_
#define PG_TF_KERNELS_DISPATCH_H_

#include <string>
#include <vector>

#include "kernels/voxelize.h"

namespace pg_tf {

// The levels that this CPU can run, slowest first.
std::vector<const Level*> SupportedLevels();

// The level that `requested` names, the best one where it is null or empty; null, and the reason in `error`, where this
// CPU does not have it.
const Level* ChooseLevel(const char* requested, std::string* error);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_DISPATCH_H_
