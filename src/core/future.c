#include "core/future.h"

#include <string.h>

#include "core/error.h"
#include "core/handle.h"
#include "core/op.h"
#include "core/report.h"
#include "core/runtime.h"
#include "core/task.h"

enum { PACKED = 2 };

/* Registry tables: failed futures by the order of failing (weak values: a finalizer, for which there may be no
 * memory, could not take them out of a list), and those collected unread. */
static const char failed_key, unread_key;

struct future *future_test(lua_State *L, int index) {
  struct future *future = object_test(L, index, OBJECT_TASK);
  return future ? future : object_test(L, index, OBJECT_FUTURE);
}

struct future *future_check(lua_State *L, struct neap *rt, int index) {
  struct future *future = future_test(L, index);
  if (!future) luaL_typeerror(L, index, "neap.Future or neap.Task");
  runtime_check_thread(L, rt);
  return future;
}

void future_init(struct neap *rt, struct future *future, bool is_task) {
  *future = (struct future){.rt = rt, .state = FUTURE_PENDING, .is_task = is_task};
  list_init(&future->waiters);
}

struct future *future_new(lua_State *L, struct neap *rt) {
  struct future *future =
      object_new(L, rt, OBJECT_FUTURE, sizeof *future, FUTURE_USER_VALUES);
  future_init(rt, future, false);
  return future;
}

/* --- details --- */

void future_push_detail(lua_State *L, int index, const char *name) {
  lua_getiuservalue(L, index, FUTURE_DETAILS);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
  }
}

void future_set_detail(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  lua_getiuservalue(L, index, FUTURE_DETAILS);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, FUTURE_DETAILS);
  }
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

/* --- callbacks --- */

static void queue_callback(struct neap *rt, struct waiter *waiter, struct future *future) {
  (void)future;
  struct handle *handle = container_of(waiter, struct handle, waiter);
  runtime_make_ready(rt, &handle->runnable);
}

/* The handles of a bare future's callbacks, by address, are kept by the future itself, so that they are
 * collected with it; they are anchored when it is completed. A task, which ends in any case, has its
 * anchored from the beginning. The handle is on top. */
static void keep_callback(lua_State *L, int index, struct handle *handle) {
  int top = lua_gettop(L);
  future_push_detail(L, index, "callbacks");
  if (lua_isnil(L, -1)) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    future_set_detail(L, index, "callbacks");
  }
  lua_pushvalue(L, top);
  lua_rawsetp(L, -2, handle);
  lua_settop(L, top);
}

static void push_callback(lua_State *L, struct neap *rt, int index, struct handle *handle) {
  if (handle->slot) {
    anchor_push(L, rt, handle->slot);
    return;
  }
  future_push_detail(L, index, "callbacks");
  lua_rawgetp(L, -1, handle);
  lua_remove(L, -2);
}

static void forget_callback(lua_State *L, int index, struct handle *handle) {
  future_push_detail(L, index, "callbacks");
  lua_pushnil(L);
  lua_rawsetp(L, -2, handle);
  lua_pop(L, 1);
}

static void check_pending(lua_State *L, const struct future *future, const char *call) {
  if (future_done(future))
    error_raise(L, ERROR_INVALID_STATE, "%s: the future is done already", call);
}

/* Anchors it, unless a finalizer that runs meanwhile does so or takes it out. Leaves it on the stack. */
static void anchor_callback(lua_State *L, struct neap *rt, int index, struct handle *handle) {
  push_callback(L, rt, index, handle);
  lua_pushvalue(L, -1);
  int slot = anchor_new(L, rt);
  if (handle->slot || list_empty(&handle->waiter.link)) {
    anchor_release(L, rt, slot);
  } else {
    handle->slot = slot;
    forget_callback(L, index, handle);
  }
}

/* One walk: what finalizers add stands at the end; if they take out the very callback, it begins anew. */
static void anchor_callbacks(lua_State *L, struct neap *rt, int index, struct future *future) {
  struct list *node = future->waiters.next;
  while (node != &future->waiters) {
    struct waiter *waiter = container_of(node, struct waiter, link);
    struct handle *handle = container_of(waiter, struct handle, waiter);
    if (waiter->fire == queue_callback && !handle->slot) {
      anchor_callback(L, rt, index, handle);
      if (list_empty(node)) node = &future->waiters;
      lua_pop(L, 1);
    }
    node = node->next;
  }
}

