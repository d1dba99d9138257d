#include "CKernels.h"
#include "common.h"
#include <string.h>

CLONES void dk_split_planes(const uint8_t *restrict values, size_t n, unsigned width,
                            uint8_t *restrict planes) {
#define SPLIT(W)                                                                              \
  for (unsigned p = 0; p < W; p++)                                                            \
    for (size_t i = 0; i < n; i++) planes[p * n + i] = values[i * W + p]
  FOR_WIDTH(SPLIT)
}

CLONES void dk_join_planes(const uint8_t *restrict planes, size_t n, unsigned width,
                           uint8_t *restrict values) {
#define JOIN(W)                                                                               \
  for (size_t i = 0; i < n; i++)                                                              \
    for (unsigned p = 0; p < W; p++) values[i * W + p] = planes[p * n + i]
  FOR_WIDTH(JOIN)
}

void dk_histogram(const uint8_t *bytes, size_t n, uint32_t *counts) {
  // Four tables, so that equal neighbors do not wait for each other's store.
  uint32_t table[4][256] = {{0}};
  size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (unsigned j = 0; j < 4; j++) table[j][bytes[i + j]]++;
  for (; i < n; i++) table[0][bytes[i]]++;
  for (unsigned b = 0; b < 256; b++)
    counts[b] = table[0][b] + table[1][b] + table[2][b] + table[3][b];
}

int dk_is_zero(const uint8_t *bytes, size_t n) {
  // All are equal to the first if each is equal to the previous one.
  return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

size_t dk_write_codes(const uint8_t *bytes, size_t n, const uint32_t *codes, uint64_t pending,
                      unsigned held, uint8_t *out) {
  uint8_t *start = out;
  size_t i = 0;
#define PUT(symbol)                                                                           \
  pending |= (uint64_t)(codes[symbol] & 0xffff) << held;                                      \
  held += codes[symbol] >> 16
  for (; i + 4 <= n; i += 4) {
    for (unsigned j = 0; j < 4; j++) {
      PUT(bytes[i + j]);
    }
    memcpy(out, &pending, 8);
    out += held >> 3;
    pending >>= held & 56;
    held &= 7;
  }
  for (; i <= n; i++) {
    PUT(i < n ? bytes[i] : 256);
    for (; held >= 8; held -= 8, pending >>= 8) *out++ = (uint8_t)pending;
  }
  if (held > 0) *out++ = (uint8_t)pending;
  return (size_t)(out - start);
}
