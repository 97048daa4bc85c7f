#include "core/debug.h"

#include <lauxlib.h>
#include <stdio.h>

#include "core/error.h"
#include "core/handle.h"
#include "core/report.h"
#include "core/task.h"

enum { MESSAGE_MAX = 256 };

/* What a step belongs to lies on top of the stack. */
static void report_slow(lua_State *L, struct neap *rt, const char *name, int64_t ns) {
  char message[MESSAGE_MAX];
  snprintf(message, sizeof message, "a step held the loop for %.3f s", (double)ns / 1e9);
  lua_pushnil(L);
  report_warning(L, rt, message, name, -2);
}

void debug_run(struct neap *rt, struct runnable *runnable) {
  lua_State *L = rt->L;
  bool is_task = runnable->kind == RUN_TASK;
  int top = lua_gettop(L);
  if (is_task)
    task_push(L, container_of(runnable, struct task, runnable));
  else
    anchor_push(L, rt, ((struct handle *)runnable)->slot);
  int64_t began = (int64_t)uv_hrtime();
  if (is_task)
    task_step(rt, container_of(runnable, struct task, runnable));
  else
    handle_run(rt, (struct handle *)runnable);
  int64_t took = (int64_t)uv_hrtime() - began;
  if (took > rt->slow_ns) report_slow(L, rt, is_task ? "task" : "handle", took);
  lua_settop(L, top);
}

void debug_check_swallowed(lua_State *L, struct neap *rt, struct task *task, const char *call) {
  char message[MESSAGE_MAX];
  if (!task->told || task->named) return;
  task->named = true;
  luaL_checkstack(L, 10, "not enough memory");
  error_push_place(L);
  snprintf(message, sizeof message,
           "%s at %.150s awaits in a scope that was cancelled: its CancelledError was caught, or its "
           "cleanup is not shielded", call, lua_tostring(L, -1));
  task_push(L, task);
  luaL_traceback(L, L, NULL, 1);
  report_warning(L, rt, message, "task", -2);
  lua_pop(L, 2);
}
