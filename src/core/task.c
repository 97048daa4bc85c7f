#include "core/task.h"

#include "core/context.h"
#include "core/coroutine.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/hook.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/poll.h"
#include "core/report.h"
#include "core/scope.h"
#include "core/task_info.h"

enum {
  IDLE_KEPT = 256,
  KILLS_NESTED = 50, /* closing a coroutine takes C stack */
};

/* An ended coroutine that no user code can know of. Its slot anchors it. */
struct idle_coroutine {
  lua_State *L;
  int slot;
};

struct task *task_check(lua_State *L, struct neap *rt, int index) {
  return object_check(L, rt, index, OBJECT_TASK);
}

void task_push(lua_State *L, struct task *task) { anchor_push(L, task->future.rt, task->slot); }

/* --- a task's coroutine --- */

/* The message handler of every task's body: keeps the traceback of where the error was raised. */
static int on_error(lua_State *L) {
  runtime_push(L);
  struct neap *rt = lua_touserdata(L, -1);
  if (!rt->current || error_began_in(L, 1, rt->current)) return lua_settop(L, 1), 1;
  task_push(L, rt->current);
  error_push_traceback(L, L, 1, 1);
  future_set_detail(L, -2, "traceback");
  lua_settop(L, 1);
  return 1;
}

static void fail(lua_State *L, struct neap *rt, struct task *task) {
  bool cancelled = error_is(L, -1, ERROR_CANCELLED);
  if (!cancelled && lua_isfunction(L, FRAME_CREATOR)) { /* not C alone */
    lua_pushvalue(L, FRAME_CREATOR);
    task_creator_to_place(L, task);
    future_set_detail(L, FRAME_TASK, "made_at");
  }
  future_fail(L, rt, FRAME_TASK, cancelled ? FUTURE_CANCELLED : FUTURE_FAILED);
}

static int fail_cancelled(lua_State *L, struct neap *rt) {
  future_push_detail(L, FRAME_TASK, "message");
  error_push_cancelled(L, FRAME_TASK, lua_gettop(L));
  future_fail(L, rt, FRAME_TASK, FUTURE_CANCELLED);
  return 0;
}

static int task_ended(lua_State *L, int status, lua_KContext context) {
  (void)context;
  struct task *task = lua_touserdata(L, FRAME_TASK);
  struct neap *rt = task->future.rt;
  if (task->scope && status != LUA_OK && status != LUA_YIELD) scope_explain(L, task);
  scope_forget(rt, task);
  if (status != LUA_OK && status != LUA_YIELD)
    fail(L, rt, task);
  else if (task->requests > 0 && !task->delivered)
    fail_cancelled(L, rt);
  else
    future_finish(L, rt, FRAME_TASK, FRAME_BODY);
  return 0;
}

/* The function that every task's coroutine runs. The body is called protected, inside the coroutine,
 * so that <close> variables may await while an error unwinds. */
static int task_main(lua_State *L) {
  struct task *task = lua_touserdata(L, FRAME_TASK);
  if (task->cancelled) return fail_cancelled(L, task->future.rt);
  int nargs = lua_gettop(L) - FRAME_BODY;
  int status = lua_pcallk(L, nargs, LUA_MULTRET, FRAME_HANDLER, 0, task_ended);
  return task_ended(L, status, 0);
}

/* --- making --- */

static bool take_idle(struct neap *rt, struct task *task) {
  if (rt->idle_count == 0) return false;
  struct idle_coroutine *idle = &rt->idle[--rt->idle_count];
  task->L = idle->L;
  task->slot = idle->slot;
  return true;
}

/* Gives the task, whose userdata is at [index], a coroutine. */
static void take_coroutine(lua_State *L, struct neap *rt, struct task *task, int index) {
  if (!take_idle(rt, task)) {
    task->L = lua_newthread(L);
    task->slot = anchor_new(L, rt);
  }
  lua_pushthread(task->L);
  lua_xmove(task->L, L, 1);
  lua_setiuservalue(L, index, FUTURE_RESULT);
  lua_pushvalue(L, index);
  anchor_set(L, rt, task->slot);
}

/* Pushes the function that runs at [level] and returns its line; at level 0 those of the running task. */
static int push_creator(lua_State *L, struct neap *rt, int level) {
  lua_Debug ar;
  if (level == 0 && rt->current) return task_push_creator(L, rt->current), rt->current->line;
  if (level <= 0 || !lua_getstack(L, level, &ar)) return lua_pushboolean(L, 0), 0;
  lua_getinfo(L, "fl", &ar);
  return ar.currentline;
}

