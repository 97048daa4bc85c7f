#include "core/error.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>
#include <uv.h>

#include "core/limits.h"
#include "core/runtime.h"
#include "core/task.h"
#include "core/task_info.h"

static const char *const kind_names[ERROR_KINDS] = {
    "Error",         "CancelledError", "TimeoutError",        "InvalidStateError",
    "DeadlockError", "OSError",        "IncompleteReadError", "LimitOverrunError",
    "QueueEmpty",    "QueueFull",      "QueueShutDown",       "BrokenBarrierError",
    "LimitError",
};

/* Of kinds under kinds; a bound for tables that only look like one. */
enum { KINDS_DEEP = 32 };

static const char kind_keys[ERROR_KINDS], origin_key, copied_key;

static void push_kind(lua_State *L, enum error_kind kind) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kind_keys[kind]);
}

/* A kind is a table that scripts can write to. */
static void forget_finalizer(lua_State *L) {
  lua_pushliteral(L, "__gc");
  lua_pushnil(L);
  lua_rawset(L, -3);
}

/* Makes an error of the kind on top from the message below it; pops both. */
static void make_error(lua_State *L) {
  struct neap *rt = runtime_get(L);
  if (rt && limits_restricted(rt)) forget_finalizer(L);
  lua_createtable(L, 0, 2);
  lua_insert(L, -3);
  lua_setmetatable(L, -3);
  lua_setfield(L, -2, "message");
}

void error_new(lua_State *L, enum error_kind kind) {
  push_kind(L, kind);
  make_error(L);
}

bool error_is_own(const lua_Debug *ar) {
  static const char own[] = "@lua/neap/";
  return strncmp(ar->source, own, sizeof own - 1) == 0;
}

void error_push_place(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || error_is_own(&ar)) continue;
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
    return;
  }
  lua_pushliteral(L, "?");
}

void error_where(lua_State *L) {
  error_push_place(L);
  bool known = *lua_tostring(L, -1) != '?';
  lua_pushstring(L, known ? ": " : "");
  if (!known) lua_replace(L, -2);
  if (known) lua_concat(L, 2);
}

static void push_message(lua_State *L, const char *format, va_list arguments) {
  error_where(L);
  lua_pushvfstring(L, format, arguments);
  lua_concat(L, 2);
}

int error_misuse(lua_State *L, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  push_message(L, format, arguments);
  va_end(arguments);
  return lua_error(L);
}

int error_raise(lua_State *L, enum error_kind kind, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  push_message(L, format, arguments);
  va_end(arguments);
  error_new(L, kind);
  return lua_error(L);
}

/* Whether the metatable on top is the kind below it or derived from it. Pops the metatable. */
static bool derives(lua_State *L, int kind) {
  for (int depth = 0; lua_istable(L, -1) && depth < KINDS_DEEP; depth++) {
    if (lua_rawequal(L, -1, kind)) return lua_pop(L, 1), true;
    lua_pushliteral(L, "base");
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
  return false;
}

static bool is_kind(lua_State *L, int index, int kind) {
  return lua_istable(L, index) && lua_getmetatable(L, index) && derives(L, kind);
}

bool error_is(lua_State *L, int index, enum error_kind kind) {
  index = lua_absindex(L, index);
  push_kind(L, kind);
  bool is = is_kind(L, index, lua_gettop(L));
  lua_pop(L, 1);
  return is;
}

/* --- failures of the outside world --- */

static bool is_known(int status) {
  char name[64];
  return strncmp(uv_err_name_r(status, name, sizeof name), "Unknown", strlen("Unknown")) != 0;
}

const char *error_code(int status) {
  const char *name = NULL;
  if (is_known(status)) return uv_err_name(status);
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
  name = strerrorname_np(-status);
#endif
  return name ? name : "UNKNOWN";
}

const char *error_reason(int status) { return is_known(status) ? uv_strerror(status) : strerror(-status); }

int error_return(lua_State *L, int status, const char *operation, const char *target) {
  return error_return_as(L, error_code(status), error_reason(status), operation, target);
}

int error_return_as(lua_State *L, const char *code, const char *reason, const char *operation, const char *target) {
  lua_pushnil(L);
  if (target)
    lua_pushfstring(L, "%s %s: %s", operation, target, reason);
  else
    lua_pushfstring(L, "%s: %s", operation, reason);
  error_new(L, ERROR_OS);
  lua_pushstring(L, code);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "code");
  lua_pushstring(L, operation);
  lua_setfield(L, -3, "operation");
  lua_pushstring(L, target);
  lua_setfield(L, -3, "target");
  return 3;
}

