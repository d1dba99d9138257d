/* Follows a store from one version to another and back, and passes wrong arguments:
 * follower STORE BASE TUNED TENSOR BASE.raw TUNED.raw */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diffkit.h"
#include "expect.h"

struct wanted {
  const char *version, *tensor, *path;
  int calls;
};

/* Compares a tensor of the view with a file. */
static int look(void *context, const diffkit_view *view) {
  struct wanted *wanted = context;
  wanted->calls++;
  EXPECT(strcmp(diffkit_view_version(view), wanted->version) == 0);
  uint64_t extents[32];
  diffkit_tensor tensor = {.size = sizeof tensor};
  EXPECT(diffkit_view_tensor(view, wanted->tensor, &tensor, extents) == DIFFKIT_OK);
  EXPECT(tensor.extents == extents && tensor.rank > 0 && tensor.name == wanted->tensor);
  FILE *file = fopen(wanted->path, "rb");
  EXPECT(file != NULL);
  unsigned char *bytes = malloc(tensor.byte_count + 1);
  EXPECT(bytes != NULL);
  EXPECT(fread(bytes, 1, tensor.byte_count + 1, file) == tensor.byte_count);
  EXPECT(memcmp(bytes, tensor.bytes, tensor.byte_count) == 0);
  free(bytes);
  fclose(file);
  EXPECT(diffkit_view_tensor(view, "no such tensor", &tensor, extents) == DIFFKIT_ARGUMENT);
  return 42;
}

int main(int argc, char **argv) {
  EXPECT(argc == 7);
  struct wanted base = {argv[2], argv[4], argv[5], 0}, tuned = {argv[3], argv[4], argv[6], 0};
  diffkit_follower *follower = NULL;
  EXPECT(diffkit_follower_open(argv[1], "no such version", &follower) != DIFFKIT_OK);
  EXPECT(follower == NULL);
  EXPECT(diffkit_follower_open(NULL, argv[2], &follower) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_follower_open(argv[1], argv[2], &follower) == DIFFKIT_OK);
  EXPECT(diffkit_follower_commit(follower) == DIFFKIT_ARGUMENT);
  for (int round = 0; round < 3; round++) {
    EXPECT(diffkit_follower_read(follower, look, &base) == 42);
    EXPECT(diffkit_follower_prepare(follower, argv[3]) == DIFFKIT_OK);
    EXPECT(diffkit_follower_read(follower, look, &base) == 42);
    EXPECT(diffkit_follower_commit(follower) == DIFFKIT_OK);
    EXPECT(diffkit_follower_read(follower, look, &tuned) == 42);
    EXPECT(diffkit_follower_prepare(follower, "no such version") != DIFFKIT_OK);
    EXPECT(diffkit_follower_read(follower, look, &tuned) == 42);
    EXPECT(diffkit_follower_prepare(follower, argv[2]) == DIFFKIT_OK);
    EXPECT(diffkit_follower_commit(follower) == DIFFKIT_OK);
  }
  EXPECT(base.calls == 6 && tuned.calls == 6);
  EXPECT(diffkit_follower_read(NULL, look, &base) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_follower_read(follower, NULL, &base) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_follower_prepare(NULL, argv[2]) == DIFFKIT_ARGUMENT);
  diffkit_follower_close(follower);
  diffkit_follower_close(NULL);
  return 0;
}
