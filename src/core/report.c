#include "core/report.h"

#include <lauxlib.h>
#include <stdio.h>

#include "core/context.h"
#include "core/error.h"
#include "core/future.h"
#include "core/handle.h"
#include "core/limits.h"
#include "core/loop.h"
#include "core/port.h"
#include "core/runtime.h"
#include "core/task.h"
#include "core/task_info.h"
#include "neap.h"

enum { LINE_BYTES = 512 };

static const char handler_key, traceback_key, caller_key, kept_key;

static int l_default_exception_handler(lua_State *L);

struct request {
  const char *message;
  const char *name; /* of the object in the context, or NULL */
  bool warning;
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

static void set_field(lua_State *L, const char *name) { lua_setfield(L, -2, name); }

/* What is known of the object: its traceback and the place where it was made. */
static void add_details(lua_State *L, struct neap *rt, int object) {
  if (future_test(L, object)) {
    future_push_detail(L, object, "traceback");
    set_field(L, "traceback");
    future_push_detail(L, object, "made_at");
    set_field(L, "made_at");
  } else if (object_test(L, object, OBJECT_HANDLE)) {
    handle_push_place(L, object);
    set_field(L, "made_at");
  }
}

static void push_error_context(lua_State *L, const struct request *request, int error, int object) {
  lua_createtable(L, 0, 6);
  lua_pushvalue(L, error);
  set_field(L, "exception");
  push_kept_traceback(L);
  set_field(L, "traceback");
  if (request->name) add_details(L, runtime_of(L), object);
}

static void push_warning_context(lua_State *L, int traceback) {
  lua_createtable(L, 0, 4);
  lua_pushboolean(L, 1);
  set_field(L, "warning");
  lua_pushvalue(L, traceback);
  set_field(L, "traceback");
}

static void push_context(lua_State *L, const struct request *request, int value, int object) {
  if (request->warning)
    push_warning_context(L, value);
  else
    push_error_context(L, request, value, object);
  lua_pushstring(L, request->message);
  set_field(L, "message");
  if (!request->name) return;
  lua_pushvalue(L, object);
  set_field(L, request->name);
}

/* Outside tasks the handler sees the context variables of the failed task. */
static void enter_context(lua_State *L, struct neap *rt, int object) {
  if (!rt->has_contexts || rt->current || !future_test(L, object)) return;
  future_push_detail(L, object, "context");
  context_set(L, rt);
}

bool report_tell_host(struct neap_port *port, const struct neap_report *report) {
  if (!port->host.on_report) return false;
  port->telling++;
  port->host.on_report(port->host.user, report);
  port->telling--;
  return true;
}

/* Where there may be no memory for more. */
static void tell_plainly(struct neap *rt, const char *message, const char *error) {
  char line[LINE_BYTES];
  struct neap_report report = {.message = line};
  snprintf(line, sizeof line, "%s: %s", message, error);
  if (!report_tell_host(rt->port, &report)) fprintf(stderr, "neap: %s\n", line);
}

/* (request, error or traceback, object or nil): calls the handler that is set, and the default one if that
 * fails. */
static int call_handler(lua_State *L) {
  struct neap *rt = runtime_of(L);
  const struct request *request = lua_touserdata(L, 1);
  luaL_checkstack(L, 12, "not enough memory");
  enter_context(L, rt, 3);
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
    tell_plainly(rt, "the exception handler failed", error_tostring(L, -1));
    lua_pop(L, 2);
    lua_call(L, 2, 0);
  }
  return 0;
}

/* Calls it protected, for the value on top, which is popped; outside tasks in a context of its own. */
static void call_protected(lua_State *L, struct neap *rt, struct request *request, int index) {
  int value = lua_gettop(L);
  bool contexts = rt->has_contexts && !rt->current;
  if (contexts) context_push(L, rt);
  if (!rt->running) runtime_count_step(rt);
  bool bound = limits_bind(rt, true);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &caller_key);
  lua_pushlightuserdata(L, request);
  lua_pushvalue(L, value);
  if (request->name)
    lua_pushvalue(L, index);
  else
    lua_pushnil(L);
  unsigned telling = rt->port->telling;
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
    if (rt->port->telling > telling)
      fprintf(stderr, "neap: on_report: it must not raise an error: %s\n", error_tostring(L, -1));
    else
      tell_plainly(rt, request->message, error_tostring(L, -1));
    lua_settop(L, value + contexts);
  }
  rt->port->telling = telling;
  limits_bind(rt, bound);
  if (contexts) context_set(L, rt);
  lua_settop(L, value - 1);
}

