/* Makes diffs from tensors in memory and calls every function of diffkit.h on them:
 * library_memory FOLDER */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diffkit.h"
#include "expect.h"

enum { F16 = 10, BF16 = 11, F32 = 12, COUNT = 1000000 };

static float weights[COUNT], tuned_weights[COUNT];
static float head[3 * 4], tuned_head[5 * 4];
static uint16_t gone[6] = {1, 2, 3, 4, 5, 6};
static double come[2] = {0.5, -1};

static diffkit_tensor tensor(
    const char *name, uint32_t type, uint32_t rank, const uint64_t *extents, const void *bytes,
    size_t size) {
  diffkit_tensor made = {sizeof made, name, strlen(name), type, rank, extents, bytes, size};
  return made;
}

static diffkit_writer *writer(const diffkit_options *options) {
  static const uint64_t vector[] = {COUNT}, three[] = {3, 4}, five[] = {5, 4}, six[] = {6},
                        two[] = {2};
  diffkit_writer *writer;
  EXPECT(diffkit_writer_new(options, &writer) == DIFFKIT_OK);
  diffkit_tensor base[] = {
      tensor("w", F32, 1, vector, weights, sizeof weights),
      tensor("gone", F16, 1, six, gone, sizeof gone),
      tensor("head", F32, 2, three, head, sizeof head)};
  diffkit_tensor tuned[] = {
      tensor("come", 13, 1, two, come, sizeof come),
      tensor("head", F32, 2, five, tuned_head, sizeof tuned_head),
      tensor("w", F32, 1, vector, tuned_weights, sizeof tuned_weights)};
  for (int i = 0; i < 3; i++) {
    EXPECT(diffkit_writer_base(writer, &base[i]) == DIFFKIT_OK);
    EXPECT(diffkit_writer_tuned(writer, &tuned[i]) == DIFFKIT_OK);
  }
  return writer;
}

static diffkit_entry entry(const diffkit_diff *diff, size_t index, const char *name) {
  diffkit_entry entry = {.size = sizeof entry};
  EXPECT(diffkit_entry_at(diff, index, &entry) == DIFFKIT_OK);
  EXPECT(strcmp(entry.name, name) == 0);
  return entry;
}

static int calls, releases;
static pthread_t caller;

static int stop_at_second(void *context, const char *phase, uint64_t done, uint64_t total) {
  EXPECT(strlen(phase) > 0 && done <= total);
  return ++*(int *)context == 2;
}

static int reads(void *context, uint64_t offset, void *buffer, size_t count) {
  EXPECT(pthread_equal(pthread_self(), caller));
  calls++;
  memcpy(buffer, (char *)context + offset, count);
  return 0;
}

static int fails(void *context, uint64_t offset, void *buffer, size_t count) {
  (void)context, (void)offset, (void)buffer, (void)count;
  return 5;
}

static void releases_it(void *context) {
  (void)context;
  releases++;
}

