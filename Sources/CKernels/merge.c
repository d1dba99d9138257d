#include "CKernels.h"
#include "common.h"

// Four words for each 64 elements: which are changed, changed by two or more, changed upwards,
// changed downwards. Together they are half a cache line.
INLINE void mark(uint64_t *marks, uint32_t element, int isUp, int isDown) {
  uint64_t *words = marks + (size_t)(element >> 6) * 4;
  uint64_t bit = (uint64_t)1 << (element & 63);
  words[1] |= words[0] & bit;
  words[0] |= bit;
  words[2] |= isUp ? bit : 0;
  words[3] |= isDown ? bit : 0;
}

// Marks a group; neighbours, which most elements are in a group, wait for no store.
#define GROUPS_BEGIN                                                                          \
  size_t group = 0;                                                                           \
  uint64_t groupBits = 0
#define GROUPS_ADD(element)                                                                   \
  if ((element) >> 12 != group) {                                                             \
    groups[group] |= groupBits;                                                               \
    group = (element) >> 12;                                                                  \
    groupBits = 0;                                                                            \
  }                                                                                           \
  groupBits |= (uint64_t)1 << ((element) >> 6 & 63)
#define GROUPS_END groups[group] |= groupBits

CLONES void dk_merge_sum(const uint32_t *at, size_t n, uint32_t first, const double *values,
                         double *sums, uint64_t *marks, uint64_t *groups) {
  GROUPS_BEGIN;
  for (size_t i = 0; i < n; i++) {
    uint32_t element = at[i] - first;
    sums[element] += values[i];
    // A stored zero changes nothing.
    if (values[i] == 0) continue;
    mark(marks, element, values[i] > 0, values[i] < 0);
    GROUPS_ADD(element);
  }
  GROUPS_END;
}

CLONES void dk_merge_terms(const uint32_t *at, size_t n, uint32_t first, const double *values,
                           const double *terms, unsigned channels, double *sums,
                           uint64_t *marks, uint64_t *groups) {
  GROUPS_BEGIN;
  for (size_t i = 0; i < n; i++) {
    double v = values[i];
    if (v == 0) continue;
    uint32_t element = at[i] - first;
    const double *term = terms + (v < 0 ? (size_t)channels * 3 : 0);
    double *sum = sums + (size_t)element * channels;
    for (unsigned c = 0; c < channels; c++, term += 3)
      sum[c] += term[0] + term[1] * v + term[2] * (v * v);
    mark(marks, element, v > 0, v < 0);
    GROUPS_ADD(element);
  }
  GROUPS_END;
}

size_t dk_merge_harvest(uint64_t *marks, uint64_t *groups, size_t groupCount, unsigned channels,
                        double *sums, uint32_t first, uint32_t *at, double *out, size_t room,
                        uint64_t *conflicts) {
  size_t n = 0;
  for (size_t g = 0; g < groupCount; g++) {
    for (uint64_t group = groups[g]; group != 0; group &= group - 1) {
      size_t word = g * 64 + (size_t)__builtin_ctzll(group);
      uint64_t *words = marks + word * 4;
      conflicts[0] += (uint64_t)__builtin_popcountll(words[1]);
      conflicts[1] += (uint64_t)__builtin_popcountll(words[2] & words[3]);
      for (uint64_t bits = words[0]; bits != 0 && n < room; bits &= bits - 1, n++) {
        uint32_t element = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(bits);
        double *sum = sums + (size_t)element * channels;
        at[n] = first + element;
        for (unsigned c = 0; c < channels; c++) {
          out[n * channels + c] = sum[c];
          sum[c] = 0;
        }
      }
      words[0] = words[1] = words[2] = words[3] = 0;
    }
    groups[g] = 0;
  }
  return n;
}
