/* diffkit for C, and for whatever calls C: read sparse diffs of model checkpoints, apply them to
 * tensors in memory, and make them of tensors in memory.
 *
 * Build the library with
 *
 *     swift build -c release --product DiffKit      (it is .build/release/libDiffKit.so)
 *
 * and link with -lDiffKit, on Linux -lDiffKit -lgcc_s: of libgcc, whose float16 conversions the
 * Swift runtime shares, the linker must take the shared one.
 *
 * Every function that can fail returns a status: DIFFKIT_OK (0) or what went wrong, of which
 * diffkit_error() gives the text. Whatever a file contains is answered with a status, never with a
 * crash; pointers and sizes that are wrong, but neither NULL nor contradictory, are undefined
 * behaviour.
 *
 * Threads: a diff is immutable once it is open, so any number of threads may use one at the same
 * time, until diffkit_close. Two threads must not change one tensor at the same time. A writer, a
 * hash and an exchange belong to one thread at a time. The text of diffkit_error() is that of the
 * calling thread. The caller's functions (diffkit_source, diffkit_options) are called on the thread
 * that called diffkit, and before that call returns.
 *
 * Structures begin with their size, which the caller sets to sizeof before each call. Later
 * versions
 * add members at the end; a library takes a smaller structure for one of an earlier version, and
 * of a larger one the members that it knows, the others being zero.
 *
 * Processes: after fork, the child may use the library, and the diffs that were open, whatever the
 * parent's other threads were doing. The library handles no signals, writes nothing to standard
 * output and never ends the process. (Where it finds its toolchain, the Swift runtime handles the
 * signals of crashes from when it is loaded on, unless SWIFT_BACKTRACE is "enable=no".)
 *
 * Tensors are row-major and little-endian, as in safetensors, and as NumPy has them in
 * C-contiguous arrays. Element types and operations have the codes of spec/FORMAT.md. */
#ifndef DIFFKIT_H
#define DIFFKIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Statuses. They will not change; there may be more. */
#define DIFFKIT_OK 0
/* The tensor is at the result already (of revert: at the base); nothing was done. */
#define DIFFKIT_ALREADY_DONE 1
/* The tensor is not the one that the diff was made for, in size or contents; nothing was done. */
#define DIFFKIT_WRONG_BASE 2
/* The diff is damaged, or no diff. */
#define DIFFKIT_DAMAGED 3
/* A file cannot be read; diffkit_error_code() says whether it is missing ("not-found"), may not be
 * read ("denied"), or something else is wrong ("io"). */
#define DIFFKIT_IO 4
/* This library, or this operation, cannot do it. */
#define DIFFKIT_UNSUPPORTED 5
/* A null pointer, an index, a name or a size that is wrong, or too little capacity. */
#define DIFFKIT_ARGUMENT 6
/* A function of the caller asked to stop; there is no output. */
#define DIFFKIT_STOPPED 7

/* What is done to a tensor. */
#define DIFFKIT_ADD 1
#define DIFFKIT_REPLACE 2
#define DIFFKIT_XOR 3
#define DIFFKIT_INSERT 4
#define DIFFKIT_DELETE 5
#define DIFFKIT_RESHAPE 6

/* Flags of an entry: which fingerprints it has. */
#define DIFFKIT_HAS_BASE 1u
#define DIFFKIT_HAS_RESULT 2u

/* Flag: do not verify that the tensor is the right one. */
#define DIFFKIT_UNVERIFIED 1u
/* Flag of diffkit_reshape, diffkit_apply_all and diffkit_exchange_run: from the result to the base. */
#define DIFFKIT_BACKWARDS 2u
/* Flag of diffkit_writer_file: replace a file of that name. */
#define DIFFKIT_OVERWRITE 4u
/* Flags of diffkit_options: leave changed tensors that are no floats out of an additive diff,
 * instead of refusing; prefer encodings that decode fast to small ones. */
#define DIFFKIT_SKIP_NONFLOAT 8u
#define DIFFKIT_FAST 16u

/* What a tensor is to an entry, as diffkit_verify tells. */
#define DIFFKIT_IS_BASE 0
#define DIFFKIT_IS_RESULT 1
#define DIFFKIT_IS_OTHER 2
/* The entry lacks the fingerprint that would tell. */
#define DIFFKIT_IS_UNKNOWN 3

/* An open diff. */
typedef struct diffkit_diff diffkit_diff;

