#define _GNU_SOURCE
#include "fork_trial.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many children run at the same time. */
#define AT_ONCE 4

static atomic_int ends, wrong, uses;

struct user {
  pthread_t thread;
  int number;
  int once;
  fork_trial_use use;
};

static void *work(void *argument) {
  struct user *user = argument;
  do {
    if (user->use(user->number) != 0) wrong++;
    uses++;
  } while (!user->once && !ends);
  return NULL;
}

static int start(struct user *user, int number, int once, fork_trial_use use) {
  *user = (struct user){.number = number, .once = once, .use = use};
  return pthread_create(&user->thread, NULL, work, user);
}

/* The life of a child: 0 if all went well, a number that says what did not otherwise. */
static int child(int seconds, fork_trial_use use) {
  signal(SIGALRM, SIG_DFL);
  alarm((unsigned)seconds);
  if (use(0) != 0) return 10;
  /* Threads of its own, beside the one that is left of the parent's. */
  wrong = 0;
  struct user user;
  if (start(&user, FORK_TRIAL_THREADS + 1, 1, use) != 0) return 11;
  int other = use(0);
  pthread_join(user.thread, NULL);
  if (other != 0 || wrong != 0) return 12;
  pid_t grandchild = fork();
  if (grandchild < 0) return 13;
  if (grandchild == 0) {
    alarm((unsigned)seconds);
    _exit(use(0) == 0 ? 0 : 14);
  }
  int status;
  if (waitpid(grandchild, &status, 0) != grandchild) return 15;
  if (WIFSIGNALED(status)) return 32 + WTERMSIG(status);
  return WEXITSTATUS(status);
}

struct forking {
  pid_t result;
  int seconds;
  fork_trial_use use;
};

static void *fork_one(void *argument) {
  struct forking *forking = argument;
  forking->result = fork();
  if (forking->result == 0) _exit(child(forking->seconds, forking->use));
  return NULL;
}

/* Waits for a child; 1 if it did not end well. */
static int reap(pid_t child, int number) {
  int status;
  if (waitpid(child, &status, 0) != child) return 1;
  if (WIFSIGNALED(status)) {
    int signal = WTERMSIG(status);
    fprintf(
        stderr, "child %d %s (signal %d)\n", number,
        signal == SIGALRM ? "hung" : "crashed", signal);
    return 1;
  }
  if (WEXITSTATUS(status) != 0)
    fprintf(stderr, "child %d ended with %d\n", number, WEXITSTATUS(status));
  return WEXITSTATUS(status) != 0;
}

int fork_trial(enum fork_trial_mode mode, int count, int seconds, fork_trial_use use) {
  struct user users[FORK_TRIAL_THREADS];
  int busy = mode == FORK_TRIAL_BUSY, ending = mode == FORK_TRIAL_ENDING;
  pid_t children[AT_ONCE] = {0};
  int failures = 0;
  ends = wrong = uses = 0;
  if (mode != FORK_TRIAL_COLD && use(0) != 0) failures++;
  for (int i = 0; i < FORK_TRIAL_THREADS && (busy || ending); i++)
    if (start(&users[i], i + 1, ending, use) != 0) return -1;
  for (int i = 0; i < count; i++) {
    /* Forks at moments that have nothing to do with the children. */
    if (busy || ending) usleep((unsigned)(i * 7919 % 5000));
    struct forking forking = {0, seconds, use};
    if (mode == FORK_TRIAL_THREAD) {
      pthread_t thread;
      if (pthread_create(&thread, NULL, fork_one, &forking) != 0) return -1;
      pthread_join(thread, NULL);
    } else {
      fork_one(&forking);
    }
    if (forking.result < 0) {
      perror("fork");
      failures++;
    }
    pid_t *place = &children[i % AT_ONCE];
    if (*place > 0) failures += reap(*place, i - AT_ONCE);
    *place = forking.result;
    struct user *next = &users[i % FORK_TRIAL_THREADS];
    if (ending) {
      pthread_join(next->thread, NULL);
      if (start(next, next->number, 1, use) != 0) return -1;
    }
  }
  for (int i = 0; i < AT_ONCE; i++)
    if (children[i] > 0) failures += reap(children[i], count - AT_ONCE + i);
  ends = 1;
  for (int i = 0; i < FORK_TRIAL_THREADS && (busy || ending); i++)
    pthread_join(users[i].thread, NULL);
  if (wrong != 0) fprintf(stderr, "%d of %d uses in the parent went wrong\n", wrong, uses);
  return failures + wrong;
}

int fork_trial_mode_named(const char *name) {
  static const char *const names[] = {"idle", "cold", "busy", "ending", "thread"};
  for (int i = 0; i < 5; i++)
    if (strcmp(name, names[i]) == 0) return i;
  return -1;
}

/* For what a thread did itself, a handler that ends the process after all. */
static void handler(int number) {
  if (number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
      number == SIGTRAP || number == SIGABRT)
    signal(number, SIG_DFL);
}

static int can_be_caught(int number) {
  /* 32 and 33 are the C library's own. */
  return number != SIGKILL && number != SIGSTOP && number != 32 && number != 33;
}

int fork_trial_set_handlers(void) {
  for (int i = 1; i < NSIG; i++) {
    struct sigaction old, action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    if (!can_be_caught(i)) continue;
    if (sigaction(i, &action, &old) != 0) return -1;
    if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) return -1;
  }
  return 0;
}

int fork_trial_check_handlers(void) {
  for (int i = 1; i < NSIG; i++) {
    struct sigaction action;
    if (!can_be_caught(i)) continue;
    if (sigaction(i, NULL, &action) != 0 || action.sa_handler != handler) return i;
  }
  return 0;
}
