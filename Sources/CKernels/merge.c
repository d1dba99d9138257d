#include "CKernels.h"
#include "common.h"

// Four words for each 64 elements, half a cache line: the elements that are increased, decreased,
// changed more than once; the fourth word is unused.
INLINE void mark(uint64_t *marks, uint32_t element, int isDown) {
  uint64_t *words = marks + (size_t)(element >> 6) * 4;
  uint64_t bit = (uint64_t)1 << (element & 63);
  words[2] |= (words[0] | words[1]) & bit;
  words[isDown] |= bit;
}

// Calls ADD for every element and value v that the runs have in the block, and marks the elements.
#define ADD_RUNS(ADD)                                                                         \
  uint64_t following = UINT64_MAX;                                                            \
  for (size_t r = 0; r < count; r++) {                                                        \
    const uint32_t *at = runs[r].at;                                                          \
    const double *values = runs[r].values;                                                    \
    size_t n = runs[r].count, i = 0;                                                          \
    for (; i < n; i++) {                                                                      \
      uint32_t element = at[i] - first;                                                       \
      if (element >= width) break;                                                            \
      double v = values[i];                                                                   \
      ADD;                                                                                    \
      /* A stored zero changes nothing. */                                                    \
      if (v != 0) mark(marks, element, v < 0);                                                \
    }                                                                                         \
    if (i < n && at[i] < following) following = at[i];                                        \
    if (i == 0) continue;                                                                     \
    size_t words = (at[i - 1] - first) / 64 + 1;                                              \
    *used = words > *used ? words : *used;                                                    \
    runs[r].at += i;                                                                          \
    runs[r].values += i;                                                                      \
    runs[r].count -= i;                                                                       \
  }                                                                                           \
  return following

CLONES uint64_t dk_merge_sum(dk_merge_run *runs, size_t count, uint32_t first, uint32_t width,
                             double *sums, uint64_t *marks, size_t *used) {
  ADD_RUNS(sums[element] += v);
}

INLINE void add_terms(const double *terms, unsigned channels, double v, double *sum) {
  terms += v < 0 ? (size_t)channels * 3 : 0;
  for (unsigned c = 0; v != 0 && c < channels; c++, terms += 3)
    sum[c] += terms[0] + terms[1] * v + terms[2] * (v * v);
}

CLONES uint64_t dk_merge_terms(dk_merge_run *runs, size_t count, uint32_t first, uint32_t width,
                               const double *terms, unsigned channels, double *sums,
                               uint64_t *marks, size_t *used) {
  ADD_RUNS(add_terms(terms + r * channels * 6, channels, v, sums + (size_t)element * channels));
}

CLONES size_t dk_merge_harvest(uint64_t *marks, size_t used, unsigned channels, double *sums,
                               uint32_t first, uint32_t *at, double *out, uint64_t *conflicts) {
  size_t n = 0;
  for (size_t word = 0; word < used; word++) {
    uint64_t *words = marks + word * 4;
    uint64_t bits = words[0] | words[1];
    if (bits == 0) continue;
    conflicts[0] += (uint64_t)__builtin_popcountll(words[2]);
    conflicts[1] += (uint64_t)__builtin_popcountll(words[0] & words[1]);
    words[0] = words[1] = words[2] = 0;
    size_t ones = (size_t)__builtin_popcountll(bits);
    // Four at a time, some of them unused: one branch for every four instead of for each.
    for (size_t done = 0; done < ones; done += 4)
      for (unsigned j = 0; j < 4; j++) {
        at[n + done + j] = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(bits | 1ull << 63);
        bits &= bits - 1;
      }
    n += ones;
  }
#define TAKE(CHANNELS)                                                                        \
  for (size_t i = 0; i < n; i++) {                                                            \
    double *sum = sums + (size_t)at[i] * CHANNELS;                                            \
    for (unsigned c = 0; c < CHANNELS; c++) {                                                 \
      out[i * CHANNELS + c] = sum[c];                                                         \
      sum[c] = 0;                                                                             \
    }                                                                                         \
    at[i] += first;                                                                           \
  }
  if (channels == 1) {
    TAKE(1)
  } else {
    TAKE(channels)
  }
  return n;
}

CLONES size_t dk_merge_scale(uint32_t *at, double *values, size_t n, double factor) {
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    double product = values[i] * factor;
    at[kept] = at[i];
    values[kept] = product;
    // A zero is overwritten by the next value: a branch would be mispredicted.
    kept += product != 0;
  }
  return kept;
}

CLONES double dk_largest(const double *values, size_t n) {
  // Without signs, numbers are ordered as their bits are, with infinity and NaN last.
  uint64_t largest = 0;
  for (size_t i = 0; i < n; i++) {
    uint64_t bits;
    __builtin_memcpy(&bits, values + i, 8);
    bits &= INT64_MAX;
    largest = bits > largest ? bits : largest;
  }
  double value;
  __builtin_memcpy(&value, &largest, 8);
  return value;
}

CLONES size_t dk_count_up_to(const double *values, size_t n, double limit) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) count += (values[i] < 0 ? -values[i] : values[i]) <= limit;
  return count;
}
