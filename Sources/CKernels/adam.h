// One Adam for gates and for what learns without them.
#ifndef DK_ADAM_H
#define DK_ADAM_H
#include "CKernels.h"
#include "common.h"

// Takes a gradient into the moments; returns by how much the parameter falls. `fuses`: on
// processors with fused multiply-add, epsilon is added before the corrected root is rounded.
// Trainings of gates and of values always differed in this, and their results are to stay.
INLINE float adam(const dk_adam *s, float gradient, float *first, float *second, int fuses) {
  float g = gradient * s->scale;
  float m = *first + s->weight1 * (g - *first);
  float v = *second * s->beta2 + s->weight2 * g * g;
  *first = m;
  *second = v;
  float root = __builtin_elementwise_sqrt(v);
  float rounded = root * s->unbias;
  return s->rate * m / (fuses ? root * s->unbias + s->epsilon : rounded + s->epsilon);
}
#endif