static void wrong_arguments(void) {
  diffkit_writer *made;
  diffkit_options options = {.size = sizeof options, .operation = DIFFKIT_XOR};
  EXPECT(diffkit_writer_new(NULL, &made) == DIFFKIT_ARGUMENT && made == NULL);
  EXPECT(diffkit_writer_new(&options, NULL) == DIFFKIT_ARGUMENT);
  options.size = 8;
  EXPECT(diffkit_writer_new(&options, &made) == DIFFKIT_ARGUMENT);
  options.size = sizeof options;
  options.density = 0.5;
  EXPECT(diffkit_writer_new(&options, &made) == DIFFKIT_ARGUMENT);
  options.operation = DIFFKIT_ADD;
  EXPECT(diffkit_writer_new(&options, &made) == DIFFKIT_ARGUMENT); /* no value type */
  options.value_type = F16;
  options.density = NAN;
  EXPECT(diffkit_writer_new(&options, &made) == DIFFKIT_ARGUMENT);
  options.density = 0;
  options.operation = DIFFKIT_INSERT;
  EXPECT(diffkit_writer_new(&options, &made) == DIFFKIT_ARGUMENT);
  options.operation = DIFFKIT_XOR;
  options.flags = 1;
  EXPECT(diffkit_writer_new(&options, &made) == DIFFKIT_ARGUMENT);
  options.flags = 0;
  EXPECT(diffkit_writer_new(&options, &made) == DIFFKIT_OK);
  const uint64_t one[] = {1};
  diffkit_tensor short_one = tensor("a", F32, 1, one, weights, 3);
  EXPECT(diffkit_writer_base(made, &short_one) == DIFFKIT_ARGUMENT);
  EXPECT(strstr(diffkit_error(), "'a'") != NULL);
  diffkit_tensor typeless = tensor("a", 99, 1, one, weights, 4);
  EXPECT(diffkit_writer_base(made, &typeless) == DIFFKIT_ARGUMENT);
  diffkit_tensor text = tensor("\xff", F32, 1, one, weights, 4);
  EXPECT(diffkit_writer_tuned(made, &text) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_writer_tuned(made, NULL) == DIFFKIT_ARGUMENT);
  diffkit_tensor twice = tensor("a", F32, 1, one, weights, 4);
  EXPECT(diffkit_writer_base(made, &twice) == DIFFKIT_OK);
  EXPECT(diffkit_writer_base(made, &twice) == DIFFKIT_OK);
  const void *bytes;
  size_t size;
  EXPECT(diffkit_writer_memory(made, &bytes, &size, NULL) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_writer_metadata(made, NULL, "") == DIFFKIT_ARGUMENT);
  /* No text is repaired: it would be another one. */
  EXPECT(diffkit_writer_metadata(made, "key\xff", "") == DIFFKIT_ARGUMENT);
  EXPECT(strstr(diffkit_error(), "UTF-8") != NULL);
  EXPECT(diffkit_writer_metadata(made, "key", "\xc3") == DIFFKIT_ARGUMENT);
  EXPECT(strstr(diffkit_error(), "UTF-8") != NULL);
  EXPECT(diffkit_writer_file(made, "\xff.diff", 0, NULL) == DIFFKIT_ARGUMENT);
  EXPECT(strstr(diffkit_error(), "UTF-8") != NULL);
  diffkit_diff *none;
  EXPECT(diffkit_open_file("\xff.diff", &none) == DIFFKIT_ARGUMENT && none == NULL);
  diffkit_writer_free(made);
  diffkit_writer_free(NULL);
}

/* Two tensors changed by one call, one of them keeping its old elements; all or none. `is_exact`:
 * whether there is a way back. */
static void several(const diffkit_diff *diff, size_t index, int is_exact) {
  diffkit_entry w = entry(diff, index, "w");
  size_t size = sizeof weights;
  float *one = malloc(size), *two = malloc(size), *after = malloc(size);
  char *old = malloc(4 * w.changes), *wanted = malloc(4 * w.changes);
  memcpy(one, weights, size), memcpy(two, weights, size), memcpy(after, weights, size);
  EXPECT(diffkit_apply(diff, index, after, size, 0) == DIFFKIT_OK);
  EXPECT(diffkit_gather(diff, index, weights, size, wanted, w.changes) == DIFFKIT_OK);
  size_t indices[] = {index, index}, sizes[] = {size, size - 4}, refused = 9;
  void *tensors[] = {one, two}, *olds[] = {NULL, old};
  EXPECT(
      diffkit_apply_all(diff, indices, tensors, sizes, olds, 2, 0, &refused) ==
      DIFFKIT_WRONG_BASE);
  EXPECT(refused == 1 && memcmp(one, weights, size) == 0);
  sizes[1] = size;
  indices[1] = 99;
  EXPECT(
      diffkit_apply_all(diff, indices, tensors, sizes, olds, 2, 0, &refused) ==
      DIFFKIT_ARGUMENT);
  indices[1] = 2; /* the head, which changes its shape */
  EXPECT(
      diffkit_apply_all(diff, indices, tensors, sizes, olds, 2, 0, &refused) ==
      DIFFKIT_UNSUPPORTED);
  indices[1] = 0; /* comes */
  EXPECT(
      diffkit_apply_all(diff, indices, tensors, sizes, NULL, 2, 0, NULL) == DIFFKIT_UNSUPPORTED);
  indices[1] = index;
  EXPECT(diffkit_apply_all(diff, indices, tensors, sizes, NULL, 2, 4, NULL) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_apply_all(diff, NULL, tensors, sizes, NULL, 2, 0, NULL) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_apply_all(diff, NULL, NULL, NULL, NULL, 0, 0, NULL) == DIFFKIT_OK);
  EXPECT(memcmp(one, weights, size) == 0 && memcmp(two, weights, size) == 0);
  EXPECT(diffkit_apply_all(diff, indices, tensors, sizes, olds, 2, 0, &refused) == DIFFKIT_OK);
  EXPECT(memcmp(one, after, size) == 0 && memcmp(two, after, size) == 0);
  EXPECT(memcmp(old, wanted, 4 * w.changes) == 0);
  EXPECT(
      diffkit_apply_all(diff, indices, tensors, sizes, NULL, 2, DIFFKIT_BACKWARDS, NULL) ==
      (is_exact ? DIFFKIT_OK : DIFFKIT_UNSUPPORTED));
  EXPECT(memcmp(one, is_exact ? weights : after, size) == 0);
  free(one), free(two), free(after), free(old), free(wanted);
}

