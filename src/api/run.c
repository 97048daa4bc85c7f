/* Calling Lua from C, and running its tasks. */
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#include "api/host.h"
#include "core/deadlock.h"
#include "core/error.h"
#include "core/future.h"
#include "core/report.h"
#include "core/run.h"
#include "core/task.h"

/* Registry key: the traceback of the last call that failed. */
static const char traceback_key;

/* --- spawning --- */

struct neap_task {
  struct waiter waiter; /* for the task's end */
  struct post post;     /* then: calls [done] */
  struct neap *rt;
  struct task *task;
  int slot;             /* of the task's userdata */
  bool told;
  neap_done *done;
  void *user;
};

static int push_result(lua_State *L) { return future_push_result(L, 1); }

/* (handle): [done] with the values or the error on top. */
static int protected_done(lua_State *L) {
  enum { TRACEBACK = 1, TASK };
  struct neap_task *handle = lua_touserdata(L, 1);
  lua_pushnil(L);
  lua_replace(L, TRACEBACK);
  anchor_push(L, handle->rt, handle->slot);
  lua_pushcfunction(L, push_result);
  lua_pushvalue(L, TASK);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  luaL_checkstack(L, LUA_MINSTACK, "not enough memory");
  if (status != LUA_OK) {
    future_push_detail(L, TASK, "traceback");
    lua_replace(L, TRACEBACK);
  }
  handle->told = true;
  handle->done(L, status, lua_gettop(L) - TASK, lua_tostring(L, TRACEBACK), handle->user);
  return 0;
}

/* Without memory to call it as it should be, it gets the error that says so. */
static void tell(struct neap *rt, struct neap_task *handle) {
  lua_State *L = rt->L;
  int top = lua_gettop(L);
  lua_pushcfunction(L, report_keep_traceback);
  lua_pushcfunction(L, protected_done);
  lua_pushlightuserdata(L, handle);
  int status = lua_pcall(L, 1, 0, top + 1);
  if (status != LUA_OK && handle->told)
    report(L, rt, "the end of a task was told, which failed", NULL, 0);
  else if (status != LUA_OK)
    handle->done(L, status, 1, NULL, handle->user);
  lua_settop(L, top);
}

static void run_done(struct neap *rt, struct post *post) {
  struct neap_task *handle = container_of(post, struct neap_task, post);
  if (rt) {
    rt->untold--;
    if (handle->done) tell(rt, handle);
    anchor_release(rt->L, rt, handle->slot);
  } else if (handle->done) {
    handle->done(NULL, LUA_ERRRUN, 0, NULL, handle->user);
  }
  free(handle);
}

static void task_has_ended(struct neap *rt, struct waiter *waiter, struct future *future) {
  (void)future;
  struct neap_task *handle = container_of(waiter, struct neap_task, waiter);
  runtime_make_ready(rt, &handle->post.runnable);
}

/* (handle, function, arguments) */
static int protected_spawn(lua_State *L) {
  struct neap_task *handle = lua_touserdata(L, 1);
  struct neap *rt = handle->rt;
  lua_remove(L, 1);
  task_check_body(L, 1);
  lua_pushnil(L);
  handle->slot = anchor_new(L, rt);
  handle->task = task_new(L, rt, 1, -1);
  anchor_set(L, rt, handle->slot);
  list_append(&handle->task->future.waiters, &handle->waiter.link);
  return 0;
}

