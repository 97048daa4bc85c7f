/* Tasks: a function that runs in a coroutine of its own, driven by the loop. */
#ifndef NEAP_CORE_TASK_H
#define NEAP_CORE_TASK_H

#include <lua.h>
#include <stdbool.h>

#include "base/list.h"
#include "core/future.h"
#include "core/runtime.h"

enum { TASK_BUDGET = 256 };

/* Why a suspended task runs again. */
enum wake { WAKE_RESULT, WAKE_CANCEL, WAKE_ERROR };

struct op;
struct scope;

/* Lives in a userdata that [slot] anchors until the task ends; until then its first user value is the
 * coroutine. */
struct task {
  struct future future; /* must be first */
  struct runnable runnable;
  struct list link; /* in rt->tasks */
  lua_State *L;        /* its coroutine; NULL when ended */
  struct op *op;       /* what it waits for; NULL in a bare switch */
  struct scope *scope; /* the innermost open one, or NULL */
  int slot;
  int line;            /* where it was made: the line; the function lies on its stack */
  uint16_t requests;   /* cancel requests not taken back */
  uint8_t wake;
  bool started : 1;
  bool suspended : 1;
  bool cancelled : 1;  /* awaits raise CancelledError now: see scope_refresh */
  bool delivered : 1;  /* the body has seen a CancelledError of the present requests */
  bool told : 1;       /* it was raised since the scope was cancelled */
  bool named : 1;      /* as one that awaits again after that: see debug.h */
  bool dying : 1;      /* is being killed: its stack is gone */
  bool escaped : 1;    /* user code may hold the coroutine: it is not reused */
  uint32_t preempted;  /* how often the watchdog made it yield */
};

/* Where things lie in the frame of task_main, at the bottom of the coroutine's stack. */
enum { FRAME_TASK = 1, FRAME_CREATOR, FRAME_HANDLER, FRAME_BODY };

void task_open(lua_State *L, struct neap *rt);

/* Pushes a task that will call the function at [index] with the [nargs] values above it, which
 * are popped with it. [level] is the level of the caller that is said to have made it; 0: whoever
 * made the running task; -1: nobody. */
struct task *task_new(lua_State *L, struct neap *rt, int index, int level);

/* Checks that what lies at [index] can be a task's body: a function, a coroutine (which it wraps) or
 * something callable. */
void task_check_body(lua_State *L, int index);

/* One step: from where it waits to where it waits again or ends. Called from the loop alone. */
void task_step(struct neap *rt, struct task *task);

/* Queues a suspended task. */
void task_wake(struct neap *rt, struct task *task, enum wake why);

/* Asks the task to end. Returns false if it has ended. Cannot raise. */
bool task_cancel_quietly(struct neap *rt, struct task *task);

/* The same for all there are. */
void task_cancel_all(struct neap *rt);

/* Only counts the request. */
static inline void task_request_cancel(struct task *task) {
  if (task->requests < UINT16_MAX) task->requests++;
  task->delivered = false;
}

/* Closes the coroutine: its <close> variables run and cannot await. Returns false if it has ended
 * or is running. */
bool task_kill(lua_State *L, struct neap *rt, struct task *task);

/* Ends a task of a runtime that is being freed: its <close> variables do not run. Cannot raise. */
void task_abandon(struct neap *rt, struct task *task);

/* Wakes the task at [index], if it still waits, with the error on top of the stack, which it pops. May raise
 * for want of memory. */
void task_throw(lua_State *L, struct neap *rt, int index);

/* Where a finalizer may have run since the task was seen to be unended, this is asked again: finalizers can
 * kill. */
static inline bool task_has_stack(const struct task *task) { return task->L && !task->dying; }

/* Pushes the task's userdata. Only while it has not ended. */
void task_push(lua_State *L, struct task *task);

struct task *task_check(lua_State *L, struct neap *rt, int index);

void task_pool_free(struct neap *rt);

#endif
