#include "core/deadlock.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/task.h"
#include "core/task_info.h"

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

/* The task at [index], unless it has ended meanwhile. */
static void add_task(lua_State *L, luaL_Buffer *b, int index) {
  struct task *task = lua_touserdata(L, index);
  task_push_name(L, index);
  if (future_done(&task->future)) {
    lua_pop(L, 1);
    return;
  }
  task_push_place(L, task);
  push_awaited(L, task);
  lua_pushfstring(L, "\n\t%s waits in %s%s", lua_tostring(L, -3), lua_tostring(L, -2), lua_tostring(L, -1));
  lua_replace(L, -4);
  lua_pop(L, 2);
  luaL_addvalue(b);
}

/* Tasks that await each other in a circle: the [count] at [first]. */
static void add_circle(lua_State *L, luaL_Buffer *b, int first, int count) {
  if (count > 0) luaL_addstring(b, "\n\ta circle: ");
  for (int i = first; i < first + count; i++) {
    if (i > first) luaL_addstring(b, " -> ");
    task_push_name(L, i);
    luaL_addvalue(b);
  }
  if (count > 0 && !lua_rawequal(L, first, first + count - 1)) luaL_addstring(b, " -> ...");
}

/* --- who waits: found before any finalizer can run, since those can kill tasks --- */

/* Pushes the first tasks there are, and returns their count. */
static int push_tasks(lua_State *L, struct neap *rt) {
  int count = 0;
  list_each(node, &rt->tasks) {
    if (count == TASKS_NAMED) break;
    task_push(L, container_of(node, struct task, link));
    count++;
  }
  return count;
}

/* Whether [task] waits, by way of others, for itself. */
static bool is_in_circle(struct neap *rt, struct task *task) {
  struct task *other = future_awaited_task(task);
  for (uint32_t n = 0; other && other != task && n < rt->task_count; n++)
    other = future_awaited_task(other);
  return other == task;
}

/* The first that is in a circle, of the [count] tasks at [first]. */
static struct task *find_circle(lua_State *L, struct neap *rt, int first, int count) {
  for (int i = first; i < first + count; i++)
    if (is_in_circle(rt, lua_touserdata(L, i))) return lua_touserdata(L, i);
  return NULL;
}

/* Pushes the tasks of the circle that [start] is in, from itself to itself, or as many as are named. */
static int push_circle(lua_State *L, struct task *start) {
  int count = 0;
  for (struct task *task = start; task && count < TASKS_NAMED; task = future_awaited_task(task)) {
    task_push(L, task);
    if (++count > 1 && task == start) break;
  }
  return count;
}

void deadlock_push_error(lua_State *L, struct neap *rt) {
  luaL_Buffer b;
  luaL_checkstack(L, 2 * TASKS_NAMED + 20, "not enough memory");
  int first = lua_gettop(L) + 1;
  int more = (int)rt->task_count - TASKS_NAMED, count = push_tasks(L, rt);
  int circle = push_circle(L, find_circle(L, rt, first, count));
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "deadlock: nothing can wake the waiting tasks any more:");
  for (int i = first; i < first + count; i++) add_task(L, &b, i);
  if (more > 0) {
    lua_pushfstring(L, "\n\tand %d more", more);
    luaL_addvalue(&b);
  }
  add_circle(L, &b, first + count, circle);
  luaL_pushresult(&b);
  error_new(L, ERROR_DEADLOCK);
  lua_insert(L, first);
  lua_settop(L, first);
}

/* (task) */
static int throw(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  task_push(L, task);
  deadlock_push_error(L, task->future.rt);
  task_throw(L, task->future.rt, 2);
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
