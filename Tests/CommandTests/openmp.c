/* Loaded into a process before its program begins: an OpenMP whose threads work beside those of
 * the program. */
#include <pthread.h>
#include <unistd.h>

static void *work(void *argument) {
  (void)argument;
  for (;;) {
    double sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < 10000; i++) sum += 1.0 / (i + 1);
    usleep(sum > 0 ? 1000 : 1);
  }
  return NULL;
}

__attribute__((constructor)) static void begin(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, work, NULL);
}
