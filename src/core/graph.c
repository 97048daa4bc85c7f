/* Who waits for whom, and where: what lua/neap/graph.lua draws. */
#include "core/graph.h"

#include <lauxlib.h>

#include "core/coroutine.h"
#include "core/error.h"
#include "core/future.h"
#include "core/op.h"
#include "core/task.h"

/* awaiters(future): a list of the tasks that wait for it, in the order in which they came. */
static int l_awaiters(lua_State *L) {
  struct future *future = future_check(L, runtime_of(L), 1);
  lua_Integer n = 0;
  lua_newtable(L);
  if (future_done(future)) return 1;
  list_each(node, &future->waiters) {
    struct op *op = container_of(node, struct waiter, link)->op;
    if (!op || !op->task) continue;
    task_push(L, op->task);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

static void set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* Appends the scripts' functions that [co] is in to the list on top of L. */
static void add_frames(lua_State *L, lua_State *co) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sln", &ar);
    if (ar.currentline <= 0 || error_is_own(&ar)) continue;
    lua_createtable(L, 0, 3);
    set_string(L, "source", ar.short_src);
    set_string(L, "name", ar.name);
    lua_pushinteger(L, ar.currentline);
    lua_setfield(L, -2, "line");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
}

/* frames(task): a list of tables with source, line and name (nil where Lua knows none), the innermost
 * first, through the coroutines that it waits in. Empty once it has ended. */
static int l_frames(lua_State *L) {
  struct task *task = task_check(L, runtime_of(L), 1);
  lua_settop(L, 1);
  luaL_checkstack(L, 12, "not enough memory");
  int count = future_done(&task->future) ? 0 : coroutine_push_chain(L, task->L);
  lua_newtable(L);
  for (int i = count; i > 0; i--) add_frames(L, lua_tothread(L, 1 + i));
  return 1;
}

/* waits_in(task): the name of the call that it waits in, or nil. */
static int l_waits_in(lua_State *L) {
  struct task *task = task_check(L, runtime_of(L), 1);
  if (future_done(&task->future) || !task->suspended)
    lua_pushnil(L);
  else
    lua_pushstring(L, task->op ? task->op->kind->name : "sleep");
  return 1;
}

static const luaL_Reg functions[] = {
    {"awaiters", l_awaiters},
    {"frames", l_frames},
    {"waits_in", l_waits_in},
    {NULL, NULL},
};

void graph_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
