/* What libuv's threads do for a runtime. Virtual time stands still while that goes on, as long as it will surely end:
 * a time limit is not to pass because a disk is slow. It does not wait for calls that may never return (the opening of
 * a fifo, the look-up of a name), nor for what may stand behind them in the queue of the threads. */
#ifndef NEAP_CORE_WORK_H
#define NEAP_CORE_WORK_H

#include <stdbool.h>
#include <uv.h>

#include "base/list.h"

struct neap;

struct work {
  uv_work_t req;
  struct list link;                             /* in rt->works, until it is done or the runtime ends */
  void (*run)(struct work *work);               /* in another thread */
  void (*done)(struct work *work, int status);  /* in the loop's; once it was submitted, always */
};

/* Gives it to the threads. [rt] is NULL for what a runtime that has ended left on its loop. Returns 0 or UV_E*. */
int work_submit(struct work *work, struct neap *rt, uv_loop_t *loop);

/* Gives it up, unless it runs. It is told to [done] all the same, later. */
void work_cancel(struct work *work);

/* From any thread: what may never return begins, or has returned. The threads are the process's: all runtimes in it are
 * concerned. */
void work_may_block(bool begins);

/* Whether there is something that virtual time has to wait for. */
bool work_goes_on(const struct neap *rt);

/* At the runtime's end. */
void work_forget_all(struct neap *rt);

#endif
