#include "core/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ceiling.h"
#include "core/debug.h"
#include "core/error.h"
#include "core/runtime.h"
#include "core/task.h"

/* Under the virtual clock a task that polls for time to pass would do so for ever. */
enum { SPIN_TURNS = 10000000 };

enum { PUSH_SLOTS = 8 }; /* of Lua's stack, for what pushes an op's results */

static void drop(struct neap *rt, struct op *op) {
  bool lasting = op->kind->lasting;
  if (op->kind->drop) op->kind->drop(rt, op);
  if (!lasting) pool_release(&rt->pool, op, op->kind->size);
}

static int finish(lua_State *L, struct neap *rt, struct task *task, struct op *op) {
  int count = op->kind->push ? op->kind->push(L, rt, op) : 0;
  if (!task->op) return count; /* it has awaited something else: then that dropped it */
  task->op = NULL;
  drop(rt, op);
  return count;
}

/* [context] is the runtime. */
static int resumed(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct neap *rt = (struct neap *)context;
  struct task *task = rt->current;
  if (rt->active != L)
    return luaL_error(L, "cannot resume a coroutine that waits in a task");
  switch ((enum wake)task->wake) {
    case WAKE_RESULT:
      return task->op ? finish(L, rt, task, task->op) : 0;
    case WAKE_CANCEL:
      op_reap(rt, task);
      return error_raise_cancelled(L, rt);
    case WAKE_ERROR:
      op_reap(rt, task);
      task_push(L, task);
      future_push_detail(L, -1, "thrown");
      return lua_error(L);
  }
  return 0;
}

static int suspend(lua_State *L, struct neap *rt, struct task *task) {
  task->suspended = true;
  rt->suspending = true;
  return lua_yieldk(L, 0, (lua_KContext)rt, resumed);
}

/* Pushes "table.sort" for the function on top if a loaded module has it, or nil. Pops it. */
static void push_library_name(lua_State *L) {
  int function = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (!lua_istable(L, -1) || lua_type(L, -2) != LUA_TSTRING) continue;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
      if (!lua_rawequal(L, -1, function) || lua_type(L, -2) != LUA_TSTRING) continue;
      const char *module = lua_tostring(L, -4);
      lua_pushfstring(L, "%s%s%s", strcmp(module, "_G") ? module : "", strcmp(module, "_G") ? "." : "",
                      lua_tostring(L, -2));
      lua_replace(L, function);
      lua_settop(L, function);
      return;
    }
  }
  lua_settop(L, function - 1);
  lua_pushnil(L);
}

/* Pushes the name of the C function that stands between the task and here, or nil. */
static void push_barrier_name(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sf", &ar);
    if (*ar.what != 'C') {
      lua_pop(L, 1);
      continue;
    }
    push_library_name(L);
    if (!lua_isnil(L, -1) && !strstr(lua_tostring(L, -1), "pcall")) return;
    lua_pop(L, 1);
  }
  lua_pushnil(L);
}

static int refuse(lua_State *L, struct neap *rt, const char *name) {
  runtime_check_open(L, rt, name);
  if (!rt->current)
    return error_misuse(L, "%s: cannot wait outside a task (start one with neap.%s)", name,
                        rt->running ? "create_task" : "run");
  if (rt->active != L)
    return error_misuse(L,
                      "%s: cannot wait in a coroutine that the plain coroutine.resume runs "
                      "(call neap.install() first)",
                      name);
  if (rt->barrier && lua_isyieldable(L))
    return error_misuse(L, "%s: cannot wait here: the coroutine was resumed where Lua cannot yield",
                      name);
  luaL_checkstack(L, 12, "not enough memory");
  push_barrier_name(L);
  if (lua_isnil(L, -1))
    return error_misuse(L, "%s: cannot wait here: Lua cannot yield in a callback of C code", name);
  return error_misuse(L, "%s: cannot wait here: Lua cannot yield across %s", name,
                      lua_tostring(L, -1));
}

/* In a cancelled scope the error comes after one turn: a task that swallows it in a circle then
 * starves nobody. */
static struct task *check_awaiting(lua_State *L, struct neap *rt, const char *name) {
  if (rt->active != L || rt->barrier || !lua_isyieldable(L)) refuse(L, rt, name);
  struct task *task = rt->current;
  if (task->cancelled) {
    if (rt->debug) debug_check_swallowed(L, rt, task, name);
    op_reap(rt, task);
    task_wake(rt, task, WAKE_CANCEL);
    suspend(L, rt, task); /* does not return */
  }
  return task;
}

/* Lua gives each C function more than that to begin with. */
static void reserve_slots(lua_State *L) {
  if (lua_gettop(L) > LUA_MINSTACK - PUSH_SLOTS) luaL_checkstack(L, PUSH_SLOTS, "not enough memory");
}

/* Out of line: beginning an op is to be quick. */
__attribute__((noinline, cold)) static struct op *alloc_again(lua_State *L, struct neap *rt,
                                                              const struct op_kind *kind) {
  struct op *op = ceiling_reclaim(rt) ? pool_alloc(&rt->pool, kind->size) : NULL;
  if (!op) luaL_error(L, "%s: not enough memory", kind->name);
  return op;
}