/* What a diff does to one tensor. */
typedef struct diffkit_entry {
  size_t size;
  /* UTF-8, ended by a zero byte; it lives as long as the diff. A name may contain zero bytes, too. */
  const char *name;
  size_t name_length;
  uint32_t operation;
  /* The tensor's element type and bytes of an element. Of types of 4 and 6 bits, here and below, an
   * element is a unit: 2 of them in 1 byte, 4 of them in 3. */
  uint32_t type, width;
  /* The tensor's shape (not in units), and how many elements that makes; of RESHAPE the shape
   * before. */
  uint32_t rank;
  uint64_t extents[32];
  uint64_t elements;
  /* How many elements change: how many positions and values diffkit_read gives. */
  uint64_t changes;
  /* The type of a value and its bytes: the tensor's own, except for ADD, where value * 2^scale is
   * added. */
  uint32_t value_type, value_width;
  int32_t scale;
  uint32_t flags;
  /* XXH3-128 fingerprints of the tensor before and after, where flags say so. */
  uint8_t base[16], result[16];
  /* The shape after, and its elements; of DELETE rank 0 and no elements. */
  uint32_t rank_after, reserved;
  uint64_t extents_after[32];
  uint64_t elements_after;
  /* Bytes that the entry's changes take in the diff. */
  uint64_t stored;
} diffkit_entry;

/* Bytes that a function of the caller reads: an object of another language, ranges over HTTP. */
typedef struct diffkit_source {
  size_t size;
  /* Passed to both functions. */
  void *context;
  /* How many bytes there are. */
  uint64_t length;
  /* What errors call it; NULL for nothing. Copied. */
  const char *name;
  /* Fills buffer with `count` bytes from `offset` on, inside of length; 0, or another number if it
   * cannot, which becomes DIFFKIT_IO. */
  int (*read)(void *context, uint64_t offset, void *buffer, size_t count);
  /* Called once, when diffkit is done with the source: by diffkit_close, or by
   * diffkit_open_source if that fails. May be NULL. */
  void (*release)(void *context);
} diffkit_source;

/* A tensor of the caller. */
typedef struct diffkit_tensor {
  size_t size;
  /* UTF-8, of name_length bytes. */
  const char *name;
  size_t name_length;
  uint32_t type, rank;
  const uint64_t *extents;
  const void *bytes;
  size_t byte_count;
} diffkit_tensor;

/* What diff a writer makes. */
typedef struct diffkit_options {
  size_t size;
  /* XOR (exact, both ways), REPLACE (exact, may be repeated) or ADD (approximate; what `merge`
   * combines). */
  uint32_t operation;
  /* DIFFKIT_SKIP_NONFLOAT, DIFFKIT_FAST. */
  uint32_t flags;
  /* The remaining members of ADD: the type of the values (f16, bf16 or f32); the share of the
   * elements of float tensors that is kept, the largest changes of all tensors together, above 0
   * and at most 1, or 0; else the least magnitude that is kept, or 0. Without either, all changes
   * are. */
  uint32_t value_type, reserved;
  double density, threshold;
  /* Told how far the work is, in bytes; another result than 0 stops it. May be NULL. */
  int (*progress)(void *context, const char *phase, uint64_t done, uint64_t total);
  void *context;
} diffkit_options;

/* What a writer has written. */
typedef struct diffkit_summary {
  size_t size;
  /* Tensors that the diff changes, and that the base has. */
  uint64_t changed_tensors, tensors;
  /* Values in sparse entries, elements of the base, bytes of the diff. */
  uint64_t changes, elements, bytes;
} diffkit_summary;

/* A diff in the making; a tensor's fingerprint in the making; elements to be exchanged. */
typedef struct diffkit_writer diffkit_writer;
typedef struct diffkit_hash diffkit_hash;
typedef struct diffkit_exchange diffkit_exchange;

/* The version of the library, such as "0.1.0". */
const char *diffkit_version(void);

/* What went wrong in the last call of this thread that failed: one line, UTF-8, without control
 * characters; valid until the thread's next call that fails. Empty if none has. */
const char *diffkit_error(void);

/* The class of that error, as spec/FORMAT.md, section 10, and the JSON output of the program name
 * it, such as "checksum", "not-found" or "wrong-base"; valid as long as diffkit_error(). There may
 * be more classes in later versions. Empty if no call of this thread has failed. */
const char *diffkit_error_code(void);

/* Opens the diff at a path. Reads and checks its index; entries are read when they are asked for,
 * so the file must stay as it is. */
int diffkit_open_file(const char *path, diffkit_diff **diff);

/* Opens a diff that is in memory, of which it takes a copy. */
int diffkit_open_memory(const void *bytes, size_t size, diffkit_diff **diff);

/* Opens a diff that a function of the caller reads. */
int diffkit_open_source(const diffkit_source *source, diffkit_diff **diff);

/* Lets an open diff go; NULL is none. */
void diffkit_close(diffkit_diff *diff);

/* How many tensors it changes; 0 for NULL. */
size_t diffkit_count(const diffkit_diff *diff);

/* XXH3-128 of the diff's index, which names its contents. */
int diffkit_identity(const diffkit_diff *diff, uint8_t identity[16]);

