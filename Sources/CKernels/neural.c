#include "CKernels.h"
#include "common.h"
#include "exponential.h"
#include <string.h>

// Allows sums in any order, so that they can be vectorized.
#define ANY_ORDER _Pragma("clang fp reassociate(on)")

// If buffers overlap, the elements that one iteration reads and writes are the same.
#define ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")

// The coefficients below minimize the maximum error; they were fitted in float64 for this file.

INLINE uint32_t float_bits(float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  return bits;
}

// e^x for -87 <= x <= 88, within 2 ulp.
INLINE float exponential(float x) {
  float power;
  float r = reduce_exponent(x, -87, 88, &power);
  float p = 0.0013836845755577087f;
  p = p * r + 0.008374815806746483f;
  p = p * r + 0.04166822507977486f;
  p = p * r + 0.16666419804096222f;
  p = p * r + 0.49999991059303284f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * power;
}

// tanh x = x * P(x^2) near zero, 1 - 2 / (e^2x + 1) elsewhere.
INLINE float hyperbolic(float x) {
  float z = x * x;
  float p = -0.005468267947435379f;
  p = p * z + 0.02041519246995449f;
  p = p * z - 0.05366528034210205f;
  p = p * z + 0.1333041489124298f;
  p = p * z - 0.3333323001861572f;
  float far = 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f);
  return z < 0.4225f ? x + x * z * p : far;
}

// The normal distribution at -|x|, divided by e^(-x^2/2): a polynomial in 1 / (1 + 0.35 |x|),
// accurate to 3e-8 for |x| <= 14.
INLINE float tail(float x) {
  float t = 1.0f / (1.0f + 0.35f * __builtin_fabsf(x));
  float p = -0.02804548293352127f;
  p = p * t + 0.13825733959674835f;
  p = p * t - 0.24294361472129822f;
  p = p * t + 0.14310133457183838f;
  p = p * t - 0.01059555634856224f;
  p = p * t + 0.09927772730588913f;
  p = p * t + 0.12180974334478378f;
  p = p * t + 0.13947750627994537f;
  p = p * t + 0.13966286182403564f;
  return p * t - 1.8868518054659944e-06f;
}

// Each sets y = f(x) and s = f'(x).
#define GELU(x, y, s)                                                                         \
  float e = exponential(-0.5f * x * x);                                                       \
  float beyond = e * tail(x);                                                                 \
  float below = x < 0 ? beyond : 1.0f - beyond;                                               \
  float y = x * below, s = below + x * e * 0.3989422804f
#define GELU_TANH(x, y, s)                                                                    \
  float t = hyperbolic(0.7978845608f * (x + 0.044715f * x * x * x));                          \
  float y = 0.5f * x * (1.0f + t);                                                            \
  float s = 0.5f * (1.0f + t) +                                                               \
            0.5f * x * (1.0f - t * t) * 0.7978845608f * (1.0f + 0.134145f * x * x)
#define TANH(x, y, s) float y = hyperbolic(x), s = 1.0f - y * y
#define RELU(x, y, s) float y = x < 0 ? 0 : x, s = x > 0 ? 1 : 0

#define ACTIVATE(F)                                                                           \
  if (slope) {                                                                                \
    ELEMENTWISE for (size_t i = 0; i < n; i++) {                                              \
      float v = x[i];                                                                         \
      F(v, value, derivative);                                                                \
      y[i] = value;                                                                           \
      slope[i] = derivative;                                                                  \
    }                                                                                         \
  } else {                                                                                    \
    ELEMENTWISE for (size_t i = 0; i < n; i++) {                                              \
      float v = x[i];                                                                         \
      F(v, value, derivative);                                                                \
      (void)derivative;                                                                       \
      y[i] = value;                                                                           \
    }                                                                                         \
  }

CLONES void dk_activate(int kind, const float *x, size_t rows, size_t n, size_t stride, float *y,
                        float *slope) {
  for (size_t r = 0; r < rows; r++, x += stride, y += stride) {
    switch (kind) {
      case DK_GELU: ACTIVATE(GELU) break;
      case DK_GELU_TANH: ACTIVATE(GELU_TANH) break;
      case DK_TANH: ACTIVATE(TANH) break;
      case DK_RELU: ACTIVATE(RELU) break;
    }
    if (slope) slope += stride;
  }
}

CLONES void dk_bf16(const float *x, size_t rows, size_t n, size_t stride, uint16_t *out,
                    size_t out_stride) {
  for (size_t r = 0; r < rows; r++, x += stride, out += out_stride)
    ELEMENTWISE for (size_t i = 0; i < n; i++) {
      uint32_t bits = float_bits(x[i]);
      uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
      // A NaN stays a NaN: rounding could carry into its sign.
      out[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
    }
}

CLONES void dk_add(float *x, const float *y, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] += y[i];
}

CLONES void dk_add_bf16(float *x, const uint16_t *y, size_t n) {
  ELEMENTWISE for (size_t i = 0; i < n; i++) {
    uint32_t bits = (uint32_t)y[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    x[i] += value;
  }
}

CLONES void dk_scale(float *x, size_t n, float factor) {
  for (size_t i = 0; i < n; i++) x[i] *= factor;
}

CLONES void dk_multiply(float *x, const float *y, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] *= y[i];
}

CLONES void dk_add_row(float *x, size_t rows, size_t n, size_t stride, const float *row) {
  for (size_t r = 0; r < rows; r++, x += stride)
    for (size_t j = 0; j < n; j++) x[j] += row[j];
}

