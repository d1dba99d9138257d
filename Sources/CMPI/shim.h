// Open MPI, and the functions that diffkit uses: transfers of 32-bit words among all ranks,
// concurrent with other work of the caller. MPI's communicators and types are macros, which Swift
// does not see: they stay in this file. Every function returns MPI_SUCCESS, which is 0, or an error.
#ifndef DIFFKIT_MPI_H
#define DIFFKIT_MPI_H
#include <mpi.h>
#include <stdint.h>

enum { DK_MPI_TEXT = MPI_MAX_PROCESSOR_NAME > MPI_MAX_ERROR_STRING ? MPI_MAX_PROCESSOR_NAME
                                                                   : MPI_MAX_ERROR_STRING };

// The ranks, seen from one of them: its number, the number of all, the number of those on this
// machine; and a communicator for each kind of transfer, since transfers of one communicator must
// begin in the same order everywhere.
typedef struct {
  int rank, count, neighbours;
  MPI_Comm exchanges, sums, others;
} dk_mpi;

// Joins the ranks. MPI is called by one thread alone.
static inline int dk_mpi_start(dk_mpi *mpi) {
  int provided = 0;
  MPI_Comm here;
#define DK_TRY(call)                                                                          \
  if (status == MPI_SUCCESS) status = (call)
  int status = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
  mpi->others = MPI_COMM_WORLD;
  DK_TRY(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  DK_TRY(MPI_Comm_rank(MPI_COMM_WORLD, &mpi->rank));
  DK_TRY(MPI_Comm_size(MPI_COMM_WORLD, &mpi->count));
  // With the handler of errors.
  DK_TRY(MPI_Comm_dup(MPI_COMM_WORLD, &mpi->exchanges));
  DK_TRY(MPI_Comm_dup(MPI_COMM_WORLD, &mpi->sums));
  DK_TRY(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, mpi->rank, MPI_INFO_NULL,
                             &here));
  DK_TRY(MPI_Comm_size(here, &mpi->neighbours));
  DK_TRY(MPI_Comm_free(&here));
#undef DK_TRY
  return status;
}

// The name of this machine: DK_MPI_TEXT characters at most.
static inline int dk_mpi_host(char *name) {
  int length = 0;
  return MPI_Get_processor_name(name, &length);
}

// The text of an error: DK_MPI_TEXT characters at most.
static inline void dk_mpi_error(int status, char *text) {
  int length = 0;
  text[0] = 0;
  MPI_Error_string(status, text, &length);
}

// Sends each rank a part of `from` and receives a part of `to` from each, both divided by counts
// and starts, which must exist until the transfer is over.
static inline int dk_mpi_exchange(MPI_Comm ranks, const void *from, const int *from_counts,
                                  const int *from_starts, void *to, const int *to_counts,
                                  const int *to_starts, MPI_Request *request) {
  return MPI_Ialltoallv(from, from_counts, from_starts, MPI_UINT32_T, to, to_counts, to_starts,
                        MPI_UINT32_T, ranks, request);
}

// Sends each rank's part of `words` to all.
static inline int dk_mpi_gather(MPI_Comm ranks, void *words, const int *counts,
                                const int *starts, MPI_Request *request) {
  return MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, words, counts, starts, MPI_UINT32_T,
                         ranks, request);
}

// Sends rank 0's words to all.
static inline int dk_mpi_broadcast(MPI_Comm ranks, void *words, int count,
                                   MPI_Request *request) {
  return MPI_Ibcast(words, count, MPI_UINT32_T, 0, ranks, request);
}

// Advances transfers and reports whether this one is over.
static inline int dk_mpi_test(MPI_Request *request, int *is_over) {
  return MPI_Test(request, is_over, MPI_STATUS_IGNORE);
}

static inline int dk_mpi_finish(void) { return MPI_Finalize(); }
static inline void dk_mpi_abort(int code) { MPI_Abort(MPI_COMM_WORLD, code); }
#endif