static void fill_stack(lua_State *L, struct task *task, int index, int nargs) {
  lua_State *co = task->L;
  lua_pushcfunction(co, task_main);
  lua_pushvalue(L, index);
  lua_pushvalue(L, index + 1);
  lua_xmove(L, co, 2);
  lua_pushcfunction(co, on_error);
  lua_xmove(L, co, nargs + 1);
}

struct task *task_new(lua_State *L, struct neap *rt, int index, int level) {
  int nargs = lua_gettop(L) - index;
  luaL_checkstack(L, 6, "not enough memory");
  if (rt->limits) limits_check_task(L, rt);
  struct task *task = object_new(L, rt, OBJECT_TASK, sizeof *task, FUTURE_USER_VALUES);
  *task = (struct task){.runnable = {.kind = RUN_TASK, .budget = TASK_BUDGET}};
  future_init(rt, &task->future, true);
  list_init(&task->link);
  if (rt->has_contexts) context_inherit(L, rt, lua_gettop(L));
  task->line = push_creator(L, rt, level);
  lua_rotate(L, index, 2); /* task, creator, function, arguments */
  take_coroutine(L, rt, task, index);
  if (!lua_checkstack(task->L, nargs + 8)) {
    anchor_release(L, rt, task->slot);
    error_misuse(L, "create_task: too many arguments");
  }
  hook_inherit(L, task->L);
  fill_stack(L, task, index, nargs);
  lua_settop(L, index);
  task->runnable.id = ++rt->last_task_id;
  list_append(&rt->tasks, &task->link);
  rt->task_count++;
  runtime_make_ready(rt, &task->runnable);
  return task;
}

/* --- running and ending --- */

static void keep_idle(lua_State *L, struct neap *rt, lua_State *co, int slot) {
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  anchor_set(L, rt, slot);
  rt->idle[rt->idle_count++] = (struct idle_coroutine){co, slot};
}

static bool idle_has_room(struct neap *rt) {
  if (rt->idle_count >= IDLE_KEPT) return false;
  if (!rt->idle) rt->idle = memory_alloc(rt->memory, IDLE_KEPT * sizeof *rt->idle);
  return rt->idle != NULL;
}

static bool has_hook(lua_State *co) { return lua_gethook(co) && !limits_hooked(co); }

/* The future is done: lets go of the coroutine. */
static void retire(lua_State *L, struct neap *rt, struct task *task, bool reusable) {
  op_detach(rt, task);
  list_remove(&task->link);
  rt->task_count--;
  if (rt->main == task) rt->main = NULL;
  if (rt->body == task) rt->body = NULL;
  reusable = reusable && rt->installed && !task->escaped && !has_hook(task->L);
  if (reusable && idle_has_room(rt))
    keep_idle(L, rt, task->L, task->slot);
  else
    anchor_release(L, rt, task->slot);
  task->L = NULL;
}

/* (task, error) */
static int protected_fail(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  future_fail(L, task->future.rt, 1, FUTURE_FAILED);
  return 0;
}

/* Without memory for the details the error is told at once. */
static void fail_somehow(lua_State *L, struct neap *rt, int task, int error) {
  struct future *future = lua_touserdata(L, task);
  lua_pushcfunction(L, protected_fail);
  lua_pushvalue(L, task);
  lua_pushvalue(L, error);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushvalue(L, error);
  future->retrieved = true;
  future_fail_quietly(L, rt, task, FUTURE_FAILED);
  lua_pushvalue(L, error);
  report(L, rt, "a task failed", "task", task);
}

/* Ends the task by the error on top, which it pops. */
__attribute__((noinline, cold)) static void bury_with_error(lua_State *L, struct neap *rt, struct task *task) {
  lua_State *co = task->L;
  int top = lua_gettop(L) - 1;
  task_push(L, task);
  lua_insert(L, -2);
  lua_getiuservalue(L, top + 1, FUTURE_RESULT); /* the coroutine, which the error takes the place of */
  scope_forget(rt, task);
  if (!future_done(&task->future)) fail_somehow(L, rt, top + 1, top + 2);
  op_detach(rt, task);
  thread_close(co, L);
  retire(L, rt, task, false);
  lua_settop(L, top);
}

/* The coroutine died outside its protected call: for want of memory or of C stack. */
static void bury(lua_State *L, struct neap *rt, struct task *task) {
  if (lua_gettop(task->L) > 0)
    lua_xmove(task->L, L, 1);
  else
    lua_pushnil(L);
  bury_with_error(L, rt, task);
}