/* What completes a future calls this behind its last allocation, before it changes anything. When the
 * runtime is closed nobody will call its callbacks. */
static void settle(lua_State *L, struct neap *rt, int index, struct future *future, const char *call) {
  if (!future->is_task && rt->closed)
    while (!list_empty(&future->waiters)) list_remove(future->waiters.next);
  else if (!future->is_task)
    anchor_callbacks(L, rt, index, future);
  check_pending(L, future, call);
}

static int l_future_add_done_callback(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct future *future = future_check(L, rt, 1);
  handle_check_function(L, 2);
  runtime_check_open(L, rt, "add_done_callback");
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  struct handle *handle = handle_new(L, rt, 2);
  if (future->is_task) /* this or that may run finalizers, which may complete it */
    handle_anchor(L, rt, handle);
  else
    keep_callback(L, 1, handle);
  if (!future_done(future)) {
    handle->waiter.fire = queue_callback;
    list_append(&future->waiters, &handle->waiter.link);
    return 0;
  }
  if (!handle->slot) handle_anchor(L, rt, handle);
  runtime_make_ready(rt, &handle->runnable);
  return 0;
}

static bool remove_if_calls(lua_State *L, struct neap *rt, struct handle *handle, int function) {
  push_callback(L, rt, 1, handle);
  lua_getiuservalue(L, -1, HANDLE_FUNCTION);
  bool same = lua_rawequal(L, -1, function);
  if (same && !handle->slot) forget_callback(L, 1, handle);
  if (same) handle_cancel(L, rt, handle, lua_gettop(L) - 1);
  lua_pop(L, 2);
  return same;
}

static int l_future_remove_done_callback(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct future *future = future_check(L, rt, 1);
  handle_check_function(L, 2);
  lua_settop(L, 2);
  lua_Integer removed = 0;
  if (!future_done(future)) {
    list_each(node, &future->waiters) {
      struct waiter *waiter = container_of(node, struct waiter, link);
      if (waiter->fire != queue_callback) continue;
      removed += remove_if_calls(L, rt, container_of(waiter, struct handle, waiter), 2);
    }
  }
  lua_pushinteger(L, removed);
  return 1;
}

/* --- completing --- */

static void complete(struct neap *rt, struct future *future, enum future_state state) {
  struct list *node;
  future->state = state;
  while ((node = list_first(&future->waiters))) {
    struct waiter *waiter = container_of(node, struct waiter, link);
    list_remove(node);
    waiter->fire(rt, waiter, future);
  }
  if (state == FUTURE_FAILED && !future->retrieved) rt->unretrieved++;
}

void future_finish(lua_State *L, struct neap *rt, int index, int first) {
  struct future *future = lua_touserdata(L, index);
  int count = lua_gettop(L) - first + 1;
  if (count > 1) {
    luaL_checkstack(L, 2, "too many results");
    lua_createtable(L, count, 1);
    lua_insert(L, first);
    for (int i = count; i >= 1; i--) lua_rawseti(L, first, i);
    lua_pushinteger(L, count);
    lua_setfield(L, first, "n");
  }
  settle(L, rt, index, future, "set_result");
  future->values = count > 1 ? PACKED : (uint8_t)count;
  if (count > 0) lua_setiuservalue(L, index, FUTURE_RESULT);
  complete(rt, future, FUTURE_FINISHED);
}

void future_abandon(struct neap *rt, struct future *future) {
  complete(rt, future, FUTURE_CANCELLED);
}

void future_fail_quietly(lua_State *L, struct neap *rt, int index, enum future_state state) {
  struct future *future = lua_touserdata(L, index);
  lua_setiuservalue(L, index, FUTURE_RESULT);
  complete(rt, future, state);
}

/* Makes a userdata whose collection tells that the future was collected: so that those which do not
 * fail need no finalizer. */
static void guard(lua_State *L, struct neap *rt, int index) {
  object_new(L, rt, OBJECT_FAILURE, 0, 1);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 1);
  future_set_detail(L, index, "guard");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &failed_key);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, rt->failures + 1);
  rt->failures++;
  lua_pop(L, 1);
}

