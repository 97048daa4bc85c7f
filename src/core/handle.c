#include "core/handle.h"

#include "core/context.h"
#include "core/error.h"
#include "core/report.h"

enum { ARGUMENTS = 250 }; /* each is a user value */

static void fire(struct neap *rt, struct timer *timer) {
  runtime_make_ready(rt, &container_of(timer, struct handle, timer)->runnable);
}

static int context_value(const struct handle *handle) { return handle->nargs + 2; }

static int place_value(const struct handle *handle) {
  return handle->nargs + 2 + handle->has_context;
}

/* Keeps the context and the place of the handle on top. */
static void remember(lua_State *L, struct neap *rt, struct handle *handle) {
  handle->has_context = rt->has_contexts;
  handle->has_place = rt->debug;
  if (handle->has_context) {
    context_push(L, rt);
    lua_setiuservalue(L, -2, context_value(handle));
  }
  if (handle->has_place) {
    error_push_place(L);
    lua_setiuservalue(L, -2, place_value(handle));
  }
}

void handle_push_place(lua_State *L, int index) {
  struct handle *handle = lua_touserdata(L, index);
  if (handle->has_place)
    lua_getiuservalue(L, index, place_value(handle));
  else
    lua_pushnil(L);
}

void handle_check_function(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) luaL_typeerror(L, index, "function");
  lua_pop(L, 1);
}

struct handle *handle_new(lua_State *L, struct neap *rt, int index) {
  int nargs = lua_gettop(L) - index;
  if (nargs > ARGUMENTS) error_misuse(L, "a callback takes at most %d arguments", ARGUMENTS);
  int more = rt->has_contexts + rt->debug;
  struct handle *handle = object_new(L, rt, OBJECT_HANDLE, sizeof *handle, nargs + 1 + more);
  *handle = (struct handle){.runnable.kind = RUN_CALLBACK, .nargs = nargs};
  timer_init(&handle->timer, fire);
  list_init(&handle->waiter.link);
  if (more) remember(L, rt, handle);
  lua_insert(L, index);
  for (int i = nargs + 1; i >= 1; i--) lua_setiuservalue(L, index, i);
  return handle;
}

void handle_anchor(lua_State *L, struct neap *rt, struct handle *handle) {
  lua_pushvalue(L, -1);
  handle->slot = anchor_new(L, rt);
}

static void let_go(lua_State *L, struct neap *rt, struct handle *handle) {
  if (!handle->slot || handle->repeats) return;
  anchor_release(L, rt, handle->slot);
  handle->slot = 0;
}

void handle_repeat(lua_State *L, struct neap *rt, struct handle *handle) {
  handle_anchor(L, rt, handle);
  handle->repeats = true;
}

void handle_call_soon(lua_State *L, struct neap *rt, struct handle *handle) {
  handle_anchor(L, rt, handle);
  runtime_make_ready(rt, &handle->runnable);
}

void handle_call_at(lua_State *L, struct neap *rt, struct handle *handle, int64_t deadline) {
  handle_anchor(L, rt, handle);
  if (timer_start(rt, &handle->timer, deadline)) {
    let_go(L, rt, handle);
    luaL_error(L, "call_at: not enough memory");
  }
}

/* A cancelled handle that stands in the ready queue stays anchored there until its turn. */
void handle_cancel(lua_State *L, struct neap *rt, struct handle *handle, int index) {
  if (handle->state != HANDLE_PENDING) return;
  index = lua_absindex(L, index);
  handle->state = HANDLE_CANCELLED;
  timer_stop(rt, &handle->timer);
  list_remove(&handle->waiter.link);
  for (int i = 1; i <= handle->nargs + 1; i++) {
    lua_pushnil(L);
    lua_setiuservalue(L, index, i);
  }
  if (!handle->runnable.queued) let_go(L, rt, handle);
}

static void queue_again(struct neap *rt, struct handle *handle) {
  if (handle->state == HANDLE_PENDING && handle->calls > 0 && !handle->runnable.queued)
    runtime_make_ready(rt, &handle->runnable);
}

void handle_call_again(struct neap *rt, struct handle *handle, unsigned times) {
  handle->calls += times;
  queue_again(rt, handle);
}

void handle_retire(lua_State *L, struct neap *rt, struct handle *handle) {
  handle->repeats = false;
  anchor_push(L, rt, handle->slot);
  handle_cancel(L, rt, handle, -1);
  if (!handle->runnable.queued) let_go(L, rt, handle);
  lua_pop(L, 1);
}

