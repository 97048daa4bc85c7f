/* When tasks wait and nothing in the process can ever wake one. */
#ifndef NEAP_CORE_DEADLOCK_H
#define NEAP_CORE_DEADLOCK_H

#include <lua.h>
#include <stdbool.h>

struct future;
struct neap;

/* Raises DeadlockError in the task that the run is for: [until] if it is one, or else the main task.
 * Returns false if there is none, or no memory. */
bool deadlock_break(struct neap *rt, struct future *until);

/* Pushes the error, which names each waiting task and its line. May raise for want of memory. */
void deadlock_push_error(lua_State *L, struct neap *rt);

#endif
