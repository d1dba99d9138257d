/* Calls every function of diffkit.h, with right and wrong arguments:
 * library EXACT ADD BASE TUNED, the last two the bytes of the tensor model/big. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diffkit.h"
#include "expect.h"

static unsigned char *contents(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  EXPECT(file != NULL);
  unsigned char *bytes = malloc(1 << 20);
  *size = fread(bytes, 1, 1 << 20, file);
  fclose(file);
  return bytes;
}

int main(int count, char **arguments) {
  EXPECT(count == 5);
  size_t size, exact_size, same_size, index;
  unsigned char *base = contents(arguments[3], &size);
  unsigned char *tuned = contents(arguments[4], &same_size);
  unsigned char *exact = contents(arguments[1], &exact_size);
  unsigned char *work = malloc(size);
  EXPECT(size == same_size && memcmp(base, tuned, size) != 0);
  EXPECT(strlen(diffkit_version()) > 0 && strlen(diffkit_error()) == 0);
  EXPECT(strlen(diffkit_error_code()) == 0);

  diffkit_diff *diff = NULL, *add = NULL;
  EXPECT(diffkit_open_file("missing", &diff) == DIFFKIT_IO && diff == NULL);
  EXPECT(strstr(diffkit_error(), "missing") != NULL);
  EXPECT(strcmp(diffkit_error_code(), "not-found") == 0);
  EXPECT(diffkit_open_file(NULL, &diff) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_open_file(arguments[1], NULL) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_open_file(arguments[3], &diff) == DIFFKIT_DAMAGED);
  EXPECT(diffkit_open_memory(exact, exact_size - 1, &diff) == DIFFKIT_DAMAGED);
  EXPECT(strcmp(diffkit_error_code(), "truncated") == 0);
  EXPECT(diffkit_open_memory(exact, 0, &diff) == DIFFKIT_DAMAGED);
  EXPECT(diffkit_open_memory(exact, exact_size, &diff) == DIFFKIT_OK);
  memset(exact, 0, exact_size);
  EXPECT(diffkit_open_file(arguments[2], &add) == DIFFKIT_OK);
  EXPECT(diffkit_count(diff) == 2 && diffkit_count(NULL) == 0);

  diffkit_entry entry = {.size = sizeof entry};
  EXPECT(diffkit_entry_at(diff, 0, &entry) == DIFFKIT_OK);
  EXPECT(strcmp(entry.name, "model/big") == 0 && entry.name_length == 9);
  EXPECT(entry.operation == DIFFKIT_XOR && entry.type == 12 && entry.width == 4);
  EXPECT(entry.changes == 1 && entry.elements * 4 == size && entry.value_width == 4);
  EXPECT(entry.rank >= 1 && entry.extents[0] > 0 && entry.extents[entry.rank] == 0);
  EXPECT(entry.flags == (DIFFKIT_HAS_BASE | DIFFKIT_HAS_RESULT));
  EXPECT(entry.rank_after == entry.rank && entry.elements_after == entry.elements);
  EXPECT(entry.stored > 0 && entry.stored < exact_size);
  EXPECT(diffkit_entry_at(diff, 2, &entry) == DIFFKIT_ARGUMENT);
  diffkit_entry unsized = {.size = 8};
  EXPECT(diffkit_entry_at(diff, 0, &unsized) == DIFFKIT_ARGUMENT);
  /* A structure of a later version: members that this version does not know are zero. */
  struct {
    diffkit_entry known;
    uint64_t later;
  } newer = {.known = {.size = sizeof newer}, .later = 7};
  EXPECT(diffkit_entry_at(diff, 0, &newer.known) == DIFFKIT_OK && newer.later == 0);
  EXPECT(newer.known.size == sizeof newer && newer.known.changes == 1);
  EXPECT(diffkit_entry_at(diff, (size_t)-1, &entry) == DIFFKIT_ARGUMENT);
  EXPECT(strstr(diffkit_error(), "18446744073709551615") != NULL);
  EXPECT(diffkit_entry_at(NULL, 0, &entry) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_entry_at(diff, 0, NULL) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_find(diff, "model.big", &index) == DIFFKIT_OK && index == 0);
  EXPECT(diffkit_find(diff, "model.kernel", &index) == DIFFKIT_OK && index == 1);
  EXPECT(diffkit_find(diff, "none", &index) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_find(diff, NULL, &index) == DIFFKIT_ARGUMENT);

  uint64_t position = 99;
  unsigned char value[4];
  EXPECT(diffkit_read(diff, 0, &position, value, 1) == DIFFKIT_OK && position == 0);
  for (int i = 0; i < 4; i++) EXPECT(value[i] == (base[i] ^ tuned[i]));
  EXPECT(diffkit_read(diff, 0, NULL, NULL, 1) == DIFFKIT_OK);
  EXPECT(diffkit_read(diff, 0, &position, value, 0) == DIFFKIT_ARGUMENT);

  int state = 9;
  EXPECT(diffkit_verify(diff, 0, base, size, &state) == DIFFKIT_OK && state == DIFFKIT_IS_BASE);
  EXPECT(diffkit_verify(diff, 0, tuned, size, &state) == DIFFKIT_OK && state == DIFFKIT_IS_RESULT);
  EXPECT(diffkit_verify(diff, 1, base, size, &state) == DIFFKIT_WRONG_BASE);
  EXPECT(diffkit_verify(diff, 0, NULL, size, &state) == DIFFKIT_ARGUMENT);

  memcpy(work, base, size);
  EXPECT(diffkit_apply(diff, 0, work, size, 0) == DIFFKIT_OK && !memcmp(work, tuned, size));
  EXPECT(diffkit_apply(diff, 0, work, size, 0) == DIFFKIT_ALREADY_DONE);
  EXPECT(!memcmp(work, tuned, size));
  EXPECT(diffkit_revert(diff, 0, work, size, 0) == DIFFKIT_OK && !memcmp(work, base, size));
  EXPECT(diffkit_revert(diff, 0, work, size, 0) == DIFFKIT_ALREADY_DONE);
  EXPECT(diffkit_apply(diff, 0, work, size, DIFFKIT_UNVERIFIED) == DIFFKIT_OK);
  EXPECT(diffkit_apply(diff, 0, work, size, DIFFKIT_UNVERIFIED) == DIFFKIT_OK);
  EXPECT(!memcmp(work, base, size));
  EXPECT(diffkit_apply(diff, 0, work, size, 2) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_apply(diff, 0, work, size - 4, 0) == DIFFKIT_WRONG_BASE);
  work[size - 1] ^= 1;
  EXPECT(diffkit_apply(diff, 0, work, size, 0) == DIFFKIT_WRONG_BASE);
  work[size - 1] ^= 1;
  EXPECT(!memcmp(work, base, size));

  EXPECT(diffkit_find(add, "model/big", &index) == DIFFKIT_OK);
  EXPECT(diffkit_entry_at(add, index, &entry) == DIFFKIT_OK);
  EXPECT(entry.operation == DIFFKIT_ADD && entry.value_type == 10 && entry.value_width == 2);
  EXPECT(diffkit_apply(add, index, work, size, 0) == DIFFKIT_OK && !memcmp(work, tuned, size));
  EXPECT(diffkit_revert(add, index, work, size, 0) == DIFFKIT_UNSUPPORTED);
  EXPECT(strstr(diffkit_error(), "model/big") != NULL && strchr(diffkit_error(), '\n') == NULL);
  diffkit_close(add);
  diffkit_close(diff);
  diffkit_close(NULL);
  return 0;
}
