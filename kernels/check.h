// For the C++ tests: ends the test with the place and the condition where one does not hold.

#ifndef PG_TF_KERNELS_CHECK_H_
#define PG_TF_KERNELS_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define CHECK(condition, ...)                                              \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::fprintf(stderr, __VA_ARGS__);                                   \
      std::fputc('\n', stderr);                                            \
      std::exit(1);                                                        \
    }                                                                      \
  } while (false)

#endif  // PG_TF_KERNELS_CHECK_H_
