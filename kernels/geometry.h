// Vectors of three components, and the parallelepipeds that three of them span; rows are vectors. Code, so not for the
// files of the instruction sets, see level.h.

#ifndef PG_TF_KERNELS_GEOMETRY_H_
#define PG_TF_KERNELS_GEOMETRY_H_

#include <cmath>

namespace pg_tf {

inline double Dot(const double a[3], const double b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

inline double Length(const double a[3]) { return std::sqrt(Dot(a, a)); }

inline void Cross(const double a[3], const double b[3], double product[3]) {
  for (int d = 0; d < 3; ++d) product[d] = a[(d + 1) % 3] * b[(d + 2) % 3] - a[(d + 2) % 3] * b[(d + 1) % 3];
}

// From nine values, row by row.
template <typename T>
void CopyRows(const T* from, double rows[3][3]) {
  for (int i = 0; i < 9; ++i) rows[i / 3][i % 3] = from[i];
}

// Volume of the parallelepiped, signed.
inline double Volume(const double rows[3][3]) {
  double normal[3];
  Cross(rows[1], rows[2], normal);
  return Dot(rows[0], normal);
}

// Volume over the product of the lengths: 1 for right angles, 0 for vectors in one plane or of no length.
inline double RelativeVolume(const double rows[3][3]) {
  const double lengths = Length(rows[0]) * Length(rows[1]) * Length(rows[2]);
  return lengths > 0 ? std::abs(Volume(rows)) / lengths : 0;
}

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_GEOMETRY_H_
