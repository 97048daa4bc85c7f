/* wait_all_blocked(cushion): for specs. Suspends a task until every other one waits: nothing is ready, nothing
 * that is there already wakes anyone, and for [cushion] seconds of real time no I/O has come. */
#ifndef NEAP_CORE_BLOCKED_H
#define NEAP_CORE_BLOCKED_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct neap;

/* Who waits, and since when all others have been blocked. */
struct blocked_watch {
  struct list waiting; /* of struct blocked_op */
  unsigned steps;      /* that had been run at [since]: another count means that someone has run */
  int64_t since;       /* by uv_hrtime */
};

void blocked_open(lua_State *L, struct neap *rt);

void blocked_init(struct blocked_watch *watch);

static inline bool blocked_is_awaited(const struct blocked_watch *watch) { return !list_empty(&watch->waiting); }

/* Nothing is ready after [steps]: the nanoseconds that are left of the shortest cushion. */
int64_t blocked_left(struct neap *rt, unsigned steps);

/* That cushion is over: wakes those who have it. */
void blocked_wake(struct neap *rt);

/* Something came that woke nobody: the cushion begins anew. */
void blocked_restart(struct neap *rt);

#endif