/* Takes the function and the arguments from the stack whatever comes of it. */
static bool make_task(lua_State *L, struct neap_task *handle, int nargs) {
  lua_pushcfunction(L, protected_spawn);
  lua_insert(L, -nargs - 2);
  lua_pushlightuserdata(L, handle);
  lua_insert(L, -nargs - 2);
  if (lua_pcall(L, nargs + 2, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  if (handle->slot) anchor_release(L, handle->rt, handle->slot);
  return false;
}

neap_task *neap_spawn(lua_State *L, int nargs, neap_done *done, void *user) {
  struct neap *rt = host_check_state(L, "neap_spawn");
  if (!rt) return NULL;
  struct neap_task *handle = calloc(1, sizeof *handle);
  if (!handle || !lua_checkstack(L, 4)) return free(handle), lua_pop(L, nargs + 1), NULL;
  *handle = (struct neap_task){.rt = rt, .done = done, .user = user};
  handle->waiter.fire = task_has_ended;
  handle->post = (struct post){.runnable.kind = RUN_POST, .run = run_done};
  list_init(&handle->waiter.link);
  if (make_task(L, handle, nargs)) return rt->untold++, handle;
  free(handle);
  return NULL;
}

void neap_cancel(neap_task *task) {
  if (!task)
    host_refuse("neap_cancel", "the task is NULL");
  else if (port_is_foreign(task->rt->port))
    host_refuse("neap_cancel", "another thread is running the runtime");
  else
    task_cancel_quietly(task->rt, task->task);
}

void neap_cancel_all(neap_t *neap) {
  struct neap *rt = host_check(neap, "neap_cancel_all");
  if (rt) task_cancel_all(rt);
}

/* --- calling --- */

/* (function, arguments): leaves the task, which becomes the main one. */
static int protected_call(lua_State *L) {
  struct neap *rt = runtime_get(L);
  task_check_body(L, 1);
  rt->main = rt->body = task_new(L, rt, 1, -1);
  return 1;
}

static int push_deadlock(lua_State *L) {
  deadlock_push_error(L, runtime_get(L));
  return 1;
}

/* (task): its traceback, which the registry holds from then on. */
static int protected_keep(lua_State *L) {
  future_push_detail(L, 1, "traceback");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &traceback_key);
  return 1;
}

/* Without memory there is none. */
static void keep_traceback(lua_State *L, int task, const char **traceback) {
  lua_pushcfunction(L, protected_keep);
  lua_pushvalue(L, task);
  bool kept = lua_pcall(L, 1, 1, 0) == LUA_OK;
  if (traceback) *traceback = kept ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1);
}

/* Runs until the task at the top has ended, which its result takes the place of. */
static int finish_call(lua_State *L, struct neap *rt, const char **traceback) {
  int index = lua_gettop(L);
  struct task *task = lua_touserdata(L, index);
  enum run_result result;
  do {
    result = runtime_run(rt, &task->future);
  } while (result == RUN_STOPPED && !rt->exiting);
  if (result == RUN_STOPPED) return lua_settop(L, index - 1), LUA_YIELD;
  if (result == RUN_IDLE) {
    lua_pushcfunction(L, push_deadlock);
    lua_pcall(L, 0, 1, 0);
    return lua_remove(L, index), LUA_ERRRUN;
  }
  lua_pushcfunction(L, push_result);
  lua_pushvalue(L, index);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  if (status != LUA_OK) keep_traceback(L, index, traceback);
  lua_remove(L, index);
  return status;
}

/* The function and its arguments are on the stack. */
static int call(struct neap *rt, int nargs, const char **traceback) {
  lua_State *L = rt->L;
  if (rt->exiting) return lua_pop(L, nargs + 1), LUA_YIELD;
  if (!lua_checkstack(L, 8)) return lua_pop(L, nargs), LUA_ERRMEM;
  lua_pushcfunction(L, protected_call);
  lua_insert(L, -nargs - 2);
  int status = lua_pcall(L, nargs + 1, 1, 0);
  return status == LUA_OK ? finish_call(L, rt, traceback) : status;
}

int neap_call(neap_t *neap, int nargs, const char **traceback) {
  struct neap *rt = host_check_idle(neap, "neap_call");
  if (traceback) *traceback = NULL;
  return rt ? call(rt, nargs, traceback) : LUA_ERRERR;
}

/* --- running --- */

/* Nothing in the process can go on: the report names who waits. */
static void report_deadlock(struct neap *rt) {
  lua_State *L = rt->L;
  lua_pushcfunction(L, push_deadlock);
  lua_pcall(L, 0, 1, 0);
  report(L, rt, "the tasks cannot end", NULL, 0);
}

static neap_status status_of(struct neap *rt, enum run_result result) {
  switch (result) {
    case RUN_STOPPED: return rt->exiting ? NEAP_EXITED : NEAP_STOPPED;
    case RUN_IDLE: return NEAP_DEADLOCKED;
    case RUN_READY: return NEAP_READY;
    case RUN_WAITING: return NEAP_WAITING;
    default: return NEAP_DONE;
  }
}

