// Short vectors of a lattice that was given by long and skewed ones.

#ifndef PG_TF_KERNELS_LATTICE_REDUCTION_H_
#define PG_TF_KERNELS_LATTICE_REDUCTION_H_

namespace pg_tf {

// Makes the periodic rows short by subtracting whole multiples of one from another. The lattice stays the same. The new
// rows are change . the old ones, if `change` was the unit matrix before.
void ReduceLattice(const bool periodic[3], double rows[3][3], double change[3][3]);

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_LATTICE_REDUCTION_H_
