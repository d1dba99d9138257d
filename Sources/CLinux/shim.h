// Calls of Linux that Swift's module of glibc leaves out.
#ifdef __linux__
#include <stddef.h>
#include <sys/types.h>
struct iovec;
ssize_t pwritev2(int fd, const struct iovec *pieces, int count, off_t offset, int flags);
int sync_file_range(int fd, off_t offset, off_t count, unsigned flags);
#endif