neap_status neap_run(neap_t *neap) {
  struct neap *rt = host_check_idle(neap, "neap_run");
  if (!rt) return NEAP_REFUSED;
  if (rt->exiting) return NEAP_EXITED;
  enum run_result result = runtime_run(rt, NULL);
  if (result == RUN_IDLE) report_deadlock(rt);
  return status_of(rt, result);
}

neap_status neap_step(neap_t *neap, double seconds) {
  struct neap *rt = host_check_idle(neap, "neap_step");
  if (!rt) return NEAP_REFUSED;
  if (rt->exiting) return NEAP_EXITED;
  double ns = seconds > 0 ? fmin(seconds, 1e6) * 1e9 : 0;
  return status_of(rt, runtime_step(rt, (int64_t)ns));
}

int neap_fd(neap_t *neap) {
  struct neap *rt = host_check(neap, "neap_fd");
  return rt ? uv_backend_fd(rt->loop) : -1;
}

int neap_timeout(neap_t *neap) {
  struct neap *rt = host_check(neap, "neap_timeout");
  if (!rt) return -1;
  int64_t own = runtime_wait(rt);
  int others = uv_loop_alive(rt->loop) ? uv_backend_timeout(rt->loop) : -1;
  if (own < 0 || (others >= 0 && others < own)) return others;
  return own > INT_MAX ? INT_MAX : (int)own;
}

void neap_stop(neap_t *neap) {
  struct neap *rt = host_check(neap, "neap_stop");
  if (rt) rt->stop = true;
}

int neap_exit_code(neap_t *neap) {
  struct neap *rt = host_check(neap, "neap_exit_code");
  return rt ? rt->exit_code : 0;
}

static int report_failures(lua_State *L) {
  future_report_failures(L, runtime_get(L), true);
  return 0;
}

unsigned neap_report_errors(neap_t *neap) {
  struct neap *rt = host_check(neap, "neap_report_errors");
  if (!rt) return 0;
  lua_pushcfunction(rt->L, report_failures);
  if (lua_pcall(rt->L, 0, 0, 0) != LUA_OK) lua_pop(rt->L, 1);
  return rt->reported;
}

/* --- programs --- */

/* (error, traceback or nil): one string. */
static int join_error(lua_State *L) {
  error_tostring(L, 1);
  if (lua_isnil(L, 2)) return 1;
  lua_pushfstring(L, "%s\n%s", lua_tostring(L, -1), lua_tostring(L, 2));
  return 1;
}

/* Makes one string of the error on top and its traceback. */
static int fail(lua_State *L, const char *traceback) {
  lua_pushcfunction(L, join_error);
  lua_insert(L, -2);
  lua_pushstring(L, traceback);
  lua_pcall(L, 2, 1, 0);
  return LUA_ERRRUN;
}

/* Waits for the tasks that the body left. */
static neap_status finish_tasks(neap_t *neap) {
  neap_status status;
  while ((status = neap_run(neap)) == NEAP_STOPPED) continue;
  return status;
}

static int run_program(neap_t *neap, struct neap *rt) {
  const char *traceback = NULL;
  int base = lua_gettop(rt->L) - 1, status = call(rt, 0, &traceback);
  if (status == LUA_YIELD) return status;
  if (status != LUA_OK) {
    fail(rt->L, traceback);
    neap_cancel_all(neap);
    return finish_tasks(neap), LUA_ERRRUN;
  }
  lua_settop(rt->L, base);
  neap_status rest = finish_tasks(neap);
  if (rest == NEAP_EXITED) return LUA_YIELD;
  if (rest != NEAP_DEADLOCKED) return LUA_OK;
  neap_cancel_all(neap);
  finish_tasks(neap);
  return lua_pushliteral(rt->L, "the program's tasks could not end"), LUA_ERRRUN;
}

int neap_dofile(neap_t *neap, const char *path) {
  struct neap *rt = host_check_idle(neap, "neap_dofile");
  if (rt && !path) host_refuse("neap_dofile", "the path is NULL");
  if (!rt || !path) return LUA_ERRERR;
  if (luaL_loadfilex(rt->L, path, "t") != LUA_OK) return LUA_ERRRUN;
  return run_program(neap, rt);
}
