/* diffkit for C and languages that call C: reads sparse diffs of model checkpoints, applies them to
 * tensors in memory, and makes them from tensors in memory.
 *
 * Build the library with
 *
 *     swift build -c release --product DiffKit      (it is .build/release/libDiffKit.so)
 *
 * and link with -lDiffKit, on Linux with -lDiffKit -lgcc_s: the Swift runtime uses the float16
 * conversions of libgcc, and the linker must take the shared libgcc.
 *
 * Every function that can fail returns a status: DIFFKIT_OK (0), or an error, whose text
 * diffkit_error() returns. Any contents of a file lead to a status, never to a crash. Passing a
 * pointer or size that is wrong, but neither NULL nor contradictory, is undefined behavior.
 *
 * Threads: a diff is immutable once it is open, so any number of threads may use one at the same
 * time, until diffkit_close. Two threads must not change one tensor at the same time. A writer, a
 * hash and an exchange belong to one thread at a time. The text of diffkit_error() is that of the
 * calling thread. The caller's functions (diffkit_source, diffkit_options) are called on the thread
 * that called diffkit, and before that call returns.
 *
 * Structures begin with their size, which the caller sets to sizeof before each call. Later
 * versions add members at the end, and accept the sizes of the versions before. This is the first
 * version, so that a smaller structure is DIFFKIT_ARGUMENT. Of a larger one the library reads the
 * members that it knows, and sets the others to zero when it fills it.
 *
 * Texts, paths included, are UTF-8, ended by a zero byte unless a length is beside them. Others are
 * DIFFKIT_ARGUMENT.
 *
 * Processes: after fork, the child may use the library, and the diffs that were open, whatever the
 * parent's other threads were doing. The library handles no signals, writes nothing to standard
 * output and never ends the process. (If the Swift runtime finds its toolchain, it handles the
 * signals of crashes once it is loaded, unless SWIFT_BACKTRACE is "enable=no".)
 *
 * Tensors are row-major and little-endian, as in safetensors and in C-contiguous arrays of NumPy.
 * Element types and operations have the codes of spec/FORMAT.md. */
#ifndef DIFFKIT_H
#define DIFFKIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Statuses. They will not change; there may be more. */
#define DIFFKIT_OK 0
/* The tensor is already the result (for revert: the base); nothing was done. */
#define DIFFKIT_ALREADY_DONE 1
/* The tensor is not the one that the diff was made for, in size or contents; nothing was done. */
#define DIFFKIT_WRONG_BASE 2
/* The data is a damaged diff, or not a diff. */
#define DIFFKIT_DAMAGED 3
/* A file cannot be read. diffkit_error_code() returns the reason: the file is missing
 * ("not-found"), reading is not permitted ("denied"), or another error ("io"). */
#define DIFFKIT_IO 4
/* Not supported by this library, or for this operation. */
#define DIFFKIT_UNSUPPORTED 5
/* A null pointer, an invalid index, name or size, or too little capacity. */
#define DIFFKIT_ARGUMENT 6
/* A function of the caller asked to stop; there is no output. */
#define DIFFKIT_STOPPED 7

/* Operations on a tensor. */
#define DIFFKIT_ADD 1
#define DIFFKIT_REPLACE 2
#define DIFFKIT_XOR 3
#define DIFFKIT_INSERT 4
#define DIFFKIT_DELETE 5
#define DIFFKIT_RESHAPE 6

/* Flags of an entry: the fingerprints that it has. */
#define DIFFKIT_HAS_BASE 1u
#define DIFFKIT_HAS_RESULT 2u

/* Flag: do not verify that the tensor is the right one. */
#define DIFFKIT_UNVERIFIED 1u
/* Flag of diffkit_reshape, diffkit_apply_all and diffkit_exchange_run: from the result to the base. */
#define DIFFKIT_BACKWARDS 2u
/* Flag of diffkit_writer_file: replace an existing file. */
#define DIFFKIT_OVERWRITE 4u
/* Flags of diffkit_options: leave changed tensors that are not float out of an additive diff,
 * instead of failing; prefer encodings that decode fast to small ones. */
#define DIFFKIT_SKIP_NONFLOAT 8u
#define DIFFKIT_FAST 16u

/* States of a tensor, as determined by diffkit_verify. */
#define DIFFKIT_IS_BASE 0
#define DIFFKIT_IS_RESULT 1
#define DIFFKIT_IS_OTHER 2
/* The entry lacks the fingerprint that is needed. */
#define DIFFKIT_IS_UNKNOWN 3

/* An open diff. */
typedef struct diffkit_diff diffkit_diff;

