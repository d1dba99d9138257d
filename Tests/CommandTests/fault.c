/* A library to be preloaded: makes the n-th call that changes a file below a folder fail, or ends
   the process there, to try what a full or broken device and a crash do.

   FAULT_UNDER    the folder
   FAULT_AT       which call, from 1 on
   FAULT_ERRNO    the error; 0: kill -9, a write being done by half before
   FAULT_STAYS    1: all later calls that need space fail too
   FAULT_SIGNAL   diffkit itself (not its helper) gets this signal instead
   FAULT_WAITS    1: the call then waits for what the signal does
   FAULT_REPORT   a file that is made when it happens
   FAULT_NAMED    1: there are no files without a name; 2: nor files with two, as on FAT */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int calls;

static long number(const char *name) {
  const char *text = getenv(name);
  return text ? atol(text) : 0;
}

static int below(const char *path) {
  const char *folder = getenv("FAULT_UNDER");
  return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int is_ours(int descriptor) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return below(path);
}

/* Returns whether this call is to fail. If it is to kill, it sets `kills`; the caller does it. */
static int fails(int takes_room, int *kills) {
  long signal = number("FAULT_SIGNAL");
  if (signal && strcmp(program_invocation_short_name, "diffkit")) return 0;
  int call = atomic_fetch_add(&calls, 1) + 1;
  long at = number("FAULT_AT");
  if (at == 0 || call < at || (call > at && !(number("FAULT_STAYS") && takes_room))) return 0;
  const char *report = getenv("FAULT_REPORT");
  if (report) close(syscall(SYS_open, report, O_WRONLY | O_CREAT, 0666));
  if (signal) {
    kill(getpid(), signal);
    while (number("FAULT_WAITS")) pause();
    return 0;
  }
  errno = number("FAULT_ERRNO");
  *kills = errno == 0;
  return 1;
}

static void end(void) { syscall(SYS_kill, getpid(), SIGKILL); }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define HOOK(ours, grows, failure) \
  int kills = 0; \
  if (ours && fails(grows, &kills)) { if (kills) end(); return failure; }

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  int kills = 0;
  if (is_ours(fd) && fails(1, &kills)) {
    if (kills) { REAL(pwrite)(fd, bytes, count / 2, offset); end(); }
    return -1;
  }
  return REAL(pwrite)(fd, bytes, count, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  return pwrite(fd, bytes, count, offset);
}
ssize_t pwritev2(int fd, const struct iovec *pieces, int count, off64_t offset, int flags) {
  int kills = 0;
  if (is_ours(fd) && fails(1, &kills)) {
    if (kills) { pwrite(fd, pieces->iov_base, pieces->iov_len / 2, offset); end(); }
    return -1;
  }
  return REAL(pwritev2)(fd, pieces, count, offset, flags);
}
ssize_t pwritev64v2(int fd, const struct iovec *pieces, int count, off64_t offset, int flags) {
  return pwritev2(fd, pieces, count, offset, flags);
}
ssize_t write(int fd, const void *bytes, size_t count) {
  HOOK(is_ours(fd), 1, -1) return REAL(write)(fd, bytes, count);
}
size_t fwrite(const void *bytes, size_t size, size_t count, FILE *file) {
  HOOK(is_ours(fileno(file)), 1, 0) return REAL(fwrite)(bytes, size, count, file);
}
int fflush(FILE *file) {
  HOOK(file && is_ours(fileno(file)), 1, -1) return REAL(fflush)(file);
}
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t count, unsigned flags) {
  HOOK(is_ours(to), 1, -1) return REAL(copy_file_range)(from, a, to, b, count, flags);
}
int ftruncate(int fd, off_t size) { HOOK(is_ours(fd), 1, -1) return REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }
int fsync(int fd) { HOOK(is_ours(fd), 0, -1) return REAL(fsync)(fd); }
int fdatasync(int fd) { HOOK(is_ours(fd), 0, -1) return REAL(fdatasync)(fd); }
int rename(const char *from, const char *to) { HOOK(below(to), 0, -1) return REAL(rename)(from, to); }
int unlink(const char *path) {
  /* A hidden file that cannot be removed is left. */
  HOOK(below(path) && !strstr(path, ".diffkit-tmp"), 0, -1) return REAL(unlink)(path);
}
int mkdir(const char *path, mode_t mode) { HOOK(below(path), 1, -1) return REAL(mkdir)(path, mode); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
  if (number("FAULT_NAMED") == 2) {
    errno = EPERM;
    return -1;
  }
  HOOK(below(to), 1, -1) return REAL(linkat)(a, from, b, to, flags);
}
int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  if ((flags & O_TMPFILE) == O_TMPFILE && number("FAULT_NAMED")) {
    errno = EOPNOTSUPP;
    return -1;
  }
  int creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
  HOOK(creates && below(path), 1, -1) return REAL(open)(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open(path, flags, mode);
}
