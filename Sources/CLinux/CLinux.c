#define _GNU_SOURCE
#include "CLinux.h"
#ifdef __linux__
#include <dlfcn.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/auxv.h>

static int argument_count;
static char *const *arguments;

#ifdef __GLIBC__
__attribute__((constructor)) static void note(int count, char **words) {
  argument_count = count;
  arguments = words;
}
#endif

int dk_argument_count(void) { return argument_count; }

const char *dk_argument(int index) { return arguments[index]; }

const char *dk_program_path(void) { return (const char *)getauxval(AT_EXECFN); }

const char *dk_image_path(void) {
  Dl_info image;
  return dladdr(&argument_count, &image) ? image.dli_fname : NULL;
}

int dk_processor_count(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) ? 0 : CPU_COUNT(&set);
}
#endif
