// libhdf5, and what of its macros Swift cannot import: casts and identifiers that first
// initialize the library.
#pragma once
#include <hdf5.h>
#include <stdbool.h>

static const hid_t dk_H5P_DEFAULT = H5P_DEFAULT;
static const hid_t dk_H5E_DEFAULT = H5E_DEFAULT;

static inline unsigned dk_H5F_ACC_RDONLY(void) { return H5F_ACC_RDONLY; }
static inline unsigned dk_H5F_ACC_RDWR(void) { return H5F_ACC_RDWR; }

static inline unsigned dk_H5F_ACC_TRUNC(void) { return H5F_ACC_TRUNC; }

static inline hid_t dk_H5P_FILE_ACCESS(void) { return H5P_FILE_ACCESS; }
static inline hid_t dk_H5P_DATASET_ACCESS(void) { return H5P_DATASET_ACCESS; }
static inline hid_t dk_H5P_DATASET_CREATE(void) { return H5P_DATASET_CREATE; }
static inline hid_t dk_H5P_GROUP_CREATE(void) { return H5P_GROUP_CREATE; }
static inline hid_t dk_H5P_LINK_CREATE(void) { return H5P_LINK_CREATE; }

static inline size_t dk_H5T_VARIABLE(void) { return H5T_VARIABLE; }
static inline hid_t dk_H5T_C_S1(void) { return H5T_C_S1; }
static inline hid_t dk_H5T_IEEE_F32LE(void) { return H5T_IEEE_F32LE; }
static inline hid_t dk_H5T_IEEE_F64LE(void) { return H5T_IEEE_F64LE; }
static inline hid_t dk_H5T_STD_I8LE(void) { return H5T_STD_I8LE; }
static inline hid_t dk_H5T_STD_I16LE(void) { return H5T_STD_I16LE; }
static inline hid_t dk_H5T_STD_I32LE(void) { return H5T_STD_I32LE; }
static inline hid_t dk_H5T_STD_I64LE(void) { return H5T_STD_I64LE; }
static inline hid_t dk_H5T_STD_U8LE(void) { return H5T_STD_U8LE; }
static inline hid_t dk_H5T_STD_U16LE(void) { return H5T_STD_U16LE; }
static inline hid_t dk_H5T_STD_U32LE(void) { return H5T_STD_U32LE; }
static inline hid_t dk_H5T_STD_U64LE(void) { return H5T_STD_U64LE; }

// The chunk addresses of the library did not count the user block before 1.14.4 (pull request
// 4236 of HDFGroup/hdf5).
static inline bool dk_chunk_addresses_count_user_block(void) { return H5_VERSION_GE(1, 14, 4); }

// All chunks in one pass: H5Dchunk_iter came with 1.12.3 and 1.14.0.
typedef int (*dk_chunk_callback)(const hsize_t *place, unsigned mask, haddr_t address,
                                 hsize_t size, void *context);
#if H5_VERSION_GE(1, 14, 0) || (H5_VERSION_GE(1, 12, 3) && !H5_VERSION_GE(1, 13, 0))
static inline bool dk_can_iterate_chunks(void) { return true; }
static inline herr_t dk_iterate_chunks(hid_t dataset, dk_chunk_callback call, void *context) {
  return H5Dchunk_iter(dataset, H5P_DEFAULT, call, context);
}
#else
static inline bool dk_can_iterate_chunks(void) { return false; }
static inline herr_t dk_iterate_chunks(hid_t dataset, dk_chunk_callback call, void *context) {
  (void)dataset, (void)call, (void)context;
  return -1;
}
#endif

// A dataspace with its selection, as bytes.
static inline herr_t dk_encode_space(hid_t space, void *bytes, size_t *size) {
#if H5_VERSION_GE(1, 12, 0)
  return H5Sencode2(space, bytes, size, H5P_DEFAULT);
#else
  return H5Sencode(space, bytes, size);
#endif
}

// What H5Ddebug prints of a dataset, in memory that the caller frees. Whatever else the process
// prints in the meantime comes with it.
#ifdef __linux__
#include <stdio.h>
static inline herr_t dk_print_chunks(hid_t dataset, char **text, size_t *length) {
  FILE *output = stdout, *memory = open_memstream(text, length);
  if (!memory) return -1;
  stdout = memory;
  herr_t status = H5Ddebug(dataset);
  stdout = output;
  return fclose(memory) == 0 ? status : -1;
}
#else
static inline herr_t dk_print_chunks(hid_t dataset, char **text, size_t *length) {
  (void)dataset, (void)text, (void)length;
  return -1;
}
#endif
