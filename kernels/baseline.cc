// The instruction set that every CPU of the architecture has.

#define PG_TF_LEVEL baseline
#define PG_TF_VECTOR_BYTES 16
#include "kernels/level-inl.h"
