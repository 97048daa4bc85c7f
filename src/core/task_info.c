#include "core/task_info.h"

#include "core/coroutine.h"
#include "core/error.h"
#include "core/op.h"
#include "core/task.h"

/* --- where tasks were made, run and wait --- */

/* Finds the level of task_main, the bottom of a started task's stack, or -1. */
static int bottom_level(lua_State *co, lua_Debug *ar) {
  int level = 0;
  while (lua_getstack(co, level, ar)) level++;
  return level > 0 && lua_getstack(co, level - 1, ar) ? level - 1 : -1;
}

/* Pushes on [L] the function that made the task (FRAME_CREATOR) or that it runs (FRAME_BODY), or nil where it
 * has no stack. */
static void push_function(lua_State *L, struct task *task, int which) {
  lua_State *co = task_has_stack(task) ? task->L : L;
  lua_Debug ar;
  bool found = false;
  if (!lua_checkstack(co, 1)) error_misuse(L, "stack overflow");
  int bottom = co == task->L && task->started ? bottom_level(co, &ar) : -1;
  if (task_has_stack(task) && !task->started)
    lua_pushvalue(co, which + 1), found = true; /* below it lies task_main itself */
  else if (bottom >= 0 && which == FRAME_CREATOR)
    found = lua_getlocal(co, &ar, FRAME_CREATOR);
  else if (bottom >= 0 && lua_getstack(co, bottom - 1, &ar))
    found = lua_getinfo(co, "f", &ar);
  if (!found) lua_pushnil(co);
  if (co != L) lua_xmove(co, L, 1);
}

void task_push_creator(lua_State *L, struct task *task) { push_function(L, task, FRAME_CREATOR); }

/* Replaces the function on top by its file, or "?". */
static void function_to_file(lua_State *L, int *line) {
  lua_Debug ar;
  *line = 0;
  if (!lua_isfunction(L, -1)) {
    lua_pop(L, 1);
    lua_pushliteral(L, "?");
    return;
  }
  lua_getinfo(L, ">S", &ar);
  *line = ar.linedefined;
  lua_pushstring(L, ar.short_src);
}

void task_creator_to_place(lua_State *L, const struct task *task) {
  int line;
  function_to_file(L, &line);
  if (task->line > 0) {
    lua_pushfstring(L, "%s:%d", lua_tostring(L, -1), task->line);
    lua_remove(L, -2);
  }
}

/* All that waits does so in a C function; Lua's own code only when a hook made it yield. */
static bool is_preempted(struct task *task) {
  lua_Debug ar;
  if (!task->suspended || !lua_getstack(task->L, 0, &ar)) return false;
  lua_getinfo(task->L, "S", &ar);
  return *ar.what != 'C';
}

/* Finds the line of the innermost function of [co] that is a script's. */
static bool find_line(lua_State *co, lua_Debug *ar) {
  for (int level = 0; lua_getstack(co, level, ar); level++) {
    lua_getinfo(co, "Sl", ar);
    if (ar->currentline > 0 && !error_is_own(ar)) return true;
  }
  return false;
}

void task_push_place(lua_State *L, struct task *task) {
  lua_Debug ar;
  const char *call = is_preempted(task) ? "preempted" : task->op ? task->op->kind->name : "sleep";
  int top = lua_gettop(L);
  bool found = false;
  for (int i = coroutine_push_chain(L, task->L); i > 0 && !found; i--)
    found = find_line(lua_tothread(L, top + i), &ar);
  lua_settop(L, top);
  if (found)
    lua_pushfstring(L, "%s at %s:%d", call, ar.short_src, ar.currentline);
  else
    lua_pushstring(L, call);
}

void task_push_name(lua_State *L, int index) {
  struct task *task = lua_touserdata(L, index);
  future_push_detail(L, index, "name");
  if (lua_isstring(L, -1)) return;
  lua_pop(L, 1);
  lua_pushfstring(L, "Task-%I", (lua_Integer)task->runnable.id);
}

/* --- for Lua --- */

