#include "core/loop.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "core/deadlock.h"
#include "core/error.h"
#include "core/future.h"
#include "core/handle.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/options.h"
#include "core/poll.h"
#include "core/port.h"
#include "core/report.h"
#include "core/run.h"
#include "core/shuffle.h"
#include "core/task.h"
#include "core/watchdog.h"

struct loop {
  bool closed;
};

/* The loop object in use. */
static const char loop_key;

static void new_loop(lua_State *L, struct neap *rt) {
  struct loop *loop = object_new(L, rt, OBJECT_LOOP, sizeof *loop, 0);
  loop->closed = false;
}

void loop_push(lua_State *L, struct neap *rt) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loop_key);
  struct loop *loop = lua_touserdata(L, -1);
  if (loop && !loop->closed) return;
  lua_pop(L, 1);
  new_loop(L, rt);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &loop_key);
}

static struct loop *check_loop(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_LOOP);
}

struct neap *loop_check_open(lua_State *L, const char *call) {
  struct neap *rt = runtime_of(L);
  struct loop *loop = check_loop(L);
  if (loop->closed || rt->closed) error_misuse(L, "%s: the loop is closed", call);
  runtime_check_open(L, rt, call);
  return rt;
}

/* --- running --- */

/* In the script's body a run is an await: these continue it. */
static bool in_body(lua_State *L, struct neap *rt, const char *call) {
  if (!rt->running) return false;
  if (rt->current && rt->current == rt->body) return true;
  error_misuse(L, "%s: the loop is running already (in a task, await instead)", call);
  return false;
}

/* Runs the loop, from outside, until the future at [index] is done. */
static void drive(lua_State *L, struct neap *rt, int index, const char *call) {
  struct future *future = lua_touserdata(L, index);
  struct task *main = rt->main;
  if (!main && future->is_task) rt->main = (struct task *)future;
  enum run_result result = runtime_run(rt, future);
  if (rt->main == (struct task *)future) rt->main = main;
  if (result == RUN_STOPPED) error_misuse(L, "%s: the loop was stopped before the task was done", call);
  if (result == RUN_IDLE) {
    deadlock_push_error(L, rt);
    lua_error(L);
  }
}

/* Replaces the awaitable at [index], and the arguments above it, by its task or future. */
static struct future *to_future(lua_State *L, struct neap *rt, int index) {
  struct future *future = future_test(L, index);
  if (future) {
    lua_settop(L, index);
    return future;
  }
  task_check_body(L, index);
  return &task_new(L, rt, index, 1)->future;
}

/* loop:run_until_complete(awaitable, ...): runs until it is done, and returns its values. In the
 * script's body it awaits; in any other task it raises. */
static int l_run_until_complete(lua_State *L) {
  struct neap *rt = loop_check_open(L, "run_until_complete");
  bool awaits = in_body(L, rt, "run_until_complete");
  if (awaits) op_check(L, "run_until_complete"); /* before it makes a task */
  to_future(L, rt, 2);
  if (awaits) return future_await(L, 2, "run_until_complete");
  drive(L, rt, 2, "run_until_complete");
  return future_push_result(L, 2);
}

/* drive(future, call): runs the loop, from outside, until it is done. */
static int l_drive(lua_State *L) {
  struct neap *rt = runtime_of(L);
  future_check(L, rt, 1);
  drive(L, rt, 1, luaL_checkstring(L, 2));
  return 0;
}

static int push_nothing(lua_State *L, struct neap *rt, struct op *op) {
  (void)L, (void)op;
  rt->forever = NULL;
  return 0;
}

static void drop_forever(struct neap *rt, struct op *op) {
  if (rt->forever == op) rt->forever = NULL;
  if (rt->expects_posts) port_unexpect(rt);
}

static const struct op_kind forever_kind = {
    .name = "run_forever",
    .size = sizeof(struct op),
    .push = push_nothing,
    .drop = drop_forever,
    .local = true,
};

static int await_stop(lua_State *L, struct neap *rt) {
  struct op *op = op_begin(L, &forever_kind);
  rt->forever = op;
  if (rt->expects_posts) port_expect(rt);
  if (rt->stop) {
    rt->stop = false;
    op_complete(rt, op, 0);
  }
  return op_await(L, op, 0);
}

/* loop:run_forever(): runs until loop:stop(). Raises DeadlockError when nothing can happen any more. */
static int l_run_forever(lua_State *L) {
  struct neap *rt = loop_check_open(L, "run_forever");
  if (in_body(L, rt, "run_forever")) return await_stop(L, rt);
  lua_settop(L, 1);
  future_new(L, rt);
  if (runtime_run(rt, lua_touserdata(L, 2)) == RUN_IDLE) {
    deadlock_push_error(L, rt);
    return lua_error(L);
  }
  return 0;
}

/* loop:stop(): the run ends with the turn that is running, or after one turn if none is. */
static int l_stop(lua_State *L) {
  struct neap *rt = runtime_of(L);
  check_loop(L);
  if (rt->forever) {
    struct op *op = rt->forever;
    rt->forever = NULL;
    op_complete(rt, op, 0);
  } else {
    limits_refuse_restricted(L, rt, "stop");
    rt->stop = true;
  }
  return 0;
}

