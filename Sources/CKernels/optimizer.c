#include "CKernels.h"
#include "common.h"

CLONES void dk_adamw(float *restrict values, const float *restrict gradients,
                     float *restrict first, float *restrict second, size_t n,
                     const dk_adamw_step *step) {
  dk_adamw_step s = *step;
  for (size_t i = 0; i < n; i++) {
    float g = gradients[i] * s.scale;
    float m = first[i] + s.weight1 * (g - first[i]);
    float v = second[i] * s.beta2 + s.weight2 * g * g;
    first[i] = m;
    second[i] = v;
    float root = __builtin_elementwise_sqrt(v) * s.unbias;
    values[i] = values[i] * s.keep - s.rate * m / (root + s.epsilon);
  }
}