/* An entry: the operation of a diff on one tensor. */
typedef struct diffkit_entry {
  size_t size;
  /* UTF-8, ended by a zero byte; valid as long as the diff. A name may contain zero bytes, too. */
  const char *name;
  size_t name_length;
  uint32_t operation;
  /* The tensor's element type, and the bytes of an element. For types of 4 and 6 bits, here and
   * below, an element is a unit: 2 of them in 1 byte, 4 of them in 3. */
  uint32_t type, width;
  /* The tensor's shape (not in units), and the number of its elements; for RESHAPE, the shape
   * before. */
  uint32_t rank;
  uint64_t extents[32];
  uint64_t elements;
  /* The number of elements that change: of positions and values that diffkit_read returns. */
  uint64_t changes;
  /* The type of a value and its bytes: those of the tensor, except for ADD, where value * 2^scale
   * is added. */
  uint32_t value_type, value_width;
  int32_t scale;
  uint32_t flags;
  /* XXH3-128 fingerprints of the tensor before and after, if flags has them. */
  uint8_t base[16], result[16];
  /* The shape after, and the number of its elements; for DELETE, rank 0 and no elements. */
  uint32_t rank_after, reserved;
  uint64_t extents_after[32];
  uint64_t elements_after;
  /* The bytes that the entry's changes take in the diff. */
  uint64_t stored;
} diffkit_entry;

/* A source whose bytes a function of the caller reads, such as an object of another language or
 * ranges over HTTP. */