static void sources(const void *bytes, size_t size) {
  diffkit_diff *diff;
  diffkit_source source = {
      sizeof source, (void *)(uintptr_t)bytes, size, "a name", reads, releases_it};
  EXPECT(diffkit_open_source(&source, &diff) == DIFFKIT_OK && calls == 3);
  EXPECT(diffkit_read(diff, 3, NULL, NULL, COUNT) == DIFFKIT_OK && calls > 3 && releases == 0);
  several(diff, 3, 1);
  diffkit_close(diff);
  EXPECT(releases == 1);
  source.length--;
  EXPECT(diffkit_open_source(&source, &diff) == DIFFKIT_DAMAGED && diff == NULL);
  EXPECT(releases == 2 && strstr(diffkit_error(), "a name") != NULL);
  source.read = fails;
  EXPECT(diffkit_open_source(&source, &diff) == DIFFKIT_IO && releases == 3);
  EXPECT(strcmp(diffkit_error_code(), "io") == 0);
  /* The caller keeps a source that is none. */
  EXPECT(diffkit_open_source(&source, NULL) == DIFFKIT_ARGUMENT && releases == 3);
  source.size--;
  EXPECT(diffkit_open_source(&source, &diff) == DIFFKIT_ARGUMENT && releases == 3);
  source.size++;
  source.read = NULL;
  EXPECT(diffkit_open_source(&source, &diff) == DIFFKIT_ARGUMENT && releases == 3);
}

static void fingerprints(const diffkit_entry *entry) {
  uint8_t found[16];
  size_t size = sizeof weights;
  EXPECT(
      diffkit_fingerprint(F32, 1, entry->extents, weights, size, found) == DIFFKIT_OK &&
      memcmp(found, entry->base, 16) == 0);
  EXPECT(
      diffkit_fingerprint(F32, 1, entry->extents, weights, size - 4, found) ==
      DIFFKIT_WRONG_BASE);
  EXPECT(diffkit_fingerprint(0, 1, entry->extents, weights, size, found) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_fingerprint(F32, 33, entry->extents, weights, size, found) == DIFFKIT_ARGUMENT);
  diffkit_hash *hash;
  EXPECT(diffkit_hash_new(F32, 1, entry->extents, &hash) == DIFFKIT_OK);
  for (size_t at = 0, step = 1; at < size; at += step, step = 3 * step + 1) {
    if (step > size - at) step = size - at;
    EXPECT(diffkit_hash_update(hash, (char *)tuned_weights + at, step) == DIFFKIT_OK);
  }
  EXPECT(diffkit_hash_finish(hash, found) == DIFFKIT_OK && memcmp(found, entry->result, 16) == 0);
  EXPECT(diffkit_hash_update(hash, weights, 1) == DIFFKIT_OK);
  EXPECT(diffkit_hash_finish(hash, found) == DIFFKIT_WRONG_BASE);
  diffkit_hash_free(hash);
  diffkit_hash_free(NULL);
}

