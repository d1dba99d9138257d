// The Adam step shared by gated parameters and parameters without gates.
#ifndef DK_ADAM_H
#define DK_ADAM_H
#include "CKernels.h"
#include "common.h"

// Updates the moments with a gradient; returns the amount to subtract from the parameter. `fuses`:
// on processors with fused multiply-add, epsilon is added before the corrected root is rounded.
// Training of gates and of values differs in this, so that earlier results stay reproducible.
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
