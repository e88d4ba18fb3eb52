// AVX-512 F, VL, BW and DQ.

#define PG_TF_LEVEL avx512
#define PG_TF_VECTOR_BYTES 64
#include "kernels/level-inl.h"