/* --- cancellation --- */

void error_push_cancelled(lua_State *L, int index, int message) {
  index = lua_absindex(L, index);
  lua_pushvalue(L, message);
  error_new(L, ERROR_CANCELLED);
  lua_pushvalue(L, index);
  lua_setfield(L, -2, "task");
}

int error_raise_cancelled(lua_State *L, struct neap *rt) {
  struct task *task = rt->current;
  luaL_checkstack(L, 6, "not enough memory");
  task->delivered = true;
  task->told = true;
  task_push(L, task);
  future_push_detail(L, -1, "message");
  error_push_cancelled(L, -2, -1);
  error_push_place(L);
  lua_setfield(L, -2, "where");
  return lua_error(L);
}

bool error_began_in(lua_State *L, int index, const struct task *task) {
  if (!error_is(L, index, ERROR_CANCELLED)) return false;
  lua_getfield(L, index, "task");
  bool same = lua_touserdata(L, -1) == task;
  lua_pop(L, 1);
  return same;
}

/* --- reading --- */

static int l_tolstring(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

bool error_push_own_string(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL) return false;
  lua_pop(L, 1);
  lua_pushcfunction(L, l_tolstring);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

const char *error_tostring(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (lua_type(L, index) == LUA_TSTRING || lua_type(L, index) == LUA_TNUMBER) {
    lua_pushvalue(L, index);
    return lua_tostring(L, -1);
  }
  if (error_push_own_string(L, index)) return lua_tostring(L, -1);
  return lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
}

/* --- tracebacks --- */

void error_note_origin(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &origin_key);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, 1);
  lua_pop(L, 1);
}

/* The error, its traceback and who failed are kept until another is: it is about to be raised. */
void error_note_copied(lua_State *L, int index, int traceback, const char *name) {
  index = lua_absindex(L, index);
  traceback = lua_absindex(L, traceback);
  lua_createtable(L, 3, 0);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, traceback);
  lua_rawseti(L, -2, 2);
  lua_pushstring(L, name);
  lua_rawseti(L, -2, 3);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &copied_key);
}

/* Pushes the traceback that came with a copied error, if this is it, or nil. */
static void push_copied_traceback(lua_State *L, int error) {
  int top = lua_gettop(L);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &copied_key) == LUA_TTABLE) {
    lua_rawgeti(L, top + 1, 1);
    lua_rawgeti(L, top + 1, 2);
    lua_rawgeti(L, top + 1, 3);
    if (lua_rawequal(L, top + 2, error) && lua_isstring(L, top + 3)) {
      lua_pushfstring(L, "%s\nawaited after it failed in %s:", lua_tostring(L, top + 3),
                      lua_tostring(L, top + 4));
      lua_replace(L, top + 1);
      lua_settop(L, top + 1);
      return;
    }
  }
  lua_settop(L, top);
  lua_pushnil(L);
}

/* Pushes the traceback of the task whose very error this is, or nil. */
static void push_origin_traceback(lua_State *L, int error) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &origin_key);
  lua_rawgeti(L, -1, 1);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -3, 1);
  lua_remove(L, -2);
  if (!lua_isuserdata(L, -1)) {
    lua_pop(L, 1);
    lua_pushnil(L);
    return;
  }
  lua_getiuservalue(L, -1, FUTURE_RESULT);
  bool same = lua_rawequal(L, -1, error);
  lua_pop(L, 1);
  if (same)
    future_push_detail(L, -1, "traceback");
  else
    lua_pushnil(L);
  if (lua_isstring(L, -1)) {
    task_push_name(L, -2);
    lua_pushfstring(L, "%s\nawaited after it failed in %s:", lua_tostring(L, -2),
                    lua_tostring(L, -1));
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
}

