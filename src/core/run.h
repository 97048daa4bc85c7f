/* Running what is ready, in turns, and waiting for what comes next. */
#ifndef NEAP_CORE_RUN_H
#define NEAP_CORE_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct future;
struct neap;

/* What a run waits for. */
enum run_result {
  RUN_DONE,    /* what was waited for */
  RUN_STOPPED, /* by loop:stop */
  RUN_IDLE,    /* tasks wait, and nothing can ever wake one */
  RUN_READY,   /* of a step: there is more to do at once */
  RUN_WAITING, /* of a step: tasks wait for a deadline, I/O or a post */
};

/* Runs turns until [until] is done (or, when it is NULL, until no task is left), until stop is
 * asked for, or until nothing can ever happen again. */
enum run_result runtime_run(struct neap *rt, struct future *until);

/* Runs what is ready, and what becomes so, for [budget] nanoseconds at most, and never blocks. */
enum run_result runtime_step(struct neap *rt, int64_t budget);

/* Whether the loop waits in a poll of its own and nothing is ready: what a callback of libuv's wakes then may run at
 * once, behind the callback, since it is all that there is to run. */
bool runtime_is_idle(const struct neap *rt);
void runtime_run_woken(struct neap *rt);

/* One turn of what is ready, for a loop that is run by somebody else. */
void runtime_turn(struct neap *rt);

/* Milliseconds until something is due: 0 when something is ready, -1 when nothing ever is by itself. */
int64_t runtime_wait(struct neap *rt);

#endif