void *op_begin_in(lua_State *L, struct neap *rt, const struct op_kind *kind) {
  struct task *task = check_awaiting(L, rt, kind->name);
  if (task->op) op_reap(rt, task);
  reserve_slots(L);
  struct op *op = pool_alloc(&rt->pool, kind->size);
  if (!op) op = alloc_again(L, rt, kind);
  memset(op, 0, kind->size);
  op->kind = kind;
  op->task = task;
  task->op = op;
  return op;
}

void *op_begin(lua_State *L, const struct op_kind *kind) {
  return op_begin_in(L, runtime_of(L), kind);
}

void op_check(lua_State *L, const char *name) { check_awaiting(L, runtime_of(L), name); }

bool op_ready(lua_State *L, struct neap *rt, const char *name) {
  struct task *task = check_awaiting(L, rt, name);
  if (task->runnable.budget == 0) return false;
  task->runnable.budget--;
  return true;
}

static int yielded(lua_State *L, int status, lua_KContext again) {
  resumed(L, status, (lua_KContext)runtime_of(L));
  return ((int (*)(lua_State *))again)(L);
}

int op_yield_first(lua_State *L, const char *name, int (*again)(lua_State *L)) {
  return op_switch_then(L, name, (lua_KContext)again, yielded);
}

int op_await(lua_State *L, struct op *op, int status) {
  struct task *task = op->task;
  struct neap *rt = task->future.rt;
  if (status < 0) {
    op->status = status;
    op->state = OP_DONE;
  }
  if (op->state == OP_DONE) {
    if (task->runnable.budget > 0) {
      task->runnable.budget--;
      return finish(L, rt, task, op);
    }
    task_wake(rt, task, WAKE_RESULT);
  } else {
    op->state = OP_WAITING;
  }
  return suspend(L, rt, task);
}

static int refuse_spin(lua_State *L, const char *name) {
  return error_misuse(L, "%s: virtual time cannot move while a task goes round: %d turns by now", name,
                      SPIN_TURNS);
}

static int switch_then(lua_State *L, struct neap *rt, const char *name, lua_KContext context,
                       lua_KFunction then) {
  struct task *task = check_awaiting(L, rt, name);
  if (task->op) op_reap(rt, task);
  if (rt->clock.is_virtual && rt->turns > SPIN_TURNS && rt->timers.count > 0) refuse_spin(L, name);
  task->wake = WAKE_RESULT;
  runtime_make_ready(rt, &task->runnable);
  task->suspended = true;
  rt->suspending = true;
  return lua_yieldk(L, 0, context, then);
}

int op_switch(lua_State *L, const char *name) {
  struct neap *rt = runtime_of(L);
  return switch_then(L, rt, name, (lua_KContext)rt, resumed);
}

int op_switch_then(lua_State *L, const char *name, lua_KContext context, lua_KFunction then) {
  return switch_then(L, runtime_of(L), name, context, then);
}

/* An op is completed exactly once: a second time means that memory is about to be corrupted. */
static void check_pending(const struct op *op) {
  if (op->state != OP_DONE) return;
  fprintf(stderr, "neap: '%s' was completed twice\n", op->kind->name);
  abort();
}

void op_complete(struct neap *rt, struct op *op, int status) {
  check_pending(op);
  enum op_state before = op->state;
  op->status = status;
  op->state = OP_DONE;
  if (!op->task)
    drop(rt, op);
  else if (before == OP_ABORTING && status == UV_ECANCELED)
    task_wake(rt, op->task, WAKE_CANCEL);
  else if (before != OP_BEGUN)
    task_wake(rt, op->task, WAKE_RESULT);
}

void op_cancel(struct neap *rt, struct task *task) {
  struct op *op = task->op;
  if (!op) {
    if (task->runnable.queued && task->wake == WAKE_RESULT) task->wake = WAKE_CANCEL;
    return;
  }
  if (op->state != OP_WAITING) return;
  op->state = OP_ABORTING;
  switch (op->kind->abort ? op->kind->abort(rt, op) : OP_GONE) {
    case OP_GONE:
      task->op = NULL;
      drop(rt, op);
      task_wake(rt, task, WAKE_CANCEL);
      break;
    case OP_COMING:
      break;
    case OP_ABANDONED:
      op->task = NULL;
      task->op = NULL;
      task_wake(rt, task, WAKE_CANCEL);
      break;
  }
}

void op_detach(struct neap *rt, struct task *task) {
  struct op *op = task->op;
  if (!op) return;
  task->op = NULL;
  op->task = NULL;
  if (op->state == OP_DONE || op->state == OP_BEGUN || op->kind->local) {
    drop(rt, op);
  } else if (op->state == OP_WAITING) {
    op->state = OP_ABORTING;
    if (!op->kind->abort || op->kind->abort(rt, op) == OP_GONE) drop(rt, op);
  }
}

void op_reap(struct neap *rt, struct task *task) {
  struct op *op = task->op;
  if (!op) return;
  task->op = NULL;
  drop(rt, op);
}