/* loop:close(): ends the use of this loop object. May be called twice; not while its loop runs,
 * unless by the script's body. */
static int l_close(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct loop *loop = check_loop(L);
  if (rt->running && (!rt->current || rt->current != rt->body))
    return error_misuse(L, "close: the loop is running");
  loop->closed = true;
  if (rt->loop_closed) rt->loop_closed(L);
  return 0;
}

static int l_is_running(lua_State *L) {
  check_loop(L);
  lua_pushboolean(L, runtime_of(L)->running);
  return 1;
}

static int l_is_closed(lua_State *L) {
  lua_pushboolean(L, check_loop(L)->closed || runtime_of(L)->closed);
  return 1;
}

/* --- scheduling --- */

/* loop:time(): the loop's clock, in seconds from an arbitrary start; it never goes back. */
static int l_time(lua_State *L) {
  check_loop(L);
  lua_pushnumber(L, (lua_Number)runtime_now(runtime_of(L)) / 1e9);
  return 1;
}

/* loop:call_soon(fn, ...): calls fn(...) in the next turn. Returns a handle, to cancel it. */
static int l_call_soon(lua_State *L) {
  struct neap *rt = loop_check_open(L, "call_soon");
  handle_check_function(L, 2);
  handle_call_soon(L, rt, handle_new(L, rt, 2));
  return 1;
}

static int call_at(lua_State *L, struct neap *rt, int64_t deadline) {
  struct handle *handle = handle_new(L, rt, 3);
  handle->timer.node.key = deadline;
  handle_call_at(L, rt, handle, deadline);
  if (deadline <= runtime_now(rt)) poll_soon(rt);
  return 1;
}

/* loop:call_later(seconds, fn, ...): calls fn(...) after so long. Returns a handle. */
static int l_call_later(lua_State *L) {
  struct neap *rt = loop_check_open(L, "call_later");
  double seconds = runtime_check_seconds(L, 2);
  handle_check_function(L, 3);
  return call_at(L, rt, runtime_deadline(rt, seconds));
}

/* loop:call_at(time, fn, ...): calls fn(...) at a time of loop:time(). Returns a handle. */
static int l_call_at(lua_State *L) {
  struct neap *rt = loop_check_open(L, "call_at");
  double time = runtime_check_seconds(L, 2);
  handle_check_function(L, 3);
  return call_at(L, rt, runtime_time(time));
}

/* loop:create_task(fn, ...): see create_task. It starts with the loop's next turn. */
static int l_create_task(lua_State *L) {
  struct neap *rt = loop_check_open(L, "create_task");
  task_check_body(L, 2);
  task_new(L, rt, 2, 1);
  return 1;
}

static int l_create_future(lua_State *L) {
  loop_check_open(L, "create_future");
  return l_future(L);
}

/* ensure_future(awaitable, ...): the task or future itself, or a new task of a function. */
static int l_ensure_future(lua_State *L) {
  struct neap *rt = runtime_of(L);
  runtime_check_open(L, rt, "ensure_future");
  to_future(L, rt, 1);
  return 1;
}

/* --- errors and debugging --- */

/* loop:set_exception_handler(fn): fn(loop, context) gets the errors that nobody reads; nil sets the
 * default one, which writes to stderr. */
static int l_set_exception_handler(lua_State *L) {
  check_loop(L);
  if (!lua_isnoneornil(L, 2)) handle_check_function(L, 2);
  lua_settop(L, 2);
  report_set_handler(L);
  return 0;
}

static int l_get_exception_handler(lua_State *L) {
  check_loop(L);
  report_push_handler(L);
  return 1;
}

/* loop:call_exception_handler(context): reports what the context describes. */
static int l_call_exception_handler(lua_State *L) {
  check_loop(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  report_push_handler(L);
  if (lua_isnil(L, -1)) report_push_default_handler(L);
  lua_insert(L, 1);
  lua_settop(L, 3);
  lua_call(L, 2, 0);
  return 0;
}

static int l_set_debug(lua_State *L) {
  check_loop(L);
  luaL_checkany(L, 2);
  runtime_of(L)->debug = lua_toboolean(L, 2);
  return 0;
}

static int l_get_debug(lua_State *L) {
  check_loop(L);
  lua_pushboolean(L, runtime_of(L)->debug);
  return 1;
}

/* loop.slow_callback_duration: in debug mode steps that take longer, in seconds, are reported. It is the
 * one field that loops have; this is what methods that are not there fall back to. */
static const char slow_field[] = "slow_callback_duration";

static int l_get_field(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), slow_field)) return 0;
  int64_t ns = runtime_of(L)->slow_ns;
  lua_pushnumber(L, ns == INT64_MAX ? INFINITY : (lua_Number)ns / 1e9);
  return 1;
}