/* Saves the old elements of any sparse entry of "w", changes them, and restores them. */
static void elements(const diffkit_diff *diff, size_t index) {
  diffkit_entry w = entry(diff, index, "w");
  size_t size = sizeof weights;
  char *old = malloc(4 * w.changes), *new = malloc(4 * w.changes);
  float *work = malloc(size), *after = malloc(size);
  memcpy(work, weights, size);
  memcpy(after, weights, size);
  EXPECT(diffkit_apply(diff, index, after, size, 0) == DIFFKIT_OK);
  EXPECT(diffkit_gather(diff, index, work, size, old, w.changes - 1) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_gather(diff, index, work, size - 4, old, w.changes) == DIFFKIT_WRONG_BASE);
  EXPECT(diffkit_gather(diff, index, work, size, old, w.changes) == DIFFKIT_OK);
  memcpy(new, old, 4 * w.changes);
  EXPECT(diffkit_change(diff, index, new, w.changes) == DIFFKIT_OK);
  EXPECT(diffkit_scatter(diff, index, work, size, new, old, w.changes) == DIFFKIT_OK);
  EXPECT(memcmp(work, after, size) == 0);
  EXPECT(diffkit_scatter(diff, index, work, size, new, old, w.changes) == DIFFKIT_WRONG_BASE);
  EXPECT(diffkit_scatter(diff, index, work, size, old, new, w.changes) == DIFFKIT_OK);
  EXPECT(memcmp(work, weights, size) == 0);

  uint64_t *positions = malloc(8 * w.changes);
  EXPECT(diffkit_read(diff, index, positions, NULL, w.changes) == DIFFKIT_OK);
  diffkit_exchange *exchange;
  EXPECT(diffkit_exchange_new(&exchange) == DIFFKIT_OK);
  EXPECT(diffkit_exchange_add(exchange, 4, positions, old, new, w.changes) == DIFFKIT_OK);
  uint64_t last[] = {5, 5};
  EXPECT(diffkit_exchange_add(exchange, 4, last, old, new, 2) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_exchange_add(exchange, 4, last, old, new, 1) == DIFFKIT_OK);
  EXPECT(diffkit_exchange_add(exchange, 9, last, old, new, 1) == DIFFKIT_ARGUMENT);
  float other[6] = {0};
  memcpy(other + 5, old, 4);
  void *tensors[] = {work, other};
  size_t sizes[] = {size, sizeof other}, refused = 9;
  EXPECT(diffkit_exchange_run(exchange, tensors, sizes, 1, 0, NULL) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_exchange_run(exchange, tensors, sizes, 2, 4, NULL) == DIFFKIT_ARGUMENT);
  sizes[1]--;
  EXPECT(diffkit_exchange_run(exchange, tensors, sizes, 2, 0, NULL) == DIFFKIT_WRONG_BASE);
  sizes[1]++;
  EXPECT(diffkit_exchange_run(exchange, tensors, sizes, 2, 0, &refused) == DIFFKIT_OK);
  EXPECT(memcmp(work, after, size) == 0 && memcmp(other + 5, new, 4) == 0 && refused == 9);
  EXPECT(diffkit_exchange_run(exchange, tensors, sizes, 2, 0, &refused) == DIFFKIT_WRONG_BASE);
  EXPECT(refused == 0);
  /* Only the last of all elements differs: nothing is changed. */
  memset(other + 5, 7, 4);
  EXPECT(
      diffkit_exchange_run(exchange, tensors, sizes, 2, DIFFKIT_BACKWARDS, &refused) ==
      DIFFKIT_WRONG_BASE);
  EXPECT(refused == 1 && memcmp(work, after, size) == 0);
  memcpy(other + 5, new, 4);
  ((char *)work)[4 * positions[w.changes - 1]] ^= 1;
  EXPECT(
      diffkit_exchange_run(exchange, tensors, sizes, 2, DIFFKIT_BACKWARDS, &refused) ==
      DIFFKIT_WRONG_BASE);
  ((char *)work)[4 * positions[w.changes - 1]] ^= 1;
  EXPECT(refused == 0 && memcmp(work, after, size) == 0 && memcmp(other + 5, new, 4) == 0);
  EXPECT(diffkit_exchange_run(exchange, tensors, sizes, 2, DIFFKIT_BACKWARDS, NULL) == DIFFKIT_OK);
  EXPECT(memcmp(work, weights, size) == 0 && memcmp(other + 5, old, 4) == 0);
  EXPECT(
      diffkit_exchange_run(
          exchange, tensors, sizes, 2, DIFFKIT_BACKWARDS | DIFFKIT_UNVERIFIED, NULL) == DIFFKIT_OK);
  EXPECT(memcmp(work, weights, size) == 0);
  diffkit_exchange_free(exchange);
  diffkit_exchange_free(NULL);
  free(old), free(new), free(work), free(after), free(positions);
}

