// For the C++ tests: CHECK ends the test where its condition does not hold, and prints the place and the condition.

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