void future_fail(lua_State *L, struct neap *rt, int index, enum future_state state) {
  if (state == FUTURE_FAILED) {
    luaL_checkstack(L, 6, "not enough memory");
    guard(L, rt, lua_absindex(L, index));
  }
  settle(L, rt, lua_absindex(L, index), lua_touserdata(L, index), "set_exception");
  future_fail_quietly(L, rt, index, state);
}

static void mark_retrieved(struct future *future) {
  if (future->state == FUTURE_FAILED && !future->retrieved) future->rt->unretrieved--;
  future->retrieved = true;
}

/* --- reading --- */

static int push_values(lua_State *L, int index, const struct future *future) {
  if (future->values == 0) return 0;
  lua_getiuservalue(L, index, FUTURE_RESULT);
  if (future->values != PACKED) return 1;
  int table = lua_gettop(L);
  lua_getfield(L, table, "n");
  int count = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, count, "too many results");
  for (int i = 1; i <= count; i++) lua_rawgeti(L, table, i);
  return count;
}

int future_push_result(lua_State *L, int index) {
  struct future *future = lua_touserdata(L, index);
  if (future->state == FUTURE_FINISHED) return push_values(L, index, future);
  mark_retrieved(future);
  lua_getiuservalue(L, index, FUTURE_RESULT);
  if (future->is_task) error_note_origin(L, index);
  return lua_error(L);
}

static void check_done(lua_State *L, const struct future *future, const char *call) {
  if (future_done(future)) return;
  error_raise(L, ERROR_INVALID_STATE, "%s: the %s is not done", call,
              future->is_task ? "task" : "future");
}

static int l_future_result(lua_State *L) {
  struct future *future = future_check(L, runtime_of(L), 1);
  check_done(L, future, "result");
  int count = future_push_result(L, 1);
  if (count == 0) lua_pushnil(L);
  return count ? count : 1;
}

static int l_future_exception(lua_State *L) {
  struct future *future = future_check(L, runtime_of(L), 1);
  check_done(L, future, "exception");
  if (future->state == FUTURE_FINISHED) return lua_pushnil(L), 1;
  mark_retrieved(future);
  lua_getiuservalue(L, 1, FUTURE_RESULT);
  return future->state == FUTURE_CANCELLED ? lua_error(L) : 1;
}

static int l_future_done(lua_State *L) {
  lua_pushboolean(L, future_done(future_check(L, runtime_of(L), 1)));
  return 1;
}

static int l_future_cancelled(lua_State *L) {
  lua_pushboolean(L, future_check(L, runtime_of(L), 1)->state == FUTURE_CANCELLED);
  return 1;
}

/* task:failed(): whether it ended with an error that is not a cancellation. */
static int l_future_failed(lua_State *L) {
  lua_pushboolean(L, future_check(L, runtime_of(L), 1)->state == FUTURE_FAILED);
  return 1;
}

/* --- awaiting --- */

struct await_op {
  struct op op;
  struct waiter waiter;
  struct future *future; /* kept alive by the awaiting function's stack */
  int index;             /* where it lies there */
};

static void wake_awaiter(struct neap *rt, struct waiter *waiter, struct future *future) {
  struct await_op *op = container_of(waiter, struct await_op, waiter);
  op_complete(rt, &op->op, future->state == FUTURE_CANCELLED ? UV_ECANCELED : 0);
}

static int push_awaited(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  return future_push_result(L, ((struct await_op *)op)->index);
}

static const struct op_kind await_kind;

struct task *future_awaited_task(struct task *task) {
  if (!task->op || task->op->kind != &await_kind) return NULL;
  struct future *future = ((struct await_op *)task->op)->future;
  return future->is_task ? (struct task *)future : NULL;
}

/* Whether [task], which is being cancelled too, waits by way of others for [other]: then nobody in the
 * circle would ever end. */
static bool waits_for(struct neap *rt, struct task *task, struct task *other) {
  for (uint32_t n = 0; n <= rt->task_count; n++) {
    if (task == other) return true;
    if (!task->op || task->op->state != OP_ABORTING) return false;
    task = future_awaited_task(task);
    if (!task) return false;
  }
  return true;
}

