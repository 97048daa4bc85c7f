#include "thread/outcome.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/future.h"
#include "thread/copy.h"

/* (outcome, call, error, traceback) */
static int protected_keep_error(lua_State *L) {
  struct copy_names names = {lua_touserdata(L, 2), "error", 0};
  struct outcome *outcome = lua_touserdata(L, 1);
  outcome->message = message_new(L, 3, &names);
  return 0;
}

/* (outcome, call, error, traceback, why): the error itself cannot be copied. */
static int protected_keep_text(lua_State *L) {
  const char *why = error_tostring(L, 5), *text = error_tostring(L, 3);
  lua_pushfstring(L, "%s (which came as a string: %s)", text, why);
  lua_replace(L, 3);
  lua_settop(L, 4);
  return protected_keep_error(L);
}

/* The error and the traceback on top, which are popped. */
static void keep_error(lua_State *L, struct outcome *outcome, const char *call) {
  int error = lua_gettop(L) - 1;
  outcome->kind = error_is(L, error, ERROR_CANCELLED) ? OUTCOME_CANCELLED : OUTCOME_FAILED;
  for (int attempt = 0; attempt < 2 && !outcome->message; attempt++) {
    lua_pushcfunction(L, attempt ? protected_keep_text : protected_keep_error);
    lua_pushlightuserdata(L, outcome);
    lua_pushlightuserdata(L, (void *)call);
    lua_pushvalue(L, error);
    lua_pushvalue(L, error + 1);
    if (attempt) lua_pushvalue(L, error + 2);
    (void)lua_pcall(L, 4 + attempt, 0, 0);
  }
  lua_settop(L, error - 1);
}

void outcome_keep_error(lua_State *L, struct outcome *outcome, const char *call) {
  lua_pushnil(L);
  keep_error(L, outcome, call);
}

static int protected_result(lua_State *L) { return future_push_result(L, 1); }

/* (outcome, call, values...) */
static int protected_keep_values(lua_State *L) {
  struct outcome *outcome = lua_touserdata(L, 1);
  struct copy_names names = {lua_touserdata(L, 2), "result", 1};
  outcome->message = message_new(L, 3, &names);
  outcome->kind = OUTCOME_VALUES;
  return 0;
}

void outcome_keep(lua_State *L, struct outcome *outcome, int index, const char *call) {
  int top = lua_gettop(L);
  if (!lua_checkstack(L, 12)) return;
  lua_pushcfunction(L, protected_keep_values);
  lua_pushlightuserdata(L, outcome);
  lua_pushlightuserdata(L, (void *)call);
  lua_pushcfunction(L, protected_result);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    future_push_detail(L, index, "traceback");
    keep_error(L, outcome, call);
  } else if (lua_pcall(L, lua_gettop(L) - top - 1, 0, 0) != LUA_OK) {
    outcome_keep_error(L, outcome, call);
  }
  lua_settop(L, top);
}

void outcome_push_error(lua_State *L, const struct outcome *outcome, const char *name) {
  if (outcome->message) {
    message_push(L, outcome->message);
    return;
  }
  if (outcome->kind == OUTCOME_GONE || outcome->kind == OUTCOME_CANCELLED) {
    lua_pushfstring(L, "%s ended before its function did", name);
    error_new(L, ERROR_CANCELLED);
  } else {
    lua_pushfstring(L, "%s: not enough memory", name);
  }
  lua_pushnil(L);
}

int outcome_push(lua_State *L, const struct outcome *outcome, const char *name) {
  luaL_checkstack(L, 6, "not enough memory");
  if (outcome->kind == OUTCOME_VALUES) return message_push(L, outcome->message);
  outcome_push_error(L, outcome, name);
  error_note_copied(L, -2, -1, name);
  lua_pop(L, 1);
  return lua_error(L);
}
