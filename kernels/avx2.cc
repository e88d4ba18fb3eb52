// AVX2 with FMA and F16C.

#define PG_TF_LEVEL avx2
#define PG_TF_VECTOR_BYTES 32
#include "kernels/level-inl.h"
