/* Applies one entry of a diff to a tensor in a raw file:
 *
 *     cc -I Sources/CDiffKitHeader samples/c/apply_diff.c -o apply_diff \
 *       -L .build/release -lDiffKit -lgcc_s -Wl,-rpath,.build/release
 *     ./apply_diff task.diff encoder.layer.0.output.dense.weight in.raw out.raw
 *
 * Exit codes: 0 done, 1 already applied, 2 trouble. Without a tensor it lists the entries. */
#include <stdio.h>
#include <stdlib.h>

#include "diffkit.h"

static int trouble(const char *what) {
  fprintf(stderr, "apply_diff: %s\n", what);
  return 2;
}

static int list(const diffkit_diff *diff) {
  for (size_t i = 0; i < diffkit_count(diff); i++) {
    diffkit_entry entry = {.size = sizeof entry};
    if (diffkit_entry_at(diff, i, &entry) != DIFFKIT_OK) return trouble(diffkit_error());
    printf("%s: %llu of %llu elements\n", entry.name, (unsigned long long)entry.changes,
           (unsigned long long)entry.elements);
  }
  return 0;
}

static int apply(const diffkit_diff *diff, char **arguments) {
  size_t index;
  diffkit_entry entry = {.size = sizeof entry};
  if (diffkit_find(diff, arguments[2], &index) != DIFFKIT_OK ||
      diffkit_entry_at(diff, index, &entry) != DIFFKIT_OK)
    return trouble(diffkit_error());

  size_t size = (size_t)entry.elements * entry.width;
  unsigned char *tensor = malloc(size + 1);
  FILE *in = fopen(arguments[3], "rb");
  if (tensor == NULL || in == NULL) return trouble("cannot read the tensor");
  /* One byte more than it may have, so that a file that is too long is not taken for the tensor. */
  size_t got = fread(tensor, 1, size + 1, in);
  fclose(in);

  int status = diffkit_apply(diff, index, tensor, got, 0);
  if (status > DIFFKIT_ALREADY_DONE) return trouble(diffkit_error());
  FILE *out = fopen(arguments[4], "wb");
  if (out == NULL || fwrite(tensor, 1, size, out) != size || fclose(out) != 0)
    return trouble("cannot write the tensor");
  free(tensor);
  return status;
}

int main(int count, char **arguments) {
  diffkit_diff *diff;
  if (count != 2 && count != 5) return trouble("usage: apply_diff DIFF [TENSOR IN OUT]");
  if (diffkit_open_file(arguments[1], &diff) != DIFFKIT_OK) return trouble(diffkit_error());
  int status = count == 2 ? list(diff) : apply(diff, arguments);
  diffkit_close(diff);
  return status;
}