typedef struct diffkit_source {
  size_t size;
  /* Passed to both functions. */
  void *context;
  /* The number of bytes. */
  uint64_t length;
  /* The name in error messages, or NULL. Copied. */
  const char *name;
  /* Fills buffer with `count` bytes from `offset` on, within length. Returns 0, or another number
   * on failure, which becomes DIFFKIT_IO. */
  int (*read)(void *context, uint64_t offset, void *buffer, size_t count);
  /* Called once, when diffkit is done with the source: by diffkit_close, or by
   * diffkit_open_source if there is no diff in the source or it cannot be read. Not called if
   * diffkit_open_source returns DIFFKIT_ARGUMENT: `diff` or `read` is NULL, or the size is too
   * small. May be NULL. */
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

/* The options of a writer. */
typedef struct diffkit_options {
  size_t size;
  /* XOR (exact, both ways), REPLACE (exact, may be repeated) or ADD (approximate; can be
   * merged). */
  uint32_t operation;
  /* DIFFKIT_SKIP_NONFLOAT, DIFFKIT_FAST. */
  uint32_t flags;
  /* For ADD: the type of the values (f16, bf16 or f32). `density` keeps the largest changes of all
   * tensors together, this share of the elements of float tensors, above 0 and at most 1;
   * `threshold` keeps changes of at least this magnitude. If both are 0, all changes are kept. */
  uint32_t value_type, reserved;
  double density, threshold;
  /* Called with the progress in bytes on the thread that writes, after each tensor, so for one
   * large tensor only at its end; a result other than 0 stops the operation. May be NULL. What does
   * not write has no progress and cannot be stopped: diffkit_open_*, _verify, _apply_all and
   * _fingerprint take one call each (diffkit_hash_update takes a tensor in pieces). */
  int (*progress)(void *context, const char *phase, uint64_t done, uint64_t total);
  void *context;
} diffkit_options;

/* A summary of a diff that a writer has written. */
typedef struct diffkit_summary {
  size_t size;
  /* The numbers of tensors that the diff changes, and that the base has. */
  uint64_t changed_tensors, tensors;
  /* The numbers of values in sparse entries, elements of the base, and bytes of the diff. */
  uint64_t changes, elements, bytes;
} diffkit_summary;

/* A diff being made; a fingerprint being computed; elements to be exchanged. */
typedef struct diffkit_writer diffkit_writer;
typedef struct diffkit_hash diffkit_hash;
typedef struct diffkit_exchange diffkit_exchange;

/* The version of the library, such as "0.1.0". */
const char *diffkit_version(void);

/* The error message of the last call of this thread that failed: one line, UTF-8, without control
 * characters; valid until the thread's next call that fails. Empty if none has failed. */
const char *diffkit_error(void);

/* The class of that error, as in spec/FORMAT.md, section 10, and in the JSON output of the program,
 * such as "checksum", "not-found" or "wrong-base"; valid as long as diffkit_error(). Later versions
 * may have more classes. Empty if no call of this thread has failed. */
const char *diffkit_error_code(void);

/* Opens the diff at a path. Reads and checks its index; entries are read on demand, so the file
 * must not change while the diff is open. */
int diffkit_open_file(const char *path, diffkit_diff **diff);

/* Opens a diff in memory, which is copied. */
int diffkit_open_memory(const void *bytes, size_t size, diffkit_diff **diff);

/* Opens a diff whose bytes a function of the caller reads. */
int diffkit_open_source(const diffkit_source *source, diffkit_diff **diff);

/* Closes a diff; NULL is ignored. */
void diffkit_close(diffkit_diff *diff);

/* The number of entries, one for each tensor that changes; 0 for NULL. */
size_t diffkit_count(const diffkit_diff *diff);

/* XXH3-128 of the diff's index, which identifies its contents. */
int diffkit_identity(const diffkit_diff *diff, uint8_t identity[16]);

/* The number of metadata pairs; 0 for NULL. */
size_t diffkit_metadata_count(const diffkit_diff *diff);

/* A metadata pair, in ascending order of keys: UTF-8, each ended by a zero byte; valid as long as
 * the diff. Either length may be NULL. */
int diffkit_metadata_at(
    const diffkit_diff *diff, size_t index, const char **key, size_t *key_length,
    const char **value, size_t *value_length);

/* An entry, in ascending order of names. */
int diffkit_entry_at(const diffkit_diff *diff, size_t index, diffkit_entry *entry);

/* The index of the entry whose stored name is `name`; else of the only one that differs from it in
 * separators ('.' and '/'), or else in a final ":0". DIFFKIT_ARGUMENT if there is none: the diff
 * does not change that tensor. */
int diffkit_find(const diffkit_diff *diff, const char *name, size_t *index);

/* Decodes an entry: entry.changes positions, ascending indices into the row-major flattened tensor,
 * and as many values of entry.value_width bytes each. Either pointer may be NULL. `capacity` is the
 * number of changes that fit; if it is too small, the status is DIFFKIT_ARGUMENT. RESHAPE is
 * DIFFKIT_UNSUPPORTED. */
int diffkit_read(
    const diffkit_diff *diff, size_t index, uint64_t *positions, void *values, size_t capacity);

/* Applies an entry to the tensor of `size` bytes at `tensor`. The tensor is hashed first: if it is
 * neither base nor result, or if the diff is damaged, nothing is changed. For INSERT, the buffer's
 * contents do not matter. DELETE is DIFFKIT_UNSUPPORTED (it leaves no tensor), as is RESHAPE: see
 * diffkit_reshape. */
int diffkit_apply(
    const diffkit_diff *diff, size_t index, void *tensor, size_t size, uint32_t flags);

/* Restores the base from the result, bit for bit, for XOR and DELETE. Other operations are
 * DIFFKIT_UNSUPPORTED. An ADD is not undone by subtracting: save the elements with diffkit_gather
 * before, and restore them with diffkit_scatter. */
int diffkit_revert(
    const diffkit_diff *diff, size_t index, void *tensor, size_t size, uint32_t flags);

/* Hashes a tensor, and sets `state` to what it is for an entry: base, result or other. */
int diffkit_verify(
    const diffkit_diff *diff, size_t index, const void *tensor, size_t size, int *state);

/* Makes a tensor of the new shape. `before` has entry.extents and `after` has entry.extents_after,
 * or the reverse with DIFFKIT_BACKWARDS. They must not overlap. */
int diffkit_reshape(
    const diffkit_diff *diff, size_t index, const void *before, size_t before_size, void *after,
    size_t after_size, uint32_t flags);

/* The next three functions handle the changed elements only, contiguous in the order of positions:
 * entry.changes elements of entry.width bytes. For ADD, REPLACE and XOR; other operations are
 * DIFFKIT_UNSUPPORTED. */

/* Copies the elements of a tensor that the entry changes. */
int diffkit_gather(
    const diffkit_diff *diff, size_t index, const void *tensor, size_t size, void *elements,
    size_t capacity);

/* Applies the entry to such elements: those of the base become those of the result, with the same
 * bits as by diffkit_apply. */
int diffkit_change(const diffkit_diff *diff, size_t index, void *elements, size_t capacity);

/* Copies such elements into the tensor. Unless `expected` is NULL, the elements of the tensor must
 * equal it bit for bit; else the status is DIFFKIT_WRONG_BASE and nothing is changed. */
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

/* The same for a tensor whose bytes are passed in any number of calls. diffkit_hash_finish fails if
 * the number of bytes is not the tensor's. diffkit_hash_free(NULL) does nothing. */
int diffkit_hash_new(
    uint32_t type, uint32_t rank, const uint64_t *extents, diffkit_hash **hash);
int diffkit_hash_update(diffkit_hash *hash, const void *bytes, size_t size);
int diffkit_hash_finish(diffkit_hash *hash, uint8_t fingerprint[16]);
void diffkit_hash_free(diffkit_hash *hash);

/* An exchange holds, for any number of tensors, positions and the elements there before and after.
 * It stores either in the tensors, any number of times, in O(changes) and on all cores. */
int diffkit_exchange_new(diffkit_exchange **exchange);

/* Adds a tensor of elements of `width` bytes: `count` ascending positions, and contiguous elements.
 * All are copied. */
int diffkit_exchange_add(
    diffkit_exchange *exchange, uint32_t width, const uint64_t *positions, const void *before,
    const void *after, size_t count);

/* Stores the elements after in the tensors (with DIFFKIT_BACKWARDS, those before). The tensors are
 * passed in the order in which they were added, with their sizes in bytes. Unless
 * DIFFKIT_UNVERIFIED is set, they must have the elements before (after), bit for bit; else the
 * status is DIFFKIT_WRONG_BASE, `refused` (which may be NULL) becomes the index of the first tensor
 * that has others, and no tensor is changed. */
int diffkit_exchange_run(
    const diffkit_exchange *exchange, void *const *tensors, const size_t *sizes, size_t count,
    uint32_t flags, size_t *refused);

/* Frees an exchange; NULL is ignored. */
void diffkit_exchange_free(diffkit_exchange *exchange);

/* A writer makes the diff from base tensors to tuned tensors. A name that only the tuned tensors
 * have becomes INSERT, one that only the base has DELETE, one with another shape RESHAPE; another
 * type is DIFFKIT_UNSUPPORTED. */
int diffkit_writer_new(const diffkit_options *options, diffkit_writer **writer);

/* Adds a metadata pair: UTF-8, ended by a zero byte. */
int diffkit_writer_metadata(diffkit_writer *writer, const char *key, const char *value);

/* Add a base tensor or a tuned tensor. Its bytes are not copied: they must not change until the
 * diff is written. */
int diffkit_writer_base(diffkit_writer *writer, const diffkit_tensor *tensor);
int diffkit_writer_tuned(diffkit_writer *writer, const diffkit_tensor *tensor);

/* Writes the diff to a file, which appears under its name when it is complete and on disk. The
 * summary may be NULL. */
int diffkit_writer_file(
    diffkit_writer *writer, const char *path, uint32_t flags, diffkit_summary *summary);

/* Writes the diff to memory that is valid until the writer writes again or is freed. */
int diffkit_writer_memory(
    diffkit_writer *writer, const void **bytes, size_t *size, diffkit_summary *summary);

/* Frees a writer; NULL is ignored. */
void diffkit_writer_free(diffkit_writer *writer);

/* A follower holds a version of a store (spec/STORE.md) in memory and follows the store: the next
 * version is prepared while the current one is read, and replaces it in milliseconds. Any number of
 * threads may read at the same time, while another one prepares and commits. */
typedef struct diffkit_follower diffkit_follower;
/* The tensors of one version, valid while the function that receives it runs. */
typedef struct diffkit_view diffkit_view;

/* Reads a version of the store in a folder into memory. */
int diffkit_follower_open(const char *store, const char *version, diffkit_follower **follower);

/* Prepares another version, and discards one that was prepared before. Reads the store again. The
 * version that is served does not change, even if this fails. */
int diffkit_follower_prepare(diffkit_follower *follower, const char *version);

/* Serves the version that was prepared: waits for the current readers, and makes later ones wait.
 * DIFFKIT_ARGUMENT if none was prepared. */
int diffkit_follower_commit(diffkit_follower *follower);

/* Calls `body` with the current tensors, which no commit changes before it returns. `body` must not
 * call functions with the same follower. Returns the result of `body`, unless the follower is
 * NULL. */
int diffkit_follower_read(
    diffkit_follower *follower, int (*body)(void *context, const diffkit_view *view),
    void *context);

/* Closes a follower; NULL is ignored. */
void diffkit_follower_close(diffkit_follower *follower);

/* Describes a tensor: name (the pointer passed), type, shape and bytes, which are not copied.
 * `extents` must have a capacity of 32. DIFFKIT_ARGUMENT if there is no tensor of that name. */
int diffkit_view_tensor(
    const diffkit_view *view, const char *name, diffkit_tensor *tensor, uint64_t extents[32]);

/* The name of the version, ended by a zero byte. */
const char *diffkit_view_version(const diffkit_view *view);

#ifdef __cplusplus
}
#endif

#endif
