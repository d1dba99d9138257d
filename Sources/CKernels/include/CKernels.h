// The loops over memory that a compiler must vectorize: plain C, no state, no allocation. Kernels
// trust their arguments; callers check every length.
#ifndef CKERNELS_H
#define CKERNELS_H
#include <stddef.h>
#include <stdint.h>

// Not visible outside of a library.
#pragma GCC visibility push(hidden)

// bits.c: bit packing, unary bitmaps and gap codes

/// Reads `n` values of `bits` (0...32) bits, least significant bit first, from `bytes` bytes.
void dk_unpack_bits(const uint8_t *src, size_t bytes, unsigned bits, size_t n, uint32_t *out);
/// Writes the low `bits` bits of `n` values; the last byte is padded with zeros.
void dk_pack_bits(const uint32_t *values, unsigned bits, size_t n, uint8_t *out);
/// Stores the index of each one bit, at most `capacity` of them; returns how many ones there are.
size_t dk_select_ones(const uint8_t *bitmap, size_t bytes, uint32_t *out, size_t capacity);
/// Sets the bits `positions[i]` of a bitmap that is zero.
void dk_set_bits(const uint32_t *positions, size_t n, uint8_t *bitmap);
/// gaps[i] = values[i] - values[i-1] - 1, with values[-1] = -1.
void dk_gaps(const uint32_t *values, size_t n, uint32_t *gaps);
/// Reads `n` gaps of `bits` bits and converts them to values, the first of which is at least `next`;
/// stores the number of bits of the widest gap. Returns the smallest possible next value, not
/// wrapped: the values are valid only if it is at most 2^32.
uint64_t dk_packed_gaps(const uint8_t *src, size_t bytes, unsigned bits, size_t n, uint64_t next,
                        uint32_t *values, unsigned *widest);
/// Counts ascending values + shift by row and column of a grid with `columns` columns.
void dk_count_lines(const uint32_t *values, size_t n, uint32_t shift, uint32_t columns,
                    uint32_t *rowCounts, uint32_t *columnCounts);
/// Returns the bitwise or of all values, which has the width of the widest.
uint32_t dk_or(const uint32_t *values, size_t n);
/// out[i] = values[i] + shift, modulo 2^32; returns whether the values ascend strictly.
int dk_rebase(const uint32_t *values, size_t n, uint32_t shift, uint32_t *out);
/// costs[k] = the number of bits of `n` gaps with Rice parameter k, for k in 0..<32.
void dk_rice_costs(const uint32_t *gaps, size_t n, uint64_t *costs);
/// ones[i] = the index of the terminating one of gap i in the unary bitmap; returns the next bit.
uint64_t dk_rice_unary(const uint32_t *gaps, size_t n, unsigned k, uint64_t next, uint32_t *ones);
/// Decodes one block of a Rice code: `values` holds the low bits and becomes the decoded values.
/// `ones` are the block's ones, `firstBit` is the bit after the previous block. Returns the smallest
/// possible next value.
uint64_t dk_rice_block(const uint32_t *ones, uint32_t firstBit, unsigned k, size_t n,
                       uint64_t next, uint32_t *values);
/// Sorts ascending, by radix; `scratch` has n elements.
void dk_sort(uint32_t *keys, uint32_t *scratch, size_t n);

// planes.c: byte planes

void dk_split_planes(const uint8_t *values, size_t n, unsigned width, uint8_t *planes);
void dk_join_planes(const uint8_t *planes, size_t n, unsigned width, uint8_t *values);
/// Writes the `held` (at most 7) bits of `pending`, then the code of each byte, then codes[256], the
/// first bits lowest; returns the number of bytes. A code has its bits in the lower half and their
/// number, at most 14, in the upper half. `out` has capacity for 8 more bytes.
size_t dk_write_codes(const uint8_t *bytes, size_t n, const uint32_t *codes, uint64_t pending,
                      unsigned held, uint8_t *out);
/// Returns whether all bytes are zero; stops at the first that is not.
int dk_is_zero(const uint8_t *bytes, size_t n);
void dk_histogram(const uint8_t *bytes, size_t n, uint32_t *counts /* 256 */);

// scatter.c: changes to a block of a tensor; `width` is 1...8 bytes

/// Stores the index of each element that differs; returns their number. `out` has capacity for n.
size_t dk_differences(const uint8_t *a, const uint8_t *b, size_t n, unsigned width, uint32_t *out);
/// The following functions use the elements at[i] + shift, modulo 2^32.
void dk_gather(const uint8_t *src, unsigned width, const uint32_t *at, size_t n, uint32_t shift,
               uint8_t *out);
void dk_scatter(uint8_t *dst, unsigned width, const uint32_t *at, size_t n, uint32_t shift,
                const uint8_t *values);
