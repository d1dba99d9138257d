// Calls of Linux that Swift's module of glibc leaves out, since glibc declares them for GNU sources
// only, and what a process knows of itself where there is no /proc.
#ifdef __linux__
#include <stddef.h>
#include <sys/types.h>
struct iovec;
ssize_t pwritev2(int fd, const struct iovec *pieces, int count, off_t offset, int flags);
int sync_file_range(int fd, off_t offset, off_t count, unsigned flags);
ssize_t copy_file_range(int from, off_t *fromOffset, int to, off_t *toOffset, size_t count,
                        unsigned flags);

// What the C library gives to constructors; 0 where it gives them nothing.
__attribute__((visibility("hidden"))) int dk_argument_count(void);
// An argument, the program's name being the first.
__attribute__((visibility("hidden"))) const char *dk_argument(int index);
// The path that the program was started by, or null.
__attribute__((visibility("hidden"))) const char *dk_program_path(void);
// The file that this code was loaded from, or null.
__attribute__((visibility("hidden"))) const char *dk_image_path(void);
// How many processors this process may run on; 0 if the system does not tell.
__attribute__((visibility("hidden"))) int dk_processor_count(void);
#endif
