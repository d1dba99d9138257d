#include "CKernels.h"
#include "common.h"
#include <string.h>

CLONES size_t dk_differences(const uint8_t *a, const uint8_t *b, size_t n, unsigned width,
                             uint32_t *out) {
  size_t found = 0, i = 0;
  // Sixteen elements are two words per byte of width, and most groups of sixteen are equal in a
  // sparse change. In the others, every index is stored and kept only if the element differs: a
  // branch per element would be mispredicted.
#define KEEP(W, e)                                                                            \
  out[found] = (uint32_t)(e);                                                                 \
  found += memcmp(a + (e) * W, b + (e) * W, W) != 0
#define DIFFERENCES(W)                                                                        \
  for (; i + 16 <= n; i += 16) {                                                              \
    uint64_t x[2 * W], y[2 * W], any = 0;                                                     \
    memcpy(x, a + i * W, sizeof x);                                                           \
    memcpy(y, b + i * W, sizeof y);                                                           \
    for (unsigned j = 0; j < 2 * W; j++) any |= x[j] ^ y[j];                                  \
    if (any == 0) continue;                                                                   \
    for (size_t e = i; e < i + 16; e++) {                                                     \
      KEEP(W, e);                                                                             \
    }                                                                                         \
  }                                                                                           \
  for (; i < n; i++) {                                                                        \
    KEEP(W, i);                                                                               \
  }
  FOR_WIDTH(DIFFERENCES)
  return found;
}

// The byte offset of the i-th element, of W bytes.
#define OFFSET(W) ((size_t)(uint32_t)(at[i] + shift) * W)

CLONES void dk_gather(const uint8_t *src, unsigned width, const uint32_t *at, size_t n,
                      uint32_t shift, uint8_t *out) {
#define GATHER(W)                                                                             \
  for (size_t i = 0; i < n; i++) memcpy(out + i * W, src + OFFSET(W), W)
  FOR_WIDTH(GATHER)
}

CLONES void dk_scatter(uint8_t *dst, unsigned width, const uint32_t *at, size_t n,
                       uint32_t shift, const uint8_t *values) {
#define SCATTER(W)                                                                            \
  for (size_t i = 0; i < n; i++) memcpy(dst + OFFSET(W), values + i * W, W)
  FOR_WIDTH(SCATTER)
}

// So many at a time that their cache lines are still at hand when they are stored to. Those of the
// next batch are fetched meanwhile: the elements are far apart, and waiting for them is nearly all
// that takes time.
enum { EXCHANGE_BATCH = 128 };

CLONES size_t dk_exchange(uint8_t *dst, unsigned width, const uint32_t *at, size_t n,
                          uint32_t shift, const uint8_t *expected, const uint8_t *values) {
#define EXCHANGE(W)                                                                           \
  for (size_t from = 0; from < n; from += EXCHANGE_BATCH) {                                   \
    size_t to = n - from < EXCHANGE_BATCH ? n : from + EXCHANGE_BATCH;                        \
    int differs = 0;                                                                          \
    for (size_t i = from; i < to; i++)                                                        \
      differs |= memcmp(dst + OFFSET(W), expected + i * W, W) != 0;                            \
    if (differs) return from;                                                                 \
    for (size_t i = from; i < to; i++) {                                                      \
      size_t next = i + EXCHANGE_BATCH;                                                       \
      if (next < n) __builtin_prefetch(dst + (size_t)(uint32_t)(at[next] + shift) * W, 1);    \
      memcpy(dst + OFFSET(W), values + i * W, W);                                              \
    }                                                                                         \
  }
  FOR_WIDTH(EXCHANGE)
  return n;
}

CLONES void dk_scatter_xor(uint8_t *dst, unsigned width, const uint32_t *at, size_t n,
                           uint32_t shift, const uint8_t *values) {
#define SCATTER_XOR(W)                                                                        \
  for (size_t i = 0; i < n; i++)                                                              \
    for (unsigned j = 0; j < W; j++) dst[OFFSET(W) + j] ^= values[i * W + j]
  FOR_WIDTH(SCATTER_XOR)
}

CLONES void dk_xor(uint8_t *restrict dst, const uint8_t *restrict other, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) dst[i] ^= other[i];
}

CLONES void dk_swap_bytes(uint8_t *data, size_t n, unsigned width) {
#define SWAP(W)                                                                               \
  for (size_t i = 0; i < n; i++)                                                              \
    for (unsigned j = 0; j < W / 2; j++) {                                                    \
      uint8_t t = data[i * W + j];                                                            \
      data[i * W + j] = data[i * W + W - 1 - j];                                              \
      data[i * W + W - 1 - j] = t;                                                            \
    }
  FOR_WIDTH(SWAP)
}
