#include "kernels/lattice_reduction.h"

#include <cmath>

#include "kernels/geometry.h"

namespace pg_tf {
namespace {

// What rounding alone makes shorter is left as it is.
constexpr double kSlack = 1e-9;

}  // namespace

void ReduceLattice(const bool periodic[3], double rows[3][3], double change[3][3]) {
  bool changed = true;
  for (int round = 0; changed && round < 100; ++round) {
    changed = false;
    for (int a = 0; a < 3; ++a) {
      for (int b = 0; b < 3; ++b) {
        if (a == b || !periodic[a] || !periodic[b]) continue;
        const double multiple = std::round(Dot(rows[a], rows[b]) / Dot(rows[b], rows[b]));
        double shorter[3];
        for (int e = 0; e < 3; ++e) shorter[e] = rows[a][e] - multiple * rows[b][e];
        if (multiple == 0 || !(Length(shorter) < Length(rows[a]) * (1 - kSlack))) continue;
        for (int e = 0; e < 3; ++e) {
          rows[a][e] = shorter[e];
          change[a][e] -= multiple * change[b][e];
        }
        changed = true;
      }
    }
  }
}

}  // namespace pg_tf
