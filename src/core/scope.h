/* Cancel scopes: regions of a task that can be cancelled as one, by a call or a deadline. */
#ifndef NEAP_CORE_SCOPE_H
#define NEAP_CORE_SCOPE_H

#include <lua.h>
#include <stdbool.h>

#include "base/list.h"
#include "core/runtime.h"

enum scope_state { SCOPE_OPEN, SCOPE_CLOSED };

/* Lives outside Lua's memory, which may be freed unfinalized: Lua drops a finalizer that there is no
 * memory to call. The userdata points at it while it is open; the runtime's end frees what nobody has. */
struct scope {
  struct list all;      /* in rt->all_scopes */
  struct task *task;    /* whose awaits it governs; NULL while it is not open or not being run */
  struct scope *parent; /* the next one outward, or NULL */
  lua_State *L;         /* the coroutine that opened it */
  struct timer timer;
  const struct task *struck; /* in which it was cancelled; may have ended */
  int64_t deadline;     /* INT64_MAX: none */
  struct list link;     /* the innermost scope of a user coroutine that is not being run */
  double limit;         /* seconds, for the message; negative: a deadline was given */
  uint8_t state;
  bool cancelled;
  bool expired;         /* cancelled by its deadline */
  bool raises_timeout;  /* turns its own CancelledError into TimeoutError */
  bool shielding;       /* holds back cancellation from outside */
};

void scope_open(lua_State *L, struct neap *rt);

/* Brings [task->cancelled] up to date, and cancels what it waits for if it has become true. */
void scope_refresh(struct neap *rt, struct task *task);

/* [task] is about to run the user coroutine [co], whose open scopes come under those of the task;
 * or [co] has yielded to its consumer, and takes its scopes with it. */
void scope_attach(struct neap *rt, struct task *task, lua_State *co);
void scope_detach(struct neap *rt, struct task *task, lua_State *co);

/* At the runtime's end. */
void scope_free_all(struct neap *rt);

/* The task ends by the error on top, which is replaced if it is the doing of a scope that the body has left
 * open. May raise for want of memory. */
void scope_explain(lua_State *L, struct task *task);

/* The task ended: no scope of it may stay. */
void scope_forget(struct neap *rt, struct task *task);

#endif
