/* The one await primitive. All that suspends a task is an op: begun, slept on, completed exactly
 * once or cancelled exactly once, and dropped in one place.
 *
 *     static int l_connect(lua_State *L) {
 *       struct stream *s = check_stream(L);            // 1. check arguments: may raise
 *       struct connect_op *op = op_begin(L, &connect); // 2. begin: raises where awaiting cannot be
 *       int rc = uv_tcp_connect(&op->req, ...);        // 3. submit: nothing between may raise
 *       return op_await(L, &op->op, rc);               // 4. sleep
 *     }
 *
 * The life of an op:
 *
 *     begun --op_await--> waiting --op_complete--> completed --task resumes--> pushed, dropped
 *                            |                        ^
 *                            |-- abort says coming ---| (completes as UV_ECANCELED, or truly)
 *                            |-- abort says gone -----> dropped; task resumes with CancelledError
 *                            '-- abort says abandoned > task resumes with CancelledError;
 *                                                       op_complete comes later and only drops
 *
 * An op that completed is not cancelled: its results are delivered, and the cancellation comes at
 * the next await. A callback of libuv runs no Lua: it stores what came and calls op_complete. */
#ifndef NEAP_CORE_OP_H
#define NEAP_CORE_OP_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct neap;
struct op;
struct task;

enum op_abort {
  OP_GONE,      /* nothing will complete it any more: wake the task now */
  OP_COMING,    /* op_complete will follow promptly: wait for that */
  OP_ABANDONED, /* op_complete will follow in its own time: forget the task */
};

struct op_kind {
  const char *name; /* as scripts see it: "sleep", "open_connection" */
  size_t size;      /* of the struct that begins with a struct op */

  /* Pushes the results of a completed op and returns their count, or raises. NULL: no results.
   * Runs in the awaiting coroutine. */
  int (*push)(lua_State *L, struct neap *rt, struct op *op);

  /* Called at most once, while waiting. Cannot raise. NULL: it is gone when it is dropped. */
  enum op_abort (*abort)(struct neap *rt, struct op *op);

  /* Releases what the op holds beside its own memory; exactly once, whatever happened. It must
   * also take a waiting op that is [local] out of where it waits. NULL: holds nothing. */
  void (*drop)(struct neap *rt, struct op *op);

  /* Nothing outside the runtime knows of it (a timer, a list): it can be dropped while waiting. */
  bool local;

  /* Its memory is released by drop, since others may hold it longer. */
  bool lasting;
};

enum op_state { OP_BEGUN, OP_WAITING, OP_ABORTING, OP_DONE };

struct op {
  const struct op_kind *kind;
  struct task *task; /* NULL once abandoned */
  int status;        /* what op_complete was given: 0 or UV_E* */
  uint8_t state;
};

/* Returns a cleared op for the running task. Raises, with nothing begun, outside a task, where Lua
 * cannot yield, and CancelledError when the task is cancelled. What it returns must be passed to
 * op_await by this very call. */
void *op_begin(lua_State *L, const struct op_kind *kind);

/* The same in a function that is not of neap's own. */
void *op_begin_in(lua_State *L, struct neap *rt, const struct op_kind *kind);

/* Raises what op_begin would raise. */
void op_check(lua_State *L, const char *name);

/* As op_begin, for a call whose result is there already: what it would raise, it raises; and a task
 * that has used up its budget of such calls must suspend: then it returns false. */
bool op_ready(lua_State *L, struct neap *rt, const char *name);

/* Suspends such a task for one turn; then [again] looks whether the result is still there. To be returned. */
int op_yield_first(lua_State *L, const char *name, int (*again)(lua_State *L));

/* Suspends the running task until the op is done, then pushes its results. A negative [status]
 * means that it could not be submitted: it is done at once, with that status. To be returned. */
int op_await(lua_State *L, struct op *op, int status);

/* Completes a waiting op, from the loop's thread. Queues the task; drops an abandoned op. */
void op_complete(struct neap *rt, struct op *op, int status);

/* Suspends the running task for one turn: a bare switch. To be returned. */
int op_switch(lua_State *L, const char *name);

/* The same with a continuation of the caller's own, which must look at the task's [wake]. */
int op_switch_then(lua_State *L, const char *name, lua_KContext context, lua_KFunction then);

/* Cancels what [task] waits for. Called by the cancelling of scopes alone. */
void op_cancel(struct neap *rt, struct task *task);

/* Takes what [task] waits for away from it without waiting for the end of it. */
void op_detach(struct neap *rt, struct task *task);

/* Drops the op that a step left behind (its push raised, or its coroutine was closed). */
void op_reap(struct neap *rt, struct task *task);

#endif