static int step_arguments(struct task *task) {
  if (task->started) return 0;
  task->started = true;
  return lua_gettop(task->L) - 1;
}

/* The script's body passes for the main coroutine: its hook stays, for callbacks and for the next body. */
static void pass_hook_on(struct neap *rt, lua_State *body) {
  if (lua_gethook(body) || lua_gethook(rt->L)) hook_copy(body, rt->L);
}

/* The limit of its step made it yield: that is its end. Or the watchdog, or C code that knows nothing of us:
 * that is a turn. Out of line: steps are to be quick. */
__attribute__((noinline, cold)) static void yielded_elsewhere(struct neap *rt, struct task *task, int results) {
  lua_pop(task->L, results);
  if (rt->limits && limits_struck(rt->L, rt)) {
    bury_with_error(rt->L, rt, task);
    return;
  }
  task->suspended = true;
  poll_if_due(rt);
  task_wake(rt, task, WAKE_RESULT);
}

void task_step(struct neap *rt, struct task *task) {
  int results;
  lua_State *co = task->L;
  task->suspended = false;
  task->runnable.budget = TASK_BUDGET;
  rt->current = task;
  rt->active = co;
  rt->barrier = false;
  int status = lua_resume(co, rt->L, step_arguments(task), &results);
  rt->current = NULL;
  rt->active = NULL;
  if (task == rt->body && status != LUA_YIELD) pass_hook_on(rt, co);
  if (status == LUA_OK) {
    retire(rt->L, rt, task, true);
  } else if (status != LUA_YIELD) {
    bury(rt->L, rt, task);
  } else if (rt->suspending) {
    rt->suspending = false;
  } else {
    yielded_elsewhere(rt, task, results);
  }
}

void task_wake(struct neap *rt, struct task *task, enum wake why) {
  task->wake = why;
  if (!task->runnable.queued) runtime_make_ready(rt, &task->runnable);
}

bool task_cancel_quietly(struct neap *rt, struct task *task) {
  if (future_done(&task->future)) return false;
  task_request_cancel(task);
  scope_refresh(rt, task);
  return true;
}

void task_cancel_all(struct neap *rt) {
  list_each(node, &rt->tasks) task_cancel_quietly(rt, container_of(node, struct task, link));
}

static void unqueue(struct neap *rt, struct runnable *runnable) {
  struct runnable **link = &rt->ready_head, *before = NULL;
  if (!runnable->queued) return;
  for (; *link != runnable; link = &(*link)->next) before = *link;
  *link = runnable->next;
  if (rt->ready_tail == runnable) rt->ready_tail = before;
  runnable->queued = false;
}

/* <close> variables run here, and they may kill other tasks. */
static void close_killed(lua_State *L, struct neap *rt, struct task *task) {
  struct task *outer = rt->dying;
  rt->kills++;
  rt->dying = task;
  coroutine_close_chain(L, task->L);
  rt->dying = outer;
  rt->kills--;
}

bool task_kill(lua_State *L, struct neap *rt, struct task *task) {
  if (future_done(&task->future) || task == rt->current || task->dying) return false;
  luaL_checkstack(L, 6, "not enough memory");
  task_push(L, task);
  int index = lua_gettop(L);
  future_push_detail(L, index, "message");
  error_push_cancelled(L, index, -1);
  if (!task_has_stack(task)) return lua_settop(L, index - 1), false; /* a finalizer was first */
  task->dying = true;
  unqueue(rt, &task->runnable);
  op_detach(rt, task);
  task->suspended = false;
  close_killed(L, rt, task);
  scope_forget(rt, task);
  future_fail_quietly(L, rt, index, FUTURE_CANCELLED);
  retire(L, rt, task, false);
  lua_settop(L, index - 1);
  return true;
}

void task_abandon(struct neap *rt, struct task *task) {
  unqueue(rt, &task->runnable);
  op_detach(rt, task);
  scope_forget(rt, task);
  list_remove(&task->link);
  rt->task_count--;
  task->L = NULL;
  future_abandon(rt, &task->future);
}

void task_throw(lua_State *L, struct neap *rt, int index) {
  struct task *task = lua_touserdata(L, index);
  future_set_detail(L, index, "thrown");
  if (!task_has_stack(task)) return;
  op_detach(rt, task);
  task_wake(rt, task, WAKE_ERROR);
}

void task_pool_free(struct neap *rt) {
  memory_free(rt->idle);
  rt->idle = NULL;
  rt->idle_count = 0;
}

/* --- for Lua --- */

