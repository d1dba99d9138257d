#include "CKernels.h"
#include "adam.h"
#include "common.h"
#include "exponential.h"

// The buffers of a run do not overlap, which a compiler cannot check.
#define VECTORS _Pragma("clang loop vectorize(assume_safety)")

// The interval to which the hard-concrete distribution is stretched. Since l = -r, the penalty's
// log(-l/r) is zero.
#define LEFT (-1.5f)
#define RIGHT 1.5f

// exp(x) for -60 <= x <= 60, with a relative error of at most 1.2e-7.
INLINE float exponential(float x) {
  float power;
  float r = reduce_exponent(x, -60, 60, &power);
  float e = 1.0f / 5040;
  e = e * r + 1.0f / 720;
  e = e * r + 1.0f / 120;
  e = e * r + 1.0f / 24;
  e = e * r + 1.0f / 6;
  e = e * r + 0.5f;
  e = e * r * r + r + 1;
  return e * power;
}

// Returns a number in the open interval (0, 1), a multiple of 2^-24 whose distance to 1 is exact, as
// a function of the draw and the position. The mixer is lowbias32 (Wellons, 2018) with the second key
// between its two multiplications.
INLINE float uniform(dk_draw draw, uint32_t position) {
  uint32_t x = position + draw.low;
  x ^= x >> 16;
  x *= 0x7feb352du;
  x = (x ^ x >> 15) + draw.high;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return ((float)(int32_t)(x >> 9) + 0.5f) * 0x1p-23f;
}

typedef struct {
  float z;     // the gate
  float slope; // dz / d(location), zero where z is clamped
} gate;

// Draws a gate: s = sigmoid(log u - log(1 - u) + location) without a logarithm; `e` is
// exp(-location).
INLINE gate draw_gate(float u, float e) {
  float s = u / (u + (1 - u) * e);
  float stretched = s * (RIGHT - LEFT) + LEFT;
  gate g;
  g.z = stretched < 0 ? 0 : stretched > 1 ? 1 : stretched;
  g.slope = stretched > 0 && stretched < 1 ? s * (1 - s) * (RIGHT - LEFT) : 0;
  return g;
}

// Returns an approximate derivative of a gate's expectation. E z is the mean over t in [0, 1] of the
// probability that z > t, sigmoid(location - logit((t + 1.5) / 3)); its derivative is taken at the
// middle, where the logit is log 2. It is smooth and within 13 % of the mean, a difference with
// little effect on Adam.
INLINE float expected_slope(float e) {
  float q = 1 / (1 + 2 * e);
  return 2 * e * q * q;
}

float dk_uniform(dk_draw draw, uint32_t position) { return uniform(draw, position); }

float dk_gate(float u, float location, int expected, float *slope) {
  float e = exponential(-location);
  gate g = draw_gate(u, e);
  *slope = expected ? expected_slope(e) : g.slope;
  return g.z;
}

INLINE void sample(const dk_gated *x, size_t n, dk_draw draw, const float *group,
                   size_t stride) {
  VECTORS for (size_t i = 0; i < n; i++) {
    float e = exponential(-x->gate[i]);
    gate g = draw_gate(uniform(draw, x->position + (uint32_t)i), e);
    x->value[i] = x->base[i] + g.z * group[i * stride] * x->weight[i];
  }
}

CLONES void dk_gate_sample(const dk_gated *x, size_t n, dk_draw draw, const float *group,
                           int varies) {
  if (varies) sample(x, n, draw, group, 1);
  else sample(x, n, draw, group, 0);
}

typedef struct {
  float weight, gate; // gradients
  float openness;     // the probability that the gate is not zero
  float pull;         // dL / d(the group's gate)
} slopes;

// Propagates the gradient of a value to its weight and its gate.
INLINE slopes pull_back(const dk_gated *x, size_t i, dk_draw draw, float group, float penalty,
                        int expected) {
  float e = exponential(-x->gate[i]);
  gate g = draw_gate(uniform(draw, x->position + (uint32_t)i), e);
  float p = 1 / (1 + e);
  slopes s;
  s.weight = x->gradient[i] * g.z * group;
  s.pull = x->gradient[i] * x->weight[i];
  float slope = expected ? expected_slope(e) : g.slope;
  // p (1 - p) as p * p * e, which does not cancel where p is near 1.
  s.gate = s.pull * slope * group + penalty * (p * p * e);
  s.pull *= g.z;
  s.openness = p;
  return s;
}