static void shapes(const diffkit_diff *diff) {
  diffkit_entry e = entry(diff, 2, "head");
  EXPECT(e.operation == DIFFKIT_RESHAPE && e.extents[0] == 3 && e.extents_after[0] == 5);
  EXPECT(e.rank_after == 2 && e.elements == 12 && e.elements_after == 20);
  float made[20], back[12];
  int state;
  EXPECT(diffkit_reshape(diff, 2, head, sizeof head, made, sizeof made, 0) == DIFFKIT_OK);
  EXPECT(memcmp(made, tuned_head, sizeof made) == 0);
  EXPECT(diffkit_verify(diff, 2, made, sizeof made, &state) == DIFFKIT_OK);
  EXPECT(state == DIFFKIT_IS_RESULT);
  EXPECT(diffkit_verify(diff, 2, head, sizeof head, &state) == DIFFKIT_OK);
  EXPECT(state == DIFFKIT_IS_BASE);
  EXPECT(
      diffkit_reshape(diff, 2, made, sizeof made, back, sizeof back, DIFFKIT_BACKWARDS) ==
      DIFFKIT_OK);
  EXPECT(memcmp(back, head, sizeof back) == 0);
  made[0] += 1;
  EXPECT(diffkit_verify(diff, 2, made, sizeof made, &state) == DIFFKIT_OK);
  EXPECT(state == DIFFKIT_IS_OTHER);
  EXPECT(
      diffkit_reshape(diff, 2, made, sizeof made, back, sizeof back, DIFFKIT_BACKWARDS) ==
      DIFFKIT_WRONG_BASE);
  EXPECT(
      diffkit_reshape(diff, 2, made, sizeof made, back, sizeof back, 3) == DIFFKIT_OK);
  EXPECT(diffkit_reshape(diff, 2, head, sizeof head, made, 8, 0) == DIFFKIT_WRONG_BASE);
  EXPECT(diffkit_reshape(diff, 3, head, sizeof head, made, 8, 0) == DIFFKIT_UNSUPPORTED);
  EXPECT(diffkit_gather(diff, 2, head, sizeof head, back, 12) == DIFFKIT_UNSUPPORTED);
  EXPECT(diffkit_gather(diff, 1, gone, sizeof gone, back, 6) == DIFFKIT_UNSUPPORTED);

  double came[2];
  EXPECT(diffkit_apply(diff, 0, came, sizeof came, 0) == DIFFKIT_OK);
  EXPECT(memcmp(came, come, sizeof come) == 0);
  uint16_t again[6];
  EXPECT(diffkit_revert(diff, 1, again, sizeof again, 0) == DIFFKIT_OK);
  EXPECT(memcmp(again, gone, sizeof gone) == 0);
  EXPECT(entry(diff, 0, "come").operation == DIFFKIT_INSERT);
  EXPECT(entry(diff, 1, "gone").operation == DIFFKIT_DELETE);
  EXPECT(entry(diff, 1, "gone").elements_after == 0);
}

