/* A condition that must hold; else the program ends with a line that names it. */
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