static int l_set_field(lua_State *L) {
  check_loop(L);
  if (strcmp(luaL_checkstring(L, 2), slow_field))
    return error_misuse(L, "a loop has no field '%s' to set", lua_tostring(L, 2));
  if (lua_type(L, 3) != LUA_TNUMBER)
    return error_misuse(L, "%s: number of seconds expected, got %s", slow_field, luaL_typename(L, 3));
  runtime_of(L)->slow_ns = runtime_time(runtime_check_seconds(L, 3));
  return 0;
}

/* loop:set_watchdog{limit = seconds, preempt = boolean}: reports a task or callback that holds the loop for
 * longer than the limit (1 s by default), while it does; with preempt it makes Lua code in a task that does so
 * yield. nil or false: no watchdog, as in the beginning. */
static int l_set_watchdog(lua_State *L) {
  static const char *const names[] = {"limit", "preempt", NULL};
  struct neap *rt = loop_check_open(L, "set_watchdog");
  double limit = 1;
  limits_refuse_restricted(L, rt, "set_watchdog");
  if (!lua_toboolean(L, 2)) {
    watchdog_stop(rt);
    return 0;
  }
  options_check(L, 2, names);
  if (lua_getfield(L, 2, "limit") != LUA_TNIL) {
    luaL_argcheck(L, lua_isnumber(L, -1) && lua_tonumber(L, -1) > 0, 2,
                  "the limit must be a positive number of seconds");
    limit = lua_tonumber(L, -1);
  }
  lua_getfield(L, 2, "preempt");
  int status = watchdog_start(rt, limit, lua_toboolean(L, -1));
  if (status < 0)
    return error_misuse(L, "set_watchdog: cannot start a thread: %s", uv_strerror(status));
  return 0;
}

static int l_tostring(lua_State *L) {
  struct loop *loop = check_loop(L);
  lua_pushfstring(L, "<Loop %s>", loop->closed                ? "closed"
                                  : runtime_of(L)->running ? "running"
                                                           : "not running");
  return 1;
}

/* --- which loop --- */

/* get_running_loop(): raises when no loop is running. */
static int l_get_running_loop(lua_State *L) {
  struct neap *rt = runtime_of(L);
  runtime_check_thread(L, rt);
  if (!rt->running) return error_misuse(L, "get_running_loop: no loop is running");
  loop_push(L, rt);
  return 1;
}

static int l_get_event_loop(lua_State *L) {
  loop_push(L, runtime_of(L));
  return 1;
}

static int l_new_event_loop(lua_State *L) {
  new_loop(L, runtime_of(L));
  return 1;
}

/* set_event_loop(loop): what get_event_loop returns from now on; nil: a new one when asked for. */
static int l_set_event_loop(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) check_loop(L);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &loop_key);
  return 0;
}

static int l_set_virtual_clock(lua_State *L) {
  struct neap *rt = runtime_of(L);
  if (lua_toboolean(L, 1) == rt->clock.is_virtual) return 0;
  limits_refuse_restricted(L, rt, "a virtual clock");
  runtime_set_virtual(rt, lua_toboolean(L, 1));
  return 0;
}

static int l_is_virtual(lua_State *L) {
  lua_pushboolean(L, runtime_of(L)->clock.is_virtual);
  return 1;
}

/* set_seed(seed): the tasks of one turn run in an order that it shuffles; 0: first in, first out. */
static int l_set_seed(lua_State *L) {
  shuffle_set_seed(runtime_of(L), (uint64_t)luaL_checkinteger(L, 1));
  return 0;
}

/* is_body(): whether the script's body is what is running. */
static int l_is_body(lua_State *L) {
  struct neap *rt = runtime_of(L);
  runtime_check_thread(L, rt);
  lua_pushboolean(L, rt->running && rt->current && rt->current == rt->body);
  return 1;
}

static const luaL_Reg methods[] = {
    {"run_until_complete", l_run_until_complete},
    {"run_forever", l_run_forever},
    {"stop", l_stop},
    {"close", l_close},
    {"is_running", l_is_running},
    {"is_closed", l_is_closed},
    {"time", l_time},
    {"call_soon", l_call_soon},
    {"call_later", l_call_later},
    {"call_at", l_call_at},
    {"create_task", l_create_task},
    {"create_future", l_create_future},
    {"set_exception_handler", l_set_exception_handler},
    {"get_exception_handler", l_get_exception_handler},
    {"call_exception_handler", l_call_exception_handler},
    {"set_debug", l_set_debug},
    {"get_debug", l_get_debug},
    {"__newindex", l_set_field},
    {"set_watchdog", l_set_watchdog},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

static const luaL_Reg field_methods[] = {{"__index", l_get_field}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"get_running_loop", l_get_running_loop},
    {"get_event_loop", l_get_event_loop},
    {"new_event_loop", l_new_event_loop},
    {"set_event_loop", l_set_event_loop},
    {"ensure_future", l_ensure_future},
    {"drive", l_drive},
    {"is_body", l_is_body},
    {"set_seed", l_set_seed},
    {"set_virtual_clock", l_set_virtual_clock},
    {"is_virtual", l_is_virtual},
    {NULL, NULL},
};

void loop_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_LOOP, "neap.Loop", methods);
  lua_createtable(L, 0, 1);
  runtime_push(L);
  luaL_setfuncs(L, field_methods, 1);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