void task_check_body(lua_State *L, int index) {
  int type = lua_type(L, index);
  if (type == LUA_TFUNCTION) return;
  if (type == LUA_TTHREAD) {
    coroutine_push_runner(L);
    lua_insert(L, index);
  } else if (luaL_getmetafield(L, index, "__call") != LUA_TNIL) {
    lua_pop(L, 1);
  } else {
    luaL_typeerror(L, index, "function or coroutine");
  }
}

/* create_task(fn, ...): a task that will call fn(...). It starts when its creator next suspends. */
static int l_create_task(lua_State *L) {
  struct neap *rt = runtime_of(L);
  task_check_body(L, 1);
  runtime_check_open(L, rt, "create_task");
  task_new(L, rt, 1, 1);
  return 1;
}

/* create_task_at(level, fn, ...): the same for the function at that level; 0: for that which made the running task. */
static int l_create_task_at(lua_State *L) {
  struct neap *rt = runtime_of(L);
  int level = (int)luaL_checkinteger(L, 1);
  lua_remove(L, 1);
  task_check_body(L, 1);
  runtime_check_open(L, rt, "create_task");
  task_new(L, rt, 1, level);
  return 1;
}

/* task:cancel(msg): asks it to end: true, or false if it has ended. */
static int l_cancel(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct task *task = task_check(L, rt, 1);
  luaL_opt(L, luaL_checkstring, 2, NULL);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2) && !future_done(&task->future)) future_set_detail(L, 1, "message");
  lua_pushboolean(L, task_cancel_quietly(rt, task));
  return 1;
}

/* task:uncancel(): takes one request back; returns how many are left. */
static int l_uncancel(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct task *task = task_check(L, rt, 1);
  if (task->requests > 0 && !future_done(&task->future)) {
    task->requests--;
    scope_refresh(rt, task);
  }
  lua_pushinteger(L, task->requests);
  return 1;
}

static int l_cancelling(lua_State *L) {
  lua_pushinteger(L, task_check(L, runtime_of(L), 1)->requests);
  return 1;
}

/* task:kill(): ends what will not end. Its <close> variables run, and cannot await. */
static int l_kill(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct task *task = task_check(L, rt, 1);
  if (task == rt->current) return error_misuse(L, "kill: a task cannot kill itself");
  if (rt->kills >= KILLS_NESTED)
    return error_misuse(L, "kill: more than %d kills inside one another", KILLS_NESTED);
  lua_pushboolean(L, task_kill(L, rt, task));
  return 1;
}

/* current_task(): the running task, or nil in a callback. Raises when no loop is running. */
static int l_current_task(lua_State *L) {
  struct neap *rt = runtime_of(L);
  runtime_check_thread(L, rt);
  if (rt->current)
    task_push(L, rt->current);
  else if (rt->running)
    lua_pushnil(L);
  else
    return error_misuse(L, "current_task: no loop is running");
  return 1;
}

/* all_tasks(): a list of the tasks that have not ended, in the order in which they were made. */
static int l_all_tasks(lua_State *L) {
  struct neap *rt = runtime_of(L);
  lua_Integer n = 0;
  lua_createtable(L, (int)rt->task_count, 0);
  list_each(node, &rt->tasks) {
    struct task *task = container_of(node, struct task, link);
    if (future_done(&task->future) || task->dying) continue;
    task_push(L, task);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* untell_cancel(): the CancelledError that the running task has got did not come out: another error did in its
 * place, and it is still to be told. */
static int l_untell_cancel(lua_State *L) {
  struct task *task = runtime_of(L)->current;
  if (task) task->told = task->delivered = false;
  return 0;
}

/* is_cancelled(): whether an await in the running task would raise CancelledError now. */
static int l_is_cancelled(lua_State *L) {
  struct neap *rt = runtime_of(L);
  lua_pushboolean(L, rt->current && rt->current->cancelled);
  return 1;
}

static const luaL_Reg methods[] = {
    {"cancel", l_cancel},
    {"uncancel", l_uncancel},
    {"cancelling", l_cancelling},
    {"kill", l_kill},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"create_task", l_create_task},
    {"create_task_at", l_create_task_at},
    {"is_cancelled", l_is_cancelled},
    {"untell_cancel", l_untell_cancel},
    {"current_task", l_current_task},
    {"all_tasks", l_all_tasks},
    {NULL, NULL},
};

void task_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_TASK, "neap.Task", methods);
  object_add_methods(L, future_shared_methods);
  object_add_methods(L, task_info_methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
