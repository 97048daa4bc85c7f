#include "core/deadlock.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/task.h"

enum { TASKS_NAMED = 20 };

static void add_task(lua_State *L, struct neap *rt, luaL_Buffer *b, struct task *task) {
  task_push(L, task);
  task_push_name(L, -1);
  task_push_place(L, rt, task);
  lua_pushfstring(L, "\n\t%s waits in %s", lua_tostring(L, -2), lua_tostring(L, -1));
  lua_replace(L, -4);
  lua_pop(L, 2);
  luaL_addvalue(b);
}

void deadlock_push_error(lua_State *L, struct neap *rt) {
  luaL_Buffer b;
  uint32_t named = 0;
  luaL_checkstack(L, 16, NULL);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "deadlock: nothing can wake the waiting tasks any more:");
  list_each(node, &rt->tasks) {
    if (++named > TASKS_NAMED) break;
    add_task(L, rt, &b, container_of(node, struct task, link));
  }
  luaL_pushresult(&b);
  if (rt->task_count > TASKS_NAMED) {
    lua_pushfstring(L, "%s\n\tand %d more", lua_tostring(L, -1),
                    (int)(rt->task_count - TASKS_NAMED));
    lua_replace(L, -2);
  }
  error_new(L, ERROR_DEADLOCK);
}

static int throw(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  deadlock_push_error(L, task->future.rt);
  task_throw(L, task->future.rt, task);
  return 0;
}

bool deadlock_break(struct neap *rt, struct future *until) {
  struct task *task = until && until->is_task ? (struct task *)until : rt->main;
  lua_State *L = rt->L;
  if (!task || !task->suspended || !lua_checkstack(L, 4)) return false;
  lua_pushcfunction(L, throw);
  lua_pushlightuserdata(L, task);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}