static int call(lua_State *L) {
  struct handle *handle = lua_touserdata(L, 1);
  luaL_checkstack(L, handle->nargs + 4, "too many arguments");
  if (handle->has_context) {
    lua_getiuservalue(L, 1, context_value(handle));
    context_set(L, runtime_get(L));
  }
  for (int i = 1; i <= handle->nargs + 1; i++) lua_getiuservalue(L, 1, i);
  lua_call(L, handle->nargs, 0);
  return 0;
}

bool handle_push_running(lua_State *L, struct neap *rt) {
  lua_State *co = rt->L;
  lua_Debug ar;
  if (!lua_checkstack(co, 2)) return false;
  for (int level = 0; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "f", &ar);
    bool found = lua_tocfunction(co, -1) == call;
    lua_pop(co, 1);
    if (!found || !lua_getlocal(co, &ar, 1)) continue;
    if (co != L) lua_xmove(co, L, 1);
    return true;
  }
  return false;
}

/* Calls the handle on top of the stack, and pops it. */
static void call_top(struct neap *rt, bool has_contexts) {
  lua_State *L = rt->L;
  if (has_contexts) {
    context_push(L, rt);
    lua_insert(L, -2);
  }
  lua_pushcfunction(L, report_keep_traceback);
  lua_pushcfunction(L, call);
  lua_rotate(L, -3, -1);
  lua_pushvalue(L, -1);
  lua_insert(L, -4);
  if (lua_pcall(L, 1, 0, -3) != LUA_OK) {
    runtime_count_step(rt); /* the exception handler has a step of its own */
    report(L, rt, "a callback failed", "handle", lua_absindex(L, -3));
  }
  lua_pop(L, 2);
  if (has_contexts) context_set(L, rt);
}

static void run_again(struct neap *rt, struct handle *handle) {
  lua_State *L = rt->L;
  handle->calls--;
  anchor_push(L, rt, handle->slot);
  lua_pushvalue(L, -1);
  call_top(rt, rt->has_contexts);
  queue_again(rt, handle);
  lua_pop(L, 1);
}

void handle_run(struct neap *rt, struct handle *handle) {
  lua_State *L = rt->L;
  if (handle->state == HANDLE_CANCELLED) {
    let_go(L, rt, handle);
  } else if (handle->repeats) {
    run_again(rt, handle);
  } else {
    handle->state = HANDLE_CALLED;
    anchor_push(L, rt, handle->slot);
    let_go(L, rt, handle);
    call_top(rt, rt->has_contexts);
  }
}

static struct handle *check_handle(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_HANDLE);
}

/* handle:cancel(): the callback will not be called. Does nothing when it was. */
static int l_cancel(lua_State *L) {
  struct handle *handle = check_handle(L);
  handle_cancel(L, runtime_of(L), handle, 1);
  return 0;
}

static int l_cancelled(lua_State *L) {
  lua_pushboolean(L, check_handle(L)->state == HANDLE_CANCELLED);
  return 1;
}

/* handle:when(): the loop time it is due at, in seconds; nil for one of call_soon. */
static int l_when(lua_State *L) {
  struct handle *handle = check_handle(L);
  if (handle->timer.node.key == 0) return lua_pushnil(L), 1;
  lua_pushnumber(L, (lua_Number)handle->timer.node.key / 1e9);
  return 1;
}

static int l_tostring(lua_State *L) {
  static const char *const names[] = {"pending", "called", "cancelled"};
  struct handle *handle = check_handle(L);
  lua_getiuservalue(L, 1, HANDLE_FUNCTION);
  if (lua_isfunction(L, -1)) {
    lua_Debug ar;
    lua_getinfo(L, ">S", &ar);
    if (*ar.what == 'C')
      lua_pushfstring(L, "<Handle %s [C]", names[handle->state]);
    else
      lua_pushfstring(L, "<Handle %s %s:%d", names[handle->state], ar.short_src, ar.linedefined);
  } else {
    lua_pushfstring(L, "<Handle %s", names[handle->state]);
  }
  handle_push_place(L, 1);
  if (lua_isstring(L, -1))
    lua_pushfstring(L, "%s, made at %s>", lua_tostring(L, -2), lua_tostring(L, -1));
  else
    lua_pushfstring(L, "%s>", lua_tostring(L, -2));
  return 1;
}

static const luaL_Reg methods[] = {
    {"cancel", l_cancel}, {"cancelled", l_cancelled}, {"when", l_when},
    {"__tostring", l_tostring}, {NULL, NULL},
};

void handle_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_HANDLE, "neap.Handle", methods);
  lua_pop(L, 1);
}
