// The loops over memory that a compiler must vectorise: plain C, no state, no allocation.
// Callers (TensorCore, nobody else) check every length; a kernel trusts what it is given.
#ifndef CKERNELS_H
#define CKERNELS_H
#include <stddef.h>
#include <stdint.h>

// Of a library nobody sees them.
#pragma GCC visibility push(hidden)

// bits.c: bit packing, unary bitmaps and the gap codes made of them

/// Reads `n` values of `bits` (0...32) bits, least significant bit first, from `bytes` bytes.
void dk_unpack_bits(const uint8_t *src, size_t bytes, unsigned bits, size_t n, uint32_t *out);
/// Writes the low `bits` bits of `n` values; the last byte is filled up with zeros.
void dk_pack_bits(const uint32_t *values, unsigned bits, size_t n, uint8_t *out);
/// Stores the index of each one bit, at most `capacity` of them; returns how many ones there are.
size_t dk_select_ones(const uint8_t *bitmap, size_t bytes, uint32_t *out, size_t capacity);
/// Sets the bits `positions[i]` of a bitmap that is zero.
void dk_set_bits(const uint32_t *positions, size_t n, uint8_t *bitmap);
/// gaps[i] = values[i] - values[i-1] - 1, with values[-1] = -1.
void dk_gaps(const uint32_t *values, size_t n, uint32_t *gaps);
/// Reads `n` gaps of `bits` bits and turns them into values, the least possible one being `next`;
/// stores the bits that the widest gap takes. Returns the least value that may come next, not
/// wrapped: the values are right only if it is at most 2^32.
uint64_t dk_packed_gaps(const uint8_t *src, size_t bytes, unsigned bits, size_t n, uint64_t next,
                        uint32_t *values, unsigned *widest);
/// Counts ascending values + shift by row and column, rows having `columns` of them.
void dk_count_lines(const uint32_t *values, size_t n, uint32_t shift, uint32_t columns,
                    uint32_t *rowCounts, uint32_t *columnCounts);
/// All values or-ed together: as wide as the widest.
uint32_t dk_or(const uint32_t *values, size_t n);
/// out[i] = values[i] + shift, modulo 2^32; returns whether the values ascend strictly.
int dk_rebase(const uint32_t *values, size_t n, uint32_t shift, uint32_t *out);
/// costs[k] = the bits that `n` gaps take with Rice parameter k, for k in 0..<32.
void dk_rice_costs(const uint32_t *gaps, size_t n, uint64_t *costs);
/// ones[i] = where the terminating one of gap i stands in the unary bitmap; returns the next bit.
uint64_t dk_rice_unary(const uint32_t *gaps, size_t n, unsigned k, uint64_t next, uint32_t *ones);
/// One block of a Rice code: `values` holds the low bits and becomes the decoded values.
/// `ones` are the block's ones, `firstBit` the bit after the block before. Returns the next value.
uint64_t dk_rice_block(const uint32_t *ones, uint32_t firstBit, unsigned k, size_t n,
                       uint64_t next, uint32_t *values);
/// Ascending sort by radix; `scratch` has room for n.
void dk_sort(uint32_t *keys, uint32_t *scratch, size_t n);

// planes.c: byte planes

void dk_split_planes(const uint8_t *values, size_t n, unsigned width, uint8_t *planes);
void dk_join_planes(const uint8_t *planes, size_t n, unsigned width, uint8_t *values);
/// Writes the code of each byte and codes[256], the first bits lowest, behind the `held` (at most
/// 7) bits of `pending`; returns how many bytes that takes. A code has its bits in the lower half
/// and their number, at most 14, in the upper one. `out` has room for 8 bytes more.
size_t dk_write_codes(const uint8_t *bytes, size_t n, const uint32_t *codes, uint64_t pending,
                      unsigned held, uint8_t *out);
/// Whether all bytes are zero; looks no further than the first that is not.
int dk_is_zero(const uint8_t *bytes, size_t n);
void dk_histogram(const uint8_t *bytes, size_t n, uint32_t *counts /* 256 */);

// scatter.c: changes against a block of a tensor; `width` is 1...8 bytes