int main(int count, char **arguments) {
  EXPECT(count == 2);
  for (int i = 0; i < COUNT; i++) tuned_weights[i] = weights[i] = sinf((float)i);
  for (int i = 0; i < COUNT; i += 37) tuned_weights[i] += (float)(i % 100 + 1) / 1024;
  for (int i = 0; i < 12; i++) head[i] = (float)i;
  for (int i = 0; i < 20; i++) tuned_head[i] = (float)(i % 7);

  caller = pthread_self();
  wrong_arguments();
  diffkit_options options = {.size = sizeof options, .operation = DIFFKIT_XOR};
  diffkit_summary summary = {.size = sizeof summary};
  const void *bytes;
  size_t size;
  diffkit_writer *exact = writer(&options);
  EXPECT(diffkit_writer_metadata(exact, "task", "t") == DIFFKIT_OK);
  EXPECT(diffkit_writer_metadata(exact, "a", "") == DIFFKIT_OK);
  EXPECT(diffkit_writer_memory(exact, &bytes, &size, &summary) == DIFFKIT_OK);
  EXPECT(summary.changed_tensors == 4 && summary.tensors == 3 && summary.bytes == size);
  EXPECT(summary.elements == COUNT + 18 && summary.changes > COUNT / 37);

  diffkit_diff *diff;
  EXPECT(diffkit_open_memory(bytes, size, &diff) == DIFFKIT_OK && diffkit_count(diff) == 4);
  const char *key, *value;
  size_t key_length, value_length;
  EXPECT(diffkit_metadata_count(diff) == 2 && diffkit_metadata_count(NULL) == 0);
  EXPECT(
      diffkit_metadata_at(diff, 1, &key, &key_length, &value, &value_length) == DIFFKIT_OK &&
      strcmp(key, "task") == 0 && key_length == 4 && strcmp(value, "t") == 0 && value_length == 1);
  EXPECT(diffkit_metadata_at(diff, 0, &key, NULL, &value, NULL) == DIFFKIT_OK && *value == 0);
  EXPECT(diffkit_metadata_at(diff, 2, &key, NULL, &value, NULL) == DIFFKIT_ARGUMENT);
  EXPECT(diffkit_metadata_at(diff, 0, NULL, NULL, &value, NULL) == DIFFKIT_ARGUMENT);
  uint8_t identity[16] = {0}, zero[16] = {0};
  EXPECT(diffkit_identity(diff, identity) == DIFFKIT_OK && memcmp(identity, zero, 16) != 0);
  EXPECT(diffkit_identity(diff, NULL) == DIFFKIT_ARGUMENT);
  diffkit_entry w = entry(diff, 3, "w");
  fingerprints(&w);
  elements(diff, 3);
  several(diff, 3, 1);
  shapes(diff);
  sources(bytes, size);
  diffkit_close(diff);

  /* The same bytes in a file, once; and no file if it is stopped. */
  char path[4096];
  snprintf(path, sizeof path, "%s/memory.diff", arguments[1]);
  EXPECT(diffkit_writer_file(exact, path, 0, &summary) == DIFFKIT_OK && summary.bytes == size);
  EXPECT(diffkit_writer_file(exact, path, 0, NULL) == DIFFKIT_IO);
  EXPECT(strcmp(diffkit_error_code(), "exists") == 0);
  EXPECT(diffkit_writer_file(exact, path, DIFFKIT_OVERWRITE, NULL) == DIFFKIT_OK);
  EXPECT(diffkit_writer_file(exact, path, 1, NULL) == DIFFKIT_ARGUMENT);
  diffkit_writer_free(exact);
  int reported = 0;
  options.progress = stop_at_second;
  options.context = &reported;
  diffkit_writer *stopped = writer(&options);
  snprintf(path, sizeof path, "%s/stopped.diff", arguments[1]);
  EXPECT(diffkit_writer_file(stopped, path, 0, NULL) == DIFFKIT_STOPPED && reported == 2);
  EXPECT(strcmp(diffkit_error_code(), "stopped") == 0 && fopen(path, "rb") == NULL);
  diffkit_writer_free(stopped);
  options.progress = NULL;

  /* Additions with each value type: the largest 0.1 % of the changes. */
  uint32_t types[] = {F16, BF16, F32};
  for (int i = 0; i < 3; i++) {
    options.operation = DIFFKIT_ADD;
    options.value_type = types[i];
    options.density = 0.001;
    diffkit_writer *add = writer(&options);
    EXPECT(diffkit_writer_memory(add, &bytes, &size, &summary) == DIFFKIT_OK);
    EXPECT(diffkit_open_memory(bytes, size, &diff) == DIFFKIT_OK);
    diffkit_writer_free(add);
    w = entry(diff, 3, "w");
    EXPECT(w.operation == DIFFKIT_ADD && w.value_type == types[i] && w.changes == COUNT / 1000);
    EXPECT(w.value_width == (types[i] == F32 ? 4u : 2u));
    elements(diff, 3);
    several(diff, 3, 0);
    diffkit_close(diff);
  }
  return 0;
}
