/* A thing that must be so, or the program ends with a line that says what is not. */
#include <stdio.h>
#include <stdlib.h>

#include "diffkit.h"

#define EXPECT(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, diffkit_error()); \
      exit(1); \
    } \
  } while (0)
