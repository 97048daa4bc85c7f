#include "core/report.h"

#include <lauxlib.h>
#include <stdio.h>

#include "core/error.h"
#include "core/future.h"
#include "core/loop.h"
#include "core/runtime.h"
#include "core/task.h"

static const char handler_key, traceback_key, caller_key;

static int l_default_exception_handler(lua_State *L);

struct request {
  const char *message;
  const char *name; /* of the object in the context, or NULL */
};

int report_keep_traceback(lua_State *L) {
  error_push_traceback(L, L, 1, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &traceback_key);
  lua_settop(L, 1);
  return 1;
}

static void push_kept_traceback(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &traceback_key);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &traceback_key);
}

void report_push_handler(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key); }
void report_set_handler(lua_State *L) { lua_rawsetp(L, LUA_REGISTRYINDEX, &handler_key); }

void report_push_default_handler(lua_State *L) {
  runtime_push(L);
  lua_pushcclosure(L, l_default_exception_handler, 1);
}

static void push_context(lua_State *L, const struct request *request, int error, int object) {
  lua_createtable(L, 0, 6);
  lua_pushstring(L, request->message);
  lua_setfield(L, -2, "message");
  lua_pushvalue(L, error);
  lua_setfield(L, -2, "exception");
  push_kept_traceback(L);
  lua_setfield(L, -2, "traceback");
  if (!request->name) return;
  lua_pushvalue(L, object);
  lua_setfield(L, -2, request->name);
  if (!future_test(L, runtime_of(L), object)) return;
  future_push_detail(L, object, "traceback");
  lua_setfield(L, -2, "traceback");
  future_push_detail(L, object, "made_at");
  lua_setfield(L, -2, "made_at");
}

/* (request, error, object or nil): calls the handler that is set, and the default one if that fails. */
static int call_handler(lua_State *L) {
  struct neap *rt = runtime_of(L);
  const struct request *request = lua_touserdata(L, 1);
  luaL_checkstack(L, 12, NULL);
  push_context(L, request, 2, 3);
  report_push_default_handler(L);
  loop_push(L, rt);
  lua_pushvalue(L, 4);
  report_push_handler(L);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_call(L, 2, 0);
    return 0;
  }
  loop_push(L, rt);
  lua_pushvalue(L, 4);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    fprintf(stderr, "neap: the exception handler failed: %s\n", error_tostring(L, -1));
    lua_pop(L, 2);
    lua_call(L, 2, 0);
  }
  return 0;
}

void report(lua_State *L, struct neap *rt, const char *message, const char *name, int index) {
  struct request request = {message, name};
  if (name) index = lua_absindex(L, index);
  int error = lua_gettop(L);
  if (!lua_checkstack(L, 8)) {
    lua_pop(L, 1);
    return;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &caller_key);
  lua_pushlightuserdata(L, &request);
  lua_pushvalue(L, error);
  if (name)
    lua_pushvalue(L, index);
  else
    lua_pushnil(L);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK)
    fprintf(stderr, "neap: %s: %s\n", message, error_tostring(L, -1));
  lua_settop(L, error - 1);
}

/* --- the default handler --- */

/* Adds a line to the string on top if the context has the field. */
static void add_line(lua_State *L, const char *prefix, const char *field) {
  lua_getfield(L, 2, field);
  if (lua_isstring(L, -1)) {
    lua_pushfstring(L, "%s\n%s%s", lua_tostring(L, -2), prefix, lua_tostring(L, -1));
    lua_replace(L, -3);
  }
  lua_pop(L, 1);
}

static void push_subject(lua_State *L) {
  lua_getfield(L, 2, "message");
  if (lua_getfield(L, 2, "task") == LUA_TUSERDATA) {
    task_push_name(L, -1);
    lua_pushfstring(L, "%s (%s)", lua_tostring(L, -3), lua_tostring(L, -1));
    lua_replace(L, -4);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* (loop, context): writes one paragraph to stderr. */
static int l_default_exception_handler(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  push_subject(L);
  lua_getfield(L, 2, "exception");
  error_tostring(L, -1);
  lua_pushfstring(L, "neap: %s: %s", lua_tostring(L, 3), lua_tostring(L, 5));
  add_line(L, "", "traceback");
  add_line(L, "made at ", "made_at");
  runtime_of(L)->reported++;
  fflush(stdout);
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  return 0;
}

static const luaL_Reg functions[] = {
    {"default_exception_handler", l_default_exception_handler},
    {NULL, NULL},
};

void report_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
  runtime_push(L);
  lua_pushcclosure(L, call_handler, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &caller_key);
}