/* Cancelling an awaiter cancels the task it awaits, and waits for its end; a bare future stays. */
static enum op_abort abort_await(struct neap *rt, struct op *op) {
  struct await_op *await = (struct await_op *)op;
  if (await->future->is_task && !waits_for(rt, (struct task *)await->future, op->task)) {
    rt->cancel_next = (struct task *)await->future;
    return OP_COMING;
  }
  return OP_GONE;
}

static void drop_await(struct neap *rt, struct op *op) {
  (void)rt;
  list_remove(&((struct await_op *)op)->waiter.link);
}

static const struct op_kind await_kind = {
    .name = "await",
    .size = sizeof(struct await_op),
    .push = push_awaited,
    .abort = abort_await,
    .drop = drop_await,
    .local = true,
};

int future_await(lua_State *L, int index, const char *name) {
  struct neap *rt = runtime_of(L);
  struct future *future = lua_touserdata(L, index);
  if (future->rt != rt) return error_misuse(L, "%s: the task belongs to another runtime", name);
  if (future_done(future) && op_ready(L, rt, name)) return future_push_result(L, index);
  if (rt->current && future == &rt->current->future)
    return error_misuse(L, "%s: a task cannot await itself", name);
  struct await_op *op = op_begin(L, &await_kind);
  op->future = future;
  op->index = index;
  op->waiter.fire = wake_awaiter;
  op->waiter.op = &op->op;
  list_init(&op->waiter.link);
  if (future_done(future))
    op_complete(rt, &op->op, 0);
  else
    list_append(&future->waiters, &op->waiter.link);
  return op_await(L, &op->op, 0);
}

static int l_future_await(lua_State *L) {
  future_check(L, runtime_of(L), 1);
  lua_settop(L, 1);
  return future_await(L, 1, "await");
}

/* --- errors that nobody read --- */

/* The guard and its future are collected together; both live again until they are reported. */
static int l_failure_gc(lua_State *L) {
  struct neap *rt = runtime_of(L);
  lua_getiuservalue(L, 1, 1);
  struct future *future = lua_touserdata(L, -1);
  if (!future || future->state != FUTURE_FAILED || future->retrieved) return 0;
  mark_retrieved(future);
  if (rt->closed) return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &unread_key);
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  rt->unread++;
  return 0;
}

/* A bare future may stand for something else, which its detail names. */
static void report_one(lua_State *L, struct neap *rt, int index) {
  struct future *future = lua_touserdata(L, index);
  future_push_detail(L, index, "stands_for");
  const char *what = lua_isstring(L, -1) ? lua_tostring(L, -1) : future->is_task ? "a task" : "a future";
  lua_pushfstring(L, "%s failed and nobody read its error", what);
  lua_getiuservalue(L, index, FUTURE_RESULT);
  report(L, rt, lua_tostring(L, -2), future->is_task ? "task" : "future", index);
  lua_pop(L, 2);
}

