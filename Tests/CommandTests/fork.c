/* A program that forks while it uses libDiffKit:
 * fork MODE COUNT DIFF TENSOR BASE TUNED, the last two the bytes of the tensor, MODE one of
 * fork_trial.h. Exit code 0 if all went well and the program's signal handlers are as it set them. */
#include "../CForkTrial/fork_trial.c"

#include <stdlib.h>

#include "diffkit.h"

#define ROOM (1 << 20)

static const char *path, *tensor;
static unsigned char base[ROOM], tuned[ROOM];
static size_t size;
/* Shared by all threads, and by the children; NULL if each is to open its own. */
static diffkit_diff *opened;

static size_t read_bytes(const char *name, unsigned char *bytes) {
  FILE *file = fopen(name, "rb");
  size_t count = file == NULL ? 0 : fread(bytes, 1, ROOM, file);
  if (file != NULL) fclose(file);
  return count;
}

/* Each line is a condition that must hold. */
static int is_right(diffkit_diff *diff, unsigned char *work) {
  size_t index;
  char missing[32];
  snprintf(missing, sizeof missing, "none %lx", (unsigned long)pthread_self());
  memcpy(work, base, size);
  return diffkit_find(diff, tensor, &index) == DIFFKIT_OK &&
         diffkit_apply(diff, index, work, size, 0) == DIFFKIT_OK &&
         memcmp(work, tuned, size) == 0 &&
         diffkit_open_file(missing, &diff) == DIFFKIT_IO &&
         strstr(diffkit_error(), missing) != NULL;
}

static int use(int user) {
  (void)user;
  diffkit_diff *diff = opened;
  if (diff == NULL && diffkit_open_file(path, &diff) != DIFFKIT_OK) return 1;
  unsigned char *work = malloc(size);
  int right = is_right(diff, work);
  free(work);
  if (opened == NULL) diffkit_close(diff);
  return right ? 0 : 1;
}

int main(int count, char **arguments) {
  if (count != 7) return 2;
  int mode = fork_trial_mode_named(arguments[1]);
  path = arguments[3];
  tensor = arguments[4];
  size = read_bytes(arguments[5], base);
  if (mode < 0 || size == 0 || read_bytes(arguments[6], tuned) != size) return 2;
  if (fork_trial_set_handlers() != 0) return 3;
  if (mode != FORK_TRIAL_COLD && diffkit_open_file(path, &opened) != DIFFKIT_OK) return 4;
  if (fork_trial((enum fork_trial_mode)mode, atoi(arguments[2]), 120, use) != 0) return 1;
  diffkit_close(opened);
  return fork_trial_check_handlers() == 0 ? 0 : 5;
}
