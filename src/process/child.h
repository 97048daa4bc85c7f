/* A child process, without Lua: started, signalled, ended and reaped. Its memory is held by its owner and by its
 * handles, and freed when both have let go. */
#ifndef NEAP_PROCESS_CHILD_H
#define NEAP_PROCESS_CHILD_H

#include <stdbool.h>
#include <uv.h>

#include "core/runtime.h"

enum child_state {
  CHILD_RUNS,
  CHILD_ENDED,
  CHILD_LEFT, /* a detached one at the runtime's end: it runs on, unobserved */
};

struct child {
  uv_process_t process; /* must be first */
  uv_timer_t grace;     /* until the end is enforced; open while [timed] */
  struct neap *rt;
  struct resource resource;
  void (*ended)(void *owner);
  void *owner;    /* NULL: has let go */
  int returncode; /* once it has ended: the exit status, or minus the signal's number */
  int pid;
  uint8_t state;
  uint8_t holders;
  uint8_t handles; /* that are not closed yet */
  bool group;      /* it leads a process group, and signals go to all of that */
  bool detached;   /* it may outlive its owner and the runtime */
  bool ending;     /* child_end was called */
  bool timed;
};

/* Starts it, as [options] say but for their exit_cb; [owner] is told of its end. Returns 0, or a code of libuv. */
int child_spawn(struct child **result, struct neap *rt, uv_process_options_t *options, bool group, bool detached);

/* From now on [ended] is called at its end. */
void child_own(struct child *child, void (*ended)(void *owner), void *owner);

/* The owner lets go: what is not detached is ended. */
void child_release(struct child *child);

/* While someone waits for it the loop must stay alive; it does so for one that is to end. */
void child_hold(struct child *child, bool hold);

/* Returns 0, UV_ESRCH if it has ended, or another code. */
int child_signal(struct child *child, int number);

/* Asks it to end, and kills it when it has not done so within [grace] real seconds; what is left of its group then is
 * killed too. Only the first call counts. */
void child_end(struct child *child, double grace);

/* Kills what one that has ended has left of its group. The group's number is nobody else's as long as it has members. */
void child_end_group(struct child *child);

#endif