CLONES void dk_add_columns(const float *x, size_t rows, size_t n, size_t stride, float *sum) {
  for (size_t r = 0; r < rows; r++, x += stride)
    for (size_t j = 0; j < n; j++) sum[j] += x[j];
}

CLONES void dk_softmax(float *x, size_t rows, size_t n) {
  ANY_ORDER
  for (size_t r = 0; r < rows; r++, x += n) {
    float lanes[16], greatest = x[0], sum = 0;
    size_t whole = n & ~(size_t)15;
    for (size_t l = 0; l < 16; l++) lanes[l] = greatest;
    for (size_t j = 0; j < whole; j += 16)
      for (size_t l = 0; l < 16; l++) lanes[l] = x[j + l] > lanes[l] ? x[j + l] : lanes[l];
    for (size_t l = 0; l < 16; l++) greatest = lanes[l] > greatest ? lanes[l] : greatest;
    for (size_t j = whole; j < n; j++) greatest = x[j] > greatest ? x[j] : greatest;
    for (size_t j = 0; j < n; j++) {
      x[j] = exponential(x[j] - greatest);
      sum += x[j];
    }
    float factor = 1.0f / sum;
    for (size_t j = 0; j < n; j++) x[j] *= factor;
  }
}

CLONES void dk_softmax_slope(const float *p, float *d, size_t rows, size_t n, float factor) {
  ANY_ORDER
  for (size_t r = 0; r < rows; r++, p += n, d += n) {
    float sum = 0;
    for (size_t j = 0; j < n; j++) sum += p[j] * d[j];
    for (size_t j = 0; j < n; j++) d[j] = p[j] * (d[j] - sum) * factor;
  }
}

CLONES void dk_normalize(float *x, size_t rows, size_t n, const float *gain, const float *shift,
                         float epsilon, float *y, float *scale) {
  ANY_ORDER
  for (size_t r = 0; r < rows; r++, x += n, y += n) {
    float sum = 0, squares = 0;
    for (size_t j = 0; j < n; j++) sum += x[j];
    float mean = sum / (float)n;
    for (size_t j = 0; j < n; j++) squares += (x[j] - mean) * (x[j] - mean);
    float factor = 1.0f / __builtin_sqrtf(squares / (float)n + epsilon);
    for (size_t j = 0; j < n; j++) {
      x[j] = (x[j] - mean) * factor;
      y[j] = x[j] * gain[j] + shift[j];
    }
    scale[r] = factor;
  }
}

CLONES void dk_normalize_slope(const float *d, const float *x, const float *scale,
                               const float *gain, size_t rows, size_t n, int adding, float *dx,
                               float *dgain, float *dshift) {
  ANY_ORDER
  for (size_t r = 0; r < rows; r++, d += n, x += n, dx += n) {
    float sum = 0, product = 0;
    for (size_t j = 0; j < n; j++) {
      float g = d[j] * gain[j];
      sum += g;
      product += g * x[j];
      dgain[j] += d[j] * x[j];
      dshift[j] += d[j];
    }
    sum /= (float)n;
    product /= (float)n;
    if (adding) {
      for (size_t j = 0; j < n; j++)
        dx[j] += (d[j] * gain[j] - sum - x[j] * product) * scale[r];
    } else {
      for (size_t j = 0; j < n; j++)
        dx[j] = (d[j] * gain[j] - sum - x[j] * product) * scale[r];
    }
  }
}

// A finalizer with little bias (Wellons 2018, "lowbias32").
INLINE uint32_t mix(uint32_t h) {
  h = (h ^ h >> 16) * 0x7feb352d;
  h = (h ^ h >> 15) * 0x846ca68b;
  return h ^ h >> 16;
}

#define DROPOUT(BASE)                                                                         \
  ELEMENTWISE for (size_t i = 0; i < n; i++) {                                                \
    uint32_t h = mix(mix((first + (uint32_t)i) ^ (uint32_t)key) + (uint32_t)(key >> 32));     \
    out[i] = BASE + (h < least ? 0.0f : x[i] * factor);                                       \
  }

CLONES void dk_dropout(const float *x, const float *base, size_t n, uint64_t key, uint32_t first,
                       float rate, float *out) {
  uint32_t least = (uint32_t)((double)rate * 4294967295.0);
  float factor = 1.0f / (1.0f - rate);
  if (least == 0) {
    if (base) {
      ELEMENTWISE for (size_t i = 0; i < n; i++) out[i] = base[i] + x[i];
    } else if (out != x) {
      memmove(out, x, n * sizeof(float));
    }
  } else if (base) {
    DROPOUT(base[i])
  } else {
    DROPOUT(0.0f)
  }
}

unsigned dk_subnormals(unsigned state) {
#if defined(__x86_64__)
  unsigned before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr((before & ~(unsigned)DK_NO_SUBNORMALS) | (state & DK_NO_SUBNORMALS));
  return before;
#elif defined(__aarch64__)
  // Bit 24 of FPCR flushes inputs and results.
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  uint64_t changed = (control & ~((uint64_t)1 << 24)) | (uint64_t)(state != 0) << 24;
  __asm__ volatile("msr fpcr, %0" : : "r"(changed));
  return control >> 24 & 1 ? DK_NO_SUBNORMALS : 0;
#else
  return state;
#endif
}