INLINE void measure(const dk_gated *x, size_t n, dk_draw draw, const float *group,
                    const float *penalty, int varies, int expected, float *sums) {
  float weight = 0, location = 0;
#define OPEN(i) (x->gate[i] > 0 ? 1.0f : 0.0f)
#define MEASURE(STRIDE, RESULT)                                                               \
  _Pragma("clang fp reassociate(on)")                                                         \
  VECTORS for (size_t i = 0; i < n; i++) {                                                    \
    slopes s = pull_back(x, i, draw, group[i * STRIDE], penalty[i * STRIDE], expected);       \
    weight += s.weight * s.weight;                                                            \
    location += s.gate * s.gate;                                                              \
    RESULT                                                                                    \
  }
  float pull = 0, openness = 0, twice = 0, open = 0;
  float *pulls = sums + 2, *opennesses = pulls + n, *twices = opennesses + n, *opens = twices + n;
  if (varies) {
    MEASURE(1, pulls[i] += s.pull; opennesses[i] += s.openness;
            twices[i] += s.openness * s.openness; opens[i] += OPEN(i);)
  } else {
    MEASURE(0, pull += s.pull; openness += s.openness; twice += s.openness * s.openness;
            open += OPEN(i);)
    sums[2] += pull;
    sums[3] += openness;
    sums[4] += twice;
    sums[5] += open;
  }
  sums[0] += weight;
  sums[1] += location;
}

CLONES void dk_gate_measure(const dk_gated *x, size_t n, dk_draw draw, const float *group,
                            const float *penalty, int varies, int expected, float *sums) {
  if (expected) measure(x, n, draw, group, penalty, varies, 1, sums);
  else measure(x, n, draw, group, penalty, varies, 0, sums);
}

INLINE void update(const dk_gated *x, size_t n, dk_draw draw, const float *group,
                   const float *penalty, dk_draw next, const float *next_group, size_t stride,
                   int expected, const dk_adam *weights, const dk_adam *gates) {
  VECTORS for (size_t i = 0; i < n; i++) {
    slopes s = pull_back(x, i, draw, group[i * stride], penalty[i * stride], expected);
    float w = x->weight[i] - adam(weights, s.weight, x->weight_first + i, x->weight_second + i, 1);
    float a = x->gate[i] - adam(gates, s.gate, x->gate_first + i, x->gate_second + i, 1);
    x->weight[i] = w;
    x->gate[i] = a;
    gate g = draw_gate(uniform(next, x->position + (uint32_t)i), exponential(-a));
    x->value[i] = x->base[i] + g.z * next_group[i * stride] * w;
  }
}

CLONES void dk_gate_update(const dk_gated *x, size_t n, dk_draw draw, const float *group,
                           const float *penalty, dk_draw next, const float *next_group,
                           int varies, int expected, const dk_adam *weights,
                           const dk_adam *gates) {
#define UPDATE(STRIDE, EXPECTED)                                                              \
  update(x, n, draw, group, penalty, next, next_group, STRIDE, EXPECTED, weights, gates)
  if (varies && expected) UPDATE(1, 1);
  else if (varies) UPDATE(1, 0);
  else if (expected) UPDATE(0, 1);
  else UPDATE(0, 0);
}

CLONES void dk_gate_settle(const dk_gated *x, size_t n, const float *group, int varies,
                           float *delta) {
  size_t stride = varies ? 1 : 0;
  VECTORS for (size_t i = 0; i < n; i++) {
    // The deterministic gate: u = 1/2 in the formula above.
    gate g = draw_gate(0.5f, exponential(-x->gate[i]));
    delta[i] = g.z * group[i * stride] * x->weight[i];
    x->value[i] = x->base[i] + delta[i];
  }
}

CLONES double dk_squared_norm(const float *x, size_t n) {
  // In blocks that are short enough for a sum in float32.
  double sum = 0;
  while (n > 0) {
    size_t block = n < 4096 ? n : 4096;
    float part = 0;
    {
      _Pragma("clang fp reassociate(on)")
      for (size_t i = 0; i < block; i++) part += x[i] * x[i];
    }
    sum += (double)part;
    x += block;
    n -= block;
  }
  return sum;
}

CLONES void dk_add_squares(float *sum, const float *x, size_t n) {
  VECTORS for (size_t i = 0; i < n; i++) sum[i] += x[i] * x[i];
}