/// Stores the index of each element that differs; returns how many. `out` has room for n.
size_t dk_differences(const uint8_t *a, const uint8_t *b, size_t n, unsigned width, uint32_t *out);
/// These take the elements at[i] + shift, modulo 2^32.
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

// floats.c: conversion and additive changes. Kinds of float, as in ElementType.
enum { DK_F16 = 0, DK_BF16 = 1, DK_F32 = 2, DK_F64 = 3 };

/// out[i] = float64(src[i]) * factor, one rounding where the product is subnormal.
void dk_widen(const uint8_t *src, int kind, size_t n, double factor, double *out);
/// out[i] = src[i] * factor rounded to `kind`, to nearest even.
void dk_narrow(const double *src, int kind, size_t n, double factor, uint8_t *out);
/// dst[at[i] + shift] += deltas[i], rounded to float32 (float64 tensors: float64), then to `kind`;
/// at[i] + shift is taken modulo 2^32. Every NaN that comes of it is the positive quiet one without
/// payload. Returns how many elements became infinite.
size_t dk_scatter_add(uint8_t *dst, int kind, const uint32_t *at, size_t n, uint32_t shift,
                    const double *deltas);
/// out[i] = b[i] - a[i], in float64, rounded to odd.
void dk_subtract(const uint8_t *a, const uint8_t *b, int kind, size_t n, double *out);

// gates.c: hard-concrete gates (Louizos, Welling, Kingma 2018), stretched to [-1.5, 1.5]

/// Which of all draws of chance: two keys.
typedef struct {
  uint32_t low, high;
} dk_draw;

/// A run of gated parameters: value = base + gate's z * group's z * weight. Each pointer is of
/// the run's first element.
typedef struct {
  const float *base, *gradient;
  float *value, *weight, *weight_first, *weight_second;
  float *gate, *gate_first, *gate_second; // `gate` is the location, alpha
  uint32_t position;                      // what the first element's chance is a function of
} dk_gated;

/// A step of Adam with decoupled weight decay (Kingma, Ba 2015; Loshchilov, Hutter 2019): gradients
/// times `scale`; weight1 = 1 - beta1, weight2 = 1 - beta2, each rounded once;
/// unbias = 1 / sqrt(1 - beta2^t), rate = learning rate / (1 - beta1^t),
/// keep = 1 - learning rate * decay, which gates and what is behind them do without.
typedef struct {
  float scale, weight1, beta2, weight2, unbias, epsilon, rate, keep;
} dk_adam;

/// The chance that belongs to a position, and the gate of a location with its derivative: that of
/// the gate as drawn, or if `expected` of its expectation.
float dk_uniform(dk_draw draw, uint32_t position);
float dk_gate(float u, float location, int expected, float *slope);
/// Draws the gates and makes the values. `group` and `penalty` (lambda times the chance that the
/// group is open) are one number, or if it `varies` one for each element.
void dk_gate_sample(const dk_gated *x, size_t n, dk_draw draw, const float *group, int varies);
/// Adds to `sums`: the squared norms of the gradients of weights and of gates; then, one each or
/// if it `varies` n each: the group's gradient, the chances to be open, their squares, and how
/// many gates are open without chance. If `expected`, gates learn by the derivative of their
/// expectation instead of that of the draw.
void dk_gate_measure(const dk_gated *x, size_t n, dk_draw draw, const float *group,
                     const float *penalty, int varies, int expected, float *sums);
/// A step of the weights and the gates, and the values of the next draw.
void dk_gate_update(const dk_gated *x, size_t n, dk_draw draw, const float *group,
                    const float *penalty, dk_draw next, const float *next_group, int varies,
                    int expected, const dk_adam *weights, const dk_adam *gates);
/// The differences, and the values, with the gates that chance is left out of.
void dk_gate_settle(const dk_gated *x, size_t n, const float *group, int varies, float *delta);
double dk_squared_norm(const float *x, size_t n);
/// sum[i] += x[i]^2.
void dk_add_squares(float *sum, const float *x, size_t n);

