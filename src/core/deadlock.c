#include "core/deadlock.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/task.h"

enum { TASKS_NAMED = 20 };

/* Pushes " for Task-2" if it awaits a task, or else "". */
static void push_awaited(lua_State *L, struct task *task) {
  struct task *other = future_awaited_task(task);
  if (!other || future_done(&other->future)) {
    lua_pushliteral(L, "");
    return;
  }
  task_push(L, other);
  task_push_name(L, -1);
  lua_pushfstring(L, " for %s", lua_tostring(L, -1));
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static void add_task(lua_State *L, luaL_Buffer *b, struct task *task) {
  task_push(L, task);
  task_push_name(L, -1);
  task_push_place(L, task);
  push_awaited(L, task);
  lua_pushfstring(L, "\n\t%s waits in %s%s", lua_tostring(L, -3), lua_tostring(L, -2), lua_tostring(L, -1));
  lua_replace(L, -5);
  lua_pop(L, 3);
  luaL_addvalue(b);
}

/* Whether [task] waits, by way of others, for itself. */
static bool is_in_circle(struct neap *rt, struct task *task) {
  struct task *other = future_awaited_task(task);
  for (uint32_t n = 0; other && other != task && n < rt->task_count; n++)
    other = future_awaited_task(other);
  return other == task;
}

/* The first task that is in a circle, of those that are named. */
static struct task *find_circle(struct neap *rt) {
  uint32_t named = 0;
  list_each(node, &rt->tasks) {
    struct task *task = container_of(node, struct task, link);
    if (++named > TASKS_NAMED) break;
    if (is_in_circle(rt, task)) return task;
  }
  return NULL;
}

/* Tasks that await each other in a circle. */
static void add_circle(lua_State *L, struct neap *rt, luaL_Buffer *b) {
  struct task *first = find_circle(rt);
  if (!first) return;
  luaL_addstring(b, "\n\ta circle: ");
  struct task *task = first;
  for (int n = 0; n < TASKS_NAMED; n++) {
    task_push(L, task);
    task_push_name(L, -1);
    lua_replace(L, -2);
    luaL_addvalue(b);
    task = future_awaited_task(task);
    if (n > 0 && task == future_awaited_task(first)) return;
    luaL_addstring(b, " -> ");
  }
  luaL_addstring(b, "...");
}

void deadlock_push_error(lua_State *L, struct neap *rt) {
  luaL_Buffer b;
  uint32_t named = 0;
  luaL_checkstack(L, 20, NULL);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "deadlock: nothing can wake the waiting tasks any more:");
  list_each(node, &rt->tasks) {
    if (++named > TASKS_NAMED) break;
    add_task(L, &b, container_of(node, struct task, link));
  }
  if (rt->task_count > TASKS_NAMED) {
    lua_pushfstring(L, "\n\tand %d more", (int)(rt->task_count - TASKS_NAMED));
    luaL_addvalue(&b);
  }
  add_circle(L, rt, &b);
  luaL_pushresult(&b);
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