static void report_collected(lua_State *L, struct neap *rt) {
  rt->unread = 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &unread_key);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &unread_key);
  int table = lua_gettop(L);
  for (lua_Integer i = 1; lua_rawgeti(L, table, i) != LUA_TNIL; i++) {
    report_one(L, rt, lua_gettop(L));
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

/* Those that are collected, but whose guards are about to tell, stand in the table no more. */
static void report_living(lua_State *L, struct neap *rt) {
  lua_Integer last = rt->failures;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &failed_key);
  while (rt->failures_told < last) {
    lua_rawgeti(L, -1, ++rt->failures_told);
    struct future *future = lua_touserdata(L, -1);
    if (future && future->state == FUTURE_FAILED && !future->retrieved) {
      mark_retrieved(future);
      report_one(L, rt, lua_gettop(L));
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void future_report_failures(lua_State *L, struct neap *rt, bool all) {
  luaL_checkstack(L, 10, "not enough memory");
  if (rt->unread) report_collected(L, rt);
  if (!all) return;
  report_living(L, rt);
  if (rt->unretrieved == 0) return;
  lua_gc(L, LUA_GCCOLLECT); /* collected ones whose guards have not been finalized yet */
  if (rt->unread) report_collected(L, rt);
}

/* --- bare futures --- */

static struct future *check_settable(lua_State *L, struct neap *rt, const char *call) {
  struct future *future = object_check(L, rt, 1, OBJECT_FUTURE);
  check_pending(L, future, call);
  return future;
}

int l_future(lua_State *L) {
  runtime_check_thread(L, runtime_of(L));
  future_new(L, runtime_of(L));
  if (runtime_of(L)->debug) {
    error_push_place(L);
    future_set_detail(L, -2, "made_at");
  }
  return 1;
}

static int l_set_result(lua_State *L) {
  check_settable(L, runtime_of(L), "set_result");
  future_finish(L, runtime_of(L), 1, 2);
  return 0;
}

static int l_set_exception(lua_State *L) {
  check_settable(L, runtime_of(L), "set_exception");
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  bool cancelled = error_is(L, 2, ERROR_CANCELLED);
  future_fail(L, runtime_of(L), 1, cancelled ? FUTURE_CANCELLED : FUTURE_FAILED);
  return 0;
}

static int l_future_cancel(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct future *future = object_check(L, rt, 1, OBJECT_FUTURE);
  luaL_opt(L, luaL_checkstring, 2, NULL);
  lua_settop(L, 2);
  if (!future_done(future)) error_push_cancelled(L, 1, 2); /* a finalizer may complete it here */
  bool pending = !future_done(future);
  if (pending) future_fail(L, rt, 1, FUTURE_CANCELLED);
  lua_pushboolean(L, pending);
  return 1;
}

static const char *const state_names[] = {"pending", "finished", "failed", "cancelled"};

static int l_future_tostring(lua_State *L) {
  struct future *future = object_check(L, runtime_of(L), 1, OBJECT_FUTURE);
  lua_settop(L, 1);
  lua_pushfstring(L, "<Future %s", state_names[future->state]);
  future_push_detail(L, 1, "made_at");
  if (lua_isstring(L, -1)) {
    lua_pushfstring(L, "%s, made at %s", lua_tostring(L, 2), lua_tostring(L, 3));
    lua_replace(L, 2);
  }
  lua_settop(L, 2);
  if (future->state == FUTURE_FAILED || (future->state == FUTURE_FINISHED && future->values)) {
    lua_getiuservalue(L, 1, FUTURE_RESULT);
    lua_pushfstring(L, " %s=%s", future->state == FUTURE_FAILED ? "error" : "result",
                    error_tostring(L, -1));
    lua_remove(L, -2);
    lua_remove(L, -2);
    lua_concat(L, 2);
  }
  lua_pushliteral(L, ">");
  lua_concat(L, 2);
  return 1;
}

static int l_isfuture(lua_State *L) {
  lua_pushboolean(L, future_test(L, 1) != NULL);
  return 1;
}

const luaL_Reg future_shared_methods[] = {
    {"await", l_future_await},
    {"result", l_future_result},
    {"exception", l_future_exception},
    {"done", l_future_done},
    {"cancelled", l_future_cancelled},
    {"failed", l_future_failed},
    {"add_done_callback", l_future_add_done_callback},
    {"remove_done_callback", l_future_remove_done_callback},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"cancel", l_future_cancel},
    {"set_result", l_set_result},
    {"set_exception", l_set_exception},
    {"__tostring", l_future_tostring},
    {NULL, NULL},
};

/* peek_exception(task): the error of a failed task, which still counts as unread. */
static int l_peek_exception(lua_State *L) {
  future_check(L, runtime_of(L), 1);
  lua_getiuservalue(L, 1, FUTURE_RESULT);
  return 1;
}

/* report_failures(): reports every error that nobody has read. */
static int l_report_failures(lua_State *L) {
  future_report_failures(L, runtime_of(L), true);
  return 0;
}

static const luaL_Reg functions[] = {
    {"Future", l_future},
    {"isfuture", l_isfuture},
    {"peek_exception", l_peek_exception},
    {"report_failures", l_report_failures},
    {NULL, NULL},
};

static const luaL_Reg failure_methods[] = {{"__gc", l_failure_gc}, {NULL, NULL}};

void future_open(lua_State *L, struct neap *rt) {
  weak_table_new(L, "v");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &failed_key);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &unread_key);
  object_register(L, rt, OBJECT_FUTURE, "neap.Future", methods);
  object_add_methods(L, future_shared_methods);
  object_register(L, rt, OBJECT_FAILURE, "neap.Failure", failure_methods);
  lua_pop(L, 2);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