/* Appends to the string on top the place of the await that the error's scope has cut short. */
static void add_where(lua_State *L, int error) {
  if (!error_is(L, error, ERROR_ANY)) return;
  lua_getfield(L, error, "where");
  if (lua_isstring(L, -1)) {
    lua_pushfstring(L, "%s\ncut short in the await at %s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_replace(L, -3);
  }
  lua_pop(L, 1);
}

void error_push_traceback(lua_State *L, lua_State *thread, int index, int level) {
  luaL_checkstack(L, 12, "not enough memory");
  index = lua_absindex(L, index);
  push_origin_traceback(L, index);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    push_copied_traceback(L, index);
  }
  luaL_traceback(L, thread, NULL, level);
  if (lua_isstring(L, -2)) {
    lua_pushfstring(L, "%s\n%s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_replace(L, -2);
  } else {
    add_where(L, index);
  }
  lua_remove(L, -2);
}

/* --- for Lua --- */

static int l_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "message");
  if (lua_isnil(L, -1)) lua_getfield(L, 1, "__name");
  luaL_tolstring(L, -1, NULL);
  return 1;
}

static int l_cancelled_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "task");
  if (object_test(L, -1, OBJECT_TASK))
    task_push_name(L, -1);
  else if (lua_type(L, -1) != LUA_TSTRING) /* the name, where the error was copied from another thread */
    lua_pushliteral(L, "a future");
  lua_pushliteral(L, " was cancelled");
  lua_getfield(L, 1, "message");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_concat(L, 2);
  } else {
    lua_pushliteral(L, ": ");
    lua_insert(L, -2);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    lua_concat(L, 4);
  }
  return 1;
}

/* is(err, kind): whether [err] is an error object of that kind, or of one derived from it. */
static int l_is(lua_State *L) {
  luaL_checkany(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_pushboolean(L, is_kind(L, 1, 2));
  return 1;
}

/* Calling a kind makes an error of it: neap.TimeoutError("too late"). */
static int l_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  make_error(L);
  return 1;
}

/* misuse(message): raises it at the line of the caller outside neap. */
static int l_misuse(lua_State *L) { return error_misuse(L, "%s", luaL_checkstring(L, 1)); }

/* raise(kind, message): raises an error of that kind, whose message begins with that line. */
static int l_raise(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  error_where(L);
  lua_pushstring(L, luaL_checkstring(L, 2));
  lua_concat(L, 2);
  lua_pushvalue(L, 1);
  make_error(L);
  return lua_error(L);
}

/* error_kind(name, base): a new kind of error, under [base] or Error. */
static int l_error_kind(lua_State *L) {
  luaL_checkstring(L, 1);
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    push_kind(L, ERROR_ANY);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_createtable(L, 0, 5);
  lua_pushvalue(L, 1);
  lua_setfield(L, 3, "__name");
  lua_pushvalue(L, 3);
  lua_setfield(L, 3, "__index");
  lua_pushvalue(L, 2);
  lua_setfield(L, 3, "base");
  lua_getfield(L, 2, "__tostring");
  lua_setfield(L, 3, "__tostring");
  lua_getmetatable(L, 2);
  lua_setmetatable(L, 3);
  return 1;
}

static void make_root(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_pushstring(L, kind_names[ERROR_ANY]);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "__call");
  lua_pushcfunction(L, l_tostring); /* of the kind itself: it has no message, but a name */
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
}

/* The task that the last error came from, held weakly: a table whose array never grows. */
static void make_origin(lua_State *L) {
  lua_createtable(L, 1, 0);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &origin_key);
}

void error_open(lua_State *L, struct neap *rt) {
  (void)rt;
  make_origin(L);
  for (int kind = 0; kind < ERROR_KINDS; kind++) {
    if (kind == ERROR_ANY) {
      make_root(L);
    } else {
      lua_pushcfunction(L, l_error_kind);
      lua_pushstring(L, kind_names[kind]);
      push_kind(L, ERROR_ANY);
      lua_call(L, 2, 1);
    }
    if (kind == ERROR_CANCELLED) {
      runtime_push(L);
      lua_pushcclosure(L, l_cancelled_tostring, 1);
      lua_setfield(L, -2, "__tostring");
    }
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kind_keys[kind]);
    lua_setfield(L, -2, kind_names[kind]);
  }
  lua_pushcfunction(L, l_is);
  lua_setfield(L, -2, "is");
  lua_pushcfunction(L, l_error_kind);
  lua_setfield(L, -2, "error_kind");
  lua_pushcfunction(L, l_misuse);
  lua_setfield(L, -2, "misuse");
  lua_pushcfunction(L, l_raise);
  lua_setfield(L, -2, "raise");
}
