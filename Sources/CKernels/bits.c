#include "CKernels.h"
#include "common.h"
#include <string.h>

INLINE uint64_t load64(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, 8);
  return v;
}

// A vector of eight values; the compiler maps it to the registers of each clone.
typedef uint32_t lanes __attribute__((vector_size(32)));

INLINE uint32_t or_all(const uint32_t *values, size_t n) {
  uint32_t all = 0;
  for (size_t i = 0; i < n; i++) all |= values[i];
  return all;
}

/// Loads the last bytes of a buffer, where eight can no longer be read at once.
INLINE uint64_t load_tail(const uint8_t *p, size_t bytes) {
  uint64_t v = 0;
  for (size_t i = 0; i < bytes && i < 8; i++) v |= (uint64_t)p[i] << (8 * i);
  return v;
}

// Returns the bits starting at `bit`. The empty statement hides the word from the vectorizer, which
// would use gather instructions for these loads, at a quarter of the speed.
INLINE uint32_t bits_at(const uint8_t *src, unsigned bit, uint32_t mask) {
  uint64_t word = load64(src + (bit >> 3));
  __asm__("" : "+r"(word));
  return (uint32_t)(word >> (bit & 7)) & mask;
}

// Eight values of k bits take k bytes, so with k known every offset and shift is a constant.
#define UNPACK_EIGHT(K)                                                                       \
  case K:                                                                                     \
    for (; i + 8 <= safe; i += 8, src += K)                                                   \
      for (unsigned j = 0; j < 8; j++) out[i + j] = bits_at(src, j * K, mask);                \
    break;

INLINE void unpack(const uint8_t *src, size_t bytes, unsigned bits, size_t n, uint32_t *out) {
  if (bits == 0) {
    memset(out, 0, n * sizeof *out);
    return;
  }
  const uint8_t *end = src + bytes;
  const uint32_t mask = bits == 32 ? UINT32_MAX : (1u << bits) - 1;
  // Groups of eight whose widest load (at most bits + 7 bytes from their start) stays inside.
  size_t safe = bytes < bits + 8 ? 0 : 8 * ((bytes - 8) / bits);
  if (safe > n) safe = n;
  size_t i = 0;
  switch (bits) {
    UNPACK_EIGHT(1) UNPACK_EIGHT(2) UNPACK_EIGHT(3) UNPACK_EIGHT(4)
    UNPACK_EIGHT(5) UNPACK_EIGHT(6) UNPACK_EIGHT(7) UNPACK_EIGHT(8)
    UNPACK_EIGHT(9) UNPACK_EIGHT(10) UNPACK_EIGHT(11) UNPACK_EIGHT(12)
    UNPACK_EIGHT(13) UNPACK_EIGHT(14) UNPACK_EIGHT(15) UNPACK_EIGHT(16)
    UNPACK_EIGHT(17) UNPACK_EIGHT(18) UNPACK_EIGHT(19) UNPACK_EIGHT(20)
    UNPACK_EIGHT(21) UNPACK_EIGHT(22) UNPACK_EIGHT(23) UNPACK_EIGHT(24)
    default: break;
  }
  for (size_t bit = 0; i < n; i++, bit += bits) {
    const uint8_t *p = src + (bit >> 3);
    out[i] = (uint32_t)(load_tail(p, (size_t)(end - p)) >> (bit & 7)) & mask;
  }
}

CLONES void dk_unpack_bits(const uint8_t *src, size_t bytes, unsigned bits, size_t n,
                           uint32_t *out) {
  unpack(src, bytes, bits, n, out);
}

CLONES void dk_pack_bits(const uint32_t *values, unsigned bits, size_t n, uint8_t *out) {
  if (bits == 0) return;
  const uint32_t mask = bits == 32 ? UINT32_MAX : (1u << bits) - 1;
  uint64_t pending = 0;
  unsigned held = 0;
  for (size_t i = 0; i < n; i++) {
    pending |= (uint64_t)(values[i] & mask) << held;
    held += bits;
    if (held < 32) continue;
    uint32_t word = (uint32_t)pending;
    memcpy(out, &word, 4);
    out += 4;
    pending >>= 32;
    held -= 32;
  }
  for (unsigned done = 0; done < held; done += 8) *out++ = (uint8_t)(pending >> done);
}

CLONES size_t dk_select_ones(const uint8_t *bitmap, size_t bytes, uint32_t *out,
                             size_t capacity) {
  size_t found = 0;
  for (size_t at = 0; at < bytes; at += 8) {
    uint64_t word = bytes - at >= 8 ? load64(bitmap + at) : load_tail(bitmap + at, bytes - at);
    size_t ones = (size_t)__builtin_popcountll(word);
    uint32_t bit = (uint32_t)(at * 8);
    if (found + 64 <= capacity) {
      // Eight at a time, some of them unused: one branch for every eight instead of for each.
      uint32_t *to = out + found;
      for (size_t done = 0; done < ones; done += 8)
        for (unsigned j = 0; j < 8; j++) {
          to[done + j] = bit + (uint32_t)__builtin_ctzll(word | 1ull << 63);
          word &= word - 1;
        }
    } else if (found + ones <= capacity) {
      for (uint32_t *to = out + found; word; word &= word - 1)
        *to++ = bit + (uint32_t)__builtin_ctzll(word);
    }
    found += ones;
  }
  return found;
}

