/* The watchdog: tells of a step (of a task, or a callback) that holds the loop too long, while it still
 * does, and can make Lua code that does so yield.
 *
 * A thread of its own looks at the count of steps every now and then. Of a step that lasts too long it
 * tells the loop's thread by a signal, whose handler arms a count hook in the coroutine that is running:
 * lua_sethook is what Lua allows there. Lua then calls the hook between two instructions, where it can
 * look around and yield. A step that does its work in time pays nothing. */
#ifndef NEAP_CORE_WATCHDOG_H
#define NEAP_CORE_WATCHDOG_H

#include <stdbool.h>

#include "core/runtime.h"

/* Watches the loop from now on, which the calling thread runs. [limit] is in seconds and positive (less than
 * a millisecond is one). Returns 0 or UV_E*. What was on before is off in any case. */
int watchdog_start(struct neap *rt, double limit, bool preempts);

void watchdog_stop(struct neap *rt);

/* Stops and frees it. */
void watchdog_free(struct neap *rt);

/* The loop begins, or ceases, to run steps: a wait for I/O is no step. */
void watchdog_mark(struct watchdog *watchdog, bool busy);

static inline void watchdog_note(struct neap *rt, bool busy) {
  if (rt->watchdog) watchdog_mark(rt->watchdog, busy);
}

#endif