/* How many pairs of metadata it has; 0 for NULL. */
size_t diffkit_metadata_count(const diffkit_diff *diff);

/* A pair, in ascending order of keys: UTF-8, each ended by a zero byte; they live as long as the
 * diff. Either length may be NULL. */
int diffkit_metadata_at(
    const diffkit_diff *diff, size_t index, const char **key, size_t *key_length,
    const char **value, size_t *value_length);

/* An entry; they are in ascending order of names. */
int diffkit_entry_at(const diffkit_diff *diff, size_t index, diffkit_entry *entry);

/* The index of the entry of a name as it is stored; else of the only one that differs from it in
 * separators ('.' and '/'), or else in a final ":0". DIFFKIT_ARGUMENT if there is none: the diff
 * leaves that tensor as it is. */
int diffkit_find(const diffkit_diff *diff, const char *name, size_t *index);

/* Decodes an entry: entry.changes positions, ascending indices into the row-major flattened tensor,
 * and as many values of entry.value_width bytes each. Either pointer may be NULL. capacity: how many
 * changes fit; too little is DIFFKIT_ARGUMENT. Of RESHAPE it is DIFFKIT_UNSUPPORTED. */
int diffkit_read(
    const diffkit_diff *diff, size_t index, uint64_t *positions, void *values, size_t capacity);

/* Makes the tensor of `size` bytes at `tensor` what the diff makes of it. It is hashed first: if it
 * is neither base nor result, or if the diff is damaged, nothing is changed. Of INSERT the buffer's
 * contents do not matter; DELETE is DIFFKIT_UNSUPPORTED (the tensor goes), as is RESHAPE: see
 * diffkit_reshape. */
int diffkit_apply(
    const diffkit_diff *diff, size_t index, void *tensor, size_t size, uint32_t flags);

/* The way back, bit for bit: of XOR and DELETE. The others are DIFFKIT_UNSUPPORTED; an ADD is not
 * undone by subtracting: keep what diffkit_gather gives before, and diffkit_scatter it. */
int diffkit_revert(
    const diffkit_diff *diff, size_t index, void *tensor, size_t size, uint32_t flags);

/* Hashes a tensor and tells what it is to an entry. */
int diffkit_verify(
    const diffkit_diff *diff, size_t index, const void *tensor, size_t size, int *state);

/* Makes a tensor of the other shape. `before` has entry.extents and `after` entry.extents_after, or
 * with DIFFKIT_BACKWARDS the other way round; they must not overlap. */
int diffkit_reshape(
    const diffkit_diff *diff, size_t index, const void *before, size_t before_size, void *after,
    size_t after_size, uint32_t flags);

/* Changed elements alone, end to end in the order of positions: entry.changes elements of
 * entry.width bytes. Of ADD, REPLACE and XOR; the others are DIFFKIT_UNSUPPORTED. */

/* Copies the elements of a tensor that the entry changes. */
int diffkit_gather(
    const diffkit_diff *diff, size_t index, const void *tensor, size_t size, void *elements,
    size_t capacity);

/* Makes of such elements what the entry makes of them: those of the base become those of the
 * result, with the bits of diffkit_apply. */
int diffkit_change(const diffkit_diff *diff, size_t index, void *elements, size_t capacity);

/* Puts such elements into the tensor. Unless `expected` is NULL, the elements there must be these,
 * bit for bit; else it is DIFFKIT_WRONG_BASE and nothing is changed. */
int diffkit_scatter(
    const diffkit_diff *diff, size_t index, void *tensor, size_t size, const void *elements,
    const void *expected, size_t capacity);

/* Makes `count` tensors what the diff makes of them, on all cores: of ADD, REPLACE and XOR, or with
 * DIFFKIT_BACKWARDS, of XOR, the way back. Entry indices[i] changes the tensor at tensors[i], of
 * sizes[i] bytes; no two tensors overlap. They are not hashed: diffkit_verify says what they are.
 * Everything is decoded before the first tensor is changed; where that fails none is, and `refused`
 * (which may be NULL) becomes the number of the first that it fails for. Where `old` and old[i] are
 * not NULL, the elements before go there, as diffkit_gather gives them, for diffkit_scatter;
 * entry.changes elements fit. */
int diffkit_apply_all(
    const diffkit_diff *diff, const size_t *indices, void *const *tensors, const size_t *sizes,
    void *const *old, size_t count, uint32_t flags, size_t *refused);

/* The fingerprint of a tensor: XXH3-128 as in spec/FORMAT.md. Uses all cores. */
int diffkit_fingerprint(
    uint32_t type, uint32_t rank, const uint64_t *extents, const void *bytes, size_t size,
    uint8_t fingerprint[16]);

