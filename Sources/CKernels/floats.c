#include "CKernels.h"
#include "common.h"
#include <string.h>

INLINE float from_f16(const uint8_t *p) {
  _Float16 v;
  memcpy(&v, p, 2);
  return (float)v;
}

INLINE float from_bf16(const uint8_t *p) {
  uint16_t bits;
  memcpy(&bits, p, 2);
  uint32_t wide = (uint32_t)bits << 16;
  float v;
  memcpy(&v, &wide, 4);
  return v;
}

INLINE float from_f32(const uint8_t *p) {
  float v;
  memcpy(&v, p, 4);
  return v;
}

INLINE double from_f64(const uint8_t *p) {
  double v;
  memcpy(&v, p, 8);
  return v;
}

INLINE void to_f16(uint8_t *p, float v) {
  _Float16 narrow = (_Float16)v;
  memcpy(p, &narrow, 2);
}

INLINE void to_bf16(uint8_t *p, float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  // To nearest even; a NaN keeps its upper bits and is made quiet, so that it stays a NaN.
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  uint32_t quiet = bits >> 16 | 0x40;
  uint16_t narrow = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
  memcpy(p, &narrow, 2);
}

// Returns `v` rounded to odd: the float32 next to it towards zero, with the last bit set if it is not
// exact. Rounded again, to fewer bits, it gives the same result as `v`.
INLINE float to_odd(double v) {
  float f = (float)v;
  uint32_t bits;
  memcpy(&bits, &f, 4);
  if ((double)f != v && v == v) {
    bits -= __builtin_fabs((double)f) > __builtin_fabs(v);
    bits |= 1;
  }
  memcpy(&f, &bits, 4);
  return f;
}

INLINE void to_f32(uint8_t *p, float v) { memcpy(p, &v, 4); }
INLINE void to_f64(uint8_t *p, double v) { memcpy(p, &v, 8); }

#define FOR_KIND(body)                                                                        \
  switch (kind) {                                                                             \
    case DK_F16: body(f16, float, 2); break;                                                  \
    case DK_BF16: body(bf16, float, 2); break;                                                \
    case DK_F32: body(f32, float, 4); break;                                                  \
    case DK_F64: body(f64, double, 8); break;                                                 \
  }

CLONES void dk_widen(const uint8_t *src, int kind, size_t n, double factor, double *out) {
#define WIDEN(T, F, W)                                                                        \
  for (size_t i = 0; i < n; i++) out[i] = (double)from_##T(src + i * W) * factor
  FOR_KIND(WIDEN)
}

CLONES void dk_narrow(const double *src, int kind, size_t n, double factor, uint8_t *out) {
  // float64 must be rounded once. (Direct conversion from double to float16 is a runtime call.)
  if (kind == DK_F16) {
    for (size_t i = 0; i < n; i++) to_f16(out + i * 2, to_odd(src[i] * factor));
    return;
  }
  if (kind == DK_BF16) {
    for (size_t i = 0; i < n; i++) to_bf16(out + i * 2, to_odd(src[i] * factor));
    return;
  }
#define NARROW(T, F, W)                                                                       \
  for (size_t i = 0; i < n; i++) to_##T(out + i * W, (F)(src[i] * factor))
  FOR_KIND(NARROW)
}

// Stores a sum. The NaN that an addition gives depends on the processor; the stored one must not.
INLINE void put_f16(uint8_t *p, float v) { to_f16(p, v == v ? v : __builtin_nanf("")); }
INLINE void put_f32(uint8_t *p, float v) { to_f32(p, v == v ? v : __builtin_nanf("")); }
INLINE void put_f64(uint8_t *p, double v) { to_f64(p, v == v ? v : __builtin_nan("")); }
INLINE void put_bf16(uint8_t *p, float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  uint16_t rounded = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  uint16_t narrow = v == v ? rounded : 0x7fc0;
  memcpy(p, &narrow, 2);
}

CLONES size_t dk_scatter_add(uint8_t *dst, int kind, const uint32_t *at, size_t n, uint32_t shift,
                             const double *deltas) {
  size_t infinite = 0;
#define SCATTER_ADD(T, F, W)                                                                  \
  for (size_t i = 0; i < n; i++) {                                                            \
    uint8_t *p = dst + (size_t)(uint32_t)(at[i] + shift) * W;                                 \
    F old = from_##T(p);                                                                      \
    put_##T(p, old + (F)deltas[i]);                                                           \
    infinite += (__builtin_isinf(from_##T(p)) != 0) & (__builtin_isinf(old) == 0);            \
  }
  FOR_KIND(SCATTER_ADD)
  return infinite;
}

// Returns b − a, rounded to odd: if it is not exact, the one of its two neighbors whose last bit is
// set. The rounding error is exact (Knuth's two-sum), and its sign gives the direction of the other
// neighbor.
INLINE double subtract_to_odd(double b, double a) {
  double sum = b - a;
  double part = sum - b;
  double error = (b - (sum - part)) - (a + part);
  uint64_t bits;
  memcpy(&bits, &sum, 8);
  if (__builtin_isfinite(sum) && error != 0 && !(bits & 1)) {
    bits += (error > 0) == (sum > 0) ? 1 : -1;
  }
  memcpy(&sum, &bits, 8);
  return sum;
}

CLONES void dk_subtract(const uint8_t *a, const uint8_t *b, int kind, size_t n, double *out) {
#define SUBTRACT(T, F, W)                                                                     \
  for (size_t i = 0; i < n; i++) out[i] = subtract_to_odd(from_##T(b + i * W), from_##T(a + i * W))
  FOR_KIND(SUBTRACT)
}
