// The part that the exponential functions share. Each has a separate polynomial, because results of
// training depend on its last bits.
#ifndef DK_EXPONENTIAL_H
#define DK_EXPONENTIAL_H
#include "common.h"
#include <stdint.h>
#include <string.h>

// x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts (Cody, Waite 1980). Returns r; the power is
// 2^n. Clamps x to low ... high.
INLINE float reduce_exponent(float x, float low, float high, float *power) {
  x = x < low ? low : x;
  x = x > high ? high : x;
  // Adding 1.5 * 2^23 rounds to an integer, which is then in the lower bits.
  float shifted = x * 1.44269504f + 12582912.0f;
  float n = shifted - 12582912.0f;
  uint32_t bits;
  memcpy(&bits, &shifted, 4);
  bits = (bits + 127) << 23;
  memcpy(power, &bits, 4);
  return (x - n * 0.693359375f) + n * 2.12194440e-4f;
}
#endif
