/* Opens each of its arguments and does everything with every entry; prints `PATH: sound` or
 * `PATH: damaged`. */
#include <stdio.h>
#include <stdlib.h>

#include "diffkit.h"

static int use(const diffkit_diff *diff) {
  int damaged = 0;
  for (size_t i = 0; i < diffkit_count(diff); i++) {
    diffkit_entry entry = {.size = sizeof entry};
    if (diffkit_entry_at(diff, i, &entry) != DIFFKIT_OK) return 1;
    if (entry.changes > 1 << 24) continue;
    uint64_t *positions = malloc(8 * entry.changes + 8);
    unsigned char *values = malloc(entry.value_width * entry.changes + 8);
    int status = diffkit_read(diff, i, positions, values, entry.changes);
    damaged |= status == DIFFKIT_DAMAGED;
    for (uint64_t k = 0; status == DIFFKIT_OK && k < entry.changes; k++)
      if (positions[k] >= entry.elements || (k > 0 && positions[k] <= positions[k - 1])) abort();
    free(positions);
    free(values);
    if (entry.elements > 1 << 24) continue;
    size_t size = (size_t)entry.elements * entry.width;
    unsigned char *tensor = calloc(size + 1, 1);
    diffkit_apply(diff, i, tensor, size, DIFFKIT_UNVERIFIED);
    diffkit_revert(diff, i, tensor, size, DIFFKIT_UNVERIFIED);
    diffkit_apply(diff, i, tensor, size, 0);
    diffkit_apply(diff, i, tensor, size + 1, DIFFKIT_UNVERIFIED);
    free(tensor);
    /* A reshape is not read as changes. */
    if (status == DIFFKIT_UNSUPPORTED && entry.operation != DIFFKIT_RESHAPE) abort();
  }
  return damaged;
}

int main(int count, char **arguments) {
  for (int i = 1; i < count; i++) {
    diffkit_diff *diff = NULL;
    int status = diffkit_open_file(arguments[i], &diff);
    int damaged = status == DIFFKIT_OK ? use(diff) : 1;
    printf("%s: %s\n", arguments[i], damaged ? "damaged" : "sound");
    diffkit_close(diff);
  }
  return 0;
}
