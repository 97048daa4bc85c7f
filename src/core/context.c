#include "core/context.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/future.h"
#include "core/task.h"

/* Registry: a table whose [1] is the context of what runs outside tasks, a callback or the host; or false,
 * so that the table need never grow. */
static const char outside_key;

void context_push(lua_State *L, struct neap *rt) {
  struct task *task = runtime_subject(rt);
  if (!task) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &outside_key);
    lua_rawgeti(L, -1, 1);
    if (!lua_toboolean(L, -1)) {
      lua_pop(L, 1);
      lua_pushnil(L);
    }
    lua_remove(L, -2);
    return;
  }
  task_push(L, task);
  future_push_detail(L, -1, "context");
  lua_remove(L, -2);
}

void context_set(lua_State *L, struct neap *rt) {
  struct task *task = runtime_subject(rt);
  if (!task) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &outside_key);
    if (lua_isnil(L, -2))
      lua_pushboolean(L, 0);
    else
      lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
    lua_pop(L, 2);
    return;
  }
  task_push(L, task);
  lua_insert(L, -2);
  future_set_detail(L, -2, "context");
  lua_pop(L, 1);
}

void context_inherit(lua_State *L, struct neap *rt, int index) {
  context_push(L, rt);
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else
    future_set_detail(L, index, "context");
}

/* context(): that of what is running, or nil. */
static int l_context(lua_State *L) {
  context_push(L, runtime_of(L));
  return 1;
}

/* enter_context(): raises inside a coroutine of the user's, which could take the context to its consumer. */
static int l_enter_context(lua_State *L) {
  struct neap *rt = runtime_of(L);
  if (L != (rt->current ? rt->current->L : rt->L))
    return error_misuse(L, "run: a context is entered in a task itself, not in a coroutine inside it");
  return 0;
}

static int l_set_context(lua_State *L) {
  runtime_check_thread(L, runtime_of(L));
  lua_settop(L, 1);
  runtime_of(L)->has_contexts = true;
  context_set(L, runtime_of(L));
  return 0;
}

static const luaL_Reg functions[] = {
    {"context", l_context},
    {"enter_context", l_enter_context},
    {"set_context", l_set_context},
    {NULL, NULL},
};

void context_open(lua_State *L, struct neap *rt) {
  (void)rt;
  lua_createtable(L, 1, 0);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &outside_key);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