/* The same of a tensor whose bytes come in pieces of any size. diffkit_hash_finish refuses a number
 * of bytes that is not the tensor's. diffkit_hash_free(NULL) does nothing. */
int diffkit_hash_new(
    uint32_t type, uint32_t rank, const uint64_t *extents, diffkit_hash **hash);
int diffkit_hash_update(diffkit_hash *hash, const void *bytes, size_t size);
int diffkit_hash_finish(diffkit_hash *hash, uint8_t fingerprint[16]);
void diffkit_hash_free(diffkit_hash *hash);

/* An exchange holds, for any number of tensors, positions and the elements there before and after,
 * prepared to be brought in and taken back again and again in O(changes), on all cores. */
int diffkit_exchange_new(diffkit_exchange **exchange);

/* Adds a tensor of elements of `width` bytes: `count` ascending positions, and elements end to end.
 * All are copied. */
int diffkit_exchange_add(
    diffkit_exchange *exchange, uint32_t width, const uint64_t *positions, const void *before,
    const void *after, size_t count);

/* Brings the elements after into the tensors (with DIFFKIT_BACKWARDS those before), which are given
 * in the order in which they were added, with their sizes in bytes. Unless DIFFKIT_UNVERIFIED, the
 * elements there must be the others, bit for bit; else it is DIFFKIT_WRONG_BASE, `refused` (which
 * may be NULL) becomes the number of the first tensor of which they are not, and all tensors are
 * as they were. */
int diffkit_exchange_run(
    const diffkit_exchange *exchange, void *const *tensors, const size_t *sizes, size_t count,
    uint32_t flags, size_t *refused);

/* NULL is none. */
void diffkit_exchange_free(diffkit_exchange *exchange);

/* A writer makes the diff that takes some tensors, the base, to others, the tuned ones. A name that
 * only the tuned ones have becomes INSERT, one that only the base has DELETE; another shape is
 * RESHAPE; another type is DIFFKIT_UNSUPPORTED. */
int diffkit_writer_new(const diffkit_options *options, diffkit_writer **writer);

/* A pair of metadata: UTF-8, ended by a zero byte. */
int diffkit_writer_metadata(diffkit_writer *writer, const char *key, const char *value);

/* A tensor of the base; a tuned one. Its bytes are not copied: they must stay as they are until the
 * diff is written. */
int diffkit_writer_base(diffkit_writer *writer, const diffkit_tensor *tensor);
int diffkit_writer_tuned(diffkit_writer *writer, const diffkit_tensor *tensor);

/* Writes the diff to a file, which appears under its name when it is complete and on the disk. The
 * summary may be NULL. */
int diffkit_writer_file(
    diffkit_writer *writer, const char *path, uint32_t flags, diffkit_summary *summary);

/* Writes the diff to memory, which lives until the writer writes again or is freed. */
int diffkit_writer_memory(
    diffkit_writer *writer, const void **bytes, size_t *size, diffkit_summary *summary);

/* NULL is none. */
void diffkit_writer_free(diffkit_writer *writer);

/* A follower holds a version of a store (spec/STORE.md) in memory and follows the store: the next
 * version is prepared while the present one is read, and takes its place in milliseconds. Any number
 * of threads may read at the same time, while another one prepares and commits. */
typedef struct diffkit_follower diffkit_follower;
/* The tensors of one version, as long as the function that gets it runs. */
typedef struct diffkit_view diffkit_view;

/* Reads a version of the store in a folder into memory. */
int diffkit_follower_open(const char *store, const char *version, diffkit_follower **follower);

/* Gets another version ready, in place of one that was prepared before. Reads the store anew; what
 * is served stays as it is, also if this fails. */
int diffkit_follower_prepare(diffkit_follower *follower, const char *version);

/* Makes the version that was prepared the one that is served: waits for the readers that have begun,
 * and lets later ones wait. DIFFKIT_ARGUMENT if none was prepared. */
int diffkit_follower_commit(diffkit_follower *follower);

/* Calls `body` with the tensors as they are now: no commit changes them before it returns. In it, no
 * function may be called with the same follower. What it returns is returned, unless the follower is
 * NULL. */
int diffkit_follower_read(
    diffkit_follower *follower, int (*body)(void *context, const diffkit_view *view),
    void *context);

/* NULL is none. */
void diffkit_follower_close(diffkit_follower *follower);

/* Describes a tensor: name (the pointer that is given), type, shape and bytes, which are not copied.
 * `extents` has capacity for 32. DIFFKIT_ARGUMENT if there is none of that name. */
int diffkit_view_tensor(
    const diffkit_view *view, const char *name, diffkit_tensor *tensor, uint64_t extents[32]);

/* The name of the version, ended by a zero byte. */
const char *diffkit_view_version(const diffkit_view *view);

#ifdef __cplusplus
}
#endif

#endif
