/* diffkit for C, and for whatever calls C: read sparse diffs of model checkpoints and apply them to
 * tensors in memory.
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
 * crash; wrong pointers and sizes of the caller's cannot be told and are his affair.
 *
 * Threads: a diff is immutable once it is open, so any number of threads may use one at the same
 * time, until diffkit_close. Two threads must not change one tensor at the same time. The text of
 * diffkit_error() is that of the calling thread.
 *
 * Processes: after fork, the child may use the library, and the diffs that were open, whatever the
 * parent's other threads were doing. The library handles no signals, writes nothing to standard
 * output and never ends the process.
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
/* A null pointer, an index or a name that is wrong, or too little room. */
#define DIFFKIT_ARGUMENT 6

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

/* Flag of diffkit_apply and diffkit_revert: do not hash the tensor, but trust that it is right. */
#define DIFFKIT_UNVERIFIED 1u

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
  /* UTF-8, ended by a zero byte; it lives as long as the diff. A name may hold zero bytes, too. */
  const char *name;
  size_t name_length;
  uint32_t operation;
  /* The tensor's element type and bytes of an element. */
  uint32_t type, width;
  /* The tensor's shape, and how many elements that makes; of RESHAPE the shape before. */
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
} diffkit_entry;

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

/* Lets an open diff go; NULL is none. */
void diffkit_close(diffkit_diff *diff);

/* How many tensors it changes; 0 for NULL. */
size_t diffkit_count(const diffkit_diff *diff);

/* An entry; they are in ascending order of names. */
int diffkit_entry_at(const diffkit_diff *diff, size_t index, diffkit_entry *entry);

/* The index of the entry of a name as it is stored; else of the only one that differs from it in
 * separators ('.' and '/'), or else in a final ":0". DIFFKIT_ARGUMENT if there is none: the diff
 * leaves that tensor as it is. */
int diffkit_find(const diffkit_diff *diff, const char *name, size_t *index);

/* Decodes an entry: entry.changes positions, ascending indices into the row-major flattened tensor,
 * and as many values of entry.value_width bytes each. Either pointer may be NULL. capacity: for how
 * many changes there is room; too little is DIFFKIT_ARGUMENT. Of RESHAPE it is DIFFKIT_UNSUPPORTED. */
int diffkit_read(
    const diffkit_diff *diff, size_t index, uint64_t *positions, void *values, size_t capacity);

/* Makes the tensor of `size` bytes at `tensor` what the diff makes of it. It is hashed first: if it
 * is neither base nor result, or if the diff is damaged, nothing is changed. Of INSERT the buffer's
 * contents do not matter; DELETE and RESHAPE are DIFFKIT_UNSUPPORTED. */
int diffkit_apply(
    const diffkit_diff *diff, size_t index, void *tensor, size_t size, uint32_t flags);

/* The way back, bit for bit: of XOR and DELETE. The others are DIFFKIT_UNSUPPORTED; an ADD is not
 * undone by subtracting, so keep the base. */
int diffkit_revert(
    const diffkit_diff *diff, size_t index, void *tensor, size_t size, uint32_t flags);

/* Hashes a tensor and tells what it is to an entry. */
int diffkit_verify(
    const diffkit_diff *diff, size_t index, const void *tensor, size_t size, int *state);

#ifdef __cplusplus
}
#endif

#endif
