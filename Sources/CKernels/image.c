// No kernel: dladdr is declared for GNU sources only, which Swift's module of glibc is not.
#define _GNU_SOURCE
#include "CKernels.h"
#include <dlfcn.h>

const char *dk_image_path(void) {
  Dl_info info;
  return dladdr((const void *)&dk_image_path, &info) ? info.dli_fname : NULL;
}
