/* Debug mode: what costs too much to watch otherwise. Turned on by loop:set_debug or NEAP_DEBUG=1. */
#ifndef NEAP_CORE_DEBUG_H
#define NEAP_CORE_DEBUG_H

#include <lua.h>

struct neap;
struct runnable;
struct task;

/* Runs a step, and reports one that held the loop for longer than rt->slow_ns. */
void debug_run(struct neap *rt, struct runnable *runnable);

/* Reports a task that awaits again after it was told that it is cancelled, once for each cancel. */
void debug_check_swallowed(lua_State *L, struct neap *rt, struct task *task, const char *call);

#endif