/// Stores values where the elements of `expected` are, in batches; returns the index of the first of
/// a batch that has another one, which is left as it is with all that follow, or n.
size_t dk_exchange(uint8_t *dst, unsigned width, const uint32_t *at, size_t n, uint32_t shift,
                   const uint8_t *expected, const uint8_t *values);
void dk_scatter_xor(uint8_t *dst, unsigned width, const uint32_t *at, size_t n, uint32_t shift,
                    const uint8_t *values);
void dk_xor(uint8_t *dst, const uint8_t *other, size_t bytes);
void dk_swap_bytes(uint8_t *data, size_t n, unsigned width);

// floats.c: conversion and additive changes. Kinds of float, as in FloatType.
enum { DK_F16 = 0, DK_BF16 = 1, DK_F32 = 2, DK_F64 = 3 };

/// out[i] = float64(src[i]) * factor, one rounding where the product is subnormal.
void dk_widen(const uint8_t *src, int kind, size_t n, double factor, double *out);
/// out[i] = src[i] * factor rounded to `kind`, to nearest even.
void dk_narrow(const double *src, int kind, size_t n, double factor, uint8_t *out);
/// dst[at[i] + shift] += deltas[i], rounded to float32 (float64 tensors: float64), then to `kind`;
/// at[i] + shift is taken modulo 2^32. A resulting NaN is stored as the positive quiet NaN without
/// payload. Returns the number of elements that became infinite.
size_t dk_scatter_add(uint8_t *dst, int kind, const uint32_t *at, size_t n, uint32_t shift,
                    const double *deltas);
/// out[i] = b[i] - a[i], in float64, rounded to odd.
void dk_subtract(const uint8_t *a, const uint8_t *b, int kind, size_t n, double *out);

// gates.c: hard-concrete gates (Louizos, Welling, Kingma 2018), stretched to [-1.5, 1.5]

/// The two keys of a random draw.
typedef struct {
  uint32_t low, high;
} dk_draw;

/// A run of gated parameters: value = base + gate's z * group's z * weight. Each pointer is to the
/// run's first element.
typedef struct {
  const float *base, *gradient;
  float *value, *weight, *weight_first, *weight_second;
  float *gate, *gate_first, *gate_second; // `gate` is the location, alpha
  uint32_t position;                      // the first element's, for its random number
} dk_gated;

/// A step of Adam with decoupled weight decay (Kingma, Ba 2015; Loshchilov, Hutter 2019): gradients
/// times `scale`; weight1 = 1 - beta1, weight2 = 1 - beta2, each rounded once;
/// unbias = 1 / sqrt(1 - beta2^t), rate = learning rate / (1 - beta1^t),
/// keep = 1 - learning rate * decay, which gates and gated weights do not use.
typedef struct {
  float scale, weight1, beta2, weight2, unbias, epsilon, rate, keep;
} dk_adam;

/// Returns the random number of a position.
float dk_uniform(dk_draw draw, uint32_t position);
/// Returns the gate of a location, and stores its derivative: that of the drawn gate, or if
/// `expected` of its expectation.
float dk_gate(float u, float location, int expected, float *slope);
/// Draws the gates and calculates the values. `group` and `penalty` (lambda times the probability
/// that the group is open) are one number, or if `varies` one for each element.
void dk_gate_sample(const dk_gated *x, size_t n, dk_draw draw, const float *group, int varies);
/// Adds to `sums`: the squared norms of the gradients of weights and of gates; then, one each or if
/// `varies` n each: the group's gradient, the probabilities of being open, their squares, and the
/// number of deterministic gates that are open. If `expected`, the gradients of gates use the
/// derivative of their expectation instead of that of the draw.
void dk_gate_measure(const dk_gated *x, size_t n, dk_draw draw, const float *group,
                     const float *penalty, int varies, int expected, float *sums);
/// Performs a step of the weights and the gates, and calculates the values of the next draw.
void dk_gate_update(const dk_gated *x, size_t n, dk_draw draw, const float *group,
                    const float *penalty, dk_draw next, const float *next_group, int varies,
                    int expected, const dk_adam *weights, const dk_adam *gates);
/// Calculates the differences from the base, and the values, with deterministic gates.
void dk_gate_settle(const dk_gated *x, size_t n, const float *group, int varies, float *delta);
double dk_squared_norm(const float *x, size_t n);
/// sum[i] += x[i]^2.
void dk_add_squares(float *sum, const float *x, size_t n);

// neural.c: the loops of training other than matrix products. Matrices are row-major and contiguous
// unless a stride (floats from one row to the next) is given.

enum { DK_GELU = 0, DK_GELU_TANH = 1, DK_TANH = 2, DK_RELU = 3 };