static int l_get_name(lua_State *L) {
  task_check(L, runtime_of(L), 1);
  task_push_name(L, 1);
  return 1;
}

static int l_set_name(lua_State *L) {
  task_check(L, runtime_of(L), 1);
  luaL_checkany(L, 2);
  luaL_tolstring(L, 2, NULL);
  future_set_detail(L, 1, "name");
  return 0;
}

/* The coroutines that it waits in, the innermost first, then its own. */
static void push_stack(lua_State *L, struct task *task) {
  luaL_Buffer b;
  int top = lua_gettop(L), count = coroutine_push_chain(L, task->L);
  luaL_checkstack(L, 12, "not enough memory");
  luaL_buffinit(L, &b);
  for (int i = count; i > 0; i--) {
    if (i < count) luaL_addstring(&b, "\nresumed by\n");
    luaL_traceback(L, lua_tothread(L, top + i), NULL, 0);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
}

/* task:get_stack(): its traceback as a string; of a failed task, where the error was raised. */
static int l_get_stack(lua_State *L) {
  struct task *task = task_check(L, runtime_of(L), 1);
  if (future_done(&task->future)) {
    future_push_detail(L, 1, "traceback");
  } else {
    push_stack(L, task);
  }
  return 1;
}

/* task:made_at(): the file and line where it was made, while it has not ended or if it failed. */
static int l_made_at(lua_State *L) {
  struct task *task = task_check(L, runtime_of(L), 1);
  if (future_done(&task->future)) {
    future_push_detail(L, 1, "made_at");
  } else {
    push_function(L, task, FRAME_CREATOR);
    task_creator_to_place(L, task);
  }
  return 1;
}

static int push_end(lua_State *L, struct task *task) {
  if (task->future.state == FUTURE_CANCELLED) return lua_pushliteral(L, " cancelled>"), 1;
  if (task->future.state == FUTURE_FINISHED && task->future.values == 0)
    return lua_pushliteral(L, " finished>"), 1;
  lua_getiuservalue(L, 1, FUTURE_RESULT);
  bool failed = task->future.state == FUTURE_FAILED;
  if (task->future.values > 1) lua_rawgeti(L, -1, 1);
  if (!failed && lua_isnil(L, -1)) return lua_pushliteral(L, " finished, result: nil>"), 1;
  lua_pushfstring(L, failed ? " failed, error: %s>" : " finished, result: %s>",
                  error_tostring(L, -1));
  return 1;
}

static int push_progress(lua_State *L, struct neap *rt, struct task *task) {
  int line;
  lua_pushstring(L, task->requests ? " cancelling" : " pending");
  push_function(L, task, FRAME_BODY);
  function_to_file(L, &line);
  lua_pushfstring(L, line < 0 ? ", function %s" : ", function at %s:%d", lua_tostring(L, -1), line);
  lua_remove(L, -2);
  if (task == rt->current)
    lua_pushliteral(L, ", running>");
  else if (!task->started)
    lua_pushliteral(L, ", not started>");
  else if (!task_has_stack(task))
    lua_pushliteral(L, ", being killed>");
  else {
    task_push_place(L, task);
    lua_pushfstring(L, is_preempted(task) ? ", %s>" : ", waits in %s>", lua_tostring(L, -1));
    lua_remove(L, -2);
  }
  lua_concat(L, 3);
  return 1;
}

static int l_tostring(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct task *task = task_check(L, rt, 1);
  luaL_checkstack(L, 10, "not enough memory");
  task_push_name(L, 1);
  lua_pushfstring(L, "<Task '%s'", lua_tostring(L, -1));
  if (future_done(&task->future))
    push_end(L, task);
  else
    push_progress(L, rt, task);
  lua_pushfstring(L, "%s%s", lua_tostring(L, 3), lua_tostring(L, -1));
  return 1;
}

const luaL_Reg task_info_methods[] = {
    {"get_name", l_get_name},
    {"set_name", l_set_name},
    {"get_stack", l_get_stack},
    {"made_at", l_made_at},
    {"__tostring", l_tostring},
    {NULL, NULL},
};