void dk_count_lines(const uint32_t *values, size_t n, uint32_t shift, uint32_t columns,
                    uint32_t *rowCounts, uint32_t *columnCounts) {
  uint32_t row = 0, start = 0, inRow = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t column = values[i] + shift - start;
    // Most values are in the row of the previous one and need no division.
    if (column >= columns) {
      rowCounts[row] += inRow;
      inRow = 0;
      row += column / columns;
      start = row * columns;
      column = values[i] + shift - start;
    }
    inRow++;
    columnCounts[column]++;
  }
  rowCounts[row] += inRow;
}

void dk_set_bits(const uint32_t *positions, size_t n, uint8_t *bitmap) {
  for (size_t i = 0; i < n; i++) bitmap[positions[i] >> 3] |= (uint8_t)(1u << (positions[i] & 7));
}

CLONES void dk_gaps(const uint32_t *values, size_t n, uint32_t *gaps) {
  if (n == 0) return;
  gaps[0] = values[0];
  for (size_t i = 1; i < n; i++) gaps[i] = values[i] - values[i - 1] - 1;
}

// values[i] = start + (values[0] + 1) + ... + (values[i] + 1), modulo 2^32. Returns the sum of the
// original values, which does not wrap.
INLINE uint64_t running_sum(uint32_t *values, uint32_t start, size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) sum += values[i];
  size_t i = 0;
  lanes zero = {0}, before = zero + start;
  for (; i + 8 <= n; i += 8) {
    // Sums of one, two, four and eight neighbors: three steps instead of a chain of eight. Each
    // group of eight depends on the previous one by a single addition.
    lanes x;
    memcpy(&x, values + i, sizeof x);
    x += 1;
    x += __builtin_shufflevector(zero, x, 0, 8, 9, 10, 11, 12, 13, 14);
    x += __builtin_shufflevector(zero, x, 0, 1, 8, 9, 10, 11, 12, 13);
    x += __builtin_shufflevector(zero, x, 0, 1, 2, 3, 8, 9, 10, 11);
    lanes sums = x + before;
    memcpy(values + i, &sums, sizeof sums);
    before += __builtin_shufflevector(x, x, 7, 7, 7, 7, 7, 7, 7, 7);
  }
  start = before[7];
  for (; i < n; i++) {
    start += values[i] + 1;
    values[i] = start;
  }
  return sum;
}

CLONES uint64_t dk_packed_gaps(const uint8_t *src, size_t bytes, unsigned bits, size_t n,
                               uint64_t next, uint32_t *values, unsigned *widest) {
  unpack(src, bytes, bits, n, values);
  uint32_t all = or_all(values, n);
  *widest = all == 0 ? 0 : 32 - (unsigned)__builtin_clz(all);
  return next + running_sum(values, (uint32_t)next - 1, n) + n;
}

CLONES uint32_t dk_or(const uint32_t *values, size_t n) { return or_all(values, n); }

CLONES void dk_rice_costs(const uint32_t *gaps, size_t n, uint64_t *costs) {
  uint32_t all = or_all(gaps, n);
  for (unsigned k = 0; k < 32; k++) {
    costs[k] = n * (k + 1);
    if (all >> k == 0) continue;
    uint64_t quotients = 0;
    // Sums of a block's quotients nearly always fit in 32 bits, which takes half the time.
    if ((uint64_t)(all >> k) * n <= UINT32_MAX) {
      uint32_t sum = 0;
      for (size_t i = 0; i < n; i++) sum += gaps[i] >> k;
      quotients = sum;
    } else {
      for (size_t i = 0; i < n; i++) quotients += gaps[i] >> k;
    }
    costs[k] += quotients;
  }
}

CLONES int dk_rebase(const uint32_t *values, size_t n, uint32_t shift, uint32_t *out) {
  int disorder = 0;
  for (size_t i = 1; i < n; i++) disorder |= values[i] <= values[i - 1];
  for (size_t i = 0; i < n; i++) out[i] = values[i] + shift;
  return !disorder;
}

uint64_t dk_rice_unary(const uint32_t *gaps, size_t n, unsigned k, uint64_t next,
                       uint32_t *ones) {
  for (size_t i = 0; i < n; i++) {
    next += gaps[i] >> k;
    ones[i] = (uint32_t)next++;
  }
  return next;
}

CLONES uint64_t dk_rice_block(const uint32_t *ones, uint32_t firstBit, unsigned k, size_t n,
                              uint64_t next, uint32_t *values) {
  if (n == 0) return next;
  uint64_t low = running_sum(values, (uint32_t)next - 1, n);
  // The number of zeros before the i-th one is the sum of the quotients of gaps 0...i.
  for (size_t i = 0; i < n; i++) values[i] += (ones[i] - firstBit - (uint32_t)i) << k;
  uint64_t quotients = ones[n - 1] - firstBit - (uint32_t)(n - 1);
  return next + low + (quotients << k) + n;
}

void dk_sort(uint32_t *keys, uint32_t *scratch, size_t n) {
  uint32_t counts[3][2048] = {{0}};
  for (size_t i = 0; i < n; i++)
    for (unsigned pass = 0; pass < 3; pass++) counts[pass][keys[i] >> (11 * pass) & 2047]++;
  uint32_t *from = keys, *to = scratch;
  for (unsigned pass = 0; pass < 3; pass++) {
    uint32_t sum = 0;
    for (size_t b = 0; b < 2048; b++) {
      uint32_t count = counts[pass][b];
      counts[pass][b] = sum;
      sum += count;
    }
    for (size_t i = 0; i < n; i++) to[counts[pass][from[i] >> (11 * pass) & 2047]++] = from[i];
    uint32_t *other = from;
    from = to;
    to = other;
  }
  memcpy(keys, scratch, n * sizeof *keys);
}