void report(lua_State *L, struct neap *rt, const char *message, const char *name, int index) {
  struct request request = {message, name, false};
  if (name) index = lua_absindex(L, index);
  if (lua_checkstack(L, 8))
    call_protected(L, rt, &request, index);
  else
    lua_pop(L, 1);
}

void report_warning(lua_State *L, struct neap *rt, const char *message, const char *name, int index) {
  struct request request = {message, name, true};
  index = lua_absindex(L, index);
  if (lua_checkstack(L, 8))
    call_protected(L, rt, &request, index);
  else
    lua_pop(L, 1);
}

static void new_kept(lua_State *L) {
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
}

void report_warning_later(lua_State *L, struct neap *rt) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key);
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
  rt->unread++;
}

void report_kept_warnings(lua_State *L, struct neap *rt) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key);
  int table = lua_gettop(L);
  if (lua_rawlen(L, table) > 0) new_kept(L);
  for (lua_Integer i = 1; lua_rawgeti(L, table, i) == LUA_TSTRING; i++) {
    lua_pushnil(L);
    report_warning(L, rt, lua_tostring(L, -2), NULL, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
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

/* Pushes the message, and what it is about. */
static void push_subject(lua_State *L, bool warning) {
  int message = lua_gettop(L) + 1;
  if (lua_getfield(L, 2, "message") == LUA_TNIL) lua_pushliteral(L, "an error"), lua_replace(L, message);
  const char *about = NULL;
  if (lua_getfield(L, 2, "task") == LUA_TUSERDATA) {
    task_push_name(L, -1);
    about = lua_tostring(L, -1);
  } else if (warning && lua_getfield(L, 2, "handle") == LUA_TUSERDATA) {
    about = error_tostring(L, -1);
  }
  if (about) {
    lua_pushfstring(L, "%s (%s)", lua_tostring(L, message), about);
    lua_replace(L, message);
  }
  lua_settop(L, message);
}

static const char *field(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  return lua_tostring(L, -1);
}

static void write_report(lua_State *L, const struct neap_report *report) {
  lua_pushfstring(L, "neap: %s%s", report->is_warning ? "warning: " : "", report->message);
  add_line(L, "", "traceback");
  add_line(L, "made at ", "made_at");
  fflush(stdout);
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
}

static bool has_field(lua_State *L, const char *name) {
  bool has = lua_getfield(L, 2, name) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

/* Whether the context has an error, which may be nil if something failed with it: a script may report without one. */
static bool has_error(lua_State *L) {
  return has_field(L, "exception") || has_field(L, "traceback") || has_field(L, "future");
}

/* (loop, context): tells the host, or else writes one paragraph to stderr. */
static int l_default_exception_handler(lua_State *L) {
  struct neap *rt = runtime_of(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  bool warning = lua_getfield(L, 2, "warning") != LUA_TNIL;
  push_subject(L, warning);
  if (!warning && has_error(L)) {
    lua_getfield(L, 2, "exception");
    error_tostring(L, -1);
    lua_pushfstring(L, "%s: %s", lua_tostring(L, 4), lua_tostring(L, -1));
  }
  struct neap_report report = {.message = lua_tostring(L, -1), .is_warning = warning};
  report.traceback = field(L, "traceback");
  report.made_at = field(L, "made_at");
  if (!warning) rt->reported++;
  if (!report_tell_host(rt->port, &report)) write_report(L, &report);
  return 0;
}

/* reported(): how many errors have gone to the default handler. */
static int l_reported(lua_State *L) {
  lua_pushinteger(L, runtime_of(L)->reported);
  return 1;
}

static int call_and_keep(lua_State *L) {
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  return 1;
}

/* keeping(handler): a message handler that calls this one and leaves the error as it is: what a handler returns is what
 * <close> variables are told, and nil means that there was no error. */
static int l_keeping(lua_State *L) {
  lua_settop(L, 1);
  lua_pushcclosure(L, call_and_keep, 1);
  return 1;
}

static const luaL_Reg functions[] = {
    {"keeping", l_keeping},
    {"reported", l_reported},
    {"default_exception_handler", l_default_exception_handler},
    {NULL, NULL},
};

void report_open(lua_State *L, struct neap *rt) {
  (void)rt;
  new_kept(L);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
  runtime_push(L);
  lua_pushcclosure(L, call_handler, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &caller_key);
}
