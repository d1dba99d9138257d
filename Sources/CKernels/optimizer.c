#include "CKernels.h"
#include "adam.h"
#include "common.h"

CLONES void dk_adamw(float *restrict values, const float *restrict gradients,
                     float *restrict first, float *restrict second, size_t n,
                     const dk_adam *step) {
  dk_adam s = *step;
  for (size_t i = 0; i < n; i++)
    values[i] = values[i] * s.keep - adam(&s, gradients[i], first + i, second + i, 0);
}