// neural.c: the loops of training beside the products of matrices. Matrices are row-major and
// contiguous unless a stride (floats from one row to the next) is given.

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
/// Each row as bf16, rounded to nearest even; `out_stride` counts bf16.
void dk_bf16(const float *x, size_t rows, size_t n, size_t stride, uint16_t *out,
             size_t out_stride);
/// Each row becomes its softmax.
void dk_softmax(float *x, size_t rows, size_t n);
/// d, the gradient by the softmax `p`, becomes `factor` times the gradient by what it was taken of.
void dk_softmax_slope(const float *p, float *d, size_t rows, size_t n, float factor);
/// Each row of x becomes (x - mean) / deviation, y = gain * x + shift, scale = 1 / deviation.
void dk_normalize(float *x, size_t rows, size_t n, const float *gain, const float *shift,
                  float epsilon, float *y, float *scale);
/// The gradients of dk_normalize: `d` by y, `x` and `scale` as it left them; dx is added to
/// if `adding`, dgain and dshift always.
void dk_normalize_slope(const float *d, const float *x, const float *scale, const float *gain,
                        size_t rows, size_t n, int adding, float *dx, float *dgain,
                        float *dshift);
/// out[i] = base[i] + (dropped ? 0 : x[i] / (1 - rate)); NULL counts as a base of zeros; out may
/// be x or base. Whether an element is dropped is a function of `key` and `first + i`.
void dk_dropout(const float *x, const float *base, size_t n, uint64_t key, uint32_t first,
                float rate, float *out);
/// Whether this thread takes subnormal numbers as zero, from now on; returns what was before.
unsigned dk_subnormals(unsigned state);
enum { DK_NO_SUBNORMALS = 0x8040 };

// optimizer.c: AdamW over flat buffers

/// A step of AdamW, in one pass; the four buffers are distinct.
void dk_adamw(float *values, const float *gradients, float *first, float *second, size_t n,
              const dk_adam *step);

// merge.c: sums of the changes of several diffs to a block of elements. `marks` has four words for
// each 64 elements, `sums` `channels` numbers for each element; all are zero at first and after a
// harvest.

/// Changes still to be added, by ascending position.
typedef struct {
  const uint32_t *at;
  const double *values;
  size_t count;
} dk_merge_run;
/// sums[at[i] - first] += values[i] for what each run has of the elements first ... first + width,
/// in the order of the runs, which begin behind it afterwards. Marks the elements, and raises
/// `used` to as many times 64 elements as hold the last of them. Returns the least position that
/// is left, or UINT64_MAX.
uint64_t dk_merge_sum(dk_merge_run *runs, size_t count, uint32_t first, uint32_t width,
                      double *sums, uint64_t *marks, size_t *used);
/// Adds a + b v + c v^2 to each channel, for every value v that is not zero; `terms` holds for each
/// run a, b, c for each channel, first for values above zero, then for those below.
uint64_t dk_merge_terms(dk_merge_run *runs, size_t count, uint32_t first, uint32_t width,
                        const double *terms, unsigned channels, double *sums, uint64_t *marks,
                        size_t *used);
/// Moves what is marked to `at` (first + element) and `out` (`channels` numbers each), ascending;
/// returns how many. `at` has room for four more than there are. Adds to `conflicts` how many
/// elements were changed twice or more, and how many in both directions.
size_t dk_merge_harvest(uint64_t *marks, size_t used, unsigned channels, double *sums,
                        uint32_t first, uint32_t *at, double *out, uint64_t *conflicts);
/// values[i] *= factor, and leaves out what becomes zero; returns how many are left.
size_t dk_merge_scale(uint32_t *at, double *values, size_t n, double factor);
/// The largest magnitude; infinity or a NaN if one is there.
double dk_largest(const double *values, size_t n);
/// How many magnitudes are no more than a limit.
size_t dk_count_up_to(const double *values, size_t n, double limit);

// Of files.

/// Takes blocks of 64 bytes into the state of a SHA-256 (FIPS 180-4), by the processor's instructions
/// for it unless `portably`.
void dk_sha256(uint32_t state[8], const uint8_t *bytes, size_t blocks, int portably);

#pragma GCC visibility pop
#endif
