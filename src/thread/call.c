#include "thread/call.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/handle.h"
#include "core/report.h"
#include "core/runtime.h"
#include "thread/copy.h"
#include "thread/library.h"
#include "thread/thread.h"

enum call_state { CALL_PENDING, CALL_CALLED, CALL_CANCELLED };

struct call {
  struct post post; /* must be first */
  atomic_uint holders;
  atomic_int state;
  struct message *message; /* the called thread's */
};

static void release(struct call *call) {
  if (atomic_fetch_sub_explicit(&call->holders, 1, memory_order_acq_rel) > 1) return;
  message_free(call->message);
  free(call);
}

/* (call): leaves a handle of the function and its arguments. */
static int protected_handle(lua_State *L) {
  struct call *call = lua_touserdata(L, 1);
  struct message *message = call->message;
  call->message = NULL;
  lua_settop(L, 0);
  message_take(L, message);
  struct handle *handle = handle_new(L, runtime_get(L), 1);
  handle_anchor(L, runtime_get(L), handle);
  return 1;
}

static void run_call(struct neap *rt, struct post *post) {
  struct call *call = (struct call *)post;
  int pending = CALL_PENDING;
  bool calls = rt && atomic_compare_exchange_strong(&call->state, &pending, CALL_CALLED);
  if (calls) {
    lua_pushcfunction(rt->L, protected_handle);
    lua_pushlightuserdata(rt->L, call);
    if (lua_pcall(rt->L, 1, 1, 0) == LUA_OK) {
      handle_run(rt, lua_touserdata(rt->L, -1));
      lua_pop(rt->L, 1);
    } else {
      report(rt->L, rt, "a callback from another thread failed", NULL, 0);
    }
  }
  release(call);
}

static struct call *check_call(lua_State *L) {
  struct call **object = object_check(L, runtime_of(L), 1, OBJECT_THREAD_CALL);
  return *object;
}

/* thread:call_soon_threadsafe(fn, ...): calls a copy of fn in the thread's loop, with copies of the arguments.
 * Returns a handle, to cancel it. */
static int l_call_soon_threadsafe(lua_State *L) {
  static const struct copy_names names = {"call_soon_threadsafe", "argument", 0};
  struct thread *thread = thread_check(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  struct call **object = object_new(L, runtime_of(L), OBJECT_THREAD_CALL, sizeof *object, 0);
  *object = NULL;
  lua_replace(L, 1);
  struct call *call = calloc(1, sizeof *call);
  if (!call) return luaL_error(L, "call_soon_threadsafe: not enough memory");
  atomic_init(&call->holders, 1);
  call->post.run = run_call;
  *object = call;
  call->message = message_new(L, 2, &names);
  atomic_fetch_add(&call->holders, 1);
  if (!thread_post(thread, &call->post)) {
    release(call);
    return error_misuse(L, "call_soon_threadsafe: the thread has ended");
  }
  lua_settop(L, 1);
  return 1;
}

static int l_gc(lua_State *L) {
  struct call **object = object_end(L, 1, OBJECT_THREAD_CALL);
  if (object && *object) release(*object);
  return 0;
}

/* handle:cancel(): it is not called, unless it was. */
static int l_cancel(lua_State *L) {
  int pending = CALL_PENDING;
  atomic_compare_exchange_strong(&check_call(L)->state, &pending, CALL_CANCELLED);
  return 0;
}

static int l_cancelled(lua_State *L) {
  lua_pushboolean(L, atomic_load(&check_call(L)->state) == CALL_CANCELLED);
  return 1;
}

static int l_tostring(lua_State *L) {
  static const char *const states[] = {"pending", "called", "cancelled"};
  lua_pushfstring(L, "<ThreadHandle %s>", states[atomic_load(&check_call(L)->state)]);
  return 1;
}

static const luaL_Reg methods[] = {
    {"cancel", l_cancel},
    {"cancelled", l_cancelled},
    {"__tostring", l_tostring},
    {"__gc", l_gc},
    {NULL, NULL},
};

static const luaL_Reg thread_methods[] = {
    {"call_soon_threadsafe", l_call_soon_threadsafe},
    {NULL, NULL},
};

/* On one's own loop it is the same as call_soon. */
static void add_loop_method(lua_State *L, struct neap *rt) {
  object_push_metatable(L, rt, OBJECT_LOOP);
  lua_getfield(L, -1, "call_soon");
  lua_setfield(L, -2, "call_soon_threadsafe");
  lua_pop(L, 1);
}

void call_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_THREAD_CALL, "neap.ThreadHandle", methods);
  object_push_metatable(L, rt, OBJECT_THREAD);
  object_add_methods(L, thread_methods);
  lua_pop(L, 2);
  add_loop_method(L, rt);
}
