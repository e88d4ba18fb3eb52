// An instruction set that the arithmetic is compiled for, with the functions that it offers.
//
// The files of the instruction sets (avx2.cc and its siblings) see this header and those it includes under compiler
// flags of their own. So these hold plain data and declarations and no code: the linker could keep the AVX-512 copy of
// an inline function for every CPU.

#ifndef PG_TF_KERNELS_LEVEL_H_
#define PG_TF_KERNELS_LEVEL_H_

#include "kernels/lennard_jones.h"
#include "kernels/voxelize.h"
#include "kernels/voxelize_cell.h"

namespace pg_tf {

struct Level {
  const char* name;
  KernelTable<float> f32;
  KernelTable<double> f64;
  LennardJonesTable<float> lennard_jones_f32;
  LennardJonesTable<double> lennard_jones_f64;
  CellTable<float> cell_f32;
  CellTable<double> cell_f64;
};

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_LEVEL_H_
