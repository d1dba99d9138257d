/* Forks a process that uses a library, again and again, and has the children use it. */
#ifndef FORK_TRIAL_H
#define FORK_TRIAL_H

/* The parent's threads that use the library besides the one that forks. */
#define FORK_TRIAL_THREADS 3

/* What the parent does while it forks. */
enum fork_trial_mode {
  /* Nothing: it has used the library before. */
  FORK_TRIAL_IDLE,
  /* It has not used the library yet: the children are the first. */
  FORK_TRIAL_COLD,
  /* Its threads use the library. */
  FORK_TRIAL_BUSY,
  /* Its threads use the library once and end; others take their place. */
  FORK_TRIAL_ENDING,
  /* It forks from a new thread each time, not from the first one. */
  FORK_TRIAL_THREAD,
};

/* Uses the library for one of those that use it at the same time: user 0 is the thread that forks
 * and, in a child, the one that is left; 1 ... FORK_TRIAL_THREADS are the parent's other threads.
 * Returns 0 if the result is right. */
typedef int (*fork_trial_use)(int user);

/* Forks `count` times. Each child uses the library, from one thread and then from two at a time,
 * forks once itself, and ends; one that takes longer than `seconds` is ended by SIGALRM.
 *
 * Returns how many children did not end with 0, whose ends it writes to standard error. */
int fork_trial(enum fork_trial_mode mode, int count, int seconds, fork_trial_use use);

/* The number of a mode's name, or -1. */
int fork_trial_mode_named(const char *name);

/* Gives all signals handlers, as the program has that loads a library; fails, with -1, if a library
 * has done so before. */
int fork_trial_set_handlers(void);

/* 0 if all signals have the handlers that were set. */
int fork_trial_check_handlers(void);

#endif
