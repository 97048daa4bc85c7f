/* A thread that is given one thing at a time, and what it waits with: for the rows that wake a loop
 * from another thread. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <pthread.h>
#include <stdlib.h>

/* What one thread gives another, which waits for it. */
struct baton {
  pthread_mutex_t lock;
  pthread_cond_t given;
  void *what;
};

#define BATON_INIT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL}

static inline void baton_give(struct baton *baton, void *what) {
  pthread_mutex_lock(&baton->lock);
  baton->what = what;
  pthread_cond_signal(&baton->given);
  pthread_mutex_unlock(&baton->lock);
}

static inline void *baton_take(struct baton *baton) {
  pthread_mutex_lock(&baton->lock);
  while (baton->what == NULL) pthread_cond_wait(&baton->given, &baton->lock);
  void *what = baton->what;
  baton->what = NULL;
  pthread_mutex_unlock(&baton->lock);
  return what;
}

static inline pthread_t worker_start(void *(*run)(void *), void *argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, argument) != 0) abort();
  return thread;
}

#endif
