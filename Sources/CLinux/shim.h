// Calls of Linux that Swift's module of glibc leaves out, since glibc declares them for GNU sources
// only.
#ifdef __linux__
#include <stddef.h>
#include <sys/types.h>
struct iovec;
ssize_t pwritev2(int fd, const struct iovec *pieces, int count, off_t offset, int flags);
int sync_file_range(int fd, off_t offset, off_t count, unsigned flags);
ssize_t copy_file_range(int from, off_t *fromOffset, int to, off_t *toOffset, size_t count,
                        unsigned flags);

typedef struct {
  const char *path;
  void *base;
  const char *symbol;
  void *address;
} dk_image;
// Under a name of our own, as <dlfcn.h> may declare it, too.
int dk_dladdr(const void *address, dk_image *image) __asm__("dladdr");

// The file that the code that includes this was loaded from, or null.
static inline const char *dk_image_path(void) {
  static const char here = 0;
  dk_image image;
  return dk_dladdr(&here, &image) ? image.path : NULL;
}
#endif