/// x[i] += y[i].
void dk_add(float *x, const float *y, size_t n);
/// x[i] *= factor.
void dk_scale(float *x, size_t n, float factor);
/// x[i] *= y[i].
void dk_multiply(float *x, const float *y, size_t n);
/// Adds `row` to every row.
void dk_add_row(float *x, size_t rows, size_t n, size_t stride, const float *row);
/// sum[j] += the sum of column j.
void dk_add_columns(const float *x, size_t rows, size_t n, size_t stride, float *sum);
/// y = f(x) and, unless NULL, slope = f'(x); y or slope may be x; all have the same stride.
void dk_activate(int kind, const float *x, size_t rows, size_t n, size_t stride, float *y,
                 float *slope);
/// x[i] += y[i], y being bf16.
void dk_add_bf16(float *x, const uint16_t *y, size_t n);
/// Converts each row to bf16, rounded to nearest even; `out_stride` is in bf16 elements.
void dk_bf16(const float *x, size_t rows, size_t n, size_t stride, uint16_t *out,
             size_t out_stride);
/// Replaces each row by its softmax.
void dk_softmax(float *x, size_t rows, size_t n);
/// Replaces d, the gradient with respect to the softmax `p`, by `factor` times the gradient with
/// respect to the input of the softmax.
void dk_softmax_slope(const float *p, float *d, size_t rows, size_t n, float factor);
/// Replaces each row of x by (x - mean) / deviation; y = gain * x + shift, scale = 1 / deviation.
void dk_normalize(float *x, size_t rows, size_t n, const float *gain, const float *shift,
                  float epsilon, float *y, float *scale);
/// Calculates the gradients of dk_normalize: `d` is the gradient with respect to y, `x` and `scale`
/// are its results; adds to dx if `adding`, to dgain and dshift always.
void dk_normalize_slope(const float *d, const float *x, const float *scale, const float *gain,
                        size_t rows, size_t n, int adding, float *dx, float *dgain,
                        float *dshift);
/// out[i] = base[i] + (dropped ? 0 : x[i] / (1 - rate)); a NULL base is zeros; out may be x or base.
/// The dropped elements are a function of `key` and `first + i`.
void dk_dropout(const float *x, const float *base, size_t n, uint64_t key, uint32_t first,
                float rate, float *out);
/// Sets whether this thread treats subnormal numbers as zero; returns the previous state.
unsigned dk_subnormals(unsigned state);
enum { DK_NO_SUBNORMALS = 0x8040 };

// optimizer.c: AdamW over flat buffers

/// Performs a step of AdamW in one pass; the four buffers are distinct.
void dk_adamw(float *values, const float *gradients, float *first, float *second, size_t n,
              const dk_adam *step);

// merge.c: sums of the changes of several diffs to a block of elements. `marks` has four words for
// each 64 elements, `sums` has `channels` numbers for each element; all are zero initially and after
// a harvest.

/// The changes that remain to be added, by ascending position.
typedef struct {
  const uint32_t *at;
  const double *values;
  size_t count;
} dk_merge_run;
/// sums[at[i] - first] += values[i] for the changes of each run to the elements first ... first +
/// width, in the order of the runs, which are advanced past these changes. Marks the elements, and
/// raises `used` to the number of groups of 64 elements up to the last of them. Returns the smallest
/// remaining position, or UINT64_MAX.
uint64_t dk_merge_sum(dk_merge_run *runs, size_t count, uint32_t first, uint32_t width,
                      double *sums, uint64_t *marks, size_t *used);
/// Adds a + b v + c v^2 to each channel for every nonzero value v; `terms` holds for each run a, b, c
/// for each channel, first for positive values, then for negative ones.
uint64_t dk_merge_terms(dk_merge_run *runs, size_t count, uint32_t first, uint32_t width,
                        const double *terms, unsigned channels, double *sums, uint64_t *marks,
                        size_t *used);
/// Moves the marked elements to `at` (first + element) and `out` (`channels` numbers each),
/// ascending; returns their number. `at` has capacity for four more. Adds to `conflicts` the number
/// of elements that were changed more than once, and of those changed in both directions.
size_t dk_merge_harvest(uint64_t *marks, size_t used, unsigned channels, double *sums,
                        uint32_t first, uint32_t *at, double *out, uint64_t *conflicts);
/// values[i] *= factor, and removes values that become zero; returns the number of remaining ones.
size_t dk_merge_scale(uint32_t *at, double *values, size_t n, double factor);
/// Returns the largest magnitude; infinity or a NaN if there is one.
double dk_largest(const double *values, size_t n);
/// Returns the number of magnitudes that are at most `limit`.
size_t dk_count_up_to(const double *values, size_t n, double limit);

// sha256.c

/// Adds blocks of 64 bytes to the state of a SHA-256 (FIPS 180-4), with the processor's instructions
/// for it, if any, unless `portably`.
void dk_sha256(uint32_t state[8], const uint8_t *bytes, size_t blocks, int portably);

#pragma GCC visibility pop
#endif
